// SPDX-License-Identifier: Apache-2.0
#include "buffer/pool.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <utility>

#include "buffer/limits.hpp"

namespace nq::detail {

namespace {

/// The system's, nearly everywhere.
constexpr std::uintptr_t k_page = 4096;

/// Asks for the pages from the one in which `begin` lies up to that in which `end` lies, that one
/// not included. False: a system that can't (larger pages, Linux before 5.14), and brings them as
/// they are written.
bool fetch_pages(std::byte* begin, std::byte* end) noexcept {
    const auto into_page = [](const std::byte* at) {
        return reinterpret_cast<std::uintptr_t>(at) % k_page;
    };
    std::byte* const first = begin - into_page(begin);
    std::byte* const last = end - into_page(end);
    const auto octets = static_cast<std::size_t>(last > first ? last - first : 0);
    return octets == 0 || madvise(first, octets, MADV_POPULATE_WRITE) == 0;
}

}  // namespace

Buffer::Buffer(Buffer&& other) noexcept
    : pool_(std::move(other.pool_)),
      data_(std::exchange(other.data_, nullptr)),
      capacity_(std::exchange(other.capacity_, 0)),
      ready_(std::exchange(other.ready_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    Buffer dropped(std::move(*this));
    pool_ = std::move(other.pool_);
    data_ = std::exchange(other.data_, nullptr);
    capacity_ = std::exchange(other.capacity_, 0);
    ready_ = std::exchange(other.ready_, 0);
    return *this;
}

Buffer::~Buffer() {
    if (data_ != nullptr) pool_->release(data_, capacity_);
}

void Buffer::grow(std::size_t capacity, std::size_t whole) {
    assert(data_ != nullptr);
    if (capacity <= capacity_) return;
    const auto kept = pool_->take_large(capacity, std::max(capacity, whole));
    if (kept.data != nullptr) {
        std::memcpy(kept.data, data_, capacity_);
        pool_->release(data_, capacity_);
        data_ = kept.data;
        capacity_ = ready_ = kept.capacity;
        return;
    }
    void* const moved = std::realloc(data_, capacity);
    if (moved == nullptr) throw std::bad_alloc();
    if (capacity_ <= BufferPool::k_largest && capacity > BufferPool::k_largest) {
        pool_->count_large();
    }
    data_ = static_cast<std::byte*>(moved);
    capacity_ = capacity;
}

std::size_t Buffer::ready(std::size_t offset) noexcept {
    assert(offset < capacity_ && ready_ <= capacity_);
    // Short blocks mostly come from memory that was in use before.
    if (capacity_ <= limits::k_page_run) return capacity_;
    const std::size_t run = std::clamp(offset, limits::k_page_run_least, limits::k_page_run);
    if (ready_ < capacity_ && ready_ < offset + run / 8) {
        const std::size_t begin = std::max(offset, ready_);
        const std::size_t end = std::min(capacity_, offset + run);
        ready_ = fetch_pages(data_ + begin, data_ + end) ? end : capacity_;
    }
    return ready_;
}

std::shared_ptr<std::byte> Buffer::share() && {
    assert(data_ != nullptr);
    auto release = [pool = std::move(pool_), capacity = capacity_](std::byte* block) noexcept {
        pool->release(block, capacity);
    };
    // Given up first: where there is no memory for the shared owner, its constructor throws after
    // it has run `release`, and our destructor must not release a second time.
    std::byte* const data = std::exchange(data_, nullptr);
    capacity_ = ready_ = 0;
    return std::shared_ptr<std::byte>(data, std::move(release));
}

std::shared_ptr<BufferPool> BufferPool::create(std::size_t retained_bytes_max,
                                               std::size_t retained_large_max) {
    return std::shared_ptr<BufferPool>(new BufferPool(retained_bytes_max, retained_large_max));
}

BufferPool::~BufferPool() { trim(); }

std::size_t BufferPool::class_of(std::size_t capacity) {
    if (capacity > k_largest) return k_classes;
    if (capacity <= k_smallest) return 0;
    return static_cast<std::size_t>(std::bit_width(capacity - 1) - std::bit_width(k_smallest - 1));
}

Buffer BufferPool::acquire(std::size_t capacity) {
    const std::size_t index = class_of(capacity);
    if (index < k_classes) {
        capacity = k_smallest << index;
        const std::lock_guard lock(mutex_);
        if (!idle_[index].empty()) {
            std::byte* const block = idle_[index].back();
            idle_[index].pop_back();
            retained_bytes_ -= capacity;
            return Buffer(shared_from_this(), block, capacity, capacity);
        }
    } else if (const Block kept = take_large(capacity, capacity); kept.data != nullptr) {
        return Buffer(shared_from_this(), kept.data, kept.capacity, kept.capacity);
    }
    void* const block = std::malloc(capacity);
    if (block == nullptr) throw std::bad_alloc();
    if (index == k_classes) count_large();
    return Buffer(shared_from_this(), static_cast<std::byte*>(block), capacity, 0);
}

void BufferPool::release(std::byte* data, std::size_t capacity) noexcept {
    const std::size_t index = class_of(capacity);
    if (index == k_classes) return keep_large({data, capacity});
    if (capacity == k_smallest << index) {
        const std::lock_guard lock(mutex_);
        if (retained_bytes_ + capacity <= retained_bytes_max_) {
            try {
                idle_[index].push_back(data);
                retained_bytes_ += capacity;
                return;
            } catch (const std::bad_alloc&) {
                // No room for the note that the block is idle: give it back instead.
            }
        }
    }
    std::free(data);
}

BufferPool::Block BufferPool::remove_large(std::size_t i) noexcept {
    const Block block = large_[i];
    std::move(large_.begin() + static_cast<std::ptrdiff_t>(i) + 1, large_.end(),
              large_.begin() + static_cast<std::ptrdiff_t>(i));
    large_.back() = Block{};
    retained_large_ -= block.capacity;
    return block;
}

// One that was not kept is in use.
void BufferPool::count_large() noexcept {
    const std::lock_guard lock(mutex_);
    ++large_in_use_;
}

BufferPool::Block BufferPool::take_large(std::size_t least, std::size_t whole) noexcept {
    if (whole <= k_largest) return {};
    const std::lock_guard lock(mutex_);
    // Not a block of much more: a message that is kept would hold it all.
    auto found = std::ranges::find_if(large_, [whole](const Block& block) {
        return block.capacity >= whole && block.capacity - whole <= whole / 4;
    });
    if (found == large_.end()) {
        const auto part = [least, whole](const Block& block) {
            const bool usable = block.capacity >= least && block.capacity < whole;
            return usable && block.capacity / 8 <= least ? block.capacity : 0;
        };
        found = std::ranges::max_element(large_, {}, part);
        if (part(*found) == 0) return {};
    }
    ++large_in_use_;
    return remove_large(static_cast<std::size_t>(found - large_.begin()));
}

// The longest kept ones make room. Of one beyond the bound the beginning is kept, and nothing else:
// glibc's realloc gives the rest back where it lies.
void BufferPool::keep_large(Block block) noexcept {
    const std::size_t bound = retained_large_max();
    if (block.capacity > bound && bound > k_largest) {
        if (void* const cut = std::realloc(block.data, bound); cut != nullptr) {
            block = {static_cast<std::byte*>(cut), bound};
        }
    }
    std::array<Block, k_large_blocks + 1> dropped;
    std::size_t count = 0;
    {
        const std::lock_guard lock(mutex_);
        --large_in_use_;
        if (block.capacity > retained_large_max_) {  // which may be none by now
            dropped[count++] = block;
        } else {
            while (large_.back().data != nullptr ||
                   retained_large_ + block.capacity > retained_large_max_) {
                dropped[count++] = remove_large(0);
            }
            *std::find_if(large_.begin(), large_.end(),
                          [](const Block& free) { return free.data == nullptr; }) = block;
            retained_large_ += block.capacity;
        }
    }
    for (const Block& each : std::span(dropped).first(count)) std::free(each.data);
}

bool BufferPool::age() {
    std::array<Block, k_large_blocks> dropped;
    bool more = false;
    {
        const std::lock_guard lock(mutex_);
        for (std::size_t count = 0; large_.front().old;) dropped[count++] = remove_large(0);
        for (Block& block : large_) block.old = block.data != nullptr;
        more = retained_large_ > 0 || large_in_use_ > 0;
    }
    for (const Block& each : dropped) std::free(each.data);
    return more;
}

std::size_t BufferPool::retained_large_max() const {
    const std::lock_guard lock(mutex_);
    return retained_large_max_;
}

std::size_t BufferPool::retained_bytes() const {
    const std::lock_guard lock(mutex_);
    return retained_bytes_ + retained_large_;
}

void BufferPool::retire() {
    {
        const std::lock_guard lock(mutex_);
        retained_bytes_max_ = retained_large_max_ = 0;
    }
    trim();
}

void BufferPool::trim() {
    const std::lock_guard lock(mutex_);
    for (auto& blocks : idle_) {
        for (std::byte* const block : blocks) std::free(block);
        blocks.clear();
    }
    retained_bytes_ = 0;
    for (Block& block : large_) std::free(std::exchange(block, Block{}).data);
    retained_large_ = 0;
}

}  // namespace nq::detail
