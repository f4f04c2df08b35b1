// SPDX-License-Identifier: Apache-2.0
#include "communicator/stranger.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "buffer/limits.hpp"
#include "communicator/read_ahead.hpp"
#include "communicator/server.hpp"

namespace nq::detail {

namespace {

// The octets as a reader of a log can bear them.
std::string printable(std::span<const std::byte> octets) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const std::byte octet : octets) {
        const auto value = std::to_integer<unsigned>(octet);
        if (value >= 0x20 && value < 0x7f && value != '\\' && value != '"') {
            text.push_back(static_cast<char>(value));
        } else {
            text += "\\x";
            text.push_back(digits[value >> 4]);
            text.push_back(digits[value & 15]);
        }
    }
    return text;
}

// A handshake record of any version (RFC 8446, 5.1).
bool looks_like_tls(std::span<const std::byte> octets) {
    return octets.size() >= 2 && octets[0] == std::byte{0x16} && octets[1] == std::byte{0x03};
}

}  // namespace

void Stranger::start(Duration timeout) {
    deadline_ = reactor_.call_after(timeout, [this] { drop("no ini in time"); });
    connection_->set_handler(shared_from_this());
    handle_readable();
}

void Stranger::handle_readable() {
    const auto self = shared_from_this();
    while (connection_ != nullptr) {
        if (asked_) {
            if (read_ahead()) continue;
            return;
        }
        const std::array<Connection::Target, 1> targets{ini_.space()};
        const auto received = connection_->receive(targets);
        if (!received) return drop(received.error().text);
        if (*received == 0) return;
        ini_.handle_received(*received);
        switch (ini_.status()) {
            case IdentityReader::Status::incomplete: break;
            case IdentityReader::Status::invalid:
                return drop("not this protocol: it began with \"" + printable(ini_.received()) +
                            "\", an ini begins with the size 16 in 8 octets" +
                            (looks_like_tls(ini_.received()) ? " (this is TLS)" : ""));
            case IdentityReader::Status::complete: return handle_identity();
        }
    }
}

// False: nothing more now.
bool Stranger::read_ahead() {
    if (!server_.lossy()) return false;
    const std::size_t held = ahead_.size();
    ahead_.resize(held + limits::k_block_size);
    const std::array<Connection::Target, 1> targets{std::span(ahead_).subspan(held)};
    const auto received = connection_->receive(targets);
    ahead_.resize(held + (received ? *received : 0));
    const std::size_t most =
        std::min(limits::k_waiting_bytes, limits::k_waiting_bytes_shared / server_.strangers());
    if (!received) {
        drop(received.error().text);
    } else if (ahead_.size() > most) {
        drop("more than " + std::to_string(most) + " octets before it was authorized");
    }
    return received && *received > 0;
}

void Stranger::handle_identity() {
    const auto announced = connection_->announced_id();
    if (announced && *announced != ini_.uuid()) {
        return drop("its ini says " + ini_.uuid().to_string() + ", but it came as " +
                    announced->to_string());
    }
    const AuthorizeHook& authorize = server_.options().authorize;
    if (authorize) return ask(authorize);
    admit(true);
}

// The answer comes from the callback thread, as every callback does.
void Stranger::ask(const AuthorizeHook& authorize) {
    asked_ = true;
    server_.call_back([self = shared_from_this(), authorize,
                       certificate = connection_->peer_certificate(),
                       address = connection_->peer_name(), id = ini_.uuid()] {
        // relaxed: it stands alone; asked in vain once more does no harm.
        if (self->dropped_.load(std::memory_order_relaxed)) return;
        bool authorized = false;
        const auto answer = [&self, &authorized] {
            self->reactor_.post([self, authorized] { self->admit(authorized); });
        };
        try {
            authorized = authorize(id, certificate, address);
        } catch (...) {
            answer();
            throw;  // logged, as what every callback throws
        }
        answer();
    });
}

void Stranger::admit(bool authorized) {
    if (connection_ == nullptr) return;  // lost, or too late
    deadline_.cancel();
    server_.forget(number_, "");
    auto connection = std::exchange(connection_, nullptr);
    if (authorized && !ahead_.empty()) {
        connection = std::make_shared<ReadAhead>(std::move(connection), std::move(ahead_));
    }
    if (authorized) return server_.identify(ini_.uuid(), std::move(connection));
    server_.refuse(ini_.uuid(), std::move(connection));
}

void Stranger::handle_lost(Failure failure) { drop(failure.text); }

void Stranger::drop(const std::string& reason) {
    if (connection_ == nullptr) return;
    const auto self = shared_from_this();
    deadline_.cancel();
    server_.forget(number_, connection_->peer_name() + ": " + reason);
    std::exchange(connection_, nullptr)->close();
    ahead_ = {};
    dropped_.store(true, std::memory_order_relaxed);  // relaxed: see ask
}

}  // namespace nq::detail
