// SPDX-License-Identifier: Apache-2.0
#include "handoff/callbacks.hpp"

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace nq::detail {
namespace {

TEST_CASE("calls are made in order, on one thread that is not the caller's") {
    std::vector<int> calls;
    std::vector<std::thread::id> threads;
    Callbacks callbacks(nullptr);
    for (int i = 0; i < 100; ++i) {
        callbacks.post([&calls, &threads, i] {
            calls.push_back(i);
            threads.push_back(std::this_thread::get_id());
        });
    }
    callbacks.stop();
    CHECK(calls.size() == 100);
    for (int i = 0; i < 100; ++i) {
        CHECK(calls[static_cast<std::size_t>(i)] == i);
        CHECK(threads[static_cast<std::size_t>(i)] == threads.front());
    }
    CHECK(threads.front() != std::this_thread::get_id());
}

TEST_CASE("the thread knows itself, also for the calls that are left when it is stopped") {
    int elsewhere = 0;
    std::promise<void> stopping;
    Callbacks callbacks(nullptr);
    callbacks.post([&stopping] { (void)stopping.get_future().wait_for(std::chrono::seconds(10)); });
    for (int i = 0; i < 1000; ++i) {
        callbacks.post([&callbacks, &elsewhere] { elsewhere += callbacks.on_thread() ? 0 : 1; });
    }
    CHECK_FALSE(callbacks.on_thread());
    std::thread releasing([&stopping] { stopping.set_value(); });
    callbacks.stop();
    releasing.join();
    CHECK(elsewhere == 0);
    CHECK_FALSE(callbacks.on_thread());
}

TEST_CASE("what a callback throws is reported, and the next one is called") {
    std::vector<std::string> reports;
    bool called = false;
    Callbacks callbacks([&reports](const char* text) { reports.emplace_back(text); });
    callbacks.post([] { throw std::runtime_error("oh"); });
    callbacks.post([] { throw 1; });
    callbacks.post([&called] { called = true; });
    callbacks.stop();
    CHECK(reports == std::vector<std::string>{"oh", "an exception of an unknown type"});
    CHECK(called);
}

TEST_CASE("after stop a call is made at once, by whoever posts it") {
    Callbacks callbacks(nullptr);
    callbacks.stop();
    std::thread::id thread;
    callbacks.post([&thread] { thread = std::this_thread::get_id(); });
    CHECK(thread == std::this_thread::get_id());
}

TEST_CASE("a callback may destroy the object that calls it") {
    std::promise<void> destroyed;
    auto callbacks = std::make_unique<Callbacks>(nullptr);
    Callbacks& reference = *callbacks;
    reference.post([&callbacks, &destroyed] {
        callbacks.reset();
        destroyed.set_value();
    });
    destroyed.get_future().wait();
    CHECK(callbacks == nullptr);
}

}  // namespace
}  // namespace nq::detail
