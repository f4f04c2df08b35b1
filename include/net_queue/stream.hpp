// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nq {

namespace detail {
/// What an owner points to that is a share in a block of many small messages: the last one that a
/// thread dropped waits for the next message that it gets of the same block.
extern const char k_block_mark;
}  // namespace detail

/// A run of octets in memory together with a share in whoever owns that memory. Copying a Chunk
/// copies no payload; the last copy to go gives the memory back. The octets must not change while
/// a Chunk of them is on its way through a queue.
/// Thread safety: as std::shared_ptr; distinct Chunks may share memory across threads.
class Chunk {
  public:
    using Octets = std::span<const std::byte>;

    Chunk() = default;
    Chunk(const Chunk&) = default;
    Chunk& operator=(const Chunk&) = default;
    /// Leaves the other one empty.
    Chunk(Chunk&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          owner_(std::move(other.owner_)) {}
    Chunk& operator=(Chunk&& other) noexcept {
        Chunk taken(std::move(other));
        std::swap(data_, taken.data_);
        std::swap(size_, taken.size_);
        owner_.swap(taken.owner_);
        return *this;
    }
    ~Chunk() {
        if (owner_.get() == &detail::k_block_mark) drop_block_share();
    }
    /// Octets kept alive by `owner` (null: memory that lives for ever, such as a literal's).
    Chunk(Octets octets, std::shared_ptr<const void> owner)
        : data_(octets.data()), size_(octets.size()), owner_(std::move(owner)) {}
    /// Takes the string's memory over, without a copy.
    Chunk(std::string&& text);
    /// Copies the characters up to the terminating zero.
    Chunk(const char* text);

    /// A new block of memory with a copy of the octets.
    static Chunk copy_of(Octets octets);
    static Chunk copy_of(std::string_view text);
    /// Takes the vector's memory over, without a copy.
    static Chunk take(std::vector<std::byte>&& octets);
    /// The user's own memory, not copied. `release` is called once, from any thread, when the
    /// library no longer needs it; it must not throw and should return at once.
    static Chunk borrow(Octets octets, std::function<void()> release = {});

    [[nodiscard]] const std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] Octets octets() const noexcept { return {data_, size_}; }
    /// The octets as characters.
    [[nodiscard]] std::string_view text() const noexcept {
        return {reinterpret_cast<const char*>(data_), size_};
    }
    [[nodiscard]] const std::shared_ptr<const void>& owner() const noexcept { return owner_; }

    /// Octets [offset, offset + length) sharing this owner. REQUIRES: both within size().
    [[nodiscard]] Chunk slice(std::size_t offset, std::size_t length) const {
        assert(offset <= size() && length <= size() - offset);
        return Chunk(Octets(data_ + offset, length), owner_);
    }
    /// Drops the first n octets. REQUIRES: n <= size().
    void remove_prefix(std::size_t n) {
        assert(n <= size_);
        data_ += n;
        size_ -= n;
    }
    /// Takes in the next n octets of the memory as well. REQUIRES: they are there.
    void extend(std::size_t n) { size_ += n; }

  private:
    void drop_block_share() noexcept;

    // Not a span: compilers move one by a load that spans two stores, and waits for them.
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::shared_ptr<const void> owner_;
};

