// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp_transport.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <vector>

#include "io/limits.hpp"
#include "io/resolver.hpp"
#include "transport/conformance.hpp"
#include "transport/tcp/tcp_connection.hpp"

namespace nq::detail::conformance {

namespace {

Candidate candidate_at(const std::string& host) {
    return {"tcp on " + host, make_tcp_transport(), NetworkLocation{host, 0}};
}

struct Local {
    Candidate candidate = candidate_at("127.0.0.1");
    Scene scene{candidate};
};

/// A peer without manners, driven octet by octet.
Socket raw_peer(Scene& scene) {
    const Addresses addresses = look_up(scene.listener->location()).value();
    Socket socket = Socket::open(addresses.front().family());
    REQUIRE(socket.connect(addresses.front()) == EINPROGRESS);
    scene.run_until([&] { return !scene.accepted.empty(); });
    return socket;
}

int option_of(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    REQUIRE(::getsockopt(fd, level, name, &value, &size) == 0);
    return value;
}

/// The descriptors of both ends of the connections in this process.
std::vector<int> connected_sockets() {
    std::vector<int> sockets;
    for (int fd = 3; fd < 64; ++fd) {
        if (SocketAddress::peer_of(fd).family() == AF_INET) sockets.push_back(fd);
    }
    return sockets;
}

/// The descriptors of this process, kept below a limit until it goes.
class DescriptorLimit {
  public:
    explicit DescriptorLimit(rlim_t limit) {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const rlimit lower{limit, before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &lower) == 0);
    }
    ~DescriptorLimit() { (void)::setrlimit(RLIMIT_NOFILE, &before_); }

