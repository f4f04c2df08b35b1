// SPDX-License-Identifier: Apache-2.0
#include "star.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace nq::bench {

namespace {

/// Clients that have connected and do not know yet whether they were accepted.
constexpr std::size_t k_connecting = 256;
constexpr int k_events = 128;

/// A connection and the frame that is on its way in.
struct Client {
    Socket socket;
    std::vector<std::byte> frame = {};
    std::size_t filled = 0;
    std::uint64_t left = 0;  ///< messages
};

class Clients {
  public:
    Clients(std::size_t count, std::uint16_t port) : poller_(epoll_create1(0)) {
        clients_.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            clients_.push_back({.socket = Socket::connected(port)});
            clients_.back().socket.write(identity_frame(i + 1));
            if (i >= k_connecting) expect_identity(clients_[i - k_connecting]);
        }
        for (std::size_t i = count - std::min(count, k_connecting); i < count; ++i) {
            expect_identity(clients_[i]);
        }
    }

    /// Each takes so many messages of one size.
    void get(const Messages& messages, const Content& content) {
        const std::size_t size = messages.size(0);
        for (Client& client : clients_) {
            client.frame.resize(k_header + size);
            client.left = messages.count();
            epoll_event event{.events = EPOLLIN, .data = {.ptr = &client}};
            epoll_ctl(poller_.descriptor(), EPOLL_CTL_ADD, client.socket.descriptor(), &event);
        }
        std::array<epoll_event, k_events> events{};
        for (std::size_t waiting = clients_.size(); waiting > 0;) {
            const int ready = epoll_wait(poller_.descriptor(), events.data(), k_events, -1);
            for (int i = 0; i < ready; ++i) {
                auto& client = *static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr);
                if (!take(client, content)) continue;
                epoll_ctl(poller_.descriptor(), EPOLL_CTL_DEL, client.socket.descriptor(), nullptr);
                --waiting;
            }
        }
    }

    /// Each puts so many messages of one size, coalesced, in turn.
    void put(const Messages& messages, const Content& content) const {
        const std::uint64_t header = header_of(messages.size(0));
        const auto octets = content.octets();
        const std::size_t frame = k_header + octets.size();
        const std::uint64_t in_block = std::max<std::uint64_t>(1, k_block / frame);
        std::vector<std::byte> block(in_block * frame);
        for (std::size_t at = 0; at < block.size(); at += frame) {
            std::memcpy(block.data() + at, &header, k_header);
            std::memcpy(block.data() + at + k_header, octets.data(), octets.size());
        }
        for (std::uint64_t done = 0; done < messages.count(); done += in_block) {
            const std::uint64_t now = std::min(in_block, messages.count() - done);
            for (const Client& client : clients_) {
                client.socket.write(std::span<const std::byte>(block).first(now * frame));
            }
        }
    }

    /// The word that the server waits for.
    void put_word(const Content& content) const {
        const std::uint64_t header = header_of(content.octets().size());
        std::array<iovec, 2> pieces{piece(&header, k_header),
                                    piece(content.octets().data(), content.octets().size())};
        clients_.front().socket.write(pieces);
    }

    void leave() const {
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            clients_[i].socket.write(identity_frame(i + 1));
            shutdown(clients_[i].socket.descriptor(), SHUT_WR);
        }
        for (const Client& client : clients_) client.socket.wait_for_end();
    }

  private:
    static void expect_identity(const Client& client) {
        IdentityFrame identity{};
        std::array<iovec, 1> pieces{piece(identity.data(), identity.size())};
        client.socket.read(pieces);
    }
    /// What one call brings; true when it has all.
    static bool take(Client& client, const Content& content) {
        const auto rest = std::span(client.frame).subspan(client.filled);
        client.filled += client.socket.read_some(rest);
        if (client.filled < client.frame.size()) return false;
        client.filled = 0;
        content.touch(std::span(client.frame).subspan(k_header));
        return --client.left == 0;
    }

    const Socket poller_;
    std::vector<Client> clients_;
};

IdleCost idle(const Workload& workload, const ServerProcess& server, std::uint64_t before) {
    const std::uint64_t after = server.resident_octets();
    const double cpu_before = server.cpu_seconds();
    std::this_thread::sleep_for(std::chrono::duration<double>(workload.idle_seconds));
    return {.octets_per_client = (static_cast<double>(after) - static_cast<double>(before)) /
                                 static_cast<double>(workload.clients),
            .cpu_seconds = server.cpu_seconds() - cpu_before};
}

}  // namespace

IdentityFrame identity_frame(std::uint64_t number) {
    IdentityFrame frame{};
    const std::uint64_t header = header_of(k_identity);
    std::memcpy(frame.data(), &header, k_header);
    std::memcpy(frame.data() + k_header, &number, sizeof number);
    return frame;
}

Outcome run_star_clients(const Workload& workload, const ServerProcess& server) {
    const Messages& messages = workload.messages;
    if (messages.sizes().size() != 1) throw std::runtime_error("a star moves one size");
    const Content content(messages);
    const std::uint64_t before = server.resident_octets();
    Clients clients(workload.clients, server.port);
    Outcome outcome;
    const Stopwatch watch;
    if (workload.name == "fanout") {
        clients.put_word(content);
        clients.get(messages, content);
    } else if (workload.name == "fanin") {
        clients.put(messages, content);
        clients.get(messages.word(), content);
    } else {
        outcome.idle = idle(workload, server, before);
        clients.put_word(content);
    }
    outcome.seconds = watch.seconds();
    clients.leave();
    return outcome;
}

}  // namespace nq::bench
