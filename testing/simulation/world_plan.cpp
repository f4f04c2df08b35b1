// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "testing/octets.hpp"
#include "testing/simulation/world.hpp"

namespace nq::testing {

namespace {

constexpr std::uint64_t k_everything = std::uint64_t{1} << 30;
constexpr std::uint64_t k_unlimited = std::uint64_t{1} << 40;
constexpr std::uint64_t k_large = 5 << 20;  // above what a declared size is trusted for

template <typename T, std::size_t N>
T one_of(Random& random, const std::array<T, N>& choices) {
    return choices[random.below(N)];
}

}  // namespace

World::World(std::uint64_t seed, std::ostream* trace) : random_(seed), trace_(trace) {
    now_ += std::chrono::hours{1};
    server_ = uuid_of(0x5e);
    rhythm_ = draw_rhythm();
    const std::uint64_t clients = random_.between(1, 3);
    for (std::uint64_t i = 0; i < clients; ++i) {
        const bool hostile = rhythm_.faults && random_.chance(8);
        clients_.push_back(
            {.uuid = uuid_of(static_cast<std::uint8_t>(0xc0 + i)), .hostile = hostile});
    }
}

World::Rhythm World::draw_rhythm() {
    Rhythm rhythm{};
    rhythm.portion =
        one_of(random_, std::array<std::uint64_t, 6>{1, 3, 40, 5000, k_everything, k_everything});
    rhythm.window = rhythm.portion < 40 ? 100 : random_.between(100, 200'000);
    rhythm.message_max = 10 * std::min<std::uint64_t>(rhythm.portion, 40) + 20;
    if (rhythm.portion > 40 && random_.chance(60)) rhythm.message_max = 40'000;
    if (rhythm.portion == k_everything && random_.below(300) == 0) {
        rhythm.message_max = k_large;
        rhythm.window = k_large;
    }
    rhythm.deferred = random_.chance(50);
    rhythm.faults = random_.chance(92);
    return rhythm;
}

EndpointOptions World::draw_options() {
    EndpointOptions options;
    options.send.merge = random_.chance(70);
    options.send.efficient_size =
        one_of(random_, std::array<std::size_t, 4>{1, 50, 1000, 64 << 10});
    options.send.transport_size =
        one_of(random_, std::array<std::size_t, 4>{24, 61, 3000, 4 << 20});
    // A large message in small units would be thousands of equal events.
    options.send.transport_size =
        std::max(options.send.transport_size, static_cast<std::size_t>(rhythm_.message_max / 20));
    options.receive.merge = random_.chance(70);
    options.receive.message_size = one_of(
        random_, std::array<std::uint64_t, 6>{16, 16, 100, 20'000, k_unlimited, k_unlimited});
    if (random_.chance(50)) options.receive.on_oversize = OnOversize::refuse;
    return options;
}

// Most messages are small, some have the sizes that are special.
std::string World::draw_text(const Uuid& sender) {
    std::uint64_t size = random_.below(30);
    const std::uint64_t kind = random_.below(16);
    if (kind == 0) size = 0;
    if (kind == 1) size = Uuid::k_size;
    if (kind >= 14) size = random_.between(1, rhythm_.message_max);
    std::string text(size, '\0');
    std::uint64_t octets = random_.next();
    for (char& octet : text) {
        octet = static_cast<char>(octets & 0xff);
        octets = octets >> 8 | octets << 56;
    }
    // Split in pieces of 16 octets, the second one looks like a fin.
    if (kind == 2) text = "sixteen octets, " + text_of(sender) + text;
    return text;
}

// Events a reader polls before it turns to something else.
std::size_t World::draw_patience() { return random_.chance(20) ? random_.below(3) : SIZE_MAX; }

// What a program says that is not ours, and what the server should make of it.
std::string World::draw_script(Client& client, Connection& connection) {
    using Kind = Pipe::Kind;
    std::string script;
    const auto say = [&](Kind kind, const std::string& octets, Message* message,
                         std::uint64_t size) {
        connection.up.units.push_back({kind, message, script.size(), script.size() + size});
        script += octets;
    };
    const std::uint64_t kind = random_.below(8);
    if (kind == 0) return "GET / HTTP/1.1\r\n\r\n";
    if (kind == 1) return identity(client.uuid).substr(0, random_.below(24));
    if (kind == 2) return identity(random_.chance(50) ? server_ : Uuid());
    say(Kind::ini, identity(client.uuid), nullptr, detail::k_identity_size);
    for (std::uint64_t i = random_.below(4); i > 0; --i) {
        const std::string text = draw_text(client.uuid);
        if (text == text_of(client.uuid)) continue;
        strays_.push_back(std::make_unique<Message>(strays_.size(), text, text.size()));
        say(Kind::message, frame(text), strays_.back().get(), detail::k_header_size + text.size());
    }
    if (kind < 5) {
        const std::uint64_t size = std::uint64_t{1} << random_.between(15, 26);
        const std::string begin(std::min(size, random_.below(30'000)), 'x');
        strays_.push_back(std::make_unique<Message>(strays_.size(), begin, size));
        say(Kind::message, header(size) + begin, strays_.back().get(),
            detail::k_header_size + size);
    } else if (kind < 7) {
        say(Kind::fin, identity(client.uuid), nullptr, detail::k_identity_size);
        say(Kind::ignored, frame("after fin") + identity(client.uuid) + "x", nullptr, 42);
    }
    return script;
}

}  // namespace nq::testing
