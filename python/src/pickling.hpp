// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net_queue/stream.hpp>

#include "gil.hpp"

namespace nq::python {

/// What turns Python objects into messages and back, without a Python call of its own around it.
/// All methods need the interpreter's lock; what Python raises comes through.
class Serializer {
  public:
    /// Whose memory a message to be loaded lies in: `ours`, received, and of no use afterwards; or
    /// `lent`, a Python object's.
    enum class Memory { ours, lent };

    Serializer() = default;
    Serializer(const Serializer&) = delete;
    Serializer& operator=(const Serializer&) = delete;
    virtual ~Serializer() = default;
    [[nodiscard]] virtual Stream dump(py::handle object) const = 0;
    [[nodiscard]] virtual py::object load(Stream stream, Memory memory) const = 0;
};

/// CPython's own pickle, protocol 5, in-band. Large buffers go out from the object's memory; the
/// octets of large arrays stay in the block that they arrived in.
class Pickling : public Serializer {
  public:
    /// Subclasses of pickle.Pickler and pickle.Unpickler, or None for these themselves. Restricted:
    /// messages are looked through before they are loaded, so that none takes memory out of
    /// proportion.
    Pickling(const py::object& pickler, const py::object& unpickler, bool restricted);
    [[nodiscard]] Stream dump(py::handle object) const override;
    [[nodiscard]] py::object load(Stream stream, Memory memory) const override;

  private:
    [[nodiscard]] py::object load_from(Stream stream, Memory memory) const;

    const bool plain_;  ///< nothing looks at what is loaded
    const bool restricted_;
    const py::object pickler_;
    const py::object unpickler_;
    const py::object dumps_;  ///< null with a Pickler of the user's
    const py::object loads_;
};

/// Octets as they are: bytes, or anything with a buffer, to bytes.
class Octets : public Serializer {
  public:
    [[nodiscard]] Stream dump(py::handle object) const override;
    [[nodiscard]] py::object load(Stream stream, Memory memory) const override;
};

void bind_pickling(py::module_& module);

}  // namespace nq::python
