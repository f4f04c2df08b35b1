// SPDX-License-Identifier: Apache-2.0
#include "io/reactor.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <ctime>
#include <functional>
#include <string>
#include <thread>

namespace nq::detail {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Writes down what it is told.
struct Recorder final : Reactor::Source {
    void handle_ready(bool readable, bool writable) override {
        if (readable) ++times_readable;
        if (writable) ++times_writable;
        if (on_ready) on_ready();
    }
    void handle_hangup(bool both_directions) override { ++(both_directions ? over : half_over); }
    void handle_reactor_gone() override { reactor_gone = true; }

    int times_readable = 0;
    int times_writable = 0;
    int half_over = 0;
    int over = 0;
    bool reactor_gone = false;
    std::function<void()> on_ready;
};

/// Two connected sockets.
struct Wire {
    Wire() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0); }
    ~Wire() {
        ::close(ends[0]);
        if (ends[1] >= 0) ::close(ends[1]);
    }
    void poke() { REQUIRE(::write(ends[1], "x", 1) == 1); }
    void drain() {
        std::array<char, 64> room;
        while (::read(ends[0], room.data(), room.size()) > 0) {
        }
    }
    void close_far_end() { ::close(std::exchange(ends[1], -1)); }

    std::array<int, 2> ends{};
};

void round(Reactor& reactor) { reactor.run_once(TimePoint()); }

