// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include <net_queue/stream.hpp>

#include "gil.hpp"

namespace nq::python {

/// Chunks at least this long are never copied. The size up to which pickle puts octets into frames
/// of its own; what is longer it writes in one piece.
inline constexpr std::size_t k_lent_min = std::size_t{64} << 10;

/// The file that a pickle.Pickler writes into: a Stream. Small pieces are copied together, long
/// ones lent.
struct Writer {
    PyObject head;
    Stream stream;
    std::vector<std::byte> small;

    void append(py::handle octets);
    /// Fills up, with instructions that do nothing, so that `size` octets begin aligned.
    void align(std::size_t size);
    /// What was written; the writer is empty afterwards.
    Stream take();
};

/// The file that a pickle.Unpickler reads from: a Stream, each chunk of which goes as soon as it
/// was read.
struct Reader {
    PyObject head;
    Stream stream;
    bool discards;  ///< nobody else will look at the octets

    /// Takes up to target.size() octets; returns how many. If it may, it gives the memory of a
    /// large message back to the system while it is read: what is loaded and what it is loaded from
    /// need not fit into memory together.
    std::size_t read_into(std::span<std::byte> target);
};

/// New ones. Python's types, not pybind11's: they are called for each message.
py::object new_writer();
py::object new_reader(Stream stream, bool discards);
inline Writer& as_writer(const py::object& writer) {
    return *reinterpret_cast<Writer*>(writer.ptr());
}

void bind_pickle_files();

}  // namespace nq::python
