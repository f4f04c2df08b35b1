// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "transport/transport.hpp"

namespace nq::detail {

/// A connection of which some octets were read already: yields those first. Everything else is the
/// connection's own.
/// Thread safety: as Connection.
class ReadAhead final : public Connection {
  public:
    ReadAhead(std::shared_ptr<Connection> inner, std::vector<std::byte> octets)
        : inner_(std::move(inner)), octets_(std::move(octets)) {}

    Result<std::size_t> receive(std::span<const Target> targets) override {
        if (octets_.empty()) return inner_->receive(targets);
        std::size_t room = 0;
        std::size_t received = 0;
        std::vector<Target> rest;  // what the octets leave for the connection
        for (Target target : targets) {
            room += target.size();
            const std::size_t n = std::min(target.size(), octets_.size() - used_);
            if (n > 0) std::memcpy(target.data(), octets_.data() + used_, n);
            used_ += n;
            received += n;
            if (n < target.size()) rest.push_back(target.subspan(n));
        }
        if (used_ == octets_.size()) octets_ = {};
        if (received == room) return received;
        // If it has failed it will say so again.
        const auto more = inner_->receive(rest);
        return received + (more ? *more : 0);
    }

    void set_handler(std::shared_ptr<ConnectionHandler> handler) override {
        inner_->set_handler(std::move(handler));
    }
    Result<Sent> send(std::span<const Chunk> chunks) override { return inner_->send(chunks); }
    void finish_sending() override { inner_->finish_sending(); }
    void finish_receiving() override { inner_->finish_receiving(); }
    void close() override { inner_->close(); }
    [[nodiscard]] bool refuse(const std::string& reason) override { return inner_->refuse(reason); }
    [[nodiscard]] bool may_come_back() const override { return inner_->may_come_back(); }
    [[nodiscard]] std::size_t unwritten() const override { return inner_->unwritten(); }
    [[nodiscard]] Reactor& reactor() const override { return inner_->reactor(); }
    [[nodiscard]] const std::string& peer_name() const override { return inner_->peer_name(); }
    [[nodiscard]] std::optional<Uuid> announced_id() const override {
        return inner_->announced_id();
    }
    [[nodiscard]] std::optional<Certificate> peer_certificate() const override {
        return inner_->peer_certificate();
    }

  private:
    const std::shared_ptr<Connection> inner_;
    std::vector<std::byte> octets_;  ///< belong to who receives
    std::size_t used_ = 0;
};

}  // namespace nq::detail