/// What this thread has of a processor in a round of so long in which nothing happens.
Duration spent_waiting(Reactor& reactor, Duration wait) {
    const auto spent = [] {
        timespec time{};
        REQUIRE(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    const auto before = spent();
    reactor.run_once(Clock::now() + wait);
    return spent() - before;
}

}  // namespace

TEST_CASE("tasks run in the order posted, those posted by tasks in a later round") {
    Reactor reactor;
    std::string order;
    reactor.post([&] {
        order += 'a';
        reactor.post([&] { order += 'c'; });
    });
    reactor.post([&] { order += 'b'; });
    round(reactor);
    CHECK(order == "ab");
    round(reactor);
    CHECK(order == "abc");
}

TEST_CASE("stop lets the tasks posted before it run") {
    Reactor reactor;
    int runs = 0;
    for (int i = 0; i < 3; ++i) reactor.post([&] { ++runs; });
    reactor.stop();
    reactor.run();
    CHECK(runs == 3);
    CHECK_FALSE(reactor.run_once(Clock::now() + std::chrono::hours(1)));  // returns at once
}

TEST_CASE("a task from another thread ends the wait") {
    Reactor reactor;
    std::thread runner([&] { reactor.run(); });
    for (int i = 0; i < 1000; ++i) {
        std::atomic<bool> ran{false};
        reactor.post([&] {
            ran = reactor.on_reactor_thread();
            ran.notify_one();
        });
        ran.wait(false);
    }
    CHECK_FALSE(reactor.on_reactor_thread());
    reactor.stop();
    runner.join();
}

TEST_CASE("edges are told once each") {
    Reactor reactor;
    Wire wire;
    const auto source = std::make_shared<Recorder>();
    reactor.watch(wire.ends[0], source);
    round(reactor);
    CHECK(source->times_readable == 0);
    CHECK(source->times_writable == 1);
    wire.poke();
    round(reactor);
    round(reactor);
    CHECK(source->times_readable == 1);
    wire.poke();
    round(reactor);
    CHECK(source->times_readable == 2);
    reactor.unwatch(wire.ends[0]);
    wire.poke();
    round(reactor);
    CHECK(source->times_readable == 2);
    CHECK(source.use_count() == 1);
}

TEST_CASE("hang-ups are told before the readiness that comes with them") {
    Reactor reactor;
    Wire wire;
    const auto source = std::make_shared<Recorder>();
    reactor.watch(wire.ends[0], source);
    REQUIRE(::shutdown(wire.ends[1], SHUT_WR) == 0);
    round(reactor);
    CHECK(source->half_over == 1);
    CHECK(source->times_readable == 1);
    wire.close_far_end();
    round(reactor);
    CHECK(source->over == 1);
    CHECK(source->times_readable == 2);
    CHECK(source->times_writable == 2);
    reactor.unwatch(wire.ends[0]);
}

TEST_CASE("an event that waits in the same batch is not told after unwatch") {
    Reactor reactor;
    Wire wires[2];
    const std::array<std::shared_ptr<Recorder>, 2> sources{std::make_shared<Recorder>(),
                                                           std::make_shared<Recorder>()};
    const auto newcomer = std::make_shared<Recorder>();
    for (std::size_t i = 0; i < 2; ++i) {
        // Whoever comes first takes the other's descriptor away, and its number gets a new life.
        sources[i]->on_ready = [&, i] {
            const int other = wires[1 - i].ends[0];
            reactor.unwatch(other);
            wires[1 - i].drain();
            reactor.watch(other, newcomer);
        };
        reactor.watch(wires[i].ends[0], sources[i]);
    }
    for (Wire& wire : wires) wire.poke();
    round(reactor);
    CHECK(sources[0]->times_readable + sources[1]->times_readable == 1);
    CHECK(newcomer->times_writable == 0);
    round(reactor);
    CHECK(newcomer->times_writable == 1);  // its own first edge
    CHECK(newcomer->times_readable == 0);
    for (Wire& wire : wires) reactor.unwatch(wire.ends[0]);
}

TEST_CASE("a source may unwatch itself and go") {
    Reactor reactor;
    Wire wire;
    auto source = std::make_shared<Recorder>();
    const std::weak_ptr<Recorder> seen = source;
    source->on_ready = [&] { reactor.unwatch(wire.ends[0]); };
    reactor.watch(wire.ends[0], std::move(source));
    round(reactor);
    CHECK(seen.expired());
}

TEST_CASE("a reactor that goes says so to what it watches") {
    Wire wire;
    const auto source = std::make_shared<Recorder>();
    {
        Reactor reactor;
        reactor.watch(wire.ends[0], source);
    }
    CHECK(source->reactor_gone);
    CHECK(source.use_count() == 1);
}

TEST_CASE("tasks, timers and sources dropped with a reactor may own what uses it") {
    struct Nuisance {
        explicit Nuisance(Reactor& with) : reactor(with) {}
        ~Nuisance() {
            timer.cancel();
            reactor.post([] {});
        }
        Reactor& reactor;
        Reactor::Timer timer;
    };
    Reactor reactor;
    for (int i = 0; i < 2; ++i) {
        const auto nuisance = std::make_shared<Nuisance>(reactor);
        nuisance->timer = reactor.call_after(std::chrono::hours(1), [nuisance] {});
        reactor.post([nuisance] {});
        reactor.take_turn([nuisance] {});
    }
}

TEST_CASE("turns come in the order asked for, as many as a round has time for") {
    Reactor reactor;
    std::string order;
    const auto work = [&](char name, std::uint64_t amount) {
        return [&, name, amount] {
            order += name;
            reactor.count_work(amount);
        };
    };
    reactor.take_turn(work('a', limits::k_round_work - 1));
    reactor.take_turn([&] {
        order += 'b';
        CHECK_FALSE(reactor.round_over());
        reactor.count_work(1);
        CHECK(reactor.round_over());
        reactor.take_turn(work('e', 0));  // behind those who wait
    });
    reactor.take_turn(work('c', limits::k_round_work));
    reactor.take_turn(work('d', 0));
    // Nobody has to wake a reactor that has turns to give.
    reactor.run_once(TimePoint::max());
    CHECK(order == "ab");
    reactor.run_once(TimePoint::max());
    CHECK(order == "abc");
    reactor.run_once(TimePoint::max());
    CHECK(order == "abcde");
}

TEST_CASE("a turn asked for in a turn comes in a later round") {
    Reactor reactor;
    int turns = 0;
    std::function<void()> again = [&] {
        ++turns;
        reactor.take_turn(again);
    };
    reactor.take_turn(again);
    for (int i = 1; i <= 3; ++i) {
        round(reactor);
        CHECK(turns == i);
    }
}

TEST_CASE("events, timers and tasks have their place in every round, turns or not") {
    Reactor reactor;
    Wire wire;
    const auto source = std::make_shared<Recorder>();
    reactor.watch(wire.ends[0], source);
    round(reactor);
    std::function<void()> busy = [&] {
        reactor.count_work(limits::k_round_work);
        reactor.take_turn(busy);
    };
    reactor.take_turn(busy);
    source->on_ready = [&] { CHECK(reactor.round_over()); };
    bool due = false;
    bool ran = false;
    const auto timer = reactor.call_at(TimePoint(), [&] { due = true; });
    reactor.post([&] { ran = true; });
    wire.poke();
    round(reactor);
    CHECK(source->times_readable == 1);
    CHECK(due);
    CHECK(ran);
    reactor.unwatch(wire.ends[0]);
}

TEST_CASE("a reactor that retires gives the turns that are left") {
    Reactor reactor;
    int turns = 0;
    for (int i = 0; i < 3; ++i) {
        reactor.take_turn([&] {
            ++turns;
            reactor.count_work(limits::k_round_work);
        });
    }
    reactor.stop();
    reactor.run();
    CHECK(turns == 1);
    reactor.retire();
    CHECK(turns == 3);
}

TEST_CASE("timers run when due, in the order they are due, and not before") {
    Reactor reactor;
    std::string order;
    const auto start = Clock::now();
    TimePoint last;
    const auto late = reactor.call_at(start + milliseconds(4), [&] {
        order += 'c';
        last = Clock::now();
    });
    const auto early = reactor.call_at(start + milliseconds(1), [&] { order += 'a'; });
    const auto same = reactor.call_at(start + milliseconds(1), [&] { order += 'b'; });
    auto never = reactor.call_at(start + milliseconds(2), [&] { order += '!'; });
    CHECK(late.armed());
    never.cancel();
    CHECK_FALSE(never.armed());
    while (late.armed()) reactor.run_once(TimePoint::max());
    CHECK(order == "abc");
    CHECK(last >= start + milliseconds(4));
    CHECK_FALSE(early.armed());
    CHECK_FALSE(same.armed());
}

TEST_CASE("the wait for a timer does not spin") {
    Reactor reactor;
    bool ran = false;
    const auto timer = reactor.call_after(std::chrono::microseconds(1500), [&] { ran = true; });
    int rounds = 0;
    while (!ran) {
        reactor.run_once(TimePoint::max());
        ++rounds;
    }
    CHECK(rounds <= 2);
}

TEST_CASE("a timer may be moved, dropped, and armed again by its own task") {
    Reactor reactor;
    int runs = 0;
    Reactor::Timer timer;
    std::function<void()> tick = [&] {
        if (++runs < 3) timer = reactor.call_at(TimePoint(), tick);
    };
    timer = reactor.call_at(TimePoint(), tick);
    Reactor::Timer moved = std::move(timer);
    CHECK(moved.armed());
    CHECK_FALSE(timer.armed());
    round(reactor);
    CHECK(runs == 1);  // what is armed in a round comes in the next
    round(reactor);
    round(reactor);
    round(reactor);
    CHECK(runs == 3);
    { const auto dropped = reactor.call_at(TimePoint(), tick); }
    round(reactor);
    CHECK(runs == 3);
}

TEST_CASE("a signal ends a round but not a run") {
    static std::atomic<int> signals{0};
    struct sigaction action {};
    action.sa_handler = [](int) { ++signals; };
    struct sigaction before {};
    REQUIRE(::sigaction(SIGALRM, &action, &before) == 0);
    const itimerval every_ms{{0, 1000}, {0, 1000}};
    const itimerval off{};
    REQUIRE(::setitimer(ITIMER_REAL, &every_ms, nullptr) == 0);

    Reactor reactor;
    CHECK(reactor.run_once(Clock::now() + std::chrono::hours(1)));
    CHECK(signals > 0);
    const auto timer = reactor.call_after(milliseconds(20), [&] { reactor.stop(); });
    const auto start = Clock::now();
    reactor.run();
    CHECK(Clock::now() - start >= milliseconds(20));

    REQUIRE(::setitimer(ITIMER_REAL, &off, nullptr) == 0);
    REQUIRE(::sigaction(SIGALRM, &before, nullptr) == 0);
}

TEST_CASE("busy_poll: a wait after a short one keeps looking, one after a long one sleeps") {
    constexpr milliseconds k_poll{200};
    Reactor reactor(k_poll);
    Wire wire;
    const auto source = std::make_shared<Recorder>();
    reactor.watch(wire.ends[0], source);
    round(reactor);  // it is writable
    const auto looking = spent_waiting(reactor, k_poll);
    const auto sleeping = spent_waiting(reactor, k_poll);
    CHECK(looking > sleeping * 4);
    // A deadline within the time for looking is no reason to begin with it, nor to end it, nor to
    // begin anew.
    (void)spent_waiting(reactor, k_poll / 4);
    CHECK(looking > spent_waiting(reactor, k_poll) * 4);
    wire.poke();
    round(reactor);  // it came late
    wire.poke();
    round(reactor);
    (void)spent_waiting(reactor, k_poll / 4);
    (void)spent_waiting(reactor, k_poll / 4);
    CHECK(spent_waiting(reactor, k_poll) > sleeping * 4);
    CHECK(looking > spent_waiting(reactor, k_poll / 4) * 4);
    reactor.unwatch(wire.ends[0]);
}

TEST_CASE("busy_poll: tasks, timers and descriptors end a look as they end a sleep") {
    Reactor reactor(std::chrono::hours(1));  // it never sleeps, once something has come
    Wire wire;
    const auto source = std::make_shared<Recorder>();
    reactor.watch(wire.ends[0], source);
    round(reactor);
    bool due = false;
    const auto timer = reactor.call_after(milliseconds(2), [&] { due = true; });
    while (!due) REQUIRE(reactor.run_once(TimePoint::max()));
    std::thread other([&] {
        std::atomic<bool> ran{false};
        reactor.post([&] {
            ran = true;
            ran.notify_one();
        });
        ran.wait(false);
        wire.poke();
    });
    while (source->times_readable == 0) REQUIRE(reactor.run_once(TimePoint::max()));
    other.join();
    reactor.unwatch(wire.ends[0]);
}

TEST_CASE("several threads post, each in its order") {
    constexpr int k_threads = 4;
    constexpr int k_tasks = 5'000;
    Reactor reactor;
    std::array<int, k_threads> next{};
    int misplaced = 0;
    std::vector<std::thread> posters;
    for (std::size_t t = 0; t < k_threads; ++t) {
        posters.emplace_back([&, t] {
            for (int i = 0; i < k_tasks; ++i) {
                reactor.post([&, t, i] {
                    if (next[t]++ != i) ++misplaced;
                });
            }
            reactor.post([&] {
                if (next == std::array{k_tasks, k_tasks, k_tasks, k_tasks}) reactor.stop();
            });
        });
    }
    reactor.run();
    for (std::thread& poster : posters) poster.join();
    CHECK(misplaced == 0);
}

}  // namespace nq::detail
