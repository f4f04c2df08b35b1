// SPDX-License-Identifier: Apache-2.0
#include "pickle_files.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "octets.hpp"
#include "pickle/opcodes.hpp"

namespace nq::python {

namespace {

using detail::Op;

/// Where long octets begin, as seen from the begin of their message: so that an array, which stays
/// where it arrived, is aligned as its own memory was. A cache line, and the widest vector.
constexpr std::size_t k_alignment = 64;
/// PROTO and its number, with which every pickle of ours begins.
constexpr std::size_t k_proto_size = 2;

/// Below this a block is one that its pool keeps for the next message: its pages are worth more
/// than their memory.
constexpr std::size_t k_discard_min = std::size_t{16} << 20;
/// Copied between two calls to the system.
constexpr std::size_t k_piece = std::size_t{4} << 20;

// Gives whole pages back, whose contents nobody will look at again.
void discard(Chunk::Octets octets) {
    static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto address = reinterpret_cast<std::uintptr_t>(octets.data());
    const std::uintptr_t begin = (address + page - 1) / page * page;
    const std::uintptr_t end = (address + octets.size()) / page * page;
    if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

PyTypeObject* g_writer_type = nullptr;
PyTypeObject* g_reader_type = nullptr;

// Exceptions of C++ must not pass through Python's own code.
template <class F>
PyObject* guarded(F&& f) noexcept {
    try {
        return f().release().ptr();
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

template <class T>
void dealloc(PyObject* self) {
    reinterpret_cast<T*>(self)->~T();
    PyTypeObject* const type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* writer_write(PyObject* self, PyObject* octets) {
    return guarded([&]() -> py::object {
        reinterpret_cast<Writer*>(self)->append(octets);
        return py::none();  // Pickler looks at no count
    });
}

// A part of a message that was not sent whole, or a hostile one, may ask for more than there is:
// what is there, as a file would.
PyObject* reader_read(PyObject* self, PyObject* argument) {
    return guarded([&]() -> py::object {
        auto& reader = *reinterpret_cast<Reader*>(self);
        const Stream& stream = reader.stream;
        const Py_ssize_t asked = PyLong_AsSsize_t(argument);
        if (asked == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
        const std::size_t size =
            asked < 0 ? stream.size() : std::min(static_cast<std::size_t>(asked), stream.size());
        PyObject* const bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size));
        if (bytes == nullptr) throw py::error_already_set();
        auto* const target = reinterpret_cast<std::byte*>(PyBytes_AS_STRING(bytes));
        reader.read_into({target, size});
        return py::reinterpret_steal<py::object>(bytes);
    });
}

PyObject* reader_readinto(PyObject* self, PyObject* target) {
    return guarded([&]() -> py::object {
        Py_buffer view;
        if (PyObject_GetBuffer(target, &view, PyBUF_WRITABLE) != 0) throw py::error_already_set();
        const std::size_t count = reinterpret_cast<Reader*>(self)->read_into(
            {static_cast<std::byte*>(view.buf), static_cast<std::size_t>(view.len)});
        PyBuffer_Release(&view);
        return py::int_(count);
    });
}

PyObject* reader_readline(PyObject* self, PyObject* /*unused*/) {
    return guarded([&]() -> py::object {
        return py::bytes(reinterpret_cast<Reader*>(self)->stream.read_line());
    });
}

PyMethodDef g_writer_methods[] = {
    {"write", writer_write, METH_O, "Appends the octets."},
    {nullptr, nullptr, 0, nullptr},
};
PyMethodDef g_reader_methods[] = {
    {"read", reader_read, METH_O, "Takes up to so many octets."},
    {"readinto", reader_readinto, METH_O, "Takes as many octets as fit."},
    {"readline", reader_readline, METH_NOARGS, "Takes octets up to and including a newline."},
    {nullptr, nullptr, 0, nullptr},
};

template <class T>
PyTypeObject* make_type(const char* name, PyMethodDef* methods) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(dealloc<T>)},
        {Py_tp_methods, methods},
        {0, nullptr},
    };
    PyType_Spec spec = {name, sizeof(T), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                        slots};
    PyObject* const type = PyType_FromSpec(&spec);
    if (type == nullptr) throw py::error_already_set();
    return reinterpret_cast<PyTypeObject*>(type);
}

/// Do `octets` end with the instruction that carries `size` octets after it?
bool is_header(std::span<const std::byte> octets, std::size_t size) {
    const auto holds = [&](std::size_t length, Op op) {
        if (octets.size() < k_proto_size + 1 + length) return false;
        const auto header = octets.last(1 + length);
        std::uint64_t told = 0;
        std::memcpy(&told, &header[1], length);  // little-endian, as the machines we run on
        return header[0] == static_cast<std::byte>(op) && told == size;
    };
    return holds(8, Op::bytearray8) || holds(8, Op::binbytes8) || holds(4, Op::binbytes);
}

PyObject* allocate(PyTypeObject* type) {
    PyObject* const object = type->tp_alloc(type, 0);
    if (object == nullptr) throw py::error_already_set();
    return object;
}

}  // namespace

void Writer::append(py::handle octets) {
    if (PyBytes_CheckExact(octets.ptr()) != 0) {
        const auto size = static_cast<std::size_t>(PyBytes_GET_SIZE(octets.ptr()));
        const auto* const data =
            reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(octets.ptr()));
        if (size < k_lent_min) {
            small.insert(small.end(), data, data + size);
            return;
        }
    }
    Chunk chunk = lend(octets);
    if (chunk.size() < k_lent_min) {
        small.insert(small.end(), chunk.octets().begin(), chunk.octets().end());
        return;
    }
    align(chunk.size());
    stream.write_chunk(Chunk::take(std::exchange(small, {})));
    stream.write_chunk(std::move(chunk));
}

