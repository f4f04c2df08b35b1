// SPDX-License-Identifier: Apache-2.0
#include "raw_peer.hpp"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "network.hpp"

namespace nq::api {

namespace {

[[noreturn]] void throw_errno(const char* what) {
    throw std::system_error(errno, std::system_category(), what);
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

bool readable(int fd, int timeout_ms) {
    pollfd interest{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&interest, 1, timeout_ms) > 0;
}

constexpr int k_patience_ms = static_cast<int>(std::chrono::milliseconds(k_patience).count());

}  // namespace

RawPeer::RawPeer(const NetworkLocation& location)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address = loopback(location.port);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw_errno("connect");
    }
}

RawPeer::RawPeer(RawPeer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

void RawPeer::say(std::string_view octets) {
    while (!octets.empty()) {
        const ssize_t n = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
        if (n < 0) throw_errno("send");
        octets.remove_prefix(static_cast<std::size_t>(n));
    }
}

std::string RawPeer::hear(std::size_t n) {
    std::string heard;
    while (heard.size() < n && readable(fd_, k_patience_ms)) {
        char octets[4096];
        const ssize_t got = ::recv(fd_, octets, std::min(sizeof octets, n - heard.size()), 0);
        if (got <= 0) break;
        heard.append(octets, static_cast<std::size_t>(got));
    }
    return heard;
}

std::string RawPeer::hear_all() {
    std::string heard;
    while (readable(fd_, k_patience_ms)) {
        char octets[4096];
        const ssize_t got = ::recv(fd_, octets, sizeof octets, 0);
        if (got == 0) return heard;
        if (got < 0) break;
        heard.append(octets, static_cast<std::size_t>(got));
    }
    return heard + "!";
}

bool RawPeer::hears_nothing() const { return !readable(fd_, 0); }

void RawPeer::finish_saying() { ::shutdown(fd_, SHUT_WR); }

bool RawPeer::all_delivered() const {
    return eventually([this] {
        int unacknowledged = 0;
        return ::ioctl(fd_, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
    });
}

void RawPeer::hang_up() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

RawListener::RawListener(int room) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address = loopback(0);
    if (room > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd_, 16) != 0) {
        throw_errno("listen");
    }
}

RawListener::~RawListener() { ::close(fd_); }

NetworkLocation RawListener::location() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return {"127.0.0.1", ntohs(address.sin_port)};
}

RawPeer RawListener::accept() const {
    if (!readable(fd_, k_patience_ms)) throw std::runtime_error("nobody came");
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) throw_errno("accept");
    return RawPeer(fd);
}

}  // namespace nq::api
