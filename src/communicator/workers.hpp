// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "io/reactor.hpp"

namespace nq::detail {

/// The reactors of a communicator, and, once started, a thread for each. The threads block all
/// signals, so that those of the program reach the program's threads.
/// Thread safety: reactors() from any thread; the rest by the owner.
class Workers {
  public:
    /// Throws std::system_error where the system gives no descriptors.
    explicit Workers(unsigned count);
    ~Workers() { stop(); }

    [[nodiscard]] const std::vector<Reactor*>& reactors() const { return pointers_; }
    [[nodiscard]] Reactor& first() const { return *pointers_.front(); }

    /// Throws std::system_error where the system gives no threads.
    void start();
    /// Runs the tasks posted so far, then ends the threads; if never started, does nothing.
    void stop();

  private:
    std::vector<std::unique_ptr<Reactor>> reactors_;
    std::vector<Reactor*> pointers_;
    std::vector<std::thread> threads_;
};

}  // namespace nq::detail
