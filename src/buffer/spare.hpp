// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <net_queue/stream.hpp>

namespace nq::detail {

/// The share in some T that the calling thread dropped last. A thread that takes and drops shares
/// of one owner in turn, one for each message, so never touches the count, which costs an atomic
/// operation each time. What it is a share in lives until the thread drops another, or ends.
/// Thread safety: any thread, which sees only what is its own.
template <class T>
class Spare {
  public:
    /// The spare share, if it has this owner; null if not.
    template <class U>
    [[nodiscard]] static std::shared_ptr<T> take(const std::shared_ptr<U>& owner) noexcept {
        if (slot == nullptr || slot->owner_before(owner) || owner.owner_before(*slot)) return {};
        return std::move(*slot);
    }
    static void keep(std::shared_ptr<T>&& share) noexcept {
        if (slot == nullptr) make_slot();
        if (slot != nullptr) *slot = std::move(share);
    }

  private:
    static void make_slot() noexcept {
        if (gone) return;
        struct Holder {
            std::shared_ptr<T> share;
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
    static inline constinit thread_local std::shared_ptr<T>* slot = nullptr;
    static inline constinit thread_local bool gone = false;
};

/// A share in a block of many small messages, for one of them: the calling thread's spare one, if
/// that has it, as it has who drops one message before it gets the next.
[[nodiscard]] inline std::shared_ptr<const void> share_of_block(
    const std::shared_ptr<std::byte>& block) {
    if (auto spare = Spare<const void>::take(block)) return spare;
    return std::shared_ptr<const void>(block, &k_block_mark);
}

}  // namespace nq::detail