void Writer::align(std::size_t size) {
    if (!is_header(small, size)) return;
    std::size_t padding =
        (k_alignment - (stream.size() + small.size()) % k_alignment) % k_alignment;
    if (padding == 1) padding += k_alignment;  // no such no-op
    std::string no_ops;
    if (padding % 2 == 1) no_ops.append({'K', '\0', '0'});  // push 0, pop
    while (no_ops.size() < padding) no_ops += "N0";         // push None, pop
    const auto octets = std::as_bytes(std::span(no_ops));
    // Where an instruction begins for certain, and not between an array's mark and its octets,
    // where whoever looks for arrays would lose sight of them.
    const std::size_t begin = stream.empty() ? k_proto_size : 0;
    small.insert(small.begin() + static_cast<std::ptrdiff_t>(begin), octets.begin(), octets.end());
}

Stream Writer::take() {
    stream.write_chunk(Chunk::take(std::exchange(small, {})));
    return std::exchange(stream, Stream());
}

std::size_t Reader::read_into(std::span<std::byte> target) {
    std::size_t done = 0;
    while (done < target.size() && !stream.empty()) {
        const Chunk& front = stream.peek_chunk();
        // Ours alone: no array is a view of it.
        const bool gives_back =
            discards && front.size() >= k_discard_min && front.owner().use_count() == 1;
        const auto left = front.octets();
        const std::size_t piece = gives_back ? std::min(k_piece, left.size()) : target.size();
        const std::size_t count =
            stream.read_into(target.subspan(done, std::min(piece, target.size() - done)));
        if (gives_back && count < left.size()) discard(left.first(count));
        done += count;
    }
    return done;
}

py::object new_writer() {
    PyObject* const object = allocate(g_writer_type);
    auto* const writer = reinterpret_cast<Writer*>(object);
    new (&writer->stream) Stream();
    new (&writer->small) std::vector<std::byte>();
    return py::reinterpret_steal<py::object>(object);
}

py::object new_reader(Stream stream, bool discards) {
    PyObject* const object = allocate(g_reader_type);
    auto* const reader = reinterpret_cast<Reader*>(object);
    new (&reader->stream) Stream(std::move(stream));
    reader->discards = discards;
    return py::reinterpret_steal<py::object>(object);
}

void bind_pickle_files() {
    g_writer_type = make_type<Writer>("net_queue._native.Writer", g_writer_methods);
    g_reader_type = make_type<Reader>("net_queue._native.Reader", g_reader_methods);
}

}  // namespace nq::python
