// SPDX-License-Identifier: Apache-2.0
// net_queue._native: what the Python package is a dress of. Not for users.
#include <pybind11/pybind11.h>

#include <chrono>
#include <net_queue/version.hpp>
#include <string>

#include "closing.hpp"
#include "communicator.hpp"
#include "errors.hpp"
#include "future.hpp"
#include "gil.hpp"
#include "octets.hpp"
#include "pickling.hpp"
#include "waiting.hpp"

namespace nq::python {

namespace {

/// How long the end of a program waits for communicators that nobody closed.
constexpr std::chrono::seconds k_exit_timeout{5};

void at_exit() {
    begin_exit();
    without_gil([] { Closing::finish_all(k_exit_timeout); });
    collect_returned();
}

void before() {
    before_fork();
    Closing::before_fork();
}

void in_parent() {
    Closing::after_fork(false);
    after_fork();
}

void in_forked_child() {
    after_fork();
    after_fork_in_child();
    Closing::after_fork(true);
    set_main_thread(PyThread_get_thread_ident());
}

void bind_process(py::module_& module) {
    const auto threading = py::module_::import("threading");
    set_main_thread(threading.attr("main_thread")().attr("ident").cast<unsigned long>());
    py::module_::import("atexit").attr("register")(py::cpp_function(at_exit));
    using namespace py::literals;
    py::module_::import("os").attr("register_at_fork")(
        "before"_a = py::cpp_function(before), "after_in_parent"_a = py::cpp_function(in_parent),
        "after_in_child"_a = py::cpp_function(in_forked_child));
    module.attr("version") = std::string(k_version);
}

}  // namespace

}  // namespace nq::python

PYBIND11_MODULE(_native, module) {
    module.doc() = "The C++ library under net_queue. Not for users.";
    nq::python::bind_errors();
    nq::python::bind_octets(module);
    nq::python::bind_pickling(module);
    nq::python::bind_future(module);
    nq::python::bind_communicator(module);
    nq::python::bind_process(module);
}
