// SPDX-License-Identifier: Apache-2.0
#include "io/resolver.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "io/limits.hpp"

namespace nq::detail {

namespace {

/// A name server that answers when it is told to.
struct SlowServer {
    std::promise<void> answer;
    std::shared_future<void> answered = answer.get_future().share();
    std::promise<void> asked;
};
SlowServer* slow_server = nullptr;

Result<Addresses> ask_slow_server(const NetworkLocation&) {
    const auto answered = slow_server->answered;
    slow_server->asked.set_value();
    answered.wait();
    return look_up({"127.0.0.1", 7});
}

std::optional<Result<Addresses>> resolve(Reactor& reactor, const NetworkLocation& location,
                                         Resolution::LookUp look_up_name = &look_up) {
    std::optional<Result<Addresses>> outcome;
    const Resolution resolution(
        reactor, location, [&outcome](auto result) { outcome = std::move(result); }, look_up_name);
    CHECK_FALSE(outcome.has_value());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!outcome && std::chrono::steady_clock::now() < deadline) reactor.run_once(deadline);
    return outcome;
}

Result<Addresses> must_not_be_asked(const NetworkLocation& location) {
    FAIL_CHECK("a thread for " << location.host);
    return Failure{Errc::unknown_peer, {}, "asked"};
}

}  // namespace

TEST_CASE("numeric addresses need no thread") {
    Reactor reactor;
    const auto four = resolve(reactor, {"127.0.0.1", 4711}, &must_not_be_asked);
    REQUIRE((four && four->has_value()));
    CHECK((**four).at(0).to_string() == "127.0.0.1:4711");
    const auto six = resolve(reactor, {"::1", 4711}, &must_not_be_asked);
    REQUIRE((six && six->has_value()));
    CHECK((**six).at(0).to_string() == "[::1]:4711");
}

TEST_CASE("names are looked up") {
    Reactor reactor;
    const auto found = resolve(reactor, {"localhost", 4711});
    REQUIRE((found && found->has_value()));
    CHECK((**found).at(0).port() == 4711);
}

TEST_CASE("a place without a name is no place") {
    Reactor reactor;
    const auto outcome = resolve(reactor, {"", 4711});
    REQUIRE((outcome && !outcome->has_value()));
    CHECK(outcome->error().code == Errc::unknown_peer);
    CHECK(look_up_local({"", 4711}).has_value());
}

TEST_CASE("giving up does not wait for the name server, nor does the reactor's end") {
    SlowServer server;
    slow_server = &server;
    bool told = false;
    {
        Reactor reactor;
        {
            const Resolution resolution(
                reactor, {"slow.example", 1}, [&told](auto) { told = true; }, &ask_slow_server);
            server.asked.get_future().wait();
        }
        reactor.run_once(TimePoint());
    }
    CHECK_FALSE(told);
    server.answer.set_value();  // and the thread finds that nobody wants to know
}

TEST_CASE("an answer that comes while it is given up is not told") {
    Reactor reactor;
    for (int i = 0; i < 200; ++i) {
        bool told = false;
        {
            const Resolution resolution(
                reactor, {"quick.example", 1}, [&told](auto) { told = true; },
                [](const NetworkLocation&) {
                    return look_up({"127.0.0.1", 7});
                });
            if (i % 2 == 0) std::this_thread::yield();
        }
        reactor.run_once(TimePoint());
        CHECK_FALSE(told);
    }
}

TEST_CASE("addresses are equal if all their parts are") {
    const auto address = [](const char* host, std::uint16_t port) {
        return look_up({host, port}).value().at(0);
    };
    CHECK(address("127.0.0.1", 1) == address("127.0.0.1", 1));
    CHECK_FALSE(address("127.0.0.1", 1) == address("127.0.0.1", 2));
    CHECK_FALSE(address("127.0.0.1", 1) == address("127.0.0.2", 1));
    CHECK(address("::1", 1) == address("::1", 1));
    CHECK_FALSE(address("::1", 1) == address("::2", 1));
    CHECK_FALSE(address("::1", 1) == address("127.0.0.1", 1));
    CHECK(SocketAddress().to_string() == "unknown address");
}

}  // namespace nq::detail
