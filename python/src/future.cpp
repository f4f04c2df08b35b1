// SPDX-License-Identifier: Apache-2.0
#include "future.hpp"

#include <pybind11/stl.h>

#include <optional>

#include "errors.hpp"
#include "hook.hpp"
#include "ids.hpp"
#include "waiting.hpp"

namespace nq::python {

namespace {

py::object exception_or_none(const Future::Outcome& outcome, const Uuid& own) {
    return outcome ? py::none() : exception_of(outcome.error(), own);
}

bool wait(const Put& put, const std::optional<double>& timeout) {
    const Future& future = put.future();
    if (future.ready()) return true;
    return wait_until(deadline_after(timeout),
                      [&future](std::chrono::nanoseconds slice) { return future.wait_for(slice); });
}

void on_ready(const Put& put, py::object callback) {
    put.future().on_ready(
        [hook = Hook(std::move(callback)), own = put.own()](const Future::Outcome& outcome) {
            hook.call([&](const py::object& function) {
                call(function, exception_or_none(outcome, own));
            });
        });
}

py::object outcome(const Put& put) { return exception_or_none(put.future().result(), put.own()); }

bool cancel(const Put& put) {
    const Future& future = put.future();
    return without_gil([&future] { return future.cancel(); });
}

py::dict futures(const Put& put) {
    py::dict futures;
    const auto peers = put.future().peers();
    std::size_t i = 0;
    for (Future& future : put.future().futures()) {
        futures[uuid_of(peers[i++])] = Put(std::move(future), put.own());
    }
    return futures;
}

}  // namespace

void bind_future(py::module_& module) {
    py::class_<Put>(module, "Put")
        .def("ready", [](const Put& put) { return put.future().ready(); })
        .def("wait", wait)
        .def("outcome", outcome)
        .def("on_ready", on_ready)
        .def("cancel", cancel)
        .def("futures", futures);
}

}  // namespace nq::python
