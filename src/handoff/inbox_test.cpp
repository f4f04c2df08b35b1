// SPDX-License-Identifier: Apache-2.0
#include "handoff/inbox.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace nq::detail {
namespace {

using Deadline = std::optional<Inbox::Clock::time_point>;
constexpr Deadline k_at_once = Inbox::Clock::time_point::min();

Failure aborted() { return {make_error_code(Errc::connection_aborted), Uuid(), "closed"}; }
Failure gone() { return {make_error_code(Errc::connection_reset), Uuid(), "gone"}; }

// An inbox with two peers that send texts.
struct Post {
    Inbox inbox{4};
    const Uuid anna = Uuid::random();
    const Uuid bert = Uuid::random();
    std::shared_ptr<Inbox::Lane> from_anna = inbox.open_lane(anna);
    std::shared_ptr<Inbox::Lane> from_bert = inbox.open_lane(bert);

    void deliver(const std::shared_ptr<Inbox::Lane>& lane, std::vector<const char*> texts) {
        Batch messages;
        for (const char* text : texts) messages.push(Stream(Chunk(text)));
        inbox.deliver(lane, std::move(messages));
    }
    std::string get(std::vector<Uuid> peers = {}, Deadline deadline = k_at_once) {
        auto result = inbox.get(peers, deadline);
        if (!result) return "(" + result.error().text + ")";
        return std::string(result->data.to_chunk().text());
    }
};

TEST_CASE("messages come in the order they arrived, from whomever") {
    Post post;
    post.deliver(post.from_anna, {"a1", "a2"});
    post.deliver(post.from_bert, {"b1"});
    post.deliver(post.from_anna, {"a3"});
    CHECK(post.get() == "a1");
    CHECK(post.get() == "a2");
    CHECK(post.get() == "b1");
    CHECK(post.get() == "a3");
    CHECK(post.get() == "(get: no message in time)");
}

TEST_CASE("a get from certain peers passes over the others and keeps their order") {
    Post post;
    post.deliver(post.from_anna, {"a1"});
    post.deliver(post.from_bert, {"b1", "b2"});
    CHECK(post.get({post.bert}) == "b1");
    CHECK(post.get({post.bert, post.anna}) == "a1");
    CHECK(post.get({post.anna}) == "(get: no message in time)");
    CHECK(post.get() == "b2");
}

TEST_CASE("after close what is left is handed out, then the failure, every time") {
    Post post;
    post.deliver(post.from_anna, {"a1"});
    post.inbox.close(aborted());
    CHECK(post.get() == "a1");
    CHECK(post.get() == "(closed)");
    CHECK(post.get({post.anna}) == "(closed)");
    CHECK(post.get() == "(closed)");
}

TEST_CASE("a peer that went is told of once its messages are read") {
    Post post;
    post.deliver(post.from_anna, {"a1"});
    post.inbox.close_lane(post.from_anna, gone());
    CHECK(post.get({post.anna}) == "a1");
    CHECK(post.get({post.anna}) == "(gone)");
    CHECK(post.get({post.anna, post.bert}) == "(get: no message in time)");
    post.inbox.open_lane(post.anna);
    CHECK(post.get({post.anna}) == "(get: no message in time)");
}

TEST_CASE("lanes of peers that went are kept up to a bound, unread ones always") {
    Post post;
    post.deliver(post.from_anna, {"a1"});
    post.inbox.close_lane(post.from_anna, gone());
    for (int i = 0; i < 10; ++i) {
        post.inbox.close_lane(post.inbox.open_lane(Uuid::random()), gone());
    }
    CHECK(post.get({post.anna}) == "a1");
}

TEST_CASE("a lane is paused until half of its bounds is free") {
    Post post;
    int resumed = 0;
    post.deliver(post.from_anna, {"1", "2", "3", "4"});
    REQUIRE(post.inbox.pause(post.from_anna, 4, 100, [&resumed] { ++resumed; }));
    CHECK(post.get() == "1");
    CHECK(resumed == 0);
    CHECK(post.get() == "2");
    CHECK(resumed == 1);
    CHECK(post.get() == "3");
    CHECK(resumed == 1);
    CHECK_FALSE(post.inbox.pause(post.from_anna, 4, 100, [&resumed] { ++resumed; }));
}

TEST_CASE("what counts as unread can be had at once") {
    for (int round = 0; round < 2'000; ++round) {
        Post post;
        std::thread receiver([&post] { post.deliver(post.from_anna, {"a1", "a2"}); });
        while (post.from_anna->unread_messages() == 0) std::this_thread::yield();
        CHECK(post.get() == "a1");
        CHECK(post.get() == "a2");
        receiver.join();
        CHECK(post.from_anna->unread_messages() == 0);
        CHECK(post.from_anna->unread_bytes() == 0);
    }
}

TEST_CASE("the oldest message of a lane can be dropped") {
    Post post;
    post.deliver(post.from_anna, {"a1", "a2"});
    CHECK(post.inbox.drop_oldest(post.from_anna));
    CHECK_FALSE(post.inbox.drop_oldest(post.from_bert));
    CHECK(post.get() == "a2");
    CHECK(post.from_anna->unread_bytes() == 0);
}

TEST_CASE("who waits gets the message that is for them") {
    Post post;
    std::string to_first, to_second;
    std::thread first([&post, &to_first] { to_first = post.get({post.anna}, Deadline()); });
    std::thread second([&post, &to_second] { to_second = post.get({post.bert}, Deadline()); });
    post.deliver(post.from_bert, {"b1"});
    second.join();
    CHECK(to_second == "b1");
    post.deliver(post.from_anna, {"a1"});
    first.join();
    CHECK(to_first == "a1");
}

TEST_CASE("close ends every wait") {
    Post post;
    std::atomic<int> ended = 0;
    std::vector<std::thread> getters;
    for (int i = 0; i < 4; ++i) {
        getters.emplace_back([&post, &ended, i] {
            const auto peers = i % 2 == 0 ? std::vector<Uuid>{} : std::vector<Uuid>{post.anna};
            if (post.get(peers, Deadline()) == "(closed)") ++ended;
        });
    }
    post.inbox.close(aborted());
    for (auto& getter : getters) getter.join();
    CHECK(ended == 4);
}

TEST_CASE("who watches is told once, takes nothing, and is told of ends too") {
    Post post;
    int anybody = 0, anna = 0;
    const auto count = [](int& counter) { return [&counter] { ++counter; }; };
    post.inbox.when_readable({}, count(anybody));
    post.inbox.when_readable(std::array{post.anna}, count(anna));
    CHECK(anybody == 0);
    post.deliver(post.from_bert, {"b1", "b2"});
    CHECK(anybody == 1);
    CHECK(anna == 0);
    post.inbox.when_readable({}, count(anybody));
    CHECK(anybody == 2);  // both are still there
    CHECK(post.get() == "b1");
    CHECK(post.get() == "b2");
    post.inbox.when_readable({}, count(anybody));
    CHECK(anybody == 2);
    post.inbox.close_lane(post.from_anna, gone());
    CHECK(anna == 1);
    CHECK(anybody == 2);  // no news for who takes from anybody
    post.inbox.close(aborted());
    CHECK(anybody == 3);
}

TEST_CASE("who watches while another gets is told of what is left") {
    Post post;
    int told = 0;
    post.inbox.when_readable({}, [&told] { ++told; });
    std::string got;
    std::thread getter([&post, &got] { got = post.get({}, Deadline()); });
    post.deliver(post.from_anna, {"first", "second"});
    getter.join();
    CHECK(got == "first");
    CHECK(told == 1);
    CHECK(post.get() == "second");
}

TEST_CASE("four receivers and four getters: nothing is lost, each lane stays in order") {
    constexpr int k_lanes = 4;
    constexpr int k_messages = 4'000;
    Inbox inbox(4);
    std::array<std::atomic<int>, k_lanes> got{};
    std::atomic<bool> ordered = true;
    std::vector<std::thread> threads;
    for (int i = 0; i < k_lanes; ++i) {
        threads.emplace_back([&inbox, lane = inbox.open_lane(Uuid::random())] {
            for (int n = 0; n < k_messages; ++n) {
                Batch batch;
                batch.push(Stream(Chunk::copy_of(std::to_string(n))));
                inbox.deliver(lane, std::move(batch));
            }
        });
        threads.emplace_back([&inbox, &got, &ordered, i] {
            std::unordered_map<Uuid, int> last;
            while (auto message = inbox.get({}, Deadline())) {
                const int n = std::stoi(std::string(message->data.to_chunk().text()));
                const auto [place, fresh] = last.emplace(message->peer, -1);
                if (n <= place->second) ordered = false;
                place->second = n;
                ++got[static_cast<std::size_t>(i)];
            }
        });
    }
    const auto total = [&got] {
        int sum = 0;
        for (auto& each : got) sum += each;
        return sum;
    };
    while (total() < k_lanes * k_messages) std::this_thread::yield();
    inbox.close(aborted());
    for (auto& thread : threads) thread.join();
    CHECK(ordered);
    CHECK(total() == k_lanes * k_messages);
}

TEST_CASE("a thread that alone gets resumes a receiver as well") {
    Bias::prepare();
    Post post;
    for (unsigned i = 0; i < 4 * Bias::k_favoured; ++i) post.deliver(post.from_anna, {"a"});
    int resumed = 0;
    // From elsewhere, where receivers are: after that the thread has to earn its favour again.
    std::thread([&] {
        CHECK(post.inbox.pause(post.from_anna, 2 * Bias::k_favoured, 1'000, [&post, &resumed] {
            ++resumed;
            post.deliver(post.from_anna, {"last"});
        }));
    }).join();
    for (unsigned i = 0; i < 4 * Bias::k_favoured; ++i) {
        CHECK(resumed == (i > 3 * Bias::k_favoured - 1 ? 1 : 0));
        CHECK(post.get() == "a");
    }
    CHECK(post.get() == "last");
    CHECK(post.get() == "(get: no message in time)");
}

