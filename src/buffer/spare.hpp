// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <net_queue/stream.hpp>

namespace nq::detail {

template <class T, class U>
[[nodiscard]] bool is_share_in(const std::shared_ptr<T>& share, const std::shared_ptr<U>& owner) {
    return !share.owner_before(owner) && !owner.owner_before(share);
}

/// The Share that the calling thread dropped last. A thread that takes and drops shares in one
/// thing in turn, one for each message, so never touches the count, which costs an atomic operation
/// each time. What it is a share in lives until the thread drops another, or ends.
/// Share: a smart pointer; is_share_in says whether it is one in a thing.
/// Thread safety: any thread, which sees only what is its own.
template <class Share>
class Spare {
  public:
    /// The spare share, if it is one in this; null if not.
    template <class Thing>
    [[nodiscard]] static Share take(const Thing& thing) noexcept {
        if (slot == nullptr || !is_share_in(*slot, thing)) return {};
        return std::move(*slot);
    }
    static void keep(Share&& share) noexcept {
        if (slot == nullptr) make_slot();
        if (slot != nullptr) *slot = std::move(share);
    }

  private:
    static void make_slot() noexcept {
        if (gone) return;
        struct Holder {
            Share share;
            ~Holder() {
                slot = nullptr;
                gone = true;
            }
        };
        thread_local Holder holder;
        slot = &holder.share;
    }

    // A plain pointer: to look at it takes no question whether it was constructed. A thread that
    // ends may still drop shares.
    static inline constinit thread_local Share* slot = nullptr;
    static inline constinit thread_local bool gone = false;
};

/// A share in a block of many small messages, for one of them: the calling thread's spare one, if
/// that has it, as it has who drops one message before it gets the next.
[[nodiscard]] inline std::shared_ptr<const void> share_of_block(
    const std::shared_ptr<std::byte>& block) {
    if (auto spare = Spare<std::shared_ptr<const void>>::take(block)) return spare;
    return std::shared_ptr<const void>(block, &k_block_mark);
}

}  // namespace nq::detail
