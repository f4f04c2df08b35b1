// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <optional>

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
/// Why no work is lost: a bit raised before `take` is returned by it; one raised after makes
/// `release` fail, so the loop runs again; one raised after a successful `release` finds the baton
/// free.
///
/// A count rides along in the same word, for numbers that anybody may take and the holder cares
/// about: so one operation takes both the baton and a number. It goes up to 2^50: a year at thirty
/// million a second.
/// Thread safety: take and release by the holder; everything else from any thread.
class Baton {
  public:
    using Work = std::uint32_t;
    using Count = std::uint64_t;
    /// Bits usable for work.
    static constexpr unsigned k_work_bits = 12;

    /// Adds work. True: the caller holds the baton now and must do the work.
    [[nodiscard]] bool raise(Work work) noexcept {
        assert((work & ~k_work) == 0);
        // acquire: see what the last holder wrote; release: the holder sees what led to this work.
        return (state_.fetch_or(work | k_held, std::memory_order_acq_rel) & k_held) == 0;
    }

    /// Takes the baton, if nobody holds it, and the next number. The holder may have work of its
    /// own that nobody raised. Nothing: somebody has it, or the count is sealed.
    [[nodiscard]] std::optional<Count> try_hold_and_count() noexcept {
        // relaxed: a guess that spares others their cache line; the exchange checks it.
        State state = state_.load(std::memory_order_relaxed);
        if ((state & (k_held | k_sealed)) != 0) return std::nullopt;
        // acquire: see what the last holder wrote.
        if (!state_.compare_exchange_strong(state, (state | k_held) + k_one,
                                            std::memory_order_acquire, std::memory_order_relaxed)) {
            return std::nullopt;
        }
        return state / k_one;
    }

    /// The work raised since the last take; may be 0.
    [[nodiscard]] Work take() noexcept {
        // acquire: see what led to the work; release: later raisers see what was done so far.
        return static_cast<Work>(state_.fetch_and(~k_work, std::memory_order_acq_rel) & k_work);
    }

    /// Lets go if there is no new work. False: there is, take again.
    [[nodiscard]] bool release() noexcept {
        // relaxed: a guess; the exchange checks it.
        State state = state_.load(std::memory_order_relaxed);
        do {
            if ((state & k_work) != 0) return false;
            // release: the next holder sees what this one wrote. Failure needs no order: take
            // follows, or another attempt.
        } while (!state_.compare_exchange_weak(state, state & ~k_held, std::memory_order_release,
                                               std::memory_order_relaxed));
        return true;
    }

    /// The next number. Nothing: sealed.
    [[nodiscard]] std::optional<Count> count_up() noexcept {
        // relaxed: the number orders nothing but itself.
        const State state = state_.fetch_add(k_one, std::memory_order_relaxed);
        if ((state & k_sealed) != 0) return std::nullopt;
        return state / k_one;
    }
    /// No more numbers. Returns how many there were in all.
    Count seal() noexcept {
        // relaxed, all three: as in count_up. Numbers taken before this are below the one returned.
        const State state = state_.fetch_or(k_sealed, std::memory_order_relaxed);
        if ((state & k_sealed) == 0) sealed_at_.store(state / k_one, std::memory_order_relaxed);
        return sealed_at_.load(std::memory_order_relaxed);
    }
    /// Numbers taken so far.
    [[nodiscard]] Count count() const noexcept {
        // relaxed, both: a count alone. Between the two writes of seal a number that somebody was
        // refused may be counted.
        const State state = state_.load(std::memory_order_relaxed);
        const Count sealed_at = sealed_at_.load(std::memory_order_relaxed);
        return (state & k_sealed) != 0 && sealed_at != k_unsealed ? sealed_at : state / k_one;
    }

  private:
    // The word: work, who has the baton, whether the count goes on, the count.
    using State = std::uint64_t;
    static constexpr State k_held = State{1} << k_work_bits;
    static constexpr State k_sealed = k_held << 1;
    static constexpr State k_one = k_sealed << 1;
    static constexpr State k_work = k_held - 1;
    static constexpr Count k_unsealed = ~Count{0};

    std::atomic<State> state_{0};
    std::atomic<Count> sealed_at_{k_unsealed};
};

}  // namespace nq::detail
