// SPDX-License-Identifier: Apache-2.0
#include "communicator/stranger.hpp"

#include <array>
#include <utility>

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

}  // namespace

void Stranger::start(Duration timeout) {
    deadline_ = reactor_.call_after(timeout, [this] { drop("no ini in time"); });
    connection_->set_handler(shared_from_this());
    handle_readable();
}

void Stranger::handle_readable() {
    const auto self = shared_from_this();
    while (connection_ != nullptr) {
        const std::array<Connection::Target, 1> targets{ini_.space()};
        const auto received = connection_->receive(targets);
        if (!received) return drop(received.error().text);
        if (*received == 0) return;
        ini_.handle_received(*received);
        switch (ini_.status()) {
            case IdentityReader::Status::incomplete: break;
            case IdentityReader::Status::invalid:
                return drop("not this protocol: it began with \"" + printable(ini_.received()) +
                            "\", an ini begins with the size 16 in 8 octets");
            case IdentityReader::Status::complete: {
                const auto announced = connection_->announced_id();
                if (announced && *announced != ini_.uuid()) {
                    return drop("its ini says " + ini_.uuid().to_string() + ", but it came as " +
                                announced->to_string());
                }
                deadline_.cancel();
                server_.forget(number_, "");
                return server_.identify(ini_.uuid(), std::exchange(connection_, nullptr));
            }
        }
    }
}

void Stranger::handle_lost(Failure failure) { drop(failure.text); }

void Stranger::drop(const std::string& reason) {
    if (connection_ == nullptr) return;
    const auto self = shared_from_this();
    deadline_.cancel();
    server_.forget(number_, connection_->peer_name() + ": " + reason);
    std::exchange(connection_, nullptr)->close();
}

}  // namespace nq::detail