TEST_CASE("one that gets without a pause, and one that comes now and then: nothing is lost") {
    constexpr int k_batch = 500;
    Bias::prepare();
    Inbox inbox(4);
    std::atomic<bool> running{true};
    std::int64_t sent = 0;
    std::jthread receiver([&, lane = inbox.open_lane(Uuid::random())] {
        std::atomic<bool> resumed{false};
        while (running) {
            Batch batch;
            for (int i = 0; i < k_batch; ++i) {
                batch.push(Stream(Chunk::copy_of(std::to_string(sent++))));
            }
            inbox.deliver(lane, std::move(batch));
            resumed = false;
            if (!inbox.pause(lane, 4 * k_batch, 1 << 20, [&resumed] { resumed = true; })) continue;
            while (!resumed) std::this_thread::yield();
        }
    });
    struct Getter {
        std::int64_t count = 0;
        std::int64_t sum = 0;
        std::int64_t last = -1;
        bool ordered = true;
        bool get(Inbox& from, Deadline deadline) {
            const auto message = from.get({}, deadline);
            if (!message) return false;
            const std::int64_t n = std::stoll(std::string(message->data.to_chunk().text()));
            ordered = ordered && n > last;
            last = n;
            sum += n;
            ++count;
            return true;
        }
    };
    Getter often;
    Getter seldom;
    std::atomic<int> times{0};
    std::jthread other([&] {
        while (seldom.get(inbox, Deadline())) {
            ++times;
            for (int i = 0; i < 5; ++i) std::this_thread::yield();
        }
    });
    while (times < 50) (void)often.get(inbox, k_at_once);
    running = false;
    while (often.get(inbox, Inbox::Clock::now() + std::chrono::milliseconds(1))) {
    }
    receiver.join();
    while (often.get(inbox, k_at_once)) {
    }
    inbox.close(aborted());
    other.join();
    MESSAGE("messages: " << often.count << " and " << seldom.count);
    CHECK(often.count + seldom.count == sent);
    CHECK(often.sum + seldom.sum == sent * (sent - 1) / 2);
    CHECK(often.ordered);
    CHECK(seldom.ordered);
}

}  // namespace
}  // namespace nq::detail
