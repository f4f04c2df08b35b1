// SPDX-License-Identifier: Apache-2.0
#include "handoff/bias.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "handoff/bias_script.hpp"

namespace nq::detail {

namespace {

bool become_favourite(Bias& bias) {
    bool favoured = false;
    for (unsigned i = 0; i < Bias::k_favoured; ++i) {
        CHECK_FALSE(favoured);
        favoured = bias.favour();
    }
    return favoured;
}

template <class Call>
void elsewhere(Call call) {
    std::jthread(call).join();
}

}  // namespace

TEST_CASE("who held the guard often enough in a row is the favourite until that is revoked") {
    if (no_favourites()) return;
    Bias bias;
    CHECK_FALSE(bias.enter());
    CHECK(become_favourite(bias));
    for (int i = 0; i < 3; ++i) {
        CHECK(bias.enter());
        bias.leave();
    }
    elsewhere([&] { CHECK_FALSE(bias.enter()); });
    bias.revoke();
    CHECK_FALSE(bias.enter());
    CHECK(bias.favour());  // its own doing: nobody came between
    CHECK(bias.enter());
    bias.leave();
    elsewhere([&] { bias.revoke(); });
    CHECK_FALSE(bias.enter());
    CHECK_FALSE(bias.favour());
}

TEST_CASE("who comes between breaks the row") {
    if (no_favourites()) return;
    Bias bias;
    for (unsigned i = 1; i < Bias::k_favoured; ++i) CHECK_FALSE(bias.favour());
    elsewhere([&] { CHECK_FALSE(bias.favour()); });
    CHECK(become_favourite(bias));
}

TEST_CASE("a visit ends with its block, or before") {
    if (no_favourites()) return;
    Bias bias;
    CHECK_FALSE(bool(Bias::Visit(bias)));
    CHECK(become_favourite(bias));
    {
        Bias::Visit visit(bias);
        CHECK(bool(visit));
        visit.end();
        CHECK_FALSE(bool(visit));
        elsewhere([&] { bias.revoke(); });  // does not wait
    }
    CHECK_FALSE(bool(Bias::Visit(bias)));
}

TEST_CASE("the favour of a thread that has ended can be revoked, and another one be favoured") {
    if (no_favourites()) return;
    Bias bias;
    elsewhere([&] { CHECK(become_favourite(bias)); });
    CHECK_FALSE(bias.enter());
    bias.revoke();
    CHECK(become_favourite(bias));
    CHECK(bias.enter());
    bias.leave();
}

// One works without a pause, two come now and then: for one go, and for long enough to be the
// favourite themselves.
TEST_CASE("never two are inside, whoever is the favourite and whenever that ends") {
    constexpr int k_interruptions = 500;
    Bias bias;
    std::mutex guard;
    std::int64_t done = 0;  // not atomic, so that a sanitizer sees a second one inside
    std::int64_t visits = 0;
    const bool favourites = !no_favourites();
    const auto work = [&] {
        if (const Bias::Visit visit(bias); visit) {
            ++done;
            ++visits;
            return;
        }
        const std::lock_guard lock(guard);
        bias.revoke();
        ++done;
        (void)bias.favour();
    };
    std::atomic<bool> running{true};
    std::array<std::atomic<int>, 2> others{};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
        threads.emplace_back([&, t] {
            while (running) {
                const int stay = t == 0 ? 1 : 3 * static_cast<int>(Bias::k_favoured);
                for (int i = 0; i < stay; ++i) work();
                others[t] += stay;
                for (int i = 0; i < 5; ++i) std::this_thread::yield();
            }
        });
    }
    std::int64_t own = 0;
    for (; others[0] < k_interruptions || others[1] < k_interruptions; ++own) work();
    running = false;
    threads.clear();
    CHECK(done == own + others[0] + others[1]);
    MESSAGE("visits of favourites: " << visits << " of " << done << ", others: " << others[0].load()
                                     << " and " << others[1].load());
    if (favourites) CHECK(visits > k_interruptions);
}

}  // namespace nq::detail