/// A rope of Chunks: a queue of octets that is written at the back and read at the front without
/// moving payload. Message bodies travel as Streams.
///
/// No operation copies payload except those that say so. Empty chunks are never stored: writing one
/// does nothing. Invariants: chunk_count() == 0 iff size() == 0; size() is the sum over the chunks.
/// Thread safety: none; one Stream belongs to one thread at a time.
class Stream {
  public:
    Stream() = default;
    /// A stream of one chunk.
    Stream(Chunk chunk) : first_(std::move(chunk)), size_(first_.size()) { drop_if_empty(); }
    /// The same; the chunk is made where it stays.
    Stream(std::in_place_t, Chunk::Octets octets, std::shared_ptr<const void> owner)
        : first_(octets, std::move(owner)), size_(octets.size()) {
        drop_if_empty();
    }
    Stream(const Stream& other)
        : first_(other.first_),
          rest_(other.rest_ ? std::make_unique<Rest>(*other.rest_) : nullptr),
          size_(other.size_) {}
    Stream& operator=(const Stream& other) { return *this = Stream(other); }
    /// Leaves the other one empty.
    Stream(Stream&& other) noexcept
        : first_(std::move(other.first_)),
          rest_(std::move(other.rest_)),
          size_(std::exchange(other.size_, 0)) {}
    Stream& operator=(Stream&& other) noexcept {
        first_ = std::move(other.first_);
        rest_ = std::move(other.rest_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }
    ~Stream() = default;

    [[nodiscard]] std::size_t chunk_count() const noexcept {
        return size_ == 0 ? 0 : 1 + rest_count();
    }
    /// Octets in all.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    // Chunks. The reading ones throw Error{would_block} on an empty stream, as a pipe would.
    /// Takes the first chunk off the front.
    Chunk read_chunk();
    /// Puts a chunk back at the front.
    void unread_chunk(Chunk chunk);
    /// Appends a chunk.
    void write_chunk(Chunk chunk) {
        if (size_ > 0) return append(std::move(chunk));
        size_ = chunk.size();
        first_ = chunk.empty() ? Chunk() : std::move(chunk);
    }
    /// Takes the last chunk off the back.
    Chunk unwrite_chunk();
    /// The first chunk, left where it is; valid until the stream changes.
    [[nodiscard]] const Chunk& peek_chunk() const;
    /// Takes all chunks; the stream is empty afterwards.
    std::vector<Chunk> read_chunks();
    /// Appends every chunk.
    void write_chunks(std::span<const Chunk> chunks);
    /// The i-th chunk from the front. REQUIRES: i < chunk_count().
    [[nodiscard]] const Chunk& chunk(std::size_t i) const {
        assert(i < chunk_count());
        return i == 0 ? first_ : (*rest_)[i - 1];
    }

    // Whole streams.
    /// Appends all of `other`, sharing its memory.
    void update(const Stream& other);
    void update(Stream&& other);
    void clear() noexcept;
    /// A second stream over the same memory.
    [[nodiscard]] Stream copy() const { return *this; }
    /// All octets in one block: a copy. The stream keeps them.
    [[nodiscard]] std::vector<std::byte> to_bytes() const;
    /// A stream over a copy of the octets.
    static Stream from_bytes(std::span<const std::byte> octets);
    /// All octets as one chunk: the only chunk itself, or a copy where there are several.
    [[nodiscard]] Chunk to_chunk() const&;
    [[nodiscard]] Chunk to_chunk() && {
        if (rest_ != nullptr) return std::as_const(*this).to_chunk();
        size_ = 0;
        return std::move(first_);
    }

    // Octets, as a file would have them.
    /// Takes up to n octets off the front as a stream, splitting a chunk without copying it.
    Stream read(std::size_t n);
    /// Takes up to target.size() octets off the front into target: a copy. Returns how many.
    std::size_t read_into(std::span<std::byte> target);
    /// Takes octets up to and including the first '\n', or all if there is none: a copy.
    std::string read_line();
    /// Drops up to n octets off the front; returns how many.
    std::size_t skip(std::size_t n);
    /// Appends a copy of the octets.
    void write(std::span<const std::byte> octets);
    void write(std::string_view text);

    /// Equal octets, however they are cut into chunks.
    friend bool operator==(const Stream& a, const Stream& b);

  private:
    using Rest = std::deque<Chunk>;

    [[nodiscard]] std::size_t rest_count() const noexcept { return rest_ ? rest_->size() : 0; }
    [[nodiscard]] Rest& rest();
    void drop_if_empty() {
        if (size_ == 0) first_ = Chunk();
    }
    void append(Chunk chunk);
    void pop_front();
    void require_octets(const char* operation) const;

    // The first chunk stands apart so that a stream of one chunk, the common case, allocates
    // nothing and is moved in a few instructions.
    Chunk first_;
    std::unique_ptr<Rest> rest_;  ///< null until there is a second one
    std::size_t size_ = 0;
};

}  // namespace nq
