// SPDX-License-Identifier: Apache-2.0
#include "io/pacing.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "io/limits.hpp"
#include "io/resolver.hpp"
#include "io/socket.hpp"

namespace nq::detail {

namespace {

constexpr std::size_t k_packet = 60'000;

/// The parts that `size` octets go out in.
std::vector<std::size_t> parts_of(std::size_t size) {
    std::vector<std::size_t> parts;
    while (size > 0) size -= parts.emplace_back(next_part(size, k_packet));
    return parts;
}

void wait_until(int fd, short events) {
    pollfd ready{.fd = fd, .events = events, .revents = 0};
    REQUIRE(::poll(&ready, 1, -1) == 1);
}

/// Both ends of a connection, the sending one under a congestion control of the test's choice.
struct Line {
    explicit Line(const char* congestion_control) {
        Socket listener = Socket::open(AF_INET);
        REQUIRE(listener.listen(look_up({"127.0.0.1", 0}).value().front(), 1) == 0);
        REQUIRE(sender.connect(SocketAddress::local_of(listener.fd())) == EINPROGRESS);
        wait_until(listener.fd(), POLLIN);
        receiver = listener.accept();
        wait_until(sender.fd(), POLLOUT);
        available = ::setsockopt(sender.fd(), IPPROTO_TCP, TCP_CONGESTION, congestion_control,
                                 static_cast<socklen_t>(std::strlen(congestion_control))) == 0;
        REQUIRE(sender.set_connection_options(std::chrono::seconds(45)) == 0);
        if (!available) MESSAGE("not checked: this system has no " << congestion_control);
    }

    Socket sender = Socket::open(AF_INET);
    Socket receiver;
    bool available = false;
};

constexpr std::size_t k_last_words = std::size_t{100} << 10;

/// The peer goes, and will answer the first octet with a reset: over loopback that is here before
/// the call that sent it returns.
void leave(Line& line) {
    line.receiver = Socket();
    wait_until(line.sender.fd(), POLLIN);
}

Io say_last_words(const Line& line) {
    const std::string words(k_last_words, 'x');
    return line.sender.send(std::as_bytes(std::span(words)));
}

}  // namespace

TEST_CASE("a part is one packet, and a small rest shares with the last whole one") {
    CHECK(parts_of(1) == std::vector<std::size_t>{1});
    CHECK(parts_of(k_packet) == std::vector<std::size_t>{k_packet});
    CHECK(parts_of(k_packet + 1) == std::vector<std::size_t>{k_packet / 2 + 1, k_packet / 2});
    CHECK(parts_of(2 * k_packet - 1) == std::vector<std::size_t>{k_packet, k_packet - 1});
    CHECK(parts_of(3 * k_packet) == std::vector<std::size_t>{k_packet, k_packet, k_packet});
    CHECK(parts_of(2 * k_packet + 2) ==
          std::vector<std::size_t>{k_packet, k_packet / 2 + 1, k_packet / 2 + 1});
}

TEST_CASE("a packet is as many whole segments as fit 64 KiB, or one where none does") {
    const Line line("reno");
    int segment = 0;
    socklen_t size = sizeof segment;
    REQUIRE(::getsockopt(line.sender.fd(), IPPROTO_TCP, TCP_MAXSEG, &segment, &size) == 0);
    const auto octets = static_cast<std::size_t>(segment);
    const std::size_t packet = packet_size(line.sender.fd());
    CHECK(packet % octets == 0);
    CHECK(packet <= std::max(octets, limits::k_packet_max));
    CHECK(packet + octets > limits::k_packet_max);
    CHECK(packet >= limits::k_one_packet);
    CHECK(packet_size(-1) == limits::k_packet_max);
}

TEST_CASE("BBR paces, Reno does not, and of what is no socket nothing is known") {
    if (const Line line("bbr"); line.available) CHECK(is_paced(line.sender.fd()));
    if (const Line line("reno"); line.available) CHECK_FALSE(is_paced(line.sender.fd()));
    CHECK_FALSE(is_paced(-1));
}

TEST_CASE("whatever the chunks, and whether paced or not, what is sent arrives as it was") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto up_to = [&](std::size_t most) {
        return std::uniform_int_distribution<std::size_t>(0, most)(random);
    };
    for (const char* const congestion_control : {"bbr", "reno"}) {
        const Line line(congestion_control);
        std::string sent;
        std::string received;
        std::string room(1 << 20, '\0');
        while (sent.size() < 20 << 20) {
            std::vector<Chunk> chunks;
            std::string offered;
            for (std::size_t left = up_to(limits::k_views_per_call); left > 0; --left) {
                std::string text(up_to(up_to(2) == 0 ? 200'000 : 3'000), '\0');
                for (char& octet : text) octet = static_cast<char>(random());
                offered += text;
                chunks.emplace_back(std::move(text));
            }
            const Io io = line.sender.send(chunks);
            REQUIRE(io.status == Io::Status::done);
            CHECK(io.complete == (io.size == offered.size()));
            sent += offered.substr(0, io.size);
            while (received.size() < sent.size()) {
                const std::array<std::span<std::byte>, 1> target{
                    std::as_writable_bytes(std::span(room))};
                const Io got = line.receiver.receive(target);
                REQUIRE(got.status == Io::Status::done);
                if (got.size == 0) wait_until(line.receiver.fd(), POLLIN);
                received += room.substr(0, got.size);
            }
        }
        CHECK(received == sent);
    }
}

TEST_CASE("under BBR each packet is a call: what went before a failure is told with it") {
    Line line("bbr");
    if (!line.available) return;
    leave(line);
    const std::size_t packet = packet_size(line.sender.fd());
    REQUIRE(packet < k_last_words);
    const Io io = say_last_words(line);
    CHECK(io.status == Io::Status::failed);
    CHECK(io.size == next_part(k_last_words, packet));
    CHECK_FALSE(io.complete);
}

TEST_CASE("where nothing is paced all goes in one call") {
    Line line("reno");
    if (!line.available) return;
    leave(line);
    const Io io = say_last_words(line);
    CHECK(io.status == Io::Status::done);
    CHECK(io.size == k_last_words);
}

}  // namespace nq::detail
