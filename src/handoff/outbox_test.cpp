// SPDX-License-Identifier: Apache-2.0
#include "handoff/outbox.hpp"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

namespace nq::detail {
namespace {

std::string text_of(const Stream& stream) { return std::string(stream.to_chunk().text()); }

std::vector<std::string> drain(Outbox& outbox) {
    std::vector<std::string> texts;
    outbox.drain([&texts](Stream&& message, const std::optional<Uuid>&) {
        texts.push_back(text_of(message));
    });
    return texts;
}

TEST_CASE("messages are numbered from 0 and drained in that order") {
    Baton baton;
    Outbox outbox(baton);
    CHECK(outbox.push(Stream(Chunk("a")), std::nullopt) == 0);
    CHECK(outbox.push(Stream(Chunk("b")), std::nullopt) == 1);
    CHECK(drain(outbox) == std::vector<std::string>{"a", "b"});
    CHECK(outbox.push(Stream(Chunk("c")), std::nullopt) == 2);
    CHECK(drain(outbox) == std::vector<std::string>{"c"});
    CHECK(outbox.drained() == 3);
}

TEST_CASE("a closed outbox takes no message and says how many there were") {
    Baton baton;
    Outbox outbox(baton);
    outbox.push(Stream(Chunk("a")), std::nullopt);
    CHECK(baton.seal() == 1);
    CHECK_FALSE(outbox.push(Stream(Chunk("b")), std::nullopt).has_value());
    CHECK_FALSE(outbox.push(Stream(Chunk("c")), std::nullopt).has_value());
    CHECK(baton.seal() == 1);
    CHECK(drain(outbox) == std::vector<std::string>{"a"});
}

TEST_CASE("the holder passes its own message on, unless another one comes first") {
    Baton baton;
    Outbox outbox(baton);
    std::vector<std::string> passed;
    const auto pass = [&](Baton::Count number, const char* text) {
        outbox.pass(number, Stream(Chunk(text)), std::nullopt,
                    [&passed](Stream&& message, const std::optional<Uuid>&) {
                        passed.push_back(text_of(message));
                    });
    };
    pass(*baton.try_hold_and_count(), "a");
    CHECK(passed == std::vector<std::string>{"a"});
    const auto slow = *baton.count_up();  // of a thread that has yet to push
    pass(*baton.count_up(), "c!");
    CHECK(passed == std::vector<std::string>{"a"});
    CHECK(outbox.octets() == 2);
    pass(slow, "b");
    CHECK(drain(outbox) == std::vector<std::string>{"c!"});
    CHECK(outbox.octets() == 0);
    pass(*baton.count_up(), "d");
    CHECK(passed == std::vector<std::string>{"a", "b", "d"});
}

TEST_CASE("the target travels with its message") {
    Baton baton;
    Outbox outbox(baton);
    const Uuid peer = Uuid::random();
    outbox.push(Stream(Chunk("a")), peer);
    outbox.drain([&peer](Stream&&, const std::optional<Uuid>& target) { CHECK(target == peer); });
}

TEST_CASE("eight threads push while one drains: all numbers once, each thread's in order") {
    constexpr int k_threads = 8;
    constexpr int k_messages = 5'000;
    Baton baton;
    Outbox outbox(baton);
    std::vector<std::thread> threads;
    for (int t = 0; t < k_threads; ++t) {
        threads.emplace_back([&outbox, t] {
            for (int i = 0; i < k_messages; ++i) {
                const std::string text = std::to_string(t) + " " + std::to_string(i);
                outbox.push(Stream(Chunk::copy_of(text)), std::nullopt);
            }
        });
    }
    std::vector<int> next(k_threads, 0);
    int total = 0;
    bool ordered = true;
    while (total < k_threads * k_messages) {
        for (const std::string& text : drain(outbox)) {
            const auto thread = static_cast<std::size_t>(text[0] - '0');
            ordered = ordered && std::stoi(text.substr(2)) == next[thread]++;
            ++total;
        }
    }
    for (auto& thread : threads) thread.join();
    CHECK(ordered);
    CHECK(outbox.drained() == k_threads * k_messages);
}

TEST_CASE("who closes while others push learns exactly how many messages to expect") {
    for (int round = 0; round < 200; ++round) {
        Baton baton;
        Outbox outbox(baton);
        std::atomic<int> accepted = 0;
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t) {
            threads.emplace_back([&outbox, &accepted] {
                while (outbox.push(Stream(Chunk("x")), std::nullopt)) ++accepted;
            });
        }
        while (accepted < 10) std::this_thread::yield();
        const std::uint64_t count = baton.seal();
        for (auto& thread : threads) thread.join();
        CHECK(drain(outbox).size() == count);
        CHECK(static_cast<std::uint64_t>(accepted) == count);
    }
}

}  // namespace
}  // namespace nq::detail
