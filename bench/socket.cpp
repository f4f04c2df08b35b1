// SPDX-License-Identifier: Apache-2.0
#include "socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

namespace nq::bench {

namespace {

constexpr int k_backlog = 4096;
/// Of one write at most.
constexpr std::size_t k_pieces = 2;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

Socket sending_at_once(Socket connection) {
    const int on = 1;
    if (setsockopt(connection.descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        fail("nodelay");
    }
    return connection;
}

bool is_paced(int descriptor) {
    std::array<char, 16> name{};
    socklen_t length = name.size();
    return getsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, name.data(), &length) == 0 &&
           std::string_view(name.data()).starts_with("bbr");
}

/// Octets of a packet over loopback, which is one segment.
std::size_t packet_size(int descriptor) {
    int segment = 0;
    socklen_t length = sizeof segment;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_MAXSEG, &segment, &length) != 0) fail("segment");
    return static_cast<std::size_t>(segment);
}

/// As many pieces as go into one packet; the last is cut. A small rest shares with the packet
/// before it, or it would have to wait.
std::span<iovec> cut(std::span<iovec> pieces, std::size_t packet) {
    std::size_t rest = 0;
    for (const iovec& each : pieces) rest += each.iov_len;
    std::size_t most = rest > packet && rest < 2 * packet ? (rest + 1) / 2 : packet;
    std::size_t count = 0;
    for (; count < pieces.size() && most > 0; ++count) {
        pieces[count].iov_len = std::min(pieces[count].iov_len, most);
        most -= pieces[count].iov_len;
    }
    return pieces.first(count);
}

std::span<iovec> advance(std::span<iovec> pieces, std::size_t count) {
    while (!pieces.empty() && count >= pieces.front().iov_len) {
        count -= pieces.front().iov_len;
        pieces = pieces.subspan(1);
    }
    if (!pieces.empty()) {
        pieces.front().iov_base = static_cast<std::byte*>(pieces.front().iov_base) + count;
        pieces.front().iov_len -= count;
    }
    return pieces;
}

}  // namespace

Socket::Socket(int descriptor) : descriptor_(descriptor) {
    if (descriptor < 0) fail("descriptor");
}

Socket::Socket(Socket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), by_packets_(other.by_packets_) {}

Socket::~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

Socket Socket::listener() {
    Socket listening(socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in address = loopback(0);
    if (bind(listening.descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
        0) {
        fail("bind");
    }
    if (listen(listening.descriptor_, k_backlog) != 0) fail("listen");
    return listening;
}

Socket Socket::connected(std::uint16_t port) {
    Socket connection(socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in address = loopback(port);
    if (connect(connection.descriptor_, reinterpret_cast<const sockaddr*>(&address),
                sizeof address) != 0) {
        fail("connect");
    }
    return sending_at_once(std::move(connection));
}

std::uint16_t Socket::port() const {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    if (getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
        fail("getsockname");
    }
    return ntohs(address.sin_port);
}

Socket Socket::accept() const {
    return sending_at_once(Socket(::accept(descriptor_, nullptr, nullptr)));
}

void Socket::call_for_each_packet() { by_packets_ = is_paced(descriptor_); }

void Socket::write(std::span<iovec> pieces) const {
    std::array<iovec, k_pieces> room;
    const std::size_t packet = by_packets_ ? packet_size(descriptor_) : 0;
    while (!pieces.empty()) {
        std::ranges::copy(pieces, room.begin());
        auto part = std::span(room).first(pieces.size());
        if (by_packets_) part = cut(part, packet);
        msghdr message{};
        message.msg_iov = part.data();
        message.msg_iovlen = part.size();
        const ssize_t count = sendmsg(descriptor_, &message, MSG_NOSIGNAL);
        if (count < 0) fail("send");
        pieces = advance(pieces, static_cast<std::size_t>(count));
    }
}

void Socket::write(std::span<const std::byte> octets) const {
    std::array<iovec, 1> pieces{piece(octets.data(), octets.size())};
    write(pieces);
}

void Socket::read(std::span<iovec> pieces) const {
    msghdr message{};
    while (!pieces.empty()) {
        message.msg_iov = pieces.data();
        message.msg_iovlen = pieces.size();
        const ssize_t count = recvmsg(descriptor_, &message, MSG_WAITALL);
        if (count < 0) fail("receive");
        if (count == 0) throw std::runtime_error("the peer left");
        pieces = advance(pieces, static_cast<std::size_t>(count));
    }
}

std::size_t Socket::read_some(std::span<std::byte> target) const {
    const ssize_t count = recv(descriptor_, target.data(), target.size(), 0);
    if (count < 0) fail("receive");
    if (count == 0) throw std::runtime_error("the peer left");
    return static_cast<std::size_t>(count);
}

void Socket::wait_for_end() const {
    std::array<std::byte, 64> rest{};
    while (recv(descriptor_, rest.data(), rest.size(), 0) > 0) {
    }
}

std::uint64_t FrameReader::read_some() {
    filled_ += socket_.read_some(std::span(block_).subspan(filled_));
    std::uint64_t messages = 0;
    std::size_t at = 0;
    while (filled_ - at >= k_header) {
        std::uint64_t header = 0;
        std::memcpy(&header, block_.data() + at, k_header);
        const std::size_t size = be64toh(header);
        if (filled_ - at - k_header < size) break;
        content_.touch(std::span(block_).subspan(at + k_header, size));
        at += k_header + size;
        ++messages;
    }
    std::memmove(block_.data(), block_.data() + at, filled_ - at);
    filled_ -= at;
    return messages;
}

}  // namespace nq::bench
