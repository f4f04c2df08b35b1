// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "buffer/limits.hpp"
#include "session/send_half.hpp"
#include "testing/octets.hpp"
#include "testing/simulation/message.hpp"
#include "testing/simulation/pipe.hpp"

namespace nq::testing {

/// What a SendHalf must do, at the grain of messages, beside the half itself: every octet taken is
/// compared with what the protocol says comes next, and every count with what follows from it.
class SendModel {
  public:
    SendModel(const Uuid& self, const detail::SendOptions& options)
        : identity_(identity(self)), options_(options) {}

    void put(Message& message) {
        queue_.push_back({&message});
        if (peer_ && message.target && *message.target != *peer_) refuse(queue_.size() - 1);
        pass_withdrawn();
    }
    /// Whether the message may be cancelled now; then it is.
    bool cancel(std::uint64_t number) {
        if (number < taken_ || number - taken_ >= queue_.size()) return false;
        const std::size_t index = number - taken_;
        if (queue_[index].withdrawn || index < begun()) return false;
        queue_[index].withdrawn = true;
        pass_withdrawn();
        return true;
    }
    void close() { closing_ = true; }
    /// Drops what was not begun. The half still counts `accepted` messages: of those not begun only
    /// withdrawn ones.
    void abandon(std::uint64_t accepted) {
        closing_ = true;
        const std::size_t kept = begun();
        require(accepted >= taken_ + kept && accepted <= taken_ + queue_.size(), "abandon");
        queue_.resize(accepted - taken_);
        for (std::size_t i = kept; i < queue_.size(); ++i) {
            require(queue_[i].withdrawn, "abandon leaves only what was begun");
        }
    }
    void connected(Pipe& pipe) {
        pipe_ = &pipe;
        begin(Part::ini);
        offered_ = 0;
    }
    void lost() {
        pipe_ = nullptr;
        part_ = Part::none;
        offered_ = offset_ = 0;
        unit_end_ = released_octets_ = taken_octets_;
        fin_taken_ = false;
        settle_released();
    }
    void identified(const Uuid& peer) {
        peer_ = peer;
        for (std::size_t i = 0; i < queue_.size(); ++i) {
            const auto& target = queue_[i].message->target;
            if (target && *target != peer && !queue_[i].withdrawn) refuse(i);
        }
        pass_withdrawn();
    }
    std::optional<std::uint64_t> poll_refused() {
        if (refused_.empty()) return std::nullopt;
        const std::uint64_t number = refused_.front();
        refused_.pop_front();
        return number;
    }

    /// The half offers these; returns how many octets they are.
    std::size_t offered(std::span<const Chunk> chunks) {
        std::size_t octets = 0;
        for (const Chunk& chunk : chunks) octets += chunk.size();
        require(octets <= options_.transport_size, "at most transport_size is offered");
        require(chunks.size() <= detail::limits::k_transmit_chunks, "few chunks are offered");
        require(pipe_ != nullptr || octets == 0, "nothing is offered without a connection");
        const std::uint64_t end = pipe_ == nullptr ? 0 : pipe_->taken() + octets;
        require(end >= offered_, "what was offered stays offered");
        offered_ = end;
        return octets;
    }
    /// The transport is about to take the first n octets of them.
    void taken(std::span<const Chunk> chunks, std::size_t n) {
        std::uint64_t position = pipe_->taken();
        for (const Chunk& chunk : chunks) {
            std::string_view octets = chunk.text().substr(0, n);
            n -= octets.size();
            while (!octets.empty()) {
                const std::size_t part = compare(octets, position);
                octets.remove_prefix(part);
                position += part;
            }
        }
    }
    void released(std::size_t n) {
        released_octets_ += n;
        settle_released();
    }

    void check(const detail::SendHalf& half) const {
        require(half.released() <= half.taken() && half.taken() <= half.accepted(),
                "released <= taken <= accepted");
        require(half.accepted() == taken_ + queue_.size(), "accepted");
        require(half.taken() == taken_, "taken: the messages of which every octet was");
        require(half.released() == released_, "released: those whose octets all were");
        require(half.closing() == closing_, "closing");
        require(half.fin_taken() == fin_taken_, "fin_taken");
        std::uint64_t bytes = 0;
        for (const Item& item : queue_) bytes += item.withdrawn ? 0 : item.message->size();
        require(half.queued_bytes() == bytes, "queued_bytes");
    }
    [[nodiscard]] bool drained() const { return queue_.empty() && released_ == taken_; }
    [[nodiscard]] bool fin_taken() const { return fin_taken_; }

