// SPDX-License-Identifier: Apache-2.0
#include "tap.hpp"

#include <algorithm>
#include <utility>

namespace nq::api {

using detail::Connection;
using detail::ConnectionHandler;

/// Thread safety: as Connection; besides, lose and set_valve from any thread.
class TappedConnection final : public Connection,
                               public std::enable_shared_from_this<TappedConnection> {
  public:
    TappedConnection(std::shared_ptr<Tap> tap, Tap::Side end, std::shared_ptr<Connection> inner)
        : side(end), tap_(std::move(tap)), inner_(std::move(inner)) {}

    void set_handler(std::shared_ptr<ConnectionHandler> handler) override {
        handler_ = handler;
        inner_->set_handler(std::move(handler));
    }

    Result<Sent> send(std::span<const Chunk> chunks) override {
        std::size_t room = 0;
        bool fatal = false;
        {
            const std::lock_guard lock(mutex_);
            if (lost_) return lost_failure();
            room = valve_.octets;
            fatal = valve_.fatal;
        }
        std::vector<Chunk> offered;
        for (const Chunk& chunk : chunks) {
            const std::size_t n = std::min(room, chunk.size());
            if (n > 0) offered.push_back(chunk.slice(0, n));
            room -= n;
        }
        if (offered.empty()) return Sent{};
        auto sent = inner_->send(offered);
        if (sent && sent->taken > 0) pass(offered, sent->taken, fatal);
        return sent;
    }

    Result<std::size_t> receive(std::span<const Target> targets) override {
        {
            const std::lock_guard lock(mutex_);
            if (lost_) return lost_failure();
        }
        const auto received = inner_->receive(targets);
        if (received && *received > 0) tap_->record(Read{this, *received});
        return received;
    }

    void finish_sending() override { inner_->finish_sending(); }
    void finish_receiving() override { inner_->finish_receiving(); }

    void close() override {
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
        }
        inner_->close();
    }

    [[nodiscard]] bool refuse(const std::string& reason) override {
        if (!inner_->refuse(reason)) return false;
        close();
        return true;
    }

    [[nodiscard]] detail::Reactor& reactor() const override { return inner_->reactor(); }
    [[nodiscard]] const std::string& peer_name() const override { return inner_->peer_name(); }
    [[nodiscard]] bool may_come_back() const override { return inner_->may_come_back(); }
    [[nodiscard]] std::size_t unwritten() const override { return inner_->unwritten(); }
    [[nodiscard]] std::optional<Uuid> announced_id() const override {
        return inner_->announced_id();
    }
    [[nodiscard]] std::optional<Certificate> peer_certificate() const override {
        return inner_->peer_certificate();
    }

    void lose() {
        {
            const std::lock_guard lock(mutex_);
            if (closed_ || std::exchange(lost_, true)) return;
        }
        reactor().post([self = shared_from_this()] {
            const auto handler = self->handler_.lock();
            bool tell = false;
            {
                const std::lock_guard lock(self->mutex_);
                tell = !self->closed_ && handler != nullptr;
            }
            self->inner_->close();
            if (tell) handler->handle_lost(lost_failure());
        });
    }

    void set_valve(Tap::Valve valve) {
        {
            const std::lock_guard lock(mutex_);
            valve_ = valve;
            if (closed_) return;
        }
        reactor().post([self = shared_from_this()] {
            if (const auto handler = self->handler_.lock()) handler->handle_writable();
        });
    }

    const Tap::Side side;

  private:
    void pass(const std::vector<Chunk>& offered, std::size_t taken, bool fatal) {
        Write write{.by_client = side == Tap::Side::client, .chunks = {}, .taken = taken};
        for (const Chunk& chunk : offered) write.chunks.push_back(chunk.octets());
        tap_->record(std::move(write));
        bool spent = false;
        {
            const std::lock_guard lock(mutex_);
            if (valve_.octets != Tap::k_unlimited) valve_.octets -= std::min(taken, valve_.octets);
            spent = fatal && valve_.octets == 0;
        }
        if (spent) lose();
    }

    static Failure lost_failure() {
        return {make_error_code(Errc::connection_reset), {}, "the test cut the line"};
    }

