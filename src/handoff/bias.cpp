// SPDX-License-Identifier: Apache-2.0
#include "handoff/bias.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "handoff/this_thread.hpp"

namespace nq::detail {

namespace {

/// Looks at whether the favourite is outside yet, each with a yield before the next; it is inside
/// for less than a microsecond. More are of no use, if it has a lower priority: then we nap.
constexpr int k_yields = 100;
constexpr std::chrono::microseconds k_nap{50};

/// No processor holds a store back for as long as this.
constexpr std::chrono::milliseconds k_instead_of_fence{10};

/// Linux before 4.14, and sandboxes, may not have it: then nobody is favoured.
std::atomic<bool> usable{false};

bool membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0U, 0) == 0; }

// A sandbox that was entered since the beginning forbids it: the last one favoured is all there is
// to bring out.
void wait_instead() noexcept {
    usable.store(false, std::memory_order_relaxed);  // relaxed: a fact
    std::this_thread::sleep_for(k_instead_of_fence);
}

}  // namespace

bool Bias::prepare() noexcept {
    static std::once_flag once;
    std::call_once(once, [] {
        usable.store(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED),
                     std::memory_order_relaxed);  // relaxed: a fact that orders nothing
    });
    return usable.load(std::memory_order_relaxed);  // relaxed: as above
}

// Null: there is no memory for one, or the thread ends.
std::shared_ptr<Bias::Mark> Bias::mark_of_this_thread() noexcept try {
    static constinit thread_local bool gone = false;
    if (gone) return nullptr;
    struct Owner {
        std::shared_ptr<Mark> mark = std::make_shared<Mark>();
        Owner() { own_mark = mark.get(); }
        ~Owner() {
            own_mark = nullptr;  // its address may be another thread's then
            gone = true;
        }
    };
    thread_local const Owner owner;
    return owner.mark;
} catch (const std::bad_alloc&) {
    return nullptr;
}

bool Bias::favour() noexcept {
    const bool again = std::exchange(last_, this_thread()) == this_thread();
    in_a_row_ = again ? in_a_row_ + 1 : 1;
    // relaxed: a fact that orders nothing.
    if (in_a_row_ < k_favoured || !usable.load(std::memory_order_relaxed)) return false;
    favoured_ = mark_of_this_thread();
    if (favoured_ == nullptr) return false;
    favourite_.store(favoured_.get(), std::memory_order_relaxed);  // relaxed: see enter
    return true;
}

void Bias::revoke() noexcept {
    if (favoured_ == nullptr) return;
    favourite_.store(nullptr, std::memory_order_relaxed);  // relaxed: the barrier follows
    const auto mark = std::exchange(favoured_, nullptr);
    if (mark.get() == own_mark) return;
    in_a_row_ = 0;
    if (!membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) wait_instead();
    // acquire: pairs with leave.
    for (int looks = 0; mark->inside.load(std::memory_order_acquire) == this; ++looks) {
        if (looks < k_yields) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(k_nap);
        }
    }
}

}  // namespace nq::detail
