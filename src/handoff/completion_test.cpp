// SPDX-License-Identifier: Apache-2.0
#include "handoff/completion.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace nq::detail {
namespace {

Failure reset() { return {make_error_code(Errc::connection_reset), Uuid(), "gone"}; }
Failure cancelled() { return {make_error_code(Errc::cancelled), Uuid(), "cancelled"}; }

TEST_CASE("a message is done once a higher count was published") {
    Completion completion{Uuid()};
    CHECK_FALSE(completion.poll(0).has_value());
    completion.publish(2);
    CHECK(completion.poll(0)->has_value());
    CHECK(completion.poll(1)->has_value());
    CHECK_FALSE(completion.poll(2).has_value());
}

TEST_CASE("the end of the session fails what is not done, and nothing else") {
    Completion completion{Uuid()};
    completion.publish(1);
    completion.fail(reset());
    CHECK(completion.poll(0)->has_value());
    CHECK(completion.poll(1)->error() == reset());
    completion.fail(cancelled());
    CHECK(completion.poll(1)->error() == reset());
}

TEST_CASE("a refused message stays refused when its number is passed") {
    Completion completion{Uuid()};
    completion.refuse(1, cancelled());
    completion.publish(3);
    CHECK(completion.poll(0)->has_value());
    CHECK(completion.poll(1)->error() == cancelled());
    CHECK(completion.poll(2)->has_value());
}

TEST_CASE("a subscriber is called once, whatever comes first") {
    Completion completion{Uuid()};
    std::vector<std::string> calls;
    const auto note = [&calls](const char* name) {
        return [&calls, name](const Completion::Outcome& outcome) {
            calls.push_back(std::string(name) + (outcome ? " done" : " failed"));
        };
    };
    completion.subscribe(1, note("one"));
    completion.subscribe(0, note("zero"));
    completion.subscribe(2, note("two"));
    completion.subscribe(3, note("three"));
    completion.publish(1);
    CHECK(calls == std::vector<std::string>{"zero done"});
    completion.refuse(2, cancelled());
    completion.publish(3);
    completion.fail(reset());
    CHECK(calls == std::vector<std::string>{"zero done", "two failed", "one done", "three failed"});
    completion.subscribe(0, note("late"));
    CHECK(calls.back() == "late done");
}

TEST_CASE("waiting ends with the deadline, or with the message") {
    Completion completion{Uuid()};
    CHECK_FALSE(completion.wait(0, Completion::Clock::now()));
    std::thread publisher([&completion] { completion.publish(1); });
    CHECK(completion.wait(0, std::nullopt));
    publisher.join();
}

TEST_CASE("no waiter is left behind by a publisher that runs beside it") {
    for (int round = 0; round < 2'000; ++round) {
        Completion completion{Uuid()};
        std::thread publisher([&completion] {
            completion.publish(1);
            completion.publish(2);
        });
        CHECK(completion.wait(0, std::nullopt));
        CHECK(completion.wait(1, std::nullopt));
        publisher.join();
    }
}

TEST_CASE("no subscriber is called twice or forgotten beside a publisher") {
    for (int round = 0; round < 500; ++round) {
        Completion completion{Uuid()};
        std::atomic<int> calls = 0;
        std::thread publisher([&completion] {
            for (std::uint64_t i = 1; i <= 50; ++i) completion.publish(i);
            completion.fail(reset());
        });
        for (std::uint64_t i = 0; i < 60; ++i) {
            completion.subscribe(i, [&calls](const Completion::Outcome&) { ++calls; });
        }
        publisher.join();
        CHECK(calls == 60);
    }
}

TEST_CASE("cancel asks whoever sends, and only while the message is open") {
    Completion completion{Uuid()};
    CHECK_FALSE(completion.cancel(0));
    completion.set_cancel([](std::uint64_t number) { return number == 7; });
    CHECK(completion.cancel(7));
    CHECK_FALSE(completion.cancel(6));
    completion.publish(8);
    CHECK_FALSE(completion.cancel(7));
}

}  // namespace
}  // namespace nq::detail
