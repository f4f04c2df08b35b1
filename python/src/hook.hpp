// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "gil.hpp"
#include "octets.hpp"

namespace nq::python {

/// A Python callable for threads of ours to call. Copies share it. The last one may go on any
/// thread, whatever locks that holds: it never waits for the interpreter's lock.
class Hook {
  public:
    explicit Hook(py::object function) : function_(keep(std::move(function))) {}

    /// Calls `use(function)` with the interpreter's lock; what Python raises is reported as that
    /// of a thread.
    template <class F>
    void call(F&& use) const {
        with_gil([&] { use(py::reinterpret_borrow<py::object>(function_.get())); });
    }

  private:
    std::shared_ptr<PyObject> function_;
};

}  // namespace nq::python
