// SPDX-License-Identifier: Apache-2.0
#include "handoff/baton.hpp"

namespace nq::detail {

void Baton::end_keeping() noexcept {
    const std::lock_guard lock(ending_);
    // acquire: see what led to the keeping.
    State state = state_.load(std::memory_order_acquire);
    if ((state & k_kept) == 0) return;
    bias_.revoke();
    // relaxed: the keeper is out, and what it did happened before.
    const Count count = kept_count_.load(std::memory_order_relaxed);
    // release: the next holder sees what the keeper wrote. The work that was raised stays, and who
    // raised it asks again.
    while (!state_.compare_exchange_weak(state, (state & k_work) + count * k_one,
                                         std::memory_order_release, std::memory_order_relaxed)) {
    }
}

}  // namespace nq::detail