  private:
    enum class Part { none, ini, message, fin };
    struct Item {
        Message* message;
        bool withdrawn = false;
    };

    void refuse(std::size_t index) {
        queue_[index].withdrawn = true;
        refused_.push_back(taken_ + index);
    }
    void pass_withdrawn() {
        while (!queue_.empty() && queue_.front().withdrawn) pass_front();
        settle_released();
    }
    void pass_front() {
        queue_.pop_front();
        ++taken_;
        ends_.push_back(unit_end_);
    }
    void settle_released() {
        for (; !ends_.empty() && ends_.front() <= released_octets_; ++released_) ends_.pop_front();
    }

    /// Messages at the front of the queue of which some octet was offered.
    [[nodiscard]] std::size_t begun() const {
        if (pipe_ == nullptr) return 0;
        std::uint64_t position = pipe_->taken() - (part_ == Part::message ? offset_ : 0);
        if (part_ == Part::ini) position += identity_.size() - offset_;
        std::size_t last = 0;
        for (std::size_t i = 0; i < queue_.size() && position < offered_; ++i) {
            if (queue_[i].withdrawn) continue;
            position += detail::k_header_size + queue_[i].message->size();
            last = i + 1;
        }
        return last;
    }

    void begin(Part part) {
        part_ = part;
        offset_ = 0;
    }
    /// Which part begins with the next octet.
    void begin_next(std::uint64_t position) {
        if (!queue_.empty()) {
            Message& message = *queue_.front().message;
            require(!message.target || (peer_ && *message.target == *peer_),
                    "a message for one peer goes to that peer");
            header_ = header(message.size());
            begin(Part::message);
            const std::uint64_t end = position + detail::k_header_size + message.size();
            pipe_->units.push_back({Pipe::Kind::message, &message, position, end});
        } else {
            require(closing_ && !fin_taken_, "nothing is sent but ini, messages and one fin");
            begin(Part::fin);
        }
    }
    /// Compares some of the octets with what comes next; returns how many.
    std::size_t compare(std::string_view octets, std::uint64_t position) {
        if (part_ == Part::none) begin_next(position);
        if (part_ != Part::message && offset_ == 0) {
            const auto kind = part_ == Part::ini ? Pipe::Kind::ini : Pipe::Kind::fin;
            pipe_->units.push_back({kind, nullptr, position, position + identity_.size()});
        }
        const std::string_view expected = rest();
        const std::size_t n = std::min(octets.size(), expected.size());
        require(octets.substr(0, n) == expected.substr(0, n), "the octets are those of the queue");
        offset_ += n;
        taken_octets_ += n;
        if (n == expected.size()) finish_part();
        return n;
    }
    /// What is left of the header, or else of the payload, of the current part.
    [[nodiscard]] std::string_view rest() const {
        if (part_ != Part::message) return std::string_view(identity_).substr(offset_);
        if (offset_ < header_.size()) return std::string_view(header_).substr(offset_);
        return std::string_view(queue_.front().message->text()).substr(offset_ - header_.size());
    }
    void finish_part() {
        if (part_ == Part::message) {
            if (!rest().empty()) return;
            unit_end_ = taken_octets_;
            pass_front();
        }
        unit_end_ = taken_octets_;
        fin_taken_ = part_ == Part::fin;
        begin(Part::none);
        pass_withdrawn();
    }

    const std::string identity_;
    const detail::SendOptions options_;
    std::deque<Item> queue_;  ///< its front is message number taken_
    std::deque<std::uint64_t> ends_;
    std::deque<std::uint64_t> refused_;
    std::optional<Uuid> peer_;
    std::uint64_t taken_ = 0;
    std::uint64_t released_ = 0;
    std::uint64_t taken_octets_ = 0;
    std::uint64_t released_octets_ = 0;
    std::uint64_t unit_end_ = 0;  ///< taken_octets_ when the last part was whole
    bool closing_ = false;
    bool fin_taken_ = false;
    // This connection.
    Pipe* pipe_ = nullptr;
    Part part_ = Part::none;
    std::string header_;
    std::uint64_t offset_ = 0;  ///< octets taken of the current part
    std::uint64_t offered_ = 0;
};

}  // namespace nq::testing
