// SPDX-License-Identifier: Apache-2.0
#include "io/pacing.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "io/limits.hpp"
#include "io/socket_script.hpp"

namespace nq::detail {

namespace {

constexpr std::size_t k_packet = 60'000;

/// The parts that `size` octets go out in.
std::vector<std::size_t> parts_of(std::size_t size) {
    std::vector<std::size_t> parts;
    while (size > 0) size -= parts.emplace_back(next_part(size, k_packet));
    return parts;
}

/// Both ends of a connection, the sending one under a congestion control of the test's choice.
struct Line {
    explicit Line(const char* congestion_control) {
        available = ::setsockopt(sender.fd(), IPPROTO_TCP, TCP_CONGESTION, congestion_control,
                                 static_cast<socklen_t>(std::strlen(congestion_control))) == 0;
        sender.prepare_sending();
        if (!available) MESSAGE("this system has no " << congestion_control);
    }

    std::array<Socket, 2> ends = tcp_pair();
    Socket& sender = ends[0];
    Socket& receiver = ends[1];
    bool available = false;
};

/// Octets of which the first `readable` can be read, and nothing behind them.
class HalfReadable {
  public:
    explicit HalfReadable(std::size_t readable)
        : size_(readable / k_page * k_page + 2 * k_page),
          memory_(::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
        REQUIRE(memory_ != MAP_FAILED);
        end_ = static_cast<std::byte*>(memory_) + size_ - k_page;
        REQUIRE(::mprotect(end_, k_page, PROT_NONE) == 0);
        begin_ = end_ - readable;
    }
    HalfReadable(const HalfReadable&) = delete;
    HalfReadable& operator=(const HalfReadable&) = delete;
    ~HalfReadable() { ::munmap(memory_, size_); }

    [[nodiscard]] std::span<const std::byte> octets(std::size_t size) const {
        return {begin_, size};
    }

  private:
    static constexpr std::size_t k_page = 4096;
    std::size_t size_;
    void* memory_;
    std::byte* end_;
    std::byte* begin_;
};

/// Sends a packet and one octet; what the second part would be can't be read.
Io send_two_parts(const Line& line) {
    const std::size_t size = packet_size(line.sender.fd()) + 1;
    return line.sender.send(HalfReadable(next_part(size, size - 1)).octets(size));
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
        CHECK((received == sent));
    }
}

TEST_CASE("under BBR each packet is a call: what went before a failure is told with it") {
    const Line line("bbr");
    if (!line.available) return;
    const std::size_t packet = packet_size(line.sender.fd());
    const Io io = send_two_parts(line);
    CHECK(io.status == Io::Status::failed);
    CHECK(io.error == EFAULT);
    CHECK(io.size == next_part(packet + 1, packet));
    CHECK_FALSE(io.complete);
}

TEST_CASE("where nothing is paced all is one call, which does something or fails") {
    const Line line("reno");
    if (!line.available) return;
    const Io io = send_two_parts(line);
    CHECK((io.status == Io::Status::failed) == (io.size == 0));
    CHECK_FALSE(io.complete);
}

}  // namespace nq::detail
