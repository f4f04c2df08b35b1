// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "buffer/limits.hpp"
#include "session/receive_half.hpp"
#include "testing/octets.hpp"
#include "testing/simulation/message.hpp"
#include "testing/simulation/pipe.hpp"

namespace nq::testing {

/// What a ReceiveHalf must tell, given what its pipe carries and how much of that has arrived: each
/// event at its octet, in order, none twice, none missing; and how much memory it may hold.
class ReceiveModel {
  public:
    ReceiveModel(const Uuid& peer, const detail::ReceiveOptions& options)
        : peer_(peer), options_(options) {}

    void connected(Pipe& pipe) {
        pipe_ = &pipe;
        pieces_ = 0;
    }
    /// Everything that arrived was polled before.
    void lost() {
        check_nothing_missing();
        pipe_ = nullptr;
    }

    /// The half told this.
    void told(const detail::ReceiveEvent& event) {
        const auto due = next();
        ++told_count_;
        require(due.has_value(), "an event whose octets did not arrive");
        require(event.index() == static_cast<std::size_t>(*due), "another event is due");
        Pipe::Unit& unit = pipe_->units.front();
        if (const auto* ini = std::get_if<detail::Identified>(&event)) {
            require(ini->peer == peer_, "the peer's ini");
            identified_ = true;
        } else if (const auto* oversized = std::get_if<detail::Oversized>(&event)) {
            require(oversized->size == unit.message->size(), "the size of the refused message");
            unit.message->oversized = true;
        } else if (const auto* received = std::get_if<detail::Received>(&event)) {
            return deliver(unit, received->message);
        } else {
            // After fin, and after a violation, nothing is told.
            fin_heard_ = fin_heard_ || *due == Due::finished;
            deaf_ = true;
        }
        pipe_->units.pop_front();
    }
    void check_nothing_missing() const { require(!next(), "an event is missing"); }

    /// Octets the half may hold now. With `idle`, right after handle_idle.
    [[nodiscard]] std::uint64_t memory_bound(bool idle) const {
        namespace limits = detail::limits;
        std::uint64_t bound = idle ? limits::k_slice_size_max : limits::k_block_size;
        if (pipe_ == nullptr || deaf_ || pipe_->units.empty()) return bound;
        const Pipe::Unit& unit = pipe_->units.front();
        if (unit.kind != Pipe::Kind::message || refused(unit)) return bound;
        if (pipe_->arrived() < unit.begin + detail::k_header_size) return bound;
        const std::uint64_t begin = unit.begin + detail::k_header_size + piece_begin();
        const std::uint64_t size = piece_end(unit) - piece_begin();
        const std::uint64_t arrived =
            std::min(pipe_->arrived() - std::min(pipe_->arrived(), begin), size);
        if (!options_.merge) return bound + arrived;
        if (size <= limits::k_slice_size_max) return bound;
        const std::uint64_t trusted = std::min<std::uint64_t>(size, limits::k_trusted_size);
        return bound + std::max(std::bit_ceil(trusted), 2 * arrived);
    }

    [[nodiscard]] bool identified() const { return identified_; }
    [[nodiscard]] bool fin_heard() const { return fin_heard_; }
    [[nodiscard]] std::uint64_t told_count() const { return told_count_; }
    [[nodiscard]] const Uuid& peer() const { return peer_; }

  private:
    /// The alternatives of detail::ReceiveEvent, in its order.
    enum class Due : std::size_t { identified, received, oversized, finished, violation };

    [[nodiscard]] bool refused(const Pipe::Unit& unit) const {
        return options_.on_oversize == OnOversize::refuse &&
               unit.message->size() > options_.message_size;
    }
    [[nodiscard]] std::uint64_t piece_begin() const { return pieces_ * options_.message_size; }
    [[nodiscard]] std::uint64_t piece_end(const Pipe::Unit& unit) const {
        const std::uint64_t left = unit.message->size() - piece_begin();
        return piece_begin() + std::min(left, options_.message_size);
    }

    /// What must be told next, if its octets have arrived.
    [[nodiscard]] std::optional<Due> next() const {
        if (pipe_ == nullptr || deaf_ || pipe_->units.empty()) return std::nullopt;
        const Pipe::Unit& unit = pipe_->units.front();
        Due due = Due::received;
        std::uint64_t needed = unit.end;
        switch (unit.kind) {
            case Pipe::Kind::ini: due = Due::identified; break;
            case Pipe::Kind::fin: due = Due::finished; break;
            case Pipe::Kind::violation:
                due = Due::violation;
                needed = unit.begin + detail::k_header_size;
                break;
            case Pipe::Kind::ignored: return std::nullopt;
            case Pipe::Kind::message:
                needed = unit.begin + detail::k_header_size;
                if (refused(unit)) {
                    due = Due::oversized;
                } else {
                    needed += piece_end(unit);
                }
                break;
        }
        return pipe_->arrived() >= needed ? std::optional(due) : std::nullopt;
    }

    void deliver(const Pipe::Unit& unit, const Stream& message) {
        const std::uint64_t begin = piece_begin(), end = piece_end(unit);
        const std::string_view expected =
            std::string_view(unit.message->text()).substr(begin, end - begin);
        require(message.size() == expected.size(), "a message arrives whole");
        std::size_t at = 0;
        for (std::size_t i = 0; i < message.chunk_count(); ++i) {
            const std::string_view part = message.chunk(i).text();
            require(part == expected.substr(at, part.size()), "a message arrives as it was put");
            at += part.size();
        }
        if (options_.merge) require(message.chunk_count() <= 1, "get_merge: one block");
        ++pieces_;
        if (end < unit.message->size()) return;
        pieces_ = 0;
        unit.message->handle_delivered();
        pipe_->units.pop_front();
    }

    const Uuid peer_;
    const detail::ReceiveOptions options_;
    Pipe* pipe_ = nullptr;
    std::uint64_t pieces_ = 0;  ///< of the message at the front, told already
    std::uint64_t told_count_ = 0;
    bool identified_ = false;
    bool fin_heard_ = false;
    bool deaf_ = false;
};

}  // namespace nq::testing
