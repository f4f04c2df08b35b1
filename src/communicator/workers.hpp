// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "handoff/role.hpp"
#include "io/reactor.hpp"

namespace nq::detail {

/// The reactors of a communicator, and, once started, a thread for each. One that is alone is also
/// run by the threads that wait for it: see Role. Several have a thread each that never leaves its
/// own. The threads block all signals, so that those of the program reach the program's threads.
/// Thread safety: the queries and call from any thread; the rest by the owner.
class Workers {
  public:
    /// Throws std::system_error where the system gives no descriptors.
    Workers(unsigned count, Duration busy_poll);
    ~Workers() { stop(); }

    [[nodiscard]] const std::vector<Reactor*>& reactors() const { return pointers_; }
    [[nodiscard]] Reactor& first() const { return *pointers_.front(); }
    /// The role of a reactor that is alone; null if there are several. May outlive this object.
    [[nodiscard]] const std::shared_ptr<Role>& role() const { return role_; }
    /// The reactors are needed at once, by somebody who doesn't take the role.
    void call() {
        if (role_ != nullptr) role_->call();
    }

    /// Throws std::system_error where the system gives no threads.
    void start();
    /// Runs the tasks posted so far, then ends the threads; if never started, does nothing.
    void stop();

  private:
    std::vector<std::unique_ptr<Reactor>> reactors_;
    std::vector<Reactor*> pointers_;
    std::shared_ptr<Role> role_;
    std::vector<std::thread> threads_;
};

}  // namespace nq::detail
