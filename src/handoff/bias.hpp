// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <memory>
#include <utility>

namespace nq::detail {

/// Who alone used something guarded for a while passes its guard with a plain store from then on,
/// until somebody else comes. The other one pays for both: it takes the favour away, and waits
/// until the favourite is outside.
///
/// Why never two are inside: the favourite says that it is inside, then looks whether it still is
/// the favourite; who revokes says that it is not, then looks whether it is inside. For one of the
/// two to see what the other said, both need a fence between saying and looking. The favourite has
/// none (it would cost what the guard costs): revoke makes the kernel run one on every processor
/// that runs a thread of this process, membarrier(2), so that it takes effect at some point of the
/// favourite's code. Before its look: the look sees that the favour is gone. After it: what it said
/// before is seen by revoke, which waits. And each thread says it in a Mark of its own, so one that
/// was the favourite once, and is about to say so, can't undo what the next one said.
///
/// Why a look may be relaxed: only a thread itself makes itself the favourite, so all that led to
/// it came before; and what it reads inside, but too early, it reads again if the look fails. What
/// the favourite did inside happens before revoke returns.
///
/// A thread is inside one Bias at a time, runs no code of users there, and waits for no lock but
/// those of memory: who revokes spins, with the guard held.
/// Thread safety: enter and leave by any thread; favour and revoke by who holds the guard.
class Bias {
  public:
    Bias() = default;
    Bias(const Bias&) = delete;
    Bias& operator=(const Bias&) = delete;

    /// Before the first favour: that the kernel gets ready takes milliseconds, once for the
    /// process. False: it has no such fence, and nobody will be favoured.
    static bool prepare() noexcept;

    /// True: the calling thread is the favourite, and inside until it leaves: nobody else is, and
    /// none comes in. REQUIRES: it is inside no Bias.
    [[nodiscard]] bool enter() noexcept {
        Mark* const own = own_mark;
        // relaxed: a thread looks only for its own mark, which it stored itself or which isn't
        // there.
        if (own == nullptr || favourite_.load(std::memory_order_relaxed) != own) return false;
        assert(own->inside.load(std::memory_order_relaxed) == nullptr);  // relaxed: its own
        // relaxed, and a fence for the compiler alone: see above.
        own->inside.store(this, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (favourite_.load(std::memory_order_relaxed) == own) return true;
        leave();
        return false;
    }
    /// REQUIRES: the calling thread is inside.
    void leave() noexcept {
        // release: pairs with the load in revoke.
        own_mark->inside.store(nullptr, std::memory_order_release);
    }

    /// Inside for as long as it lives, if it says so.
    class Visit {
      public:
        explicit Visit(Bias& bias) noexcept : bias_(bias), inside_(bias.enter()) {}
        ~Visit() { end(); }
        Visit(const Visit&) = delete;
        Visit& operator=(const Visit&) = delete;
        explicit operator bool() const noexcept { return inside_; }
        void end() noexcept {
            if (std::exchange(inside_, false)) bias_.leave();
        }

      private:
        Bias& bias_;
        bool inside_;
    };

    /// So often in a row: what the favour saves by then is more than what it costs to take it away.
    static constexpr unsigned k_favoured = 64;
    /// The calling thread holds the guard once more. True: it did so k_favoured times in a row and
    /// is the favourite now. REQUIRES: nobody is.
    bool favour() noexcept;
    /// Nobody is the favourite any more, nor inside.
    void revoke() noexcept;

  private:
    struct Mark {
        std::atomic<const Bias*> inside{nullptr};
    };
    static inline constinit thread_local Mark* own_mark = nullptr;
    static std::shared_ptr<Mark> mark_of_this_thread() noexcept;

    std::atomic<Mark*> favourite_{nullptr};

    // Guarded by what this is about.
    std::shared_ptr<Mark> favoured_;  ///< keeps the favourite's mark when its thread ends
    std::uintptr_t last_ = 0;         ///< who held the guard
    unsigned in_a_row_ = 0;
};

}  // namespace nq::detail
