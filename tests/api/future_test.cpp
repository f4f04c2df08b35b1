// SPDX-License-Identifier: Apache-2.0
// docs/guarantees.md, Future, sentence by sentence.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <optional>
#include <stdexcept>
#include <thread>

#include "network.hpp"

namespace nq::api {

namespace {

using std::chrono::milliseconds;

/// Watches a future: how often it completed, and how.
class Watcher {
  public:
    explicit Watcher(const Future& future) {
        future.on_ready([diary = diary_](const Future::Outcome& outcome) {
            diary.note(outcome ? "done" : outcome.error().code.message());
        });
    }
    /// What it completed with, "" if nothing comes in time.
    [[nodiscard]] std::string verdict() const {
        return diary_.tells("") ? diary_.lines().front() : "";
    }
    [[nodiscard]] int completions() const { return diary_.count(""); }

  private:
    Diary diary_;
};

std::string text_of(Errc code) { return make_error_code(code).message(); }

/// A coroutine that nobody waits for.
struct Detached {
    struct promise_type {
        Detached get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
};

Detached await_into(Future future, Diary diary, std::thread::id* resumed_on) {
    try {
        co_await future;
        *resumed_on = std::this_thread::get_id();
        diary.note("done");
    } catch (const ConnectionError& error) {
        *resumed_on = std::this_thread::get_id();
        diary.note("failed: " + error.peer().to_string());
    }
}

/// A server and a client that know each other, with a hand on the line.
struct Talk {
    explicit Talk(Network& network)
        : tap(network.tap()), server(network.server()), client(network.client()) {
        REQUIRE(meet(server, client));
        (void)tap.take_writes();
    }
    /// The client's octets wait from now on.
    void hold() { tap.allow(Tap::Side::client, 0); }
    void let_go() { tap.allow(Tap::Side::client, Tap::k_unlimited); }

