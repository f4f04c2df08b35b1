// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include <net_queue/stream.hpp>

namespace nq::detail {

class BufferPool;

/// A block of uninitialised memory under construction: written by its one owner, then shared as
/// read-only Chunks. Goes back to its pool when dropped, or when the last Chunk of it goes.
/// Invariant: ready <= capacity. Thread safety: none; one owner.
class Buffer {
  public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&& other) noexcept;
    ~Buffer();

    explicit operator bool() const noexcept { return data_ != nullptr; }
    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    /// Makes room for at least `capacity` octets, keeping those there; `whole` is how many it will
    /// be in the end, as far as that is known. Large blocks move by mremap(2), which copies
    /// nothing, or into one that the pool kept. Throws std::bad_alloc; the block is unharmed then.
    /// REQUIRES: a block is held.
    void grow(std::size_t capacity, std::size_t whole = 0);

    /// Up to where the block should be written next, from `offset` on. Of a long block whose memory
    /// is fresh these are as many octets as are written, or some KiB, and k_page_run at most: one
    /// system call fetches their pages for less than page faults would cost. Else it is all.
    /// What lies before is not fetched. REQUIRES: offset < capacity().
    [[nodiscard]] std::size_t ready(std::size_t offset) noexcept;

    /// Gives the block up; what it returns owns it from now on. Throws std::bad_alloc; the block
    /// has gone back to its pool then. REQUIRES: a block is held.
    [[nodiscard]] std::shared_ptr<std::byte> share() &&;

  private:
    friend class BufferPool;
    Buffer(std::shared_ptr<BufferPool> pool, std::byte* data, std::size_t capacity,
           std::size_t ready)
        : pool_(std::move(pool)), data_(data), capacity_(capacity), ready_(ready) {}

    std::shared_ptr<BufferPool> pool_;
    std::byte* data_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t ready_ = 0;  ///< octets whose pages are there, as far as we know
};

/// Memory for messages on their way in and blocks on their way out. Fresh pages are dear (each is
/// a page fault and 4 KiB of zeroes), so blocks are kept for the next one: those of 4 KiB to 4 MiB
/// up to a bound; larger ones up to another, and only until they have grown old.
/// Thread safety: all methods, from any thread.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
  public:
    /// Blocks beyond this grow old: somebody has to call `age` while there are any.
    static constexpr std::size_t k_largest = std::size_t{4} << 20;

    /// Keeps at most so many octets of idle memory, in blocks up to 4 MiB and in larger ones.
    static std::shared_ptr<BufferPool> create(std::size_t retained_bytes_max,
                                              std::size_t retained_large_max = 0);
    ~BufferPool();

    /// A block of at least `capacity` octets. Throws std::bad_alloc.
    [[nodiscard]] Buffer acquire(std::size_t capacity);
    /// Idle octets held now.
    [[nodiscard]] std::size_t retained_bytes() const;
    /// Gives all idle memory back to the system.
    void trim();
    /// Its user leaves: nothing is idle any more, now or later. Blocks may be in use for long yet.
    void retire();
    /// Gives the large blocks back that were kept since before the last call. True: there are more,
    /// kept or in use, so call again after a while.
    bool age();

  private:
    friend class Buffer;
    static constexpr std::size_t k_smallest = std::size_t{4} << 10;
    static constexpr std::size_t k_classes = 11;  // 4 KiB << 0 ... 4 KiB << 10
    static constexpr std::size_t k_large_blocks = 4;

    struct Block {
        std::byte* data = nullptr;
        std::size_t capacity = 0;
        bool old = false;
    };

    BufferPool(std::size_t retained_bytes_max, std::size_t retained_large_max)
        : retained_bytes_max_(retained_bytes_max), retained_large_max_(retained_large_max) {}
    /// The class whose blocks hold `capacity` octets, or k_classes if none does.
    static std::size_t class_of(std::size_t capacity);
    void release(std::byte* data, std::size_t capacity) noexcept;
    /// A large block that was kept, for the whole and not many octets more. Or else the largest for
    /// at least so many, since what it lacks has to be fetched page by page, and at most eight
    /// times as many, since the whole is only a peer's word. Data is null: none.
    [[nodiscard]] Block take_large(std::size_t least, std::size_t whole) noexcept;
    void keep_large(Block block) noexcept;
    std::size_t retained_large_max() const;
    Block remove_large(std::size_t i) noexcept;
    void count_large() noexcept;

    mutable std::mutex mutex_;  // guards what follows
    std::size_t retained_bytes_max_;
    std::size_t retained_large_max_;
    std::size_t retained_bytes_ = 0;
    std::size_t retained_large_ = 0;
    std::size_t large_in_use_ = 0;             // blocks
    std::array<Block, k_large_blocks> large_;  // the longest kept first; data is null: no more
    std::array<std::vector<std::byte*>, k_classes> idle_;
};

}  // namespace nq::detail