  private:
    rlimit before_{};
};

/// A layer that there is never memory for.
class NoLayer final : public ChannelMaker {
  public:
    [[nodiscard]] std::unique_ptr<Channel> connect(Socket, const std::string&) const override {
        return nullptr;
    }
    [[nodiscard]] std::unique_ptr<Channel> accept(Socket) const override { return nullptr; }
    [[nodiscard]] Result<void> reload() override { return {}; }
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

std::vector<Candidate> candidates() {
    std::vector<Candidate> all;
    all.push_back(candidate_at("127.0.0.1"));
    // IPv6 where the machine has it.
    Socket probe = Socket::open(AF_INET6);
    const auto loopback = look_up({"::1", 0});
    if (probe.valid() && probe.listen(loopback->front(), 1) == 0) {
        all.push_back(candidate_at("::1"));
    }
    return all;
}

TEST_CASE("tcp: a reset is told once, to a handler that reads as well") {
    Local local;
    Socket peer = raw_peer(local.scene);
    const auto server = std::make_shared<Talker>(local.scene.accepted.back());
    server->start();
    const std::array<Chunk, 1> words{Chunk("last words")};
    REQUIRE(peer.send(words).size == words[0].size());
    local.scene.run_until([&] { return server->heard == "last words"; });
    peer.discard_on_close();
    peer = Socket();
    local.scene.run_until([&] { return server->lost > 0; });
    local.scene.settle();
    CHECK(server->lost == 1);
    CHECK(server->ended);
    CHECK(contains(server->complaint, "Connection reset by peer"));
    CHECK(contains(server->complaint, server->connection().peer_name()));
}

TEST_CASE("tcp: a reset reaches a handler that is not reading, which can still read what came") {
    Local local;
    Socket peer = raw_peer(local.scene);
    const auto server = std::make_shared<Talker>(local.scene.accepted.back());
    server->listen(false);
    server->start();
    const std::array<Chunk, 1> words{Chunk("last words")};
    REQUIRE(peer.send(words).size == words[0].size());
    local.scene.settle();
    peer.discard_on_close();
    peer = Socket();
    local.scene.run_until([&] { return server->lost == 1; });
    server->listen(true);
    CHECK(server->heard == "last words");
    CHECK(contains(server->complaint, "Connection reset by peer"));
}

TEST_CASE("tcp: a loss before there is a handler is told to the first one") {
    Local local;
    Socket peer = raw_peer(local.scene);
    peer.discard_on_close();
    peer = Socket();
    local.scene.settle();
    const auto server = std::make_shared<Talker>(local.scene.accepted.back());
    server->listen(false);
    server->start();
    local.scene.run_until([&] { return server->lost == 1; });
    CHECK(contains(server->complaint, "Connection reset by peer"));
}

TEST_CASE("tcp: what a send that fails half-way has sent is told, so that nobody sends it again") {
    Local local;
    (void)raw_peer(local.scene);  // and gone
    const auto server = std::make_shared<Talker>(local.scene.accepted.back());
    server->start();
    local.scene.run_until([&] { return server->ended; });
    // Two calls, and nearly always the second has the answer to the first: a reset.
    const std::vector<Chunk> words(limits::k_views_per_call + 1, Chunk("last words"));
    const auto sent = server->connection().send(words);
    REQUIRE(sent.has_value());
    CHECK(sent->taken > 0);
    CHECK(sent->released == sent->taken);
    local.scene.run_until([&] { return server->lost == 1; });
    CHECK_FALSE(server->connection().send(words).has_value());
}

TEST_CASE("tcp: sockets are set up for small messages, warm caches and dead peers") {
    Local local;
    // 15 s of silence, then three probes 10 s apart: 45 s.
    const auto [client, server] = local.scene.connect();
    for (const int fd : connected_sockets()) {
        CHECK(option_of(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
        CHECK(option_of(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
        CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 15);
        CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 10);
        CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT) == 3);
        CHECK(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
        CHECK(option_of(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT) == 96 << 10);
        CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
}

TEST_CASE("tcp: accepting pauses while descriptors are short, says so once, and goes on") {
    Local local;
    // Descriptors for the clients, made before the limit; none is left for the server's ends.
    const Addresses addresses = look_up(local.scene.listener->location()).value();
    std::vector<Socket> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(Socket::open(AF_INET));
    int highest = 0;
    for (int fd = 0; fd < 1024; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0) highest = fd;
    }
    std::vector<Socket> gaps;
    while (gaps.empty() || gaps.back().fd() < highest) gaps.push_back(Socket::open(AF_INET));
    {
        const DescriptorLimit limit(static_cast<rlim_t>(gaps.back().fd()) + 1);
        for (Socket& client : clients) (void)client.connect(addresses.front());
        local.scene.run_until([&] { return !local.scene.log.empty(); });
        local.scene.settle();
        CHECK(local.scene.accepted.empty());
        CHECK(local.scene.log.size() == 1);
        CHECK(contains(local.scene.log[0], "cannot accept connections: Too many open files"));
    }
    local.scene.run_until([&] { return local.scene.accepted.size() == clients.size(); });
    CHECK(local.scene.log.size() == 2);
    CHECK(local.scene.log[1] == "accepting connections again");
}

TEST_CASE("tcp: a name is looked up, and one that does not exist fails for good") {
    Local local;
    const NetworkLocation by_name{"localhost", local.scene.listener->location().port};
    const auto found = local.scene.dial(by_name);
    REQUIRE(found.has_value());
    (*found)->close();
    const auto lost = local.scene.dial({"", 1});
    REQUIRE_FALSE(lost.has_value());
    CHECK(lost.error().code == Errc::unknown_peer);
    CHECK(contains(lost.error().text, "check the name"));
}

TEST_CASE("tcp: no memory for a layer fails the dial, of which nothing stays") {
    const auto layer = std::make_shared<NoLayer>();
    Candidate poor{"tcp", make_tcp_transport({.layer = layer}), NetworkLocation{"127.0.0.1", 0}};
    Scene scene(poor);
    const auto failed = scene.dial(scene.listener->location());
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == Errc::connection_reset);
    CHECK(contains(failed.error().text, "no memory"));
    scene.run_until([&scene] { return !scene.log.empty(); });
    CHECK(contains(scene.log[0], "cannot serve a connection: no memory"));
    scene.listener.reset();
    poor.transport.reset();
    CHECK(layer.use_count() == 1);
}

TEST_CASE("tcp: listening where one can't says why and what to do") {
    Local local;
    std::array<Reactor*, 1> reactors{&local.scene.reactor};
    const auto elsewhere = local.candidate.transport->listen(
        reactors, {"192.0.2.1", 4000}, [](auto) {}, [](auto, auto) {});
    REQUIRE_FALSE(elsewhere.has_value());
    CHECK(contains(elsewhere.error().text, "cannot listen on 192.0.2.1:4000: "));
    CHECK(contains(elsewhere.error().text, "this machine has no such address"));
}

}  // namespace nq::detail::conformance
