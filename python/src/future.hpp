// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net_queue/future.hpp>
#include <utility>

#include "gil.hpp"

namespace nq::python {

/// net_queue._native.Put: the library's Future, which net_queue.core.future dresses as Python's.
/// In a forked child nobody would ever complete it, and its locks are as the parent's threads
/// happened to hold them: there it refuses, and is left alone.
class Put {
  public:
    /// `own`: the id of the communicator.
    Put(Future future, const Uuid& own) : own_(own), future_(std::move(future)) {}
    Put(const Put&) = delete;
    Put(Put&&) = default;
    Put& operator=(const Put&) = delete;
    Put& operator=(Put&&) = delete;
    ~Put() {
        if (fork_.forked()) new Future(std::move(future_));
    }

    /// Throws RuntimeError in a forked child.
    [[nodiscard]] const Future& future() const {
        fork_.require_parent();
        return future_;
    }
    [[nodiscard]] const Uuid& own() const { return own_; }

  private:
    const ForkGuard fork_;
    const Uuid own_;
    Future future_;
};

void bind_future(py::module_& module);

}  // namespace nq::python