    const std::shared_ptr<Tap> tap_;
    const std::shared_ptr<Connection> inner_;
    std::weak_ptr<ConnectionHandler> handler_;  // belongs to the reactor thread

    std::mutex mutex_;  // guards what follows
    Tap::Valve valve_;
    bool lost_ = false;
    bool closed_ = false;
};

/// Thread safety: as Transport.
class TappedTransport final : public detail::Transport {
  public:
    TappedTransport(std::shared_ptr<Tap> tap, std::shared_ptr<detail::Transport> inner)
        : tap_(std::move(tap)), inner_(std::move(inner)) {}

    Result<std::unique_ptr<detail::Listener>> listen(std::span<detail::Reactor* const> reactors,
                                                     const NetworkLocation& location,
                                                     detail::AcceptHandler accept,
                                                     detail::TransportLog log) override {
        auto accept_tapped = [tap = tap_,
                              accept = std::move(accept)](std::shared_ptr<Connection> inner) {
            {
                const std::lock_guard lock(tap->mutex_);
                tap->accepted_by_.push_back(&inner->reactor());
            }
            accept(tap->wrap(Tap::Side::server, std::move(inner)));
        };
        return inner_->listen(reactors, location, std::move(accept_tapped), std::move(log));
    }

    std::unique_ptr<detail::Dial> dial(detail::Reactor& reactor, const NetworkLocation& location,
                                       detail::DialHandler done) override {
        ++tap_->dials_;
        return inner_->dial(
            reactor, location,
            [tap = tap_, done = std::move(done)](Result<std::shared_ptr<Connection>> result) {
                if (!result) return done(result.error());
                done(tap->wrap(Tap::Side::client, *std::move(result)));
            });
    }

    [[nodiscard]] bool lossy() const override { return inner_->lossy(); }
    Result<void> reload_certificates() override { return inner_->reload_certificates(); }

  private:
    const std::shared_ptr<Tap> tap_;
    const std::shared_ptr<detail::Transport> inner_;
};

std::shared_ptr<detail::Transport> Tap::over(std::shared_ptr<detail::Transport> transport) {
    return std::make_shared<TappedTransport>(shared_from_this(), std::move(transport));
}

std::shared_ptr<Connection> Tap::wrap(Side side, std::shared_ptr<Connection> inner) {
    auto tapped = std::make_shared<TappedConnection>(shared_from_this(), side, std::move(inner));
    const std::lock_guard lock(mutex_);
    tapped->set_valve(side == Side::client ? client_valve_ : server_valve_);
    std::erase_if(connections_, [](const auto& each) { return each.expired(); });
    connections_.push_back(tapped);
    return tapped;
}

void Tap::set_valve(Side side, Valve valve) {
    std::vector<std::shared_ptr<TappedConnection>> living;
    {
        const std::lock_guard lock(mutex_);
        (side == Side::client ? client_valve_ : server_valve_) = valve;
        for (const auto& each : connections_) {
            if (auto connection = each.lock()) living.push_back(std::move(connection));
        }
    }
    for (const auto& connection : living) {
        if (connection->side == side) connection->set_valve(valve);
    }
}

void Tap::allow(Side side, std::size_t octets) { set_valve(side, {octets, false}); }

void Tap::lose_after(Side side, std::size_t octets) { set_valve(side, {octets, true}); }

void Tap::lose_connections() {
    std::vector<std::shared_ptr<TappedConnection>> living;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& each : connections_) {
            if (auto connection = each.lock()) living.push_back(std::move(connection));
        }
    }
    for (const auto& connection : living) connection->lose();
}

void Tap::record(Write write) {
    const std::lock_guard lock(mutex_);
    writes_.push_back(std::move(write));
}

void Tap::record(Read read) {
    const std::lock_guard lock(mutex_);
    reads_.push_back(read);
}

std::vector<Read> Tap::take_reads() {
    const std::lock_guard lock(mutex_);
    return std::exchange(reads_, {});
}

std::vector<Write> Tap::take_writes() {
    const std::lock_guard lock(mutex_);
    return std::exchange(writes_, {});
}

std::vector<detail::Reactor*> Tap::accepted_by() const {
    const std::lock_guard lock(mutex_);
    return accepted_by_;
}

}  // namespace nq::api
