// SPDX-License-Identifier: Apache-2.0
// A Session with both halves against a scripted peer, driven as the communicator drives them. Input
// grammar:
//   input = role *step
//   step  = what amount        u8 each; `receive` is followed by `amount` octets
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "buffer/limits.hpp"
#include "session/receive_half.hpp"
#include "session/send_half.hpp"
#include "session/session.hpp"

namespace {

namespace detail = nq::detail;
using detail::Session;

constexpr unsigned k_steps = 14;

/// One for all inputs: fresh memory is what costs most under a sanitizer.
std::shared_ptr<detail::BufferPool> shared_pool() {
    static const auto pool = detail::BufferPool::create(detail::limits::k_retained_bytes);
    return pool;
}

void require(bool holds) {
    if (!holds) std::abort();
}

nq::Uuid uuid_of(std::uint8_t octet) {
    std::array<std::byte, nq::Uuid::k_size> octets;
    octets.fill(std::byte{octet});
    return nq::Uuid(octets);
}

/// One side of a session, without anything that a communicator would not do to it.
class Side {
  public:
    explicit Side(std::uint8_t flags)
        : role_((flags & 1) != 0 ? Session::Role::client : Session::Role::server),
          session_(role_, {}, now_),
          send_(uuid_of('s'), send_options(flags), shared_pool()),
          receive_({.merge = (flags & 8) != 0, .message_size = (flags & 16) != 0 ? 20U : 1U << 30},
                   shared_pool()) {
        if (role_ == Session::Role::server) send_.handle_identified(uuid_of('p'));
    }

    void step(std::uint8_t what, std::uint8_t amount, std::span<const std::uint8_t> octets) {
        switch (what % k_steps) {
            case 0: connect(); break;
            case 1: lose(); break;
            case 2: receive(octets); break;
            case 3: take(amount); break;
            case 4: take(SIZE_MAX); break;
            case 5: release(amount); break;
            case 6: put(amount, std::nullopt); break;
            case 7: put(amount, uuid_of(amount % 2 == 0 ? 'p' : 'q')); break;
            case 8: (void)send_.cancel(send_.taken() + amount % 8); break;
            case 9: session_.close(now_); break;
            case 10: session_.end(now_); break;
            case 11: now_ += std::chrono::seconds{amount}; break;
            case 12: receive_.handle_idle(); break;
            case 13: session_.handle_timeout(now_); break;
            default: break;
        }
        settle();
    }

  private:
    static detail::SendOptions send_options(std::uint8_t flags) {
        return {.merge = (flags & 2) != 0,
                .efficient_size = 40,
                .transport_size = (flags & 4) != 0 ? 24U : 4U << 20};
    }

    void connect() {
        if (connected_ || session_.ended()) return;
        connected_ = true;
        session_.handle_connected(now_);
        send_.handle_connected();
        const bool server = role_ == Session::Role::server;
        receive_.handle_connected(server ? std::optional(uuid_of('p')) : std::nullopt);
    }
    void lose() {
        if (!connected_) return;
        connected_ = fin_told_ = false;
        unreleased_ = 0;
        send_.handle_lost();
        receive_.handle_lost();
        session_.handle_lost(now_);
        require(send_.released() == send_.taken());
        require(receive_.held_memory() == 0);
    }
    void receive(std::span<const std::uint8_t> octets) {
        while (connected_ && !session_.ended() && !octets.empty()) {
            std::size_t n = 0;
            for (const detail::ReceiveHalf::Target& target : receive_.targets()) {
                const std::size_t part = std::min(target.size(), octets.size() - n);
                std::memcpy(target.data(), octets.data() + n, part);
                n += part;
            }
            require(n > 0);
            receive_.handle_received(n);
            octets = octets.subspan(n);
            while (connected_) {
                const auto event = receive_.poll_event();
                if (!event) break;
                handle(*event);
                settle();
            }
        }
    }
    void handle(const detail::ReceiveEvent& event) {
        if (const auto* ini = std::get_if<detail::Identified>(&event)) {
            session_.handle_identified(now_);
            send_.handle_identified(ini->peer);
        } else if (std::holds_alternative<detail::Finished>(event)) {
            session_.handle_fin_seen(now_);
        } else if (std::holds_alternative<detail::Violation>(event)) {
            lose();
        }
    }
    void take(std::size_t n) {
        std::size_t offered = 0;
        const auto chunks = send_.poll_transmit();
        for (const nq::Chunk& chunk : chunks) offered += chunk.size();
        require(chunks.size() <= detail::limits::k_transmit_chunks);
        require(connected_ || offered == 0);
        n = std::min(n, offered);
        unreleased_ += n;
        send_.handle_taken(n);
    }
    void release(std::size_t n) {
        n = std::min(n, unreleased_);
        unreleased_ -= n;
        send_.handle_released(n);
    }
    void put(std::size_t size, std::optional<nq::Uuid> target) {
        if (send_.closing() || session_.ended()) return;
        nq::Stream payload;
        for (std::size_t done = 0; done < size; done += 50) {
            payload.write(std::string(std::min<std::size_t>(50, size - done), 'm'));
        }
        send_.put(std::move(payload), target);
    }
    void settle() {
        switch (session_.poll_order()) {
            case Session::Order::none: break;
            case Session::Order::close: send_.close(); break;
            case Session::Order::abandon: send_.abandon(); break;
        }
        require(session_.poll_order() == Session::Order::none);
        if (send_.fin_taken() && !fin_told_) {
            fin_told_ = true;
            session_.handle_fin_taken(now_);
        }
        while (const auto number = send_.poll_refused()) require(*number < send_.accepted());
        require(send_.released() <= send_.taken() && send_.taken() <= send_.accepted());
        require(send_.taken() < send_.accepted() || send_.queued_bytes() == 0);
        require(session_.ended() == (session_.reason() != Session::Reason::none));
        require(!session_.ended() || !session_.poll_timeout());
    }

    const Session::Role role_;
    Session::TimePoint now_{};
    Session session_;
    detail::SendHalf send_;
    detail::ReceiveHalf receive_;
    bool connected_ = false;
    bool fin_told_ = false;
    std::size_t unreleased_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    Side side(data[0]);
    std::span<const std::uint8_t> input(data + 1, size - 1);
    while (input.size() >= 2) {
        const std::uint8_t what = input[0], amount = input[1];
        input = input.subspan(2);
        const bool receives = what % k_steps == 2;
        const auto octets = input.first(receives ? std::min<std::size_t>(amount, input.size()) : 0);
        input = input.subspan(octets.size());
        side.step(what, amount, octets);
    }
    return 0;
}
