// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <mutex>
#include <optional>

#include "handoff/bias.hpp"

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
/// about: so one operation takes both the baton and a number. It goes up to 2^49: a year at fifteen
/// million a second.
///
/// A thread that takes the baton again and again may keep it in between: it is held, with nobody
/// inside, and that thread comes and goes without an atomic exchange (bias.hpp). The count is the
/// keeper's own meanwhile. Whoever else wants anything of the baton ends that first, waiting until
/// the keeper is outside, and finds it free: so no work is left with a keeper that may never come
/// back. Work that was raised just then may be taken twice.
/// Thread safety: take, release and keep by the holder, leave by the keeper; everything else from
/// any thread.
class Baton {
  public:
    using Work = std::uint32_t;
    using Count = std::uint64_t;
    /// Bits usable for work.
    static constexpr unsigned k_work_bits = 12;

    /// Adds work. True: the caller holds the baton now and must do the work.
    [[nodiscard]] bool raise(Work work) noexcept {
        assert((work & ~k_work) == 0);
        for (;;) {
            // acquire: see what the last holder wrote; release: the holder sees what led to this
            // work.
            const State state = state_.fetch_or(work | k_held, std::memory_order_acq_rel);
            if ((state & k_held) == 0) return true;
            if ((state & k_kept) == 0) return false;
            end_keeping();
        }
    }

    /// Takes the baton, if nobody holds it, and the next number. The holder may have work of its
    /// own that nobody raised. Nothing: somebody has it, or the count is sealed.
    [[nodiscard]] std::optional<Count> try_hold_and_count() noexcept {
        // relaxed, as in unkept: a guess that spares others their cache line.
        State state = unkept();
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

    /// As release, for a thread that held it to take a number: one that does so again and again
    /// keeps it. REQUIRES: numbers below `done` are all that is done with.
    [[nodiscard]] bool keep(Count done) {
        // relaxed: as in release.
        State state = state_.load(std::memory_order_relaxed);
        const bool may = (state & (k_work | k_sealed)) == 0 && state / k_one == done;
        if (!may || !bias_.favour()) return release();
        // relaxed, both: for those who find it kept, which is after this.
        kept_count_.store(done, std::memory_order_relaxed);
        // release: who ends the keeping sees what led to it.
        if (state_.compare_exchange_strong(state, state | k_kept, std::memory_order_release,
                                           std::memory_order_relaxed)) {
            return true;
        }
        bias_.revoke();
        return release();
    }
    /// The next number, for the keeper, who is inside now until it leaves; what is raised meanwhile
    /// waits for that. Nothing: this thread does not keep it.
    [[nodiscard]] std::optional<Count> enter_kept() noexcept {
        if (!bias_.enter()) return std::nullopt;
        // relaxed, both: only the keeper writes it. Who looks from elsewhere wants a count alone.
        const Count number = kept_count_.load(std::memory_order_relaxed);
        kept_count_.store(number + 1, std::memory_order_relaxed);
        return number;
    }
    void leave_kept() noexcept { bias_.leave(); }

    /// The next number. Nothing: sealed.
    [[nodiscard]] std::optional<Count> count_up() noexcept {
        State state = unkept();
        // relaxed, both: the number orders nothing but itself.
        while ((state & k_sealed) == 0) {
            if (state_.compare_exchange_weak(state, state + k_one, std::memory_order_relaxed,
                                             std::memory_order_relaxed)) {
                return state / k_one;
            }
            state = unkept();
        }
        return std::nullopt;
    }
    /// No more numbers. Returns how many there were in all.
    Count seal() noexcept {
        State state = unkept();
        // relaxed, both: as in count_up. Numbers taken before this are below the one returned.
        while (!state_.compare_exchange_weak(state, state | k_sealed, std::memory_order_relaxed,
                                             std::memory_order_relaxed)) {
            state = unkept();
        }
        return state / k_one;
    }
    /// Numbers taken so far.
    [[nodiscard]] Count count() const noexcept {
        // acquire: pairs with keep, so that the keeper's count is no older. relaxed: a count alone.
        const State state = state_.load(std::memory_order_acquire);
        return (state & k_kept) != 0 ? kept_count_.load(std::memory_order_relaxed) : state / k_one;
    }

  private:
    // The word: work, who has the baton, whether the count goes on, the count.
    using State = std::uint64_t;
    static constexpr State k_held = State{1} << k_work_bits;
    static constexpr State k_sealed = k_held << 1;
    static constexpr State k_kept = k_sealed << 1;  ///< and then held as well
    static constexpr State k_one = k_kept << 1;
    static constexpr State k_work = k_held - 1;

    /// The word, in which the baton is not kept.
    [[nodiscard]] State unkept() noexcept {
        for (;;) {
            const State state = state_.load(std::memory_order_relaxed);  // relaxed: to be checked
            if ((state & k_kept) == 0) return state;
            end_keeping();
        }
    }
    /// The baton is free, unless it was not kept any more.
    void end_keeping() noexcept;

    std::atomic<State> state_{0};
    std::atomic<Count> kept_count_{0};  ///< while it is kept
    std::mutex ending_;                 ///< held by who ends the keeping
    Bias bias_;                         ///< guarded by the baton, and while it is kept by ending_
};

}  // namespace nq::detail
