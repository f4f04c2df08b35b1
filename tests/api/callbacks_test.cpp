// SPDX-License-Identifier: Apache-2.0
// docs/architecture.md, Threads: what runs on the callback thread, and whom it delays; and the
// options events and log.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <mutex>
#include <set>
#include <thread>

#include "network.hpp"

namespace nq::api {

namespace {

using std::chrono::milliseconds;

/// Which threads called.
class Callers {
  public:
    void note() const {
        const std::lock_guard lock(state_->mutex);
        state_->threads.insert(std::this_thread::get_id());
    }
    [[nodiscard]] std::set<std::thread::id> threads() const {
        const std::lock_guard lock(state_->mutex);
        return state_->threads;
    }

  private:
    struct State {
        std::mutex mutex;
        std::set<std::thread::id> threads;
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// A callback waits here until the test lets it go; at the latest when the gate goes.
class Gate {
  public:
    Gate() = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate() { open(); }
    void open() {
        if (!std::exchange(opened_, true)) latch_->count_down();
    }
    [[nodiscard]] std::function<void(const Uuid&)> waiter() const {
        return [latch = latch_](const Uuid&) { latch->wait(); };
    }

  private:
    std::shared_ptr<std::latch> latch_ = std::make_shared<std::latch>(1);
    bool opened_ = false;
};

}  // namespace

ON_EVERY_TRANSPORT("callbacks: all run on one thread, which is neither the user's nor a reactor") {
    Diary diary;
    const Callers callers;
    Tap& tap = network.tap();
    auto server = network.server(
        {.workers = 2,
         .events = {.ini = [callers](const Uuid&) { callers.note(); },
                    .fin = [callers](const Uuid&) { callers.note(); }},
         .log = [callers](LogLevel, std::string_view, std::string_view) { callers.note(); }});
    {
        auto one = network.client();
        auto other = network.client();
        REQUIRE(meet(server, one));
        REQUIRE(meet(server, other));
        std::atomic<bool> on_reactor{false};
        server.put("hello").on_ready([&, callers, diary](const Future::Outcome&) {
            callers.note();
            for (const detail::Reactor* reactor : tap.accepted_by()) {
                if (reactor->on_reactor_thread()) on_reactor = true;
            }
            diary.note("ready");
        });
        CHECK(diary.tells("ready"));
        CHECK_FALSE(on_reactor);
        CHECK(hear(one) == "hello");
        CHECK(hear(other) == "hello");
    }
    server.close();
    CHECK(callers.threads().size() == 1);
    CHECK_FALSE(callers.threads().contains(std::this_thread::get_id()));
}

ON_EVERY_TRANSPORT("callbacks: one that blocks delays other callbacks only") {
    Diary diary;
    Gate gate;
    auto server = network.server({.events = {.ini = gate.waiter()}});
    auto client = network.client();
    REQUIRE(meet(server, client));
    for (int i = 0; i < 100; ++i) {
        client.put("ping");
        CHECK(hear(server) == "ping");
        const Future future = server.put("pong");
        CHECK(hear(client) == "pong");
        CHECK(done(future));
        future.on_ready([diary](const Future::Outcome&) { diary.note("ready"); });
    }
    auto other = network.client();
    other.put("so do others");
    CHECK(hear(server) == "so do others");
    CHECK(diary.count("ready") == 0);
    gate.open();
    CHECK(diary.tells("ready", 100));
}

ON_EVERY_TRANSPORT("callbacks: one that throws is logged, and those after it are called") {
    Diary diary;
    Options options{.log = diary.log()};
    options.events.ini = [](const Uuid&) { throw std::domain_error("I dislike this peer"); };
    auto server = network.server(options);
    auto client = network.client();
    CHECK(diary.tells("error a callback threw: I dislike this peer"));
    REQUIRE(meet(server, client));
    server.put("hello").on_ready([](const Future::Outcome&) { throw 42; });
    CHECK(diary.tells("error a callback threw: an exception of an unknown type"));
    server.put("hello").on_ready([diary](const Future::Outcome&) { diary.note("the next"); });
    CHECK(diary.tells("the next"));
    CHECK(hear(client) == "hello");
}

ON_EVERY_TRANSPORT("callbacks: a log hook that throws harms nobody") {
    Options options;
    options.log = [](LogLevel, std::string_view, std::string_view) {
        throw std::runtime_error("the disk is full");
    };
    options.events.ini = [](const Uuid&) { throw std::domain_error("nor do I"); };
    auto server = network.server(options);
    {
        auto client = network.client();
        client.put("hello");
        CHECK(hear(server) == "hello");
    }
    server.close();
}

ON_EVERY_TRANSPORT("callbacks: they may use the queue") {
    std::optional<TextQueue> server;
    Options options;
    options.events.ini = [&server](const Uuid& peer) { server->put("welcome", peer); };
    server.emplace(network.server(options));
    auto client = network.client();
    CHECK(hear(client) == "welcome");
    Diary diary;
    client.put("one").on_ready([&client, diary](const Future::Outcome&) {
        client.put("two");
        diary.note("put");
    });
    CHECK(hear(*server) == "one");
    CHECK(hear(*server) == "two");
    CHECK(diary.tells("put"));
}

ON_EVERY_TRANSPORT("events: ini and fin come in order for each peer, with its id") {
    Diary diary;
    auto server = network.server({.events = diary.events()});
    std::vector<std::string> expected;
    const Uuid id = Uuid::random();
    for (int i = 0; i < 5; ++i) {
        auto client = network.client({.id = id});
        client.put("hello");
        CHECK(hear(server) == "hello");
        client.close();
        CHECK(diary.tells("fin", i + 1));
        expected.push_back("ini " + id.to_string());
        expected.push_back("fin " + id.to_string());
    }
    CHECK((diary.lines() == expected));
}

ON_EVERY_TRANSPORT("log: the hook is told level, category and text, and nothing is printed") {
    Diary diary;
    Options options;
    options.log = [diary](LogLevel level, std::string_view category, std::string_view text) {
        diary.note((level == LogLevel::info ? "info|" : "other|") + std::string(category) + "|" +
                   std::string(text));
    };
    auto server = network.server(options);
    Uuid id;
    {
        auto client = network.client();
        id = client.id();
        REQUIRE(meet(server, client));
    }
    CHECK(diary.tells("info|communicator|session of " + id.to_string() + " ended"));
}

}  // namespace nq::api
