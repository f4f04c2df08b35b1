// SPDX-License-Identifier: Apache-2.0
// Who shares a reactor: what it receives in one round is bounded for all of them together, and all
// have their turn.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <latch>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "buffer/limits.hpp"
#include "io/limits.hpp"
#include "network.hpp"

namespace nq::api {

namespace {

constexpr std::size_t k_mib = std::size_t{1} << 20;
constexpr std::size_t k_clients = 3;
using Rounds = std::vector<std::vector<Read>>;

/// What the server received in each round, once each client has `octets` of messages under way.
Rounds receive(std::size_t message_size, std::size_t octets) {
    detail::MemoryOptions room;
    room.capacity = 2 * octets;
    const auto memory = detail::MemoryNetwork::create(room);
    const auto tap = std::make_shared<Tap>();
    TextQueue server(Communicator(tap->over(detail::make_memory_transport(memory)), Purpose::server,
                                  {.netloc = {"127.0.0.1", 0}}),
                     {});
    std::vector<TextQueue> clients;
    for (std::size_t i = 0; i < k_clients; ++i) {
        clients.emplace_back(Communicator(detail::make_memory_transport(memory), Purpose::client,
                                          {.netloc = server.options().netloc}),
                             TextSerializer{});
        REQUIRE(meet(server, clients.back()));
    }

    detail::Reactor& reactor = *tap->accepted_by().front();
    std::latch held(1);
    std::latch all_sent(1);
    reactor.post([&] {
        (void)tap->take_reads();
        held.count_down();
        all_sent.wait();
    });
    held.wait();
    const std::string message = pattern(message_size);
    bool taken = true;
    for (TextQueue& client : clients) {
        std::vector<Future> sent;
        for (std::size_t n = 0; n < octets; n += message_size) sent.push_back(client.put(message));
        for (const Future& future : sent) taken = taken && done(future);
    }
    // A task that posts itself runs once in each round.
    Rounds rounds;
    std::latch all_received(1);
    std::size_t received = 0;
    std::function<void()> end_round = [&] {
        rounds.push_back(tap->take_reads());
        for (const Read& read : rounds.back()) received += read.octets;
        if (received < k_clients * octets) return reactor.post(end_round);
        all_received.count_down();
    };
    reactor.post(end_round);
    all_sent.count_down();
    REQUIRE(taken);
    all_received.wait();
    for (std::size_t n = 0; n < k_clients * octets; n += message_size) {
        REQUIRE(hear(server) == message);
    }
    return rounds;
}

std::size_t octets_of(const std::vector<Read>& round) {
    return std::accumulate(round.begin(), round.end(), std::size_t{0},
                           [](std::size_t sum, const Read& read) { return sum + read.octets; });
}

}  // namespace

TEST_CASE("what a reactor receives in a round is bounded for all its peers together") {
    std::size_t most = 0;
    for (const auto& round : receive(4'096, 4 * k_mib)) most = std::max(most, octets_of(round));
    const std::size_t bound = detail::limits::k_round_work;
    CHECK(most >= bound / 2);
    CHECK(most <= bound + bound / 8);  // the last read may go beyond it
    // Small messages cost more than their octets.
    most = 0;
    for (const auto& round : receive(16, k_mib)) most = std::max(most, octets_of(round));
    CHECK(most <= bound / 2);
}

TEST_CASE("nobody has a third turn while somebody else has had none") {
    std::map<const void*, int> turns;
    for (const auto& round : receive(4'096, 4 * k_mib)) {
        std::set<const void*> heard;
        for (const Read& read : round) heard.insert(read.connection);
        for (const void* const connection : heard) {
            if (turns.size() < k_clients) CHECK(turns[connection] < 2);
            ++turns[connection];
        }
    }
    REQUIRE(turns.size() == k_clients);
    for (const auto& [connection, count] : turns) CHECK(count >= 3);
}

TEST_CASE("a large message that was begun is received to its end in one turn, or 4 MiB of it") {
    for (const auto& round : receive(3 * k_mib, 3 * k_mib)) {
        const std::size_t octets = octets_of(round);
        CHECK((octets == 0 || octets >= 3 * k_mib));
    }
    std::size_t most = 0;
    for (const auto& round : receive(16 * k_mib, 16 * k_mib)) {
        most = std::max(most, octets_of(round));
    }
    CHECK(most >= detail::limits::k_turn_bytes);
    CHECK(most <= 2 * detail::limits::k_turn_bytes);  // the last call may go beyond
}

}  // namespace nq::api
