// SPDX-License-Identifier: Apache-2.0
#include <net_queue/stream.hpp>

#include <cstring>
#include <utility>

#include "buffer/spare.hpp"

namespace nq {

namespace {

// Calls the user's function when the last Chunk over the borrowed memory has gone.
struct Release {
    std::function<void()> function;
    void operator()(const void*) const {
        if (function) function();
    }
};

}  // namespace

namespace detail {

const char k_block_mark = 0;

}  // namespace detail

void Chunk::drop_block_share() noexcept {
    detail::Spare<std::shared_ptr<const void>>::keep(std::move(owner_));
}

Chunk::Chunk(std::string&& text) {
    auto owner = std::make_shared<const std::string>(std::move(text));
    data_ = reinterpret_cast<const std::byte*>(owner->data());
    size_ = owner->size();
    owner_ = std::move(owner);
}

Chunk::Chunk(const char* text) : Chunk(copy_of(std::string_view(text))) {}

Chunk Chunk::copy_of(Octets octets) {
    if (octets.empty()) return {};
    auto block = std::make_shared_for_overwrite<std::byte[]>(octets.size());
    std::memcpy(block.get(), octets.data(), octets.size());
    const Octets copy(block.get(), octets.size());  // named: arguments are evaluated in any order
    return Chunk(copy, std::move(block));
}

Chunk Chunk::copy_of(std::string_view text) { return copy_of(std::as_bytes(std::span(text))); }

Chunk Chunk::take(std::vector<std::byte>&& octets) {
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(octets));
    const Octets taken(*owner);
    return Chunk(taken, std::move(owner));
}

Chunk Chunk::borrow(Octets octets, std::function<void()> release) {
    if (!release) return Chunk(octets, nullptr);
    // The pointer may be null where the octets are empty: the owner must be counted all the same.
    return Chunk(octets, std::shared_ptr<const void>(octets.data(), Release{std::move(release)}));
}

}  // namespace nq
