// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net_queue/stream.hpp>

#include <memory>

#include "gil.hpp"

namespace nq::python {

/// A Chunk of a Python object's own memory: anything with a contiguous buffer. The object is held
/// until the library has done with it; it is let go by `collect_returned`. Throws Python's errors
/// for objects without such a buffer.
Chunk lend(py::handle object);

/// An object for threads without the interpreter's lock to hold: let go of as above.
std::shared_ptr<PyObject> keep(py::object object);

/// Lets go of the objects whose memory came back since, all at once: the threads that send never
/// take the interpreter's lock. Called by whoever comes by; where nobody does, by the interpreter
/// between two instructions of its main thread.
void collect_returned() noexcept;

/// A writable memoryview of a received chunk's memory, and a share in it.
py::object view_of(Chunk chunk);

/// The chunks of a net_queue.utils.stream.Stream, lent; the stream is left as it is.
Stream stream_of(py::handle stream);
/// Every chunk as a memoryview.
py::list views_of(Stream stream);

void bind_octets(py::module_& module);

}  // namespace nq::python
