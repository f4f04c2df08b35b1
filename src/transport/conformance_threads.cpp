// SPDX-License-Identifier: Apache-2.0
// The part of the conformance suite about threads: several reactors, senders that are none.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "transport/conformance.hpp"

namespace nq::detail::conformance {

namespace {

/// A reactor and the thread that runs it.
class Worker {
  public:
    Worker() : thread_([this] { reactor.run(); }) {}
    ~Worker() {
        reactor.stop();
        thread_.join();
    }
    /// Runs `call` on the reactor thread and waits for it.
    void on_thread(const std::function<void()>& call) {
        std::promise<void> done;
        reactor.post([&] {
            call();
            done.set_value();
        });
        REQUIRE(done.get_future().wait_for(k_deadline) == std::future_status::ready);
    }

    Reactor reactor;

  private:
    std::thread thread_;
};

/// Set once, waited for by the test.
class Signal {
  public:
    void set() {
        if (!was_set_.exchange(true)) promise_.set_value();
    }
    void wait() { REQUIRE(future_.wait_for(k_deadline) == std::future_status::ready); }

  private:
    std::atomic<bool> was_set_{false};
    std::promise<void> promise_;
    std::future<void> future_ = promise_.get_future();
};

/// A server on some workers, whose accepted connections are told to `accept`.
std::unique_ptr<Listener> listen_on(Candidate& candidate, std::span<Reactor* const> reactors,
                                    Worker& first, AcceptHandler accept) {
    std::unique_ptr<Listener> listener;
    first.on_thread([&] {
        auto listening = candidate.transport->listen(reactors, candidate.location,
                                                     std::move(accept), [](auto, auto) {});
        REQUIRE(listening.has_value());
        listener = std::move(*listening);
    });
    REQUIRE(listener->wait_listening(k_deadline));
    return listener;
}

/// Dials on the worker and waits for the connection.
std::shared_ptr<Connection> dial_on(Candidate& candidate, Worker& worker,
                                    const NetworkLocation& location) {
    std::promise<Result<std::shared_ptr<Connection>>> promise;
    std::unique_ptr<Dial> dial;
    worker.on_thread([&] {
        dial = candidate.transport->dial(worker.reactor, location,
                                         [&promise](auto result) { promise.set_value(result); });
    });
    auto future = promise.get_future();
    REQUIRE(future.wait_for(k_deadline) == std::future_status::ready);
    auto result = future.get();
    worker.on_thread([&] { dial.reset(); });
    REQUIRE(result.has_value());
    return *result;
}

}  // namespace

TEST_CASE("connections go round the reactors, each served on its own thread") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Worker client_worker;
        std::array<Worker, 2> workers;
        const std::array<Reactor*, 2> reactors{&workers[0].reactor, &workers[1].reactor};
        std::mutex mutex;
        std::vector<std::shared_ptr<Talker>> servers;
        std::atomic<int> on_wrong_thread{0};
        auto listener = listen_on(candidate, reactors, workers[0], [&](auto connection) {
            if (!connection->reactor().on_reactor_thread()) ++on_wrong_thread;
            auto echo = std::make_shared<Talker>(connection);
            echo->on_change = [talker = echo.get()] {
                if (talker->heard.empty()) return;
                talker->say(Chunk(std::exchange(talker->heard, {})));
            };
            {
                // Before it starts: all there is to echo may have come already.
                const std::lock_guard lock(mutex);
                servers.push_back(echo);
            }
            echo->start();
        });

        const std::string text = pattern(std::min(candidate.large, std::size_t{100'000}));
        std::vector<std::shared_ptr<Talker>> clients;
        for (int i = 0; i < 4; ++i) {
            auto client =
                std::make_shared<Talker>(dial_on(candidate, client_worker, listener->location()));
            Signal echoed;
            client_worker.on_thread([&] {
                client->on_change = [&echoed, &text, talker = client.get()] {
                    if (talker->heard.size() >= text.size()) echoed.set();
                };
                client->start();
                client->say(Chunk::copy_of(text));
            });
            echoed.wait();
            client_worker.on_thread([&] {
                client->on_change = nullptr;
                CHECK((client->heard == text));
                client->connection().close();
            });
        }
        CHECK(on_wrong_thread == 0);
        std::array<int, 2> served{};
        const std::lock_guard lock(mutex);
        for (const auto& server : servers) {
            ++served[&server->connection().reactor() == reactors[0] ? 0 : 1];
            server->connection().close();
        }
        // The links of a server with its broker are one.
        CHECK(served ==
              (candidate.through_broker ? std::array<int, 2>{4, 0} : std::array<int, 2>{2, 2}));
        workers[0].on_thread([&] { listener.reset(); });
    }
}

TEST_CASE("any thread may send while another receives and a third closes") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Worker client_worker;
        Worker server_worker;
        const std::array<Reactor*, 1> reactors{&server_worker.reactor};
        std::shared_ptr<Talker> server;
        Signal heard_enough;
        const std::size_t enough = std::min(candidate.large / 32, std::size_t{20'000});
        auto listener = listen_on(candidate, reactors, server_worker, [&](auto connection) {
            server = std::make_shared<Talker>(connection);
            server->on_change = [&heard_enough, enough, talker = server.get()] {
                if (talker->heard.size() > enough) heard_enough.set();
            };
            server->start();
            server->say(Chunk::copy_of(pattern(1 << 20)));
        });
        const auto connection = dial_on(candidate, client_worker, listener->location());
        const auto silent = std::make_shared<Talker>(connection);
        client_worker.on_thread([&] {
            silent->listen(false);
            silent->start();
        });

        std::jthread sender([connection] {
            const std::array<Chunk, 2> chunks{Chunk("0123456789"), Chunk("abcdef")};
            while (connection->send(chunks)) {
            }
        });
        std::jthread receiver([connection] {
            std::array<std::byte, 100> room;
            const std::array<Connection::Target, 1> targets{Connection::Target(room)};
            while (connection->receive(targets)) {
            }
        });
        heard_enough.wait();
        connection->close();
        sender.join();
        receiver.join();
        client_worker.on_thread([&] { CHECK(silent->lost == 0); });
        server_worker.on_thread([&] {
            server->on_change = nullptr;
            server->connection().close();
            listener.reset();
        });
    }
}

TEST_CASE("no wake-up is lost between two threads") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Worker client_worker;
        Worker server_worker;
        const std::array<Reactor*, 1> reactors{&server_worker.reactor};
        std::shared_ptr<Talker> server;
        Signal all_heard;
        const std::string text = pattern(candidate.large / 8);
        auto listener = listen_on(candidate, reactors, server_worker, [&](auto connection) {
            server = std::make_shared<Talker>(connection);
            server->be_choppy(100'000);
            server->on_change = [&, talker = server.get()] {
                const bool whole = talker->heard.size() >= text.size();
                if (talker->ended || (candidate.through_broker && whole)) all_heard.set();
            };
            server->start();
        });
        const auto client =
            std::make_shared<Talker>(dial_on(candidate, client_worker, listener->location()));
        client_worker.on_thread([&] {
            client->be_choppy(100'000);
            client->start();
            client->say(Chunk::copy_of(text));
            client->finish();
        });
        all_heard.wait();
        server_worker.on_thread([&] {
            CHECK((server->heard == text));
            server->on_change = nullptr;
            server->connection().close();
            listener.reset();
        });
        client_worker.on_thread([&] { client->connection().close(); });
    }
}

}  // namespace nq::detail::conformance
