// SPDX-License-Identifier: Apache-2.0
#include "transport/conformance.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace nq::detail::conformance {

using Clock = std::chrono::steady_clock;

Talker::Talker(std::shared_ptr<Connection> connection, std::uint32_t seed)
    : connection_(std::move(connection)), random_(seed) {}

void Talker::start() {
    connection_->set_handler(shared_from_this());
    receive_some();
    send_some();
}

void Talker::say(Chunk chunk) {
    unsaid_.write_chunk(std::move(chunk));
    send_some();
}

void Talker::finish() {
    finishing_ = true;
    send_some();
}

void Talker::listen(bool listening) {
    listening_ = listening;
    if (listening) receive_some();
}

void Talker::be_choppy(std::size_t piece_max) { piece_max_ = piece_max; }

void Talker::handle_readable() { receive_some(); }

void Talker::handle_writable() {
    ++writable;
    send_some();
}

void Talker::handle_released(std::size_t n) {
    released += n;
    changed();
}

void Talker::handle_lost(Failure failure) {
    ++lost;
    complaint = failure.text;
    receive_some();  // what came before the loss can still be had
    changed();
}

void Talker::send_some() {
    while (!unsaid_.empty()) {
        const std::vector<Chunk> chunks = next_chunks();
        std::size_t asked = 0;
        for (const Chunk& chunk : chunks) asked += chunk.size();
        const auto sent = connection_->send(chunks);
        if (!sent) {
            complaint = sent.error().text;
            return changed();
        }
        CHECK(sent->released <= sent->taken);
        REQUIRE(sent->taken <= asked);
        taken += sent->taken;
        released += sent->released;
        CHECK(released <= taken);
        unsaid_.skip(sent->taken);
        if (sent->taken < asked) return changed();
    }
    if (std::exchange(finishing_, false)) connection_->finish_sending();
    changed();
}

std::vector<Chunk> Talker::next_chunks() {
    constexpr std::size_t k_chunks_max = 200;  // more than a transport takes in one call
    std::vector<Chunk> chunks;
    for (std::size_t i = 0; i < unsaid_.chunk_count() && chunks.size() < k_chunks_max; ++i) {
        const Chunk& chunk = unsaid_.chunk(i);
        std::size_t begin = 0;
        while (begin < chunk.size() && chunks.size() < k_chunks_max) {
            const std::size_t n = piece(chunk.size() - begin);
            chunks.push_back(chunk.slice(begin, n));
            begin += n;
            if (piece_max_ != 0 && random_() % 8 == 0) chunks.emplace_back();  // an empty one
            if (piece_max_ != 0 && random_() % 16 == 0) return chunks;
        }
    }
    return chunks;
}

void Talker::receive_some() {
    while (listening_ && !ended) {
        // Two targets of any size, then perhaps an empty one.
        const std::size_t first = piece(room_.size() / 2);
        const std::size_t second = piece(room_.size() / 2);
        const std::array<Connection::Target, 3> targets{
            Connection::Target(room_.data(), first),
            Connection::Target(room_.data() + room_.size() / 2, second), Connection::Target()};
        const auto received = connection_->receive(targets);
        if (!received) {
            ended = true;
            complaint = received.error().text;
            break;
        }
        REQUIRE(*received <= first + second);
        const auto* const octets = reinterpret_cast<const char*>(room_.data());
        const std::size_t in_first = std::min(*received, first);
        heard.append(octets, in_first);
        heard.append(octets + room_.size() / 2, *received - in_first);
        if (*received < first + second) break;
    }
    changed();
}

std::size_t Talker::piece(std::size_t limit) {
    if (piece_max_ == 0) return limit;
    return std::min<std::size_t>(limit, 1 + random_() % piece_max_);
}

void Talker::changed() {
    if (on_change) on_change();
}

Scene::Scene(Candidate& with) : candidate(with) {
    std::array<Reactor*, 1> reactors{&reactor};
    auto listening = candidate.transport->listen(
        reactors, candidate.location,
        [this](std::shared_ptr<Connection> connection) {
            if (on_accept) return on_accept(std::move(connection));
            accepted.push_back(std::move(connection));
        },
        [this](LogLevel, const std::string& text) { log.push_back(text); });
    REQUIRE_MESSAGE(listening.has_value(), candidate.name);
    listener = std::move(*listening);
    run_until([this] { return listener->wait_listening(std::chrono::milliseconds(0)); });
}

Scene::~Scene() {
    for (const auto& connection : accepted) connection->close();
    for (const auto& weak : opened_) {
        if (const auto connection = weak.lock()) connection->close();
    }
    settle();
}

Scene::Pair Scene::connect(bool start) {
    auto opened = dial(listener->location());
    REQUIRE_MESSAGE(opened.has_value(), candidate.name);
    if (candidate.through_broker) introduce(**opened);
    run_until([this] { return !accepted.empty(); });
    if (candidate.through_broker) {
        std::array<std::byte, 1> room;
        const std::array<Connection::Target, 1> targets{Connection::Target(room)};
        CHECK(accepted.back()->receive(targets).value() == 1);
    }
    opened_.insert(opened_.end(), {*opened, accepted.back()});
    Pair pair{std::make_shared<Talker>(*opened, 1), std::make_shared<Talker>(accepted.back(), 2)};
    accepted.pop_back();
    if (start) {
        pair.client->start();
        pair.server->start();
    }
    return pair;
}

// An octet, which makes the client known.
void Scene::introduce(Connection& client) {
    const std::array<Chunk, 1> octet{Chunk("!")};
    CHECK(client.send(octet).value().taken == 1);
}

Result<std::shared_ptr<Connection>> Scene::dial(const NetworkLocation& location) {
    std::optional<Result<std::shared_ptr<Connection>>> outcome;
    const auto dialling = candidate.transport->dial(
        reactor, location,
        [&outcome](Result<std::shared_ptr<Connection>> result) { outcome = std::move(result); });
    CHECK_FALSE(outcome.has_value());  // never from within the call
    run_until([&outcome] { return outcome.has_value(); });
    return *outcome;
}

void Scene::run_until(const std::function<bool()>& condition) {
    const auto deadline = Clock::now() + k_deadline;
    while (!condition()) {
        REQUIRE_MESSAGE(Clock::now() < deadline, candidate.name << ": nothing more happens");
        reactor.run_once(deadline);
    }
}

void Scene::settle() {
    for (int i = 0; i < 10; ++i) reactor.run_once(TimePoint());
}

std::string pattern(std::size_t size, std::uint32_t seed) {
    std::mt19937_64 random(seed);
    std::string text;
    text.reserve(size + sizeof(std::uint64_t));
    while (text.size() < size) {
        const std::uint64_t octets = random();
        text.append(reinterpret_cast<const char*>(&octets), sizeof octets);
    }
    text.resize(size);
    return text;
}

}  // namespace nq::detail::conformance
