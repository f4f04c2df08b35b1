// SPDX-License-Identifier: Apache-2.0
#include <net_queue/stream.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include <net_queue/error.hpp>

namespace nq {

void Stream::require_octets(const char* operation) const {
    if (empty()) {
        raise({make_error_code(Errc::would_block), Uuid(),
               std::string(operation) + ": the stream is empty"});
    }
}

void Stream::pop_front() {
    size_ -= first_.size();
    if (rest_count() == 0) {
        first_ = Chunk();
        return;
    }
    first_ = std::move(rest_->front());
    rest_->pop_front();
}

Stream::Rest& Stream::rest() {
    if (rest_ == nullptr) rest_ = std::make_unique<Rest>();
    return *rest_;
}

Chunk Stream::read_chunk() {
    require_octets("read_chunk");
    Chunk chunk = first_;
    pop_front();
    return chunk;
}

void Stream::unread_chunk(Chunk chunk) {
    if (chunk.empty()) return;
    const std::size_t length = chunk.size();
    if (!empty()) rest().push_front(std::move(first_));
    first_ = std::move(chunk);
    size_ += length;
}

void Stream::append(Chunk chunk) {
    if (chunk.empty()) return;
    const std::size_t length = chunk.size();
    rest().push_back(std::move(chunk));
    size_ += length;
}

Chunk Stream::unwrite_chunk() {
    require_octets("unwrite_chunk");
    Chunk chunk;
    if (rest_count() == 0) {
        chunk = std::exchange(first_, Chunk());
    } else {
        chunk = std::move(rest_->back());
        rest_->pop_back();
    }
    size_ -= chunk.size();
    return chunk;
}

const Chunk& Stream::peek_chunk() const {
    require_octets("peek_chunk");
    return first_;
}

std::vector<Chunk> Stream::read_chunks() {
    std::vector<Chunk> chunks;
    chunks.reserve(chunk_count());
    while (!empty()) chunks.push_back(read_chunk());
    return chunks;
}

void Stream::write_chunks(std::span<const Chunk> chunks) {
    for (const Chunk& chunk : chunks) write_chunk(chunk);
}

void Stream::update(const Stream& other) {
    // By index and a count taken first, so that a stream may be appended to itself.
    const std::size_t count = other.chunk_count();
    for (std::size_t i = 0; i < count; ++i) write_chunk(Chunk(other.chunk(i)));
}

void Stream::update(Stream&& other) {
    if (this == &other) return update(static_cast<const Stream&>(other));
    if (empty()) {
        *this = std::move(other);
        return;
    }
    while (!other.empty()) write_chunk(other.read_chunk());
}

void Stream::clear() noexcept {
    first_ = Chunk();
    rest_.reset();
    size_ = 0;
}

std::vector<std::byte> Stream::to_bytes() const {
    std::vector<std::byte> octets;
    octets.reserve(size_);
    for (std::size_t i = 0; i < chunk_count(); ++i) {
        const auto part = chunk(i).octets();
        octets.insert(octets.end(), part.begin(), part.end());
    }
    return octets;
}

Stream Stream::from_bytes(std::span<const std::byte> octets) {
    return Stream(Chunk::copy_of(octets));
}

Chunk Stream::to_chunk() const& {
    if (chunk_count() <= 1) return first_;
    return Chunk::take(to_bytes());
}

Stream Stream::read(std::size_t n) {
    Stream result;
    while (n > 0 && !empty()) {
        if (first_.size() > n) {
            result.write_chunk(first_.slice(0, n));
            first_.remove_prefix(n);
            size_ -= n;
            return result;
        }
        n -= first_.size();
        result.write_chunk(read_chunk());
    }
    return result;
}

std::size_t Stream::read_into(std::span<std::byte> target) {
    std::size_t done = 0;
    while (done < target.size() && !empty()) {
        const std::size_t n = std::min(first_.size(), target.size() - done);
        std::memcpy(target.data() + done, first_.data(), n);
        done += skip(n);
    }
    return done;
}

std::string Stream::read_line() {
    std::string line;
    while (!empty()) {
        const std::string_view text = first_.text();
        const std::size_t newline = text.find('\n');
        if (newline != std::string_view::npos) {
            line.append(text.substr(0, newline + 1));
            skip(newline + 1);
            return line;
        }
        line.append(text);
        pop_front();
    }
    return line;
}

std::size_t Stream::skip(std::size_t n) {
    const std::size_t before = size_;
    while (n > 0 && !empty()) {
        if (first_.size() > n) {
            first_.remove_prefix(n);
            size_ -= n;
            break;
        }
        n -= first_.size();
        pop_front();
    }
    return before - size_;
}

void Stream::write(std::span<const std::byte> octets) { write_chunk(Chunk::copy_of(octets)); }

void Stream::write(std::string_view text) { write_chunk(Chunk::copy_of(text)); }

bool operator==(const Stream& a, const Stream& b) {
    if (a.size() != b.size()) return false;
    std::size_t i = 0, j = 0, i_offset = 0, j_offset = 0;
    while (i < a.chunk_count()) {
        const auto left = a.chunk(i).octets().subspan(i_offset);
        const auto right = b.chunk(j).octets().subspan(j_offset);
        const std::size_t n = std::min(left.size(), right.size());
        if (std::memcmp(left.data(), right.data(), n) != 0) return false;
        i_offset += n;
        j_offset += n;
        if (n == left.size()) ++i, i_offset = 0;
        if (n == right.size()) ++j, j_offset = 0;
    }
    return true;
}

}  // namespace nq
