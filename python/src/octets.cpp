// SPDX-License-Identifier: Apache-2.0
#include "octets.hpp"

#include <atomic>
#include <memory>
#include <new>

namespace nq::python {

namespace {

/// A Python buffer on loan, or just an object; and when it has come back a link in the list of
/// those.
struct Loan {
    Py_buffer view{};  // of no object: none
    PyObject* object = nullptr;
    Loan* next = nullptr;
};

std::atomic<Loan*> g_returned{nullptr};

int collect_between_instructions(void* /*unused*/) {
    collect_returned();
    return 0;
}

// Any thread, without the interpreter's lock.
void give_back(Loan* loan) noexcept {
    Loan* head = g_returned.load(std::memory_order_relaxed);
    do {
        loan->next = head;
        // release: who collects sees the loan whole.
    } while (!g_returned.compare_exchange_weak(head, loan, std::memory_order_release,
                                               std::memory_order_relaxed));
    // The first of a batch speaks for all. Where Python has no room for the call, the next put,
    // get or close collects.
    if (head == nullptr && !exiting())
        (void)Py_AddPendingCall(collect_between_instructions, nullptr);
}

/// The Python type of what memoryviews of received memory keep alive.
struct Block {
    PyObject head;
    Chunk chunk;
};

PyTypeObject* g_block_type = nullptr;

void block_dealloc(PyObject* self) {
    reinterpret_cast<Block*>(self)->chunk.~Chunk();
    PyTypeObject* const type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

int block_getbuffer(PyObject* self, Py_buffer* view, int flags) {
    const Chunk& chunk = reinterpret_cast<Block*>(self)->chunk;
    // A received message belongs to who got it: nobody else looks at these octets.
    return PyBuffer_FillInfo(view, self, const_cast<std::byte*>(chunk.data()),
                             static_cast<Py_ssize_t>(chunk.size()), 0, flags);
}

}  // namespace

Chunk lend(py::handle object) {
    auto loan = std::make_unique<Loan>();
    // A PickleBuffer stands for memory as it lies, Fortran's order included.
    const bool as_it_lies = PyPickleBuffer_Check(object.ptr());
    const int flags = as_it_lies ? PyBUF_ANY_CONTIGUOUS : PyBUF_SIMPLE;
    if (PyObject_GetBuffer(object.ptr(), &loan->view, flags) != 0) {
        throw py::error_already_set();
    }
    const Chunk::Octets octets(static_cast<const std::byte*>(loan->view.buf),
                               static_cast<std::size_t>(loan->view.len));
    // Should the shared owner not fit into memory, it calls give_back itself.
    return Chunk(octets, std::shared_ptr<Loan>(loan.release(), give_back));
}

std::shared_ptr<PyObject> keep(py::object object) {
    auto loan = std::make_unique<Loan>();
    loan->object = object.release().ptr();
    const std::shared_ptr<Loan> kept(loan.release(), give_back);
    return {kept, kept->object};
}

void collect_returned() noexcept {
    // relaxed: a look; what is missed now is found next time.
    if (g_returned.load(std::memory_order_relaxed) == nullptr) return;
    // acquire: pairs with give_back.
    Loan* loan = g_returned.exchange(nullptr, std::memory_order_acquire);
    while (loan != nullptr) {
        const std::unique_ptr<Loan> done(loan);
        loan = loan->next;
        calling([&done] {  // may run what a class of Python does when its objects go
            PyBuffer_Release(&done->view);
            Py_XDECREF(done->object);
        });
    }
}

py::object view_of(Chunk chunk) {
    PyObject* const block = g_block_type->tp_alloc(g_block_type, 0);
    if (block == nullptr) throw py::error_already_set();
    new (&reinterpret_cast<Block*>(block)->chunk) Chunk(std::move(chunk));
    const auto owner = py::reinterpret_steal<py::object>(block);
    PyObject* const view = PyMemoryView_FromObject(block);
    if (view == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(view);
}

Stream stream_of(py::handle stream) {
    if (py::bool_(stream.attr("closed"))) throw py::value_error("the stream is closed");
    Stream octets;
    for (const py::handle chunk : stream.attr("_chunks")) octets.write_chunk(lend(chunk));
    return octets;
}

py::list views_of(Stream stream) {
    py::list views;
    for (Chunk& chunk : stream.read_chunks()) views.append(view_of(std::move(chunk)));
    return views;
}

void bind_octets(py::module_& module) {
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(block_dealloc)},
        {Py_bf_getbuffer, reinterpret_cast<void*>(block_getbuffer)},
        {Py_tp_doc, const_cast<char*>("Memory that a message arrived in.")},
        {0, nullptr},
    };
    static PyType_Spec spec = {"net_queue._native.Block", sizeof(Block), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    PyObject* const type = PyType_FromSpec(&spec);
    if (type == nullptr) throw py::error_already_set();
    g_block_type = reinterpret_cast<PyTypeObject*>(type);
    module.attr("Block") = py::reinterpret_borrow<py::object>(type);
}

}  // namespace nq::python