    Tap& tap;
    TextQueue server;
    TextQueue client;
};

}  // namespace

TEST_CASE("future: one of no put is done") {
    const Future future;
    CHECK(future.ready());
    future.get();
    CHECK_FALSE(future.cancel());
    CHECK(Watcher(future).verdict() == "done");
}

ON_EVERY_TRANSPORT("future: done once the transport has taken all of it, not before") {
    Talk talk(network);
    const std::string large = pattern(100'000);
    talk.tap.allow(Tap::Side::client, 8 + 99'999);
    const Future future = talk.client.put(large);
    REQUIRE(eventually([&talk, taken = std::size_t{0}]() mutable {
        for (const Write& write : talk.tap.take_writes())
            taken += write.by_client ? write.taken : 0;
        return taken >= 8 + 99'999;
    }));
    CHECK_FALSE(future.ready());
    talk.let_go();
    CHECK(done(future));
    CHECK((hear(talk.server) == large));
}

ON_EVERY_TRANSPORT("future: wait_for waits at most so long; wait and get as long as it takes") {
    Talk talk(network);
    talk.hold();
    const Future future = talk.client.put("patience");
    const auto begin = std::chrono::steady_clock::now();
    CHECK_FALSE(future.wait_for(milliseconds(20)));
    CHECK((std::chrono::steady_clock::now() - begin >= milliseconds(20)));
    CHECK_FALSE(future.wait_for(milliseconds(0)));
    CHECK_FALSE(future.ready());
    std::atomic<int> through{0};
    std::jthread waiter([&future, &through] {
        future.wait();
        ++through;
    });
    std::jthread getter([&future, &through] {
        future.get();
        ++through;
    });
    CHECK(through == 0);
    talk.let_go();
    waiter.join();
    getter.join();
    CHECK(through == 2);
    CHECK(future.ready());
    CHECK(future.wait_for(milliseconds(0)));
}

ON_EVERY_TRANSPORT("future: wait_for as long as can be is no overflow") {
    Talk talk(network);
    talk.hold();
    const Future future = talk.client.put("for ever");
    std::atomic<bool> complete{false};
    std::jthread waiter(
        [&future, &complete] { complete = future.wait_for(std::chrono::nanoseconds::max()); });
    talk.let_go();
    waiter.join();
    CHECK(complete);
}

ON_EVERY_TRANSPORT("future: on_ready calls once, on the callback thread, ready or not yet") {
    Talk talk(network);
    talk.hold();
    const Future future = talk.client.put("later");
    Diary diary;
    std::thread::id early;
    std::thread::id late;
    future.on_ready([&](const Future::Outcome& outcome) {
        early = std::this_thread::get_id();
        diary.note(outcome ? "early done" : "early failed");
    });
    CHECK(diary.count("early") == 0);
    talk.let_go();
    CHECK(diary.tells("early done"));
    future.on_ready([&](const Future::Outcome& outcome) {
        late = std::this_thread::get_id();
        diary.note(outcome ? "late done" : "late failed");
    });
    CHECK(diary.tells("late done"));
    CHECK((early == late));
    CHECK((early != std::this_thread::get_id()));
    talk.client.close();
    CHECK(diary.count("") == 2);
}

ON_EVERY_TRANSPORT("future: co_await resumes on the callback thread, and throws as get does") {
    Talk talk(network);
    talk.hold();
    Diary diary;
    std::thread::id done_on;
    std::thread::id failed_on;
    std::thread::id callback_thread;
    const Future held = talk.client.put("later");
    await_into(held, diary, &done_on);
    CHECK(diary.count("") == 0);
    talk.let_go();
    CHECK(diary.tells("done"));
    held.on_ready([&](const Future::Outcome&) {
        callback_thread = std::this_thread::get_id();
        diary.note("called");
    });
    CHECK(diary.tells("called"));
    CHECK((done_on == callback_thread));
    // What is complete already is not worth a suspension.
    const Uuid nobody = Uuid::random();
    await_into(talk.client.put("for nobody", nobody), diary, &failed_on);
    CHECK(diary.count("failed: " + nobody.to_string()) == 1);
    CHECK((failed_on == std::this_thread::get_id()));
}

ON_EVERY_TRANSPORT("future: futures has one per peer, in their order, each with its own outcome") {
    auto server = network.server();
    auto one = network.client();
    auto other = network.client();
    REQUIRE(meet(server, one));
    REQUIRE(meet(server, other));
    const Uuid nobody = Uuid::random();
    const std::vector<Uuid> named{one.id(), nobody, other.id()};
    const Future future = server.put("to three", std::span<const Uuid>(named));
    CHECK((future.peers() == named));
    const auto each = future.futures();
    REQUIRE(each.size() == 3);
    CHECK(done(each[0]));
    CHECK((failure_of(each[1]) == Errc::unknown_peer));
    CHECK(done(each[2]));
    // Also one that never came to a session calls back on the callback thread.
    Diary diary;
    std::array<std::thread::id, 3> called_on;
    for (std::size_t i = 0; i < each.size(); ++i) {
        each[i].on_ready([&called_on, i, diary](const Future::Outcome&) {
            called_on[i] = std::this_thread::get_id();
            diary.note("called");
        });
    }
    REQUIRE(diary.tells("called", 3));
    CHECK((called_on[1] != std::this_thread::get_id()));
    CHECK((called_on[1] == called_on[0]));
    CHECK((called_on[1] == called_on[2]));
    CHECK(hear(one) == "to three");
    CHECK(hear(other) == "to three");
    // The future of all fails with the peer that failed, after all have had their turn.
    try {
        future.get();
        FAIL_CHECK("get returned");
    } catch (const ConnectionError& error) {
        CHECK((error.peer() == nobody));
    }
    CHECK(Watcher(future).verdict() == text_of(Errc::unknown_peer));
}

ON_EVERY_TRANSPORT_BUT_MQTT(
    "future: a broadcast completes with the last of its peers, with one failure",
    "a broker takes what is for a client that has left") {
    Tap& tap = network.tap();
    auto server = network.server({.session_expiry = milliseconds(1)});
    auto stays = network.client();
    REQUIRE(meet(server, stays));
    std::optional<TextQueue> goes = network.client();
    const Uuid gone = goes->id();
    REQUIRE(meet(server, *goes));
    tap.allow(Tap::Side::server, 0);
    const Future future = server.put("to both");
    const Watcher watcher(future);
    CHECK_FALSE(future.ready());
    (void)goes->close_for(milliseconds(0));
    goes.reset();
    for (const Future& each : future.futures()) {
        if (each.peers().front() == gone) CHECK((failure_of(each) == Errc::connection_reset));
    }
    CHECK_FALSE(future.ready());
    tap.allow(Tap::Side::server, Tap::k_unlimited);
    CHECK(hear(stays) == "to both");
    CHECK(watcher.verdict() == text_of(Errc::connection_reset));
    CHECK((future.result().error().peer == gone));
    CHECK(watcher.completions() == 1);
}

ON_EVERY_TRANSPORT("future: cancel takes back what was not sent; it completes as cancelled, once") {
    Tap& tap = network.tap();
    auto server = network.server();
    // No more than 1,000 octets are offered at once, so what comes behind the first is not begun.
    auto client = network.client({.connection = {.transport_size = 1000}});
    REQUIRE(meet(server, client));
    tap.allow(Tap::Side::client, 0);
    const std::string large = pattern(5000);
    const Future first = client.put(large);
    const Future second = client.put("second");
    const Future third = client.put("third");
    const Watcher watcher(second);
    CHECK(second.cancel());
    CHECK(second.ready());
    CHECK((failure_of(second) == Errc::cancelled));
    CHECK_THROWS_AS(second.get(), Cancelled);
    CHECK_FALSE(second.cancel());
    tap.allow(Tap::Side::client, Tap::k_unlimited);
    CHECK((hear(server) == large));
    CHECK(hear(server) == "third");
    CHECK(done(first));
    CHECK(done(third));
    CHECK_FALSE(first.cancel());
    CHECK(watcher.verdict() == text_of(Errc::cancelled));
    CHECK(watcher.completions() == 1);
}

ON_EVERY_TRANSPORT_BUT_MQTT("future: a cancelled put is not sent, though the server comes later",
                            "a client must come after the server has subscribed") {
    network.leave_empty();
    auto client = network.client();
    const Future kept = client.put("kept");
    const Future cancelled = client.put("cancelled");
    const Future named = client.put("cancelled too", Uuid::random());
    CHECK(cancelled.cancel());
    CHECK(named.cancel());
    CHECK((failure_of(cancelled) == Errc::cancelled));
    CHECK(client.stats().peers.at(0).queued_bytes == 4);
    auto server = network.server_at_its_place({.netloc = network.location});
    CHECK(hear(server) == "kept");
    client.put("the end");
    CHECK(hear(server) == "the end");
    CHECK(done(kept));
    CHECK((failure_of(named) == Errc::cancelled));
    client.close();
}

ON_EVERY_TRANSPORT("future: cancel never cuts a message in two") {
    Talk talk(network);
    talk.tap.allow(Tap::Side::client, 10);
    const std::string large = pattern(200'000);
    const Future begun = talk.client.put(large);
    REQUIRE(eventually([&talk] { return !talk.tap.take_writes().empty(); }));
    CHECK_FALSE(begun.cancel());
    talk.let_go();
    CHECK((hear(talk.server) == large));
    CHECK(done(begun));
}

ON_EVERY_TRANSPORT("future: dropping one neither blocks nor cancels") {
    Talk talk(network);
    talk.hold();
    for (int i = 0; i < 100; ++i) {
        const Future dropped = talk.client.put(std::to_string(i));
    }
    talk.let_go();
    for (int i = 0; i < 100; ++i) CHECK(hear(talk.server) == std::to_string(i));
}

ON_EVERY_TRANSPORT("future: it may outlive its queue, and on_ready then calls here and now") {
    Future finished;
    Future failed;
    {
        auto server = network.server();
        auto client = network.client();
        finished = client.put("hello");
        failed = client.put("hello?", Uuid::random());
        CHECK(hear(server) == "hello");
    }
    CHECK(done(finished));
    CHECK((failure_of(failed) == Errc::unknown_peer));
    std::thread::id called_on;
    finished.on_ready([&](const Future::Outcome&) { called_on = std::this_thread::get_id(); });
    CHECK((called_on == std::this_thread::get_id()));
    finished.on_ready([](const Future::Outcome&) { throw std::runtime_error("nobody hears it"); });
    CHECK_FALSE(finished.cancel());
}

ON_EVERY_TRANSPORT("future: what is the user's goes with the queue, not with its futures") {
    const auto token = std::make_shared<int>();
    Future future;
    {
        auto server = network.server();
        auto client =
            network.client({.log = [token](LogLevel, std::string_view, std::string_view) {}});
        future = client.put("hello");
        CHECK(hear(server) == "hello");
        CHECK(token.use_count() > 1);
    }
    CHECK(token.use_count() == 1);
    CHECK(done(future));
}

TEST_CASE("future: threads make and drop those of several queues, and some when they end") {
    Network network(Wire::memory);
    auto server = network.server();
    auto first = network.client();
    auto second = network.client();
    REQUIRE(meet(server, first));
    REQUIRE(meet(server, second));
    constexpr int k_threads = 4;
    constexpr int k_puts = 200;
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < k_threads; ++t) {
        threads.emplace_back([&first, &second, &failed] {
            thread_local std::vector<Future> kept;  // they go with the thread
            for (int i = 0; i < k_puts; ++i) {
                (void)first.put("1");  // dropped at once, as often as not one after the other
                Future future = i % 3 == 0 ? first.put("2") : second.put("2");
                if (i % 5 == 0) kept.push_back(future);
                if (i % 7 == 0) kept.push_back(std::move(future));
            }
            for (const Future& each : kept) failed += each.result() ? 0 : 1;
        });
    }
    for (int i = 0; i < k_threads * k_puts * 2; ++i) (void)server.get();
    for (std::thread& thread : threads) thread.join();
    CHECK(failed == 0);
}

ON_EVERY_TRANSPORT("future: completes exactly once when the peer leaves") {
    Talk talk(network);
    talk.tap.allow(Tap::Side::server, 0);
    const Future future = talk.server.put("too late", talk.client.id());
    const Watcher watcher(future);
    (void)talk.client.close_for(milliseconds(0));
    CHECK_FALSE(watcher.completions() > 1);
    talk.server.close_for(milliseconds(0));
    CHECK_FALSE(watcher.verdict() == "done");
    CHECK(watcher.completions() == 1);
}

ON_EVERY_TRANSPORT("future: completes exactly once when the lost peer expires") {
    Tap& tap = network.tap();
    auto server = network.server({.session_expiry = milliseconds(1000)});
    std::optional<Watcher> watcher;
    {
        auto client = network.client();
        REQUIRE(meet(server, client));
        tap.lose_connections();
        REQUIRE(eventually([&] { return is_lost(server, client.id()); }));
        watcher.emplace(server.put("are you coming back?"));
        CHECK(watcher->completions() == 0);
    }
    CHECK(watcher->verdict() == text_of(Errc::connection_reset));
    CHECK(eventually([&] { return server.stats().sessions_expired == 1; }));
    server.close();
    CHECK(watcher->completions() == 1);
}

ON_EVERY_TRANSPORT("future: completes exactly once when the client's server is lost") {
    Talk talk(network);
    talk.hold();
    const Future future = talk.client.put("too late");
    const Watcher watcher(future);
    talk.tap.lose_connections();
    CHECK(watcher.verdict() == text_of(Errc::connection_reset));
    CHECK((future.result().error().peer == talk.server.id()));
    talk.client.close();
    CHECK(watcher.completions() == 1);
}

ON_EVERY_TRANSPORT("future: completes exactly once when close runs out of time") {
    Talk talk(network);
    talk.hold();
    const Future future = talk.client.put("too late");
    const Watcher watcher(future);
    CHECK_FALSE(talk.client.close_for(milliseconds(10)).clean);
    CHECK(future.ready());
    CHECK((failure_of(future) == Errc::connection_aborted));
    CHECK(watcher.verdict() == text_of(Errc::connection_aborted));
    CHECK(watcher.completions() == 1);
}

ON_EVERY_TRANSPORT(
    "future: completes exactly once when its queue goes while an exception unwinds") {
    network.leave_empty();
    std::optional<Watcher> watcher;
    try {
        auto client = network.client();
        watcher.emplace(client.put("never"));
        throw std::runtime_error("something else went wrong");
    } catch (const std::runtime_error&) {
        CHECK_FALSE(watcher->verdict() == "done");
        CHECK(watcher->completions() == 1);
    }
}

ON_EVERY_TRANSPORT("future: cancelled by two threads while it is sent, it completes once") {
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    int cancelled = 0;
    for (int i = 0; i < 300; ++i) {
        client.put("another");  // goes out at once; the one behind it waits for a moment
        const Future future = client.put(std::to_string(i));
        std::atomic<int> taken_back{0};
        std::jthread helper([&] { taken_back += future.cancel() ? 1 : 0; });
        taken_back += future.cancel() ? 1 : 0;
        helper.join();
        REQUIRE(taken_back <= 1);
        REQUIRE(hear(server) == "another");
        if (taken_back == 1) {
            REQUIRE((failure_of(future) == Errc::cancelled));
            ++cancelled;
        } else {
            REQUIRE(done(future));
            REQUIRE(hear(server) == std::to_string(i));
        }
    }
    MESSAGE("cancelled " << cancelled << " of 300");
}

}  // namespace nq::api
