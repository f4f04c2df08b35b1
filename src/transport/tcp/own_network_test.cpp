// SPDX-License-Identifier: Apache-2.0
// What takes a network of one's own (network_namespaces(7)): dead peers and slow ones, found by
// pulling its cable, and a machine with a single free port. Real time: it is the kernel's timers
// that are tried.
#include <doctest/doctest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/socket.hpp"
#include "transport/tcp/tcp_transport.hpp"

namespace nq::detail {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr seconds k_dead_after{3};

/// What a child process found; its exit status.
enum Finding { k_as_expected = 0, k_not_permitted = 40, k_no_connection, k_wrong };

struct Watcher final : ConnectionHandler {
    void handle_readable() override {}
    void handle_writable() override {}
    void handle_released(std::size_t) override {}
    void handle_lost(Failure failure) override { text = failure.text; }
    [[nodiscard]] bool dead() const { return text.find("no sign of life") != std::string::npos; }

    std::string text;
};

bool set_loopback(bool up) {
    const Socket any = Socket::open(AF_INET);
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = static_cast<short>(up ? IFF_UP | IFF_RUNNING : 0);
    return ::ioctl(any.fd(), SIOCSIFFLAGS, &request) == 0;
}

/// Two ends on one reactor, neither of which reads.
struct Ends {
    bool connect() {
        std::array<Reactor*, 1> reactors{&reactor};
        auto listening = transport->listen(reactors, {"127.0.0.1", 0},
                                           [this](auto connection) { server = connection; }, {});
        if (!listening) return false;
        listener = std::move(*listening);
        dial = transport->dial(reactor, listener->location(), [this](auto opened) {
            if (opened) client = *opened;
        });
        run_for(seconds(10), [this] { return client != nullptr && server != nullptr; });
        if (client == nullptr || server == nullptr) return false;
        client->set_handler(watcher);
        return true;
    }
    ~Ends() {
        if (client) client->close();
        if (server) server->close();
    }
    void run_for(Duration duration, const std::function<bool()>& enough) {
        const auto end = Clock::now() + duration;
        while (!enough() && Clock::now() < end) reactor.run_once(end);
    }

    Reactor reactor;
    std::unique_ptr<Transport> transport = make_tcp_transport({.dead_peer = k_dead_after});
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Dial> dial;
    std::shared_ptr<Connection> client;
    std::shared_ptr<Connection> server;
    std::shared_ptr<Watcher> watcher = std::make_shared<Watcher>();
};

/// Runs a scene in a process and a network of its own.
Finding on_own_network(Finding (*scene)(Ends&)) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 || !set_loopback(true)) {
            ::_exit(k_not_permitted);
        }
        Ends ends;
        ::_exit(ends.connect() ? scene(ends) : k_no_connection);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return static_cast<Finding>(WEXITSTATUS(status));
}

void expect(Finding finding) {
    if (finding == k_not_permitted) {
        MESSAGE("skipped: this process may not have a network of its own");
        return;
    }
    CHECK(finding == k_as_expected);
}

}  // namespace

TEST_CASE("an idle peer that is cut off is found dead") {
    expect(on_own_network([](Ends& ends) {
        set_loopback(false);
        ends.run_for(4 * k_dead_after, [&] { return ends.watcher->dead(); });
        return ends.watcher->dead() ? k_as_expected : k_wrong;
    }));
}

TEST_CASE("a peer that is cut off while octets are outstanding is found dead") {
    expect(on_own_network([](Ends& ends) {
        set_loopback(false);
        (void)ends.client->send(std::array<Chunk, 1>{Chunk("are you there?")});
        ends.run_for(4 * k_dead_after, [&] { return ends.watcher->dead(); });
        return ends.watcher->dead() ? k_as_expected : k_wrong;
    }));
}

TEST_CASE("a peer that does not read is alive, however long its window is closed") {
    expect(on_own_network([](Ends& ends) {
        const std::array<Chunk, 1> much{Chunk::take(std::vector<std::byte>(1 << 20))};
        while (true) {
            const auto sent = ends.client->send(much);
            if (!sent) return k_wrong;
            if (sent->taken < much[0].size()) break;
        }
        // Probes go out after 0.2, 0.6, 1.4, 3 and 6.2 s, so its silence outlasts the limit.
        ends.run_for(3 * k_dead_after, [&] { return !ends.watcher->text.empty(); });
        return ends.watcher->text.empty() ? k_as_expected : k_wrong;
    }));
}

TEST_CASE("nobody is connected with oneself") {
    expect(on_own_network([](Ends& ends) {
        // A dial to the only port there is for outgoing connections gets that very port for its own
        // end, and TCP connects the socket with itself.
        std::ofstream("/proc/sys/net/ipv4/ip_local_port_range") << "40000 40000";
        std::string range;
        std::getline(std::ifstream("/proc/sys/net/ipv4/ip_local_port_range"), range);
        if (range != "40000\t40000") return k_not_permitted;
        std::string outcome;
        const auto dial = ends.transport->dial(
            ends.reactor, {"127.0.0.1", 40'000},
            [&outcome](auto opened) { outcome = opened ? "connected" : opened.error().text; });
        ends.run_for(seconds(10), [&] { return !outcome.empty(); });
        return outcome.find("is a server running") != std::string::npos ? k_as_expected : k_wrong;
    }));
}

}  // namespace nq::detail
