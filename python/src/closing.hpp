// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include <net_queue/communicator.hpp>

namespace nq::python {

/// A communicator and its end, which takes place on a thread of its own: so that Ctrl-C can end
/// the wait for it, an object that Python lets go of need not wait at all, and the end of the
/// program can put a limit to all of them.
///
/// Thread safety: all methods, from any thread; none needs Python, none may be called with the
/// interpreter's lock but `begin`, `core` and those of whole communicators that don't wait.
class Closing : public std::enable_shared_from_this<Closing> {
  public:
    static std::shared_ptr<Closing> of(nq::Communicator core);
    /// Ends what is left of every communicator of the process within `timeout`.
    static void finish_all(std::chrono::nanoseconds timeout);
    /// Around a fork: in the child, those of the parent are none of ours.
    static void before_fork();
    static void after_fork(bool in_child);

    [[nodiscard]] nq::Communicator& core() { return core_; }
    /// Begins to close; later calls can only bring the end forward.
    void begin(std::optional<std::chrono::nanoseconds> timeout);
    /// True: it is closed.
    [[nodiscard]] bool wait_for(std::chrono::nanoseconds timeout);
    /// REQUIRES: wait_for returned true.
    [[nodiscard]] const CloseReport& report() const { return report_; }

  private:
    explicit Closing(nq::Communicator core) : core_(std::move(core)) {}
    void run(std::optional<std::chrono::nanoseconds> timeout);
    /// A thread of begin is done.
    static void leave();

    nq::Communicator core_;
    std::mutex mutex_;
    std::condition_variable done_;
    bool begun_ = false;  // guarded by mutex_, as the two below
    bool closed_ = false;
    CloseReport report_;
};

}  // namespace nq::python
