// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net_queue/communicator.hpp>

#include <memory>
#include <optional>
#include <string>

#include "closing.hpp"
#include "future.hpp"
#include "gil.hpp"
#include "ids.hpp"
#include "pickling.hpp"

namespace nq::python {

/// The library's Communicator for Python: objects in, objects out.
///
/// Waits without the interpreter's lock, everything else holds it. The last reference to go does
/// not wait for peers: what is left to do is done behind it (closing.hpp).
class Communicator {
  public:
    /// `dump` and `load`: each a Serializer, or a callable between objects and Streams.
    Communicator(const std::string& protocol, const std::string& purpose, const py::object& options,
                 py::object dump, py::object load);
    Communicator(const Communicator&) = delete;
    Communicator& operator=(const Communicator&) = delete;
    ~Communicator();

    Put put(const py::object& data, const py::tuple& peers);
    /// Waits so many seconds, none: for ever; a tuple (uuid.UUID, object).
    py::object get(const py::tuple& peers, const std::optional<double>& timeout);
    /// Calls `callback` once, on a thread of ours.
    void when_readable(py::object callback, const py::tuple& peers);
    /// (clean, [stats of a peer, ...])
    py::tuple close(const std::optional<double>& timeout);
    [[nodiscard]] py::list peers();
    [[nodiscard]] py::dict stats();
    [[nodiscard]] py::tuple location() const;
    void reload_certificates();

  private:
    [[nodiscard]] Stream dump(const py::object& data) const;
    [[nodiscard]] py::object load(const Uuid& peer, Stream message) const;
    [[nodiscard]] py::tuple report_of(const CloseReport& report);
    [[nodiscard]] py::dict stats_of(const PeerStats& peer);

    const ForkGuard fork_;
    const py::object dump_;
    const py::object load_;
    const py::object stream_type_;        ///< of what a callable is given to load
    const Serializer* dumper_ = nullptr;  ///< of dump_, if it is one
    const Serializer* loader_ = nullptr;
    std::shared_ptr<Closing> closing_;
    Ids ids_;
};

void bind_communicator(py::module_& module);

}  // namespace nq::python
