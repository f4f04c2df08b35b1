// SPDX-License-Identifier: Apache-2.0
// What the machine can do: the workloads over blocking sockets, no library, one thread each end,
// two where both directions run at once; a loop over the sockets of a star.
#include <sys/epoll.h>

#include <array>
#include <cstring>
#include <list>
#include <memory>
#include <stdexcept>

#include "socket.hpp"
#include "star.hpp"

namespace {

using nq::bench::Content;
using nq::bench::End;
using nq::bench::Ends;
using nq::bench::FrameReader;
using nq::bench::header_of;
using nq::bench::IdentityFrame;
using nq::bench::k_block;
using nq::bench::k_header;
using nq::bench::Messages;
using nq::bench::Outcome;
using nq::bench::piece;
using nq::bench::ServerProcess;
using nq::bench::Socket;
using nq::bench::Workload;

/// From this size on a message is sent from where it lies and received where it stays.
constexpr std::size_t k_large = k_block / 2;

void put_one(const Socket& socket, std::span<const std::byte> octets) {
    const std::uint64_t header = header_of(octets.size());
    std::array<iovec, 2> pieces{piece(&header, k_header), piece(octets.data(), octets.size())};
    socket.write(pieces);
}

/// Large messages: a call for each, into one buffer that is used again.
class LargeEnd final : public End {
  public:
    LargeEnd(const Socket& socket, const Content& content)
        : socket_(socket), content_(content), buffer_(content.octets().size()) {}

    void put(const Messages& messages) override {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            put_one(socket_, content_.octets(messages.size(i)));
        }
    }
    void get(const Messages& messages) override {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            const auto message = std::span(buffer_).first(messages.size(i));
            std::uint64_t header = 0;
            std::array<iovec, 2> pieces{piece(&header, k_header),
                                        piece(message.data(), message.size())};
            socket_.read(pieces);
            if (be64toh(header) != message.size()) throw std::runtime_error("wrong size");
            content_.touch(message);
        }
    }

  private:
    const Socket& socket_;
    const Content& content_;
    std::vector<std::byte> buffer_;
};

/// Small messages: coalesced into blocks, parsed out of blocks.
class SmallEnd final : public End {
  public:
    SmallEnd(const Socket& socket, const Content& content)
        : socket_(socket), content_(content), reader_(socket, content), block_(k_block) {}

    void put(const Messages& messages) override {
        std::size_t filled = 0;
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            const auto octets = content_.octets(messages.size(i));
            const std::uint64_t header = header_of(octets.size());
            if (filled + k_header + octets.size() > block_.size()) {
                socket_.write(std::span<const std::byte>(block_).first(filled));
                filled = 0;
            }
            std::memcpy(block_.data() + filled, &header, k_header);
            std::memcpy(block_.data() + filled + k_header, octets.data(), octets.size());
            filled += k_header + octets.size();
        }
        socket_.write(std::span<const std::byte>(block_).first(filled));
    }
    void get(const Messages& messages) override {
        while (received_ < messages.count()) received_ += reader_.read_some();
        received_ -= messages.count();
    }

  private:
    const Socket& socket_;
    const Content& content_;
    FrameReader reader_;
    std::vector<std::byte> block_;
    std::uint64_t received_ = 0;  // and not yet counted by a get
};

std::unique_ptr<End> make_end(const Socket& socket, const Content& content) {
    if (content.octets().size() >= k_large) return std::make_unique<LargeEnd>(socket, content);
    return std::make_unique<SmallEnd>(socket, content);
}

/// One of a star's clients, as the server sees it.
struct Peer {
    Peer(Socket connection, const Content& content)
        : socket(std::move(connection)), reader(socket, content) {}
    Socket socket;
    FrameReader reader;
};

/// Each client's identity is answered with one.
Socket accept_client(const Socket& listener) {
    Socket client = listener.accept();
    IdentityFrame identity{};
    std::array<iovec, 1> pieces{piece(identity.data(), identity.size())};
    client.read(pieces);
    client.write(identity);
    return client;
}

void get_from_all(std::list<Peer>& peers, std::uint64_t count) {
    const Socket poller(epoll_create1(0));
    for (Peer& peer : peers) {
        epoll_event event{.events = EPOLLIN, .data = {.ptr = &peer}};
        epoll_ctl(poller.descriptor(), EPOLL_CTL_ADD, peer.socket.descriptor(), &event);
    }
    std::array<epoll_event, 128> events{};
    while (count > 0) {
        const int ready = epoll_wait(poller.descriptor(), events.data(), events.size(), -1);
        for (int i = 0; i < ready; ++i) {
            auto* const peer = static_cast<Peer*>(events[static_cast<std::size_t>(i)].data.ptr);
            count -= peer->reader.read_some();
        }
    }
}

void serve_fan(const Workload& workload, const Socket& listener) {
    const Content content(workload.messages);
    std::list<Peer> peers;  // they stay where they are
    for (std::size_t i = 0; i < workload.clients; ++i) {
        peers.emplace_back(accept_client(listener), content);
    }
    if (workload.name == "fanout") {
        (void)make_end(peers.front().socket, content)->get(workload.messages.word());
        for (std::uint64_t i = 0; i < workload.messages.count(); ++i) {
            for (const Peer& peer : peers) put_one(peer.socket, content.octets());
        }
    } else {
        get_from_all(peers, workload.messages.count() * workload.clients);
        for (const Peer& peer : peers) put_one(peer.socket, content.octets());
    }
    for (const Peer& peer : peers) peer.socket.wait_for_end();
}

void serve_idle(const Workload& workload, const Socket& listener) {
    std::vector<Socket> clients;
    clients.reserve(workload.clients);
    for (std::size_t i = 0; i < workload.clients; ++i) clients.push_back(accept_client(listener));
    for (const Socket& client : clients) client.wait_for_end();
}

Ends make_ends(const Workload& workload) {
    const auto server = [workload](const std::function<void(std::uint16_t)>& listening) {
        const Socket listener = Socket::listener();
        listening(listener.port());
        if (workload.name == "idle") return serve_idle(workload, listener);
        if (workload.is_star()) return serve_fan(workload, listener);
        Socket connection = listener.accept();
        if (workload.by_packets) connection.call_for_each_packet();
        const Content content(workload.messages);
        serve(workload, *make_end(connection, content));
        connection.wait_for_end();  // leave last, so that nothing under way is lost
    };
    const auto client = [workload](const ServerProcess& process) -> Outcome {
        if (workload.is_star()) return run_star_clients(workload, process);
        Socket connection = Socket::connected(process.port);
        if (workload.by_packets) connection.call_for_each_packet();
        const Content content(workload.messages);
        return {.seconds = measure(workload, *make_end(connection, content))};
    };
    return {server, client};
}

}  // namespace

int main(int argc, char** argv) {
    return nq::bench::run_program(argc, argv, "bare sockets", make_ends);
}
