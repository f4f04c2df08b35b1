// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <net_queue/error.hpp>
#include <net_queue/stream.hpp>

namespace nq::testing {

/// A Stream beside a plain model of it, a list of strings. Each step is done to both, and both must
/// agree afterwards; std::logic_error says where they do not. A copy taken on the way is watched
/// too: nothing done to one may show in the other.
/// Thread safety: none.
class StreamModel {
  public:
    enum class Operation : std::uint8_t {
        write_chunk,
        write_text,
        unread_chunk,
        read_chunk,
        unwrite_chunk,
        peek_chunk,
        read,
        read_into,
        read_line,
        skip,
        read_chunks,
        update_self,
        update_copy,
        update_move,
        copy,
        move,
        clear,
    };
    static constexpr unsigned k_operations = 17;

    struct Step {
        Operation operation;
        std::size_t amount;
        std::string text;
    };

    void apply(const Step& step) {
        switch (step.operation) {
            case Operation::write_chunk: return write_chunk(step.text);
            case Operation::write_text: return write_text(step.text);
            case Operation::unread_chunk: return unread_chunk(step.text);
            case Operation::read_chunk: return read_chunk();
            case Operation::unwrite_chunk: return unwrite_chunk();
            case Operation::peek_chunk: return peek_chunk();
            case Operation::read: return read(step.amount);
            case Operation::read_into: return read_into(step.amount);
            case Operation::read_line: return read_line();
            case Operation::skip: return skip(step.amount);
            case Operation::read_chunks: return read_chunks();
            case Operation::update_self: return update_self();
            case Operation::update_copy: return update_copy();
            case Operation::update_move: return update_move();
            case Operation::copy: return copy();
            case Operation::move: return move();
            case Operation::clear: return clear();
        }
    }

    /// Throws std::logic_error unless stream and model agree, and copy and its model.
    void invariants() const {
        agree(stream_, parts_);
        agree(copy_, copy_parts_);
        require((stream_ == copy_) == (joined(parts_) == joined(copy_parts_)), "operator==");
    }

  private:
    using Parts = std::deque<std::string>;
    static constexpr std::size_t k_size_max = 8192;  // update_self doubles: 8 KiB keep steps cheap

    static void require(bool holds, const char* what) {
        if (!holds) throw std::logic_error(what);
    }

    static std::string joined(const Parts& parts) {
        std::string all;
        for (const std::string& part : parts) all += part;
        return all;
    }

    static std::string_view text_of(const std::vector<std::byte>& octets) {
        return {reinterpret_cast<const char*>(octets.data()), octets.size()};
    }

    static void agree(const Stream& stream, const Parts& parts) {
        const std::string all = joined(parts);
        require(stream.size() == all.size(), "size");
        require(stream.empty() == all.empty(), "empty");
        require(stream.chunk_count() == parts.size(), "chunk_count");
        for (std::size_t i = 0; i < parts.size(); ++i) {
            require(stream.chunk(i).text() == parts[i], "chunk");
        }
        require(text_of(stream.to_bytes()) == all, "to_bytes");
        require(stream.to_chunk().text() == all, "to_chunk");
        require(stream == Stream::from_bytes(std::as_bytes(std::span(all))), "from_bytes");
    }

    static void require_would_block(auto operation) {
        try {
            operation();
        } catch (const Error& error) {
            return require(error.code() == Errc::would_block, "error code");
        }
        throw std::logic_error("an empty stream gave something");
    }

    std::string cut(std::size_t amount) {
        std::string all;
        while (all.size() < amount && !parts_.empty()) {
            std::string& part = parts_.front();
            const std::size_t n = std::min(part.size(), amount - all.size());
            all += part.substr(0, n);
            part.erase(0, n);
            if (part.empty()) parts_.pop_front();
        }
        return all;
    }

    void add(const Parts& parts) { parts_.insert(parts_.end(), parts.begin(), parts.end()); }

    void write_chunk(const std::string& text) {
        stream_.write_chunk(Chunk(std::string(text)));
        if (!text.empty()) parts_.push_back(text);
    }

    void write_text(const std::string& text) {
        stream_.write(text);
        if (!text.empty()) parts_.push_back(text);
    }

    void unread_chunk(const std::string& text) {
        stream_.unread_chunk(Chunk::copy_of(text));
        if (!text.empty()) parts_.push_front(text);
    }

    void read_chunk() {
        if (parts_.empty()) return require_would_block([this] { stream_.read_chunk(); });
        require(stream_.read_chunk().text() == parts_.front(), "read_chunk");
        parts_.pop_front();
    }

    void unwrite_chunk() {
        if (parts_.empty()) return require_would_block([this] { stream_.unwrite_chunk(); });
        require(stream_.unwrite_chunk().text() == parts_.back(), "unwrite_chunk");
        parts_.pop_back();
    }

    void peek_chunk() {
        if (parts_.empty()) return require_would_block([this] { (void)stream_.peek_chunk(); });
        require(stream_.peek_chunk().text() == parts_.front(), "peek_chunk");
    }

    void read(std::size_t amount) {
        const std::byte* const front = parts_.empty() ? nullptr : stream_.peek_chunk().data();
        const Stream part = stream_.read(amount);
        require(text_of(part.to_bytes()) == cut(amount), "read");
        require(part.empty() || part.peek_chunk().data() == front, "read copied");
    }

    void read_into(std::size_t amount) {
        std::vector<std::byte> target(amount);
        target.resize(stream_.read_into(target));
        require(text_of(target) == cut(amount), "read_into");
    }

    void read_line() {
        const std::string all = joined(parts_);
        const std::size_t newline = all.find('\n');
        const std::size_t amount = newline == std::string::npos ? all.size() : newline + 1;
        require(stream_.read_line() == cut(amount), "read_line");
    }

    void skip(std::size_t amount) { require(stream_.skip(amount) == cut(amount).size(), "skip"); }

    void read_chunks() {
        const std::vector<Chunk> chunks = stream_.read_chunks();
        require(stream_.empty(), "read_chunks left something");
        stream_.write_chunks(chunks);
    }

    void update_self() {
        if (stream_.size() > k_size_max) return clear();
        stream_.update(stream_);
        add(Parts(parts_));
    }

    void update_copy() {
        if (stream_.size() > k_size_max) return clear();
        stream_.update(copy_);
        add(copy_parts_);
    }

    void update_move() {
        stream_.update(std::move(copy_));
        add(std::exchange(copy_parts_, {}));
    }

    void copy() {
        copy_ = stream_.copy();
        copy_parts_ = parts_;
        const bool shared =
            copy_.empty() || copy_.peek_chunk().data() == stream_.peek_chunk().data();
        require(shared, "copy copied");
    }

    void move() {
        Stream moved(std::move(stream_));
        agree(stream_, {});
        copy_ = std::move(moved);
        agree(moved, {});
        copy_parts_ = std::exchange(parts_, {});
    }

    void clear() {
        stream_.clear();
        parts_.clear();
    }

    Stream stream_;
    Parts parts_;
    Stream copy_;
    Parts copy_parts_;
};

}  // namespace nq::testing
