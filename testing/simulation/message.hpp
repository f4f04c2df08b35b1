// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

#include "testing/simulation/trace.hpp"

namespace nq::testing {

/// A message of the simulation: what it says, the user's memory that is lent to the library, and
/// what has become of its future. The memory is overwritten as soon as the future is done, so
/// octets that are read later arrive wrong.
class Message {
  public:
    enum class Future { pending, done, refused, cancelled, failed };

    /// `size` may be more than the text has: a frame that is announced and never whole.
    Message(std::uint64_t number, std::string text, std::uint64_t size)
        : number_(number), text_(std::move(text)), memory_(text_), size_(size) {}

    /// The user's memory, cut into at most `cuts` + 1 chunks. The message must outlive them.
    [[nodiscard]] Stream lend(std::size_t cuts) const {
        Stream payload;
        std::span<const std::byte> rest = std::as_bytes(std::span(memory_));
        for (; cuts > 0 && rest.size() > 1; --cuts) {
            const std::size_t n = 1 + rest.size() / (cuts + 2);
            payload.write_chunk(Chunk(rest.first(n), nullptr));
            rest = rest.subspan(n);
        }
        payload.write_chunk(Chunk(rest, nullptr));
        return payload;
    }

    void complete(Future how) {
        require(future_ == Future::pending, "a future completes once");
        future_ = how;
        std::fill(memory_.begin(), memory_.end(), '\xee');
    }
    void handle_delivered() {
        require(!delivered_, "nothing is delivered twice");
        delivered_ = true;
    }

    /// In the order of the puts of its sender.
    [[nodiscard]] std::uint64_t number() const { return number_; }
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] Future future() const { return future_; }
    [[nodiscard]] bool delivered() const { return delivered_; }

    std::optional<Uuid> target;
    /// A receiver refused it, perhaps before all of it was taken.
    bool oversized = false;
    /// It was wholly taken by a connection that carried all of it to nobody.
    bool lost = false;

  private:
    const std::uint64_t number_;
    const std::string text_;
    std::string memory_;
    const std::uint64_t size_;
    Future future_ = Future::pending;
    bool delivered_ = false;
};

}  // namespace nq::testing
