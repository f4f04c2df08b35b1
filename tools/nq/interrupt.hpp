// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

namespace nq::tool {

/// Turns SIGINT and SIGTERM into a call on a thread of its own. The first signal calls the handler,
/// which should make the program's blocking calls return; a second one, or one while there is no
/// handler, ends the process with exit code 130.
///
/// One per process, made before any other thread, so that all of them inherit the blocked signals.
/// Thread safety: all methods, from any thread.
class Interrupt {
  public:
    Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;
    ~Interrupt();

    /// Was there a signal?
    [[nodiscard]] bool happened() const { return happened_.load(); }

    /// The handler while this object lives.
    class Scope {
      public:
        Scope(Interrupt& interrupt, std::function<void()> handler);
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;
        /// Waits for a handler under way.
        ~Scope();

      private:
        Interrupt& interrupt_;
    };

  private:
    void watch();
    void handle_signal();

    std::atomic<bool> happened_{false};
    std::mutex mutex_;
    std::function<void()> handler_;
    std::thread handling_;
    std::thread watcher_;
};

}  // namespace nq::tool
