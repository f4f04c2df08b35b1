// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace nq::detail {

/// Who may touch a piece of state, decided without waiting. Work is a set of bits; whoever raises a
/// bit while nobody holds the baton gets it and does the work, everyone else leaves the bit for the
/// holder, who looks again before letting go. So work is never lost and never waits for a lock:
///
///     if (baton.raise(k_readable)) {
///         do {
///             run(baton.take());
///         } while (!baton.release());
///     }
///
/// A holder may also pass the baton to another thread by telling it so (a task posted to a
/// reactor): the baton does not care who runs the loop, only that one does.
///
/// Why no work is lost: a bit raised before `take` is returned by it; one raised after makes the
/// compare-and-swap in `release` fail, so the loop runs again; one raised after a successful
/// `release` finds the baton free.
/// Thread safety: raise and try_hold from any thread; take and release by the holder.
class Baton {
  public:
    using Work = std::uint32_t;
    /// Bits usable for work: all but the top one.
    static constexpr Work k_held = Work{1} << 31;

    /// Adds work. True: the caller holds the baton now and must do the work.
    [[nodiscard]] bool raise(Work work) noexcept {
        // acquire: see what the last holder wrote; release: the holder sees what led to this work.
        return (state_.fetch_or(work | k_held, std::memory_order_acq_rel) & k_held) == 0;
    }

    /// Takes the baton if nobody holds it. True: as with raise, and the holder may have work of its
    /// own that nobody raised.
    [[nodiscard]] bool try_hold() noexcept {
        // relaxed: a guess that spares others their cache line; the exchange checks it.
        Work free = state_.load(std::memory_order_relaxed);
        // acquire: see what the last holder wrote.
        return free == 0 && state_.compare_exchange_strong(free, k_held, std::memory_order_acquire,
                                                           std::memory_order_relaxed);
    }

    /// The work raised since the last take; may be 0.
    [[nodiscard]] Work take() noexcept {
        // acquire: see what led to the work; release: later raisers see what was done so far.
        return state_.exchange(k_held, std::memory_order_acq_rel) & ~k_held;
    }

    /// Lets go if there is no new work. False: there is, take again.
    [[nodiscard]] bool release() noexcept {
        Work held = k_held;
        // release: the next holder sees what this one wrote. Failure needs no order: take follows.
        return state_.compare_exchange_strong(held, 0, std::memory_order_release,
                                              std::memory_order_relaxed);
    }

  private:
    std::atomic<Work> state_{0};
};

}  // namespace nq::detail
