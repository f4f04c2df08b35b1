// SPDX-License-Identifier: Apache-2.0
#include "buffer/ring.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <memory>
#include <random>
#include <string>

namespace nq::detail {
namespace {

TEST_CASE("a ring is a deque, whatever is done to it") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    Ring<std::string> ring;
    std::deque<std::string> model;
    for (int step = 0; step < 20'000; ++step) {
        const std::string value = std::to_string(step);
        const auto dice = random() % 100;
        const bool growing = step / 2'000 % 2 == 0;  // in turn
        if (dice < (growing ? 50U : 25U)) {
            ring.push_back(value);
            model.push_back(value);
        } else if (dice < (growing ? 60U : 30U)) {
            ring.emplace_front(value);
            model.push_front(value);
        } else if (!model.empty() && dice < 95) {
            REQUIRE(ring.front() == model.front());
            ring.pop_front();
            model.pop_front();
        } else if (!model.empty()) {
            REQUIRE(ring.back() == model.back());
            ring.pop_back();
            model.pop_back();
        }
        if (dice == 99) ring.trim();
        REQUIRE(ring.size() == model.size());
        if (!model.empty()) {
            const auto i = random() % model.size();
            REQUIRE(ring[i] == model[i]);
        }
    }
}

TEST_CASE("what left a ring is let go") {
    Ring<std::shared_ptr<int>> ring;
    const auto value = std::make_shared<int>(1);
    for (int i = 0; i < 100; ++i) ring.push_back(value);
    CHECK(value.use_count() == 101);
    for (int i = 0; i < 50; ++i) ring.pop_front();
    for (int i = 0; i < 49; ++i) ring.pop_back();
    CHECK(value.use_count() == 2);
    ring.pop_front();
    CHECK(value.use_count() == 1);
}

}  // namespace
}  // namespace nq::detail
