// SPDX-License-Identifier: Apache-2.0
#include "buffer/pool.hpp"

#include <bit>
#include <cassert>
#include <cstdlib>
#include <new>
#include <utility>

namespace nq::detail {

Buffer::Buffer(Buffer&& other) noexcept
    : pool_(std::move(other.pool_)),
      data_(std::exchange(other.data_, nullptr)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    Buffer dropped(std::move(*this));
    pool_ = std::move(other.pool_);
    data_ = std::exchange(other.data_, nullptr);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
}

Buffer::~Buffer() {
    if (data_ != nullptr) pool_->release(data_, capacity_);
}

void Buffer::grow(std::size_t capacity) {
    assert(data_ != nullptr);
    if (capacity <= capacity_) return;
    void* const moved = std::realloc(data_, capacity);
    if (moved == nullptr) throw std::bad_alloc();
    data_ = static_cast<std::byte*>(moved);
    capacity_ = capacity;
}

std::shared_ptr<std::byte> Buffer::share() && {
    assert(data_ != nullptr);
    auto release = [pool = std::move(pool_), capacity = capacity_](std::byte* block) noexcept {
        pool->release(block, capacity);
    };
    // Given up first: where there is no memory for the shared owner, its constructor throws after
    // it has run `release`, and our destructor must not release a second time.
    std::byte* const data = std::exchange(data_, nullptr);
    capacity_ = 0;
    return std::shared_ptr<std::byte>(data, std::move(release));
}

std::shared_ptr<BufferPool> BufferPool::create(std::size_t retained_bytes_max) {
    return std::shared_ptr<BufferPool>(new BufferPool(retained_bytes_max));
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
            return Buffer(shared_from_this(), block, capacity);
        }
    }
    void* const block = std::malloc(capacity);
    if (block == nullptr) throw std::bad_alloc();
    return Buffer(shared_from_this(), static_cast<std::byte*>(block), capacity);
}

void BufferPool::release(std::byte* data, std::size_t capacity) noexcept {
    const std::size_t index = class_of(capacity);
    if (index < k_classes && capacity == k_smallest << index) {
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

std::size_t BufferPool::retained_bytes() const {
    const std::lock_guard lock(mutex_);
    return retained_bytes_;
}

void BufferPool::trim() {
    const std::lock_guard lock(mutex_);
    for (auto& blocks : idle_) {
        for (std::byte* const block : blocks) std::free(block);
        blocks.clear();
    }
    retained_bytes_ = 0;
}

}  // namespace nq::detail
