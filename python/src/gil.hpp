// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cxxabi.h>
#include <pybind11/pybind11.h>

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace nq::python {

namespace py = pybind11;

/// The interpreter is about to end, from now on: called once, by the thread that ends it.
void begin_exit();
/// Is the interpreter ending, as seen by this thread? The one that ends it goes on as ever.
bool exiting() noexcept;
/// Never returns: for a thread that may not go back into an interpreter that is ending. The
/// process ends without asking it.
[[noreturn]] void rest() noexcept;

/// Runs f, which calls into Python and owns nothing. An interpreter that is ending stops other
/// threads inside of such calls, by unwinding their stacks, which would let go of objects without
/// the interpreter's lock, and ends the process where it meets a noexcept: here it rests.
template <class F>
auto calling(F&& f) {
    try {
        return f();
    } catch (abi::__forced_unwind&) {
        rest();
    }
}

/// Calls a Python function.
template <class... Arguments>
py::object call(py::handle function, const Arguments&... arguments) {
    const py::tuple tuple = py::make_tuple(arguments...);
    PyObject* const result =
        calling([&] { return PyObject_CallObject(function.ptr(), tuple.ptr()); });
    if (result == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(result);
}

/// Runs f, which must not touch Python, without the interpreter's lock.
///
/// Not pybind11's gil_scoped_release: its destructor takes the lock back, and in an interpreter
/// that is ending Python ends the thread right there, which a destructor doesn't survive.
template <class F>
auto without_gil(F&& f) {
    using Value = std::invoke_result_t<F>;
    std::exception_ptr thrown;
    std::conditional_t<std::is_void_v<Value>, std::optional<bool>, std::optional<Value>> value;
    PyThreadState* const state = PyEval_SaveThread();
    try {
        if constexpr (std::is_void_v<Value>) {
            f();
        } else {
            value.emplace(f());
        }
    } catch (...) {
        thrown = std::current_exception();
    }
    if (exiting()) rest();
    calling([state] { PyEval_RestoreThread(state); });
    if (thrown) std::rethrow_exception(thrown);
    if constexpr (!std::is_void_v<Value>) return *std::move(value);
}

/// Makes this thread, which is one of ours, known to Python, until it ends. Once for all its calls:
/// it costs, and a fork meanwhile would leave a lock of Python's own taken in the child.
void attach();
/// Around a fork: no thread is in `attach`.
void before_fork();
void after_fork();

/// Is this thread inside of with_gil?
bool in_callback() noexcept;
void set_in_callback(bool inside) noexcept;

/// Runs f, which may use Python, on a thread of ours; not at all once the interpreter is ending.
/// What Python raises in f is printed as that of a thread.
template <class F>
void with_gil(F&& f) {
    if (exiting() || Py_IsInitialized() == 0) return;
    const bool nested = in_callback();
    set_in_callback(true);
    attach();
    calling([&f] {
        const py::gil_scoped_acquire gil;
        try {
            f();
        } catch (py::error_already_set& error) {
            error.discard_as_unraisable("a net_queue callback");
        }
    });
    set_in_callback(nested);
}

/// Throws RuntimeError in a child that was forked while it had communicators: their threads and
/// locks stayed with the parent.
class ForkGuard {
  public:
    ForkGuard();
    [[nodiscard]] bool forked() const noexcept;
    void require_parent() const;

  private:
    int generation_;
};
/// Called in every forked child.
void after_fork_in_child() noexcept;

}  // namespace nq::python
