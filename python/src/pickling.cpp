// SPDX-License-Identifier: Apache-2.0
#include "pickling.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <net_queue/error.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "octets.hpp"
#include "pickle/arrays.hpp"
#include "pickle/decoder.hpp"
#include "pickle_files.hpp"

namespace nq::python {

namespace {

constexpr int k_protocol = 5;

py::object checked(PyObject* object) {
    if (object == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
}

py::object of_pickle(const char* name) { return py::module_::import("pickle").attr(name); }

/// A message without the octets of its arrays, and these.
struct Parted {
    Stream program;
    py::list arrays;
};

Chunk instruction(const char* text) { return Chunk(text); }

/// Puts "the next buffer" in the place of each large array's octets.
Parted part(const Chunk& message) {
    static constexpr const char* k_next_buffer = "\x97";
    static constexpr const char* k_next_readonly_buffer = "\x97\x98";
    Parted parted;
    std::size_t begin = 0;
    for (const auto& array : detail::find_arrays(message.octets(), k_lent_min)) {
        parted.program.write_chunk(message.slice(begin, array.instruction - begin));
        parted.program.write_chunk(
            instruction(array.writable ? k_next_buffer : k_next_readonly_buffer));
        parted.arrays.append(view_of(message.slice(array.offset, array.size)));
        begin = array.offset + array.size;
    }
    parted.program.write_chunk(message.slice(begin, message.size() - begin));
    return parted;
}

[[noreturn]] void refuse(const std::string& text) {
    PyErr_SetString(of_pickle("UnpicklingError").ptr(), text.c_str());
    throw py::error_already_set();
}

/// The number of a memo entry; one that is none is longer than any message.
std::uint64_t memo_index(const detail::Instruction& instruction) {
    if (instruction.op != detail::Op::put) return instruction.number;
    std::uint64_t index = 0;
    const std::string_view text = instruction.text();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    return whole ? index : std::numeric_limits<std::uint64_t>::max();
}

/// Refuses what makes CPython's unpickler take memory before it looks: lengths beyond the message,
/// and entries of its memo, which it holds as an array, far beyond those that a message this long
/// can have. And extension codes, which stand for names without being looked at as such.
void look_through(Chunk::Octets message) {
    using detail::Op;
    // Each entry takes an instruction; what short messages may do costs nothing.
    const std::size_t most = std::max<std::size_t>(message.size(), 4096);
    try {
        detail::Decoder decoder(message);
        for (auto instruction = decoder.next(); instruction.op != Op::stop;
             instruction = decoder.next()) {
            switch (instruction.op) {
                case Op::put:
                case Op::long_binput:
                    if (memo_index(instruction) > most) refuse("no memo index");
                    break;
                case Op::ext1:
                case Op::ext2:
                case Op::ext4: refuse("extension codes are not allowed");
                default: break;
            }
        }
    } catch (const Error& error) {
        refuse(error.what());
    }
}

/// Too small for pickle's machinery to pay.
bool is_small_scalar(PyObject* object) {
    if (PyBytes_CheckExact(object) != 0) {
        return static_cast<std::size_t>(PyBytes_GET_SIZE(object)) < k_lent_min / 2;
    }
    if (PyUnicode_CheckExact(object) != 0) {
        return static_cast<std::size_t>(PyUnicode_GET_LENGTH(object)) < k_lent_min / 8;
    }
    return PyLong_CheckExact(object) != 0 || PyFloat_CheckExact(object) != 0 || object == Py_None;
}

}  // namespace

Pickling::Pickling(const py::object& pickler, const py::object& unpickler, bool restricted)
    : plain_(unpickler.is_none()),
      restricted_(restricted),
      pickler_(pickler.is_none() ? of_pickle("Pickler") : pickler),
      unpickler_(plain_ ? of_pickle("Unpickler") : unpickler),
      dumps_(pickler.is_none() ? of_pickle("dumps") : py::object()),
      loads_(of_pickle("loads")) {}

Stream Pickling::dump(py::handle object) const {
    static PyObject* const protocol = PyLong_FromLong(k_protocol);
    if (dumps_ && is_small_scalar(object.ptr())) {
        PyObject* const arguments[] = {object.ptr(), protocol};
        const auto bytes = checked(PyObject_Vectorcall(dumps_.ptr(), arguments, 2, nullptr));
        return Stream(Chunk::copy_of(
            std::string_view(PyBytes_AS_STRING(bytes.ptr()),
                             static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.ptr())))));
    }
    static PyObject* const dump = PyUnicode_InternFromString("dump");
    const py::object writer = new_writer();
    PyObject* const arguments[] = {writer.ptr(), protocol};
    const auto pickler = checked(PyObject_Vectorcall(pickler_.ptr(), arguments, 2, nullptr));
    checked(calling([&] { return PyObject_CallMethodOneArg(pickler.ptr(), dump, object.ptr()); }));
    return as_writer(writer).take();
}

py::object Pickling::load(Stream stream, Memory memory) const {
    const bool small = stream.chunk_count() == 1 && stream.size() < k_lent_min;
    if (!plain_ || !small) return load_from(std::move(stream), memory);
    // loads keeps nothing of its argument, so the view need not outlive this call.
    const Chunk& chunk = stream.peek_chunk();
    const auto view = checked(PyMemoryView_FromMemory(
        const_cast<char*>(chunk.text().data()), static_cast<Py_ssize_t>(chunk.size()), PyBUF_READ));
    return checked(calling([&] { return PyObject_CallOneArg(loads_.ptr(), view.ptr()); }));
}

py::object Pickling::load_from(Stream stream, Memory memory) const {
    if (restricted_) {
        stream = Stream(stream.to_chunk());
        look_through(stream.empty() ? Chunk::Octets() : stream.peek_chunk().octets());
    }
    py::object arrays = py::none();
    if (stream.chunk_count() == 1 && stream.size() >= k_lent_min) {
        Parted parted = part(stream.read_chunk());
        stream = std::move(parted.program);
        arrays = std::move(parted.arrays);
    }
    using namespace py::literals;
    const auto unpickler =
        unpickler_(new_reader(std::move(stream), memory == Memory::ours), "buffers"_a = arrays);
    return call(unpickler.attr("load"));
}

Stream Octets::dump(py::handle object) const {
    Chunk chunk = lend(object);
    if (chunk.size() < k_lent_min) return Stream(Chunk::copy_of(chunk.octets()));
    return Stream(std::move(chunk));
}

py::object Octets::load(Stream stream, Memory /*memory*/) const {
    const auto bytes =
        checked(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(stream.size())));
    auto* const target = reinterpret_cast<std::byte*>(PyBytes_AS_STRING(bytes.ptr()));
    stream.read_into({target, stream.size()});
    return bytes;
}

void bind_pickling(py::module_& module) {
    bind_pickle_files();
    const auto dump = [](const Serializer& self, const py::object& object) {
        return views_of(self.dump(object));
    };
    const auto load = [](const Serializer& self, const py::object& stream) {
        Stream octets = stream_of(stream);
        stream.attr("clear")();
        return self.load(std::move(octets), Serializer::Memory::lent);
    };
    py::class_<Serializer>(module, "Serializer").def("dump", dump).def("load", load);
    py::class_<Pickling, Serializer>(module, "Pickling")
        .def(py::init<py::object, py::object, bool>());
    py::class_<Octets, Serializer>(module, "Octets").def(py::init<>());
}

}  // namespace nq::python
