// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace nq::detail {

/// Decides whether a sleeper has to be woken with a system call. The sleeper:
///
///     wakeup.prepare();                      // "I am about to sleep"
///     if (work is there) wakeup.cancel();    // look once more
///     else sleep until notified, then wakeup.cancel();
///
/// The notifier adds its work first and then asks `notify()`; true means: make the call that ends
/// the sleep. One sleep is ended by one call, however many notify.
///
/// Why no wake-up is lost: `prepare` and the second look, and the push and `notify`, are each two
/// sequentially consistent operations on the same two variables. Either the second look sees the
/// work, or the notifier sees the sleeper.
/// Thread safety: notify from any thread; prepare and cancel by the sleeper.
class Wakeup {
  public:
    void prepare() noexcept {
        // seq_cst: must not sink below the second look at the work.
        asleep_.store(true, std::memory_order_seq_cst);
    }
    void cancel() noexcept {
        // relaxed: a notifier that still sees true makes one call too many, which is harmless.
        asleep_.store(false, std::memory_order_relaxed);
    }
    [[nodiscard]] bool notify() noexcept {
        // The load first: no shared cache line is written while the other side is awake. seq_cst:
        // must not rise above the push of the work.
        return asleep_.load(std::memory_order_seq_cst) &&
               asleep_.exchange(false, std::memory_order_seq_cst);
    }

  private:
    std::atomic<bool> asleep_{false};
};

}  // namespace nq::detail
