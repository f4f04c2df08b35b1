// SPDX-License-Identifier: Apache-2.0
#include "io/socket.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <system_error>
#include <utility>

#include "io/limits.hpp"
#include "io/pacing.hpp"

namespace nq::detail {

namespace {

using Views = std::array<iovec, limits::k_views_per_call>;

int set_option(int fd, int level, int name, int value) noexcept {
    return ::setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : errno;
}

/// What a call that moved `moved` of `asked` octets, or -1, has done.
Io outcome(ssize_t moved, std::size_t asked) noexcept {
    Io io;
    if (moved >= 0) {
        io.size = static_cast<std::size_t>(moved);
        io.complete = io.size == asked;
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
        io.status = Io::Status::failed;
        io.error = errno;
    }
    return io;
}

/// One sendmsg(2) of all the views.
Io send_at_once(int fd, std::span<iovec> views, std::size_t asked) noexcept {
    msghdr message{};
    message.msg_iov = views.data();
    message.msg_iovlen = views.size();
    ssize_t moved = 0;
    do {
        moved = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (moved < 0 && errno == EINTR);
    return outcome(moved, asked);
}

/// One sendmsg(2) for each packet. The views are used up.
Io send_in_packets(int fd, std::span<iovec> views, std::size_t asked) noexcept {
    const std::size_t packet = packet_size(fd);
    Io io{.complete = true};
    std::size_t sent = 0;
    while (io.complete && sent < asked) {
        const std::size_t part = next_part(asked - sent, packet);
        std::size_t count = 0;
        std::size_t size = 0;
        while (size < part) size += views[count++].iov_len;
        // The last view is cut, and what was cut off begins the next part.
        iovec& last = views[count - 1];
        last.iov_len -= size - part;
        io = send_at_once(fd, views.first(count), part);
        sent += io.size;
        last = {static_cast<std::byte*>(last.iov_base) + last.iov_len, size - part};
        views = views.subspan(count - 1);
    }
    io.size = sent;
    return io;
}

Io send_views(int fd, bool paced, std::span<iovec> views, std::size_t asked) noexcept {
    const bool in_packets = paced && asked > limits::k_one_packet;
    return in_packets ? send_in_packets(fd, views, asked) : send_at_once(fd, views, asked);
}

}  // namespace

Socket::Socket(Socket&& other) noexcept : fd_(other.release()), paced_(other.paced_) {}

Socket& Socket::operator=(Socket&& other) noexcept {
    const Socket dropped(std::exchange(fd_, other.release()));
    paced_ = other.paced_;
    return *this;
}

Socket::~Socket() {
    if (fd_ >= 0) ::close(fd_);  // EINTR included: on Linux the descriptor is gone either way
}

Socket Socket::open(int family) noexcept {
    return Socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
}

Socket Socket::accept() const noexcept {
    return Socket(::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int Socket::listen(const SocketAddress& address, int backlog) noexcept {
    if (const int error = set_option(fd_, SOL_SOCKET, SO_REUSEADDR, 1)) return error;
    if (::bind(fd_, address.data(), address.size()) != 0) return errno;
    return ::listen(fd_, backlog) == 0 ? 0 : errno;
}

int Socket::connect(const SocketAddress& address) noexcept {
    // EINTR: the attempt goes on by itself (connect(2)), so it is in progress as well.
    if (::connect(fd_, address.data(), address.size()) == 0) return 0;
    return errno == EINTR ? EINPROGRESS : errno;
}

int Socket::set_connection_options(std::chrono::seconds dead_peer) const noexcept {
    // Silence, then three probes, each with the same time for its answer: 45 = 15 + 3 * 10.
    const auto seconds = static_cast<int>(dead_peer.count());
    const int interval = std::max(1, seconds * 2 / 9);
    const int idle = std::max(1, seconds - limits::k_unanswered_probes * interval);
    // TCP_USER_TIMEOUT is never set: the kernel applies it to a closed window too, and would take a
    // slow reader for a dead one (health.hpp has what stands in for it).
    for (const int error :
         {set_option(fd_, IPPROTO_TCP, TCP_NODELAY, 1),
          set_option(fd_, SOL_SOCKET, SO_KEEPALIVE, 1),
          set_option(fd_, IPPROTO_TCP, TCP_KEEPIDLE, idle),
          set_option(fd_, IPPROTO_TCP, TCP_KEEPINTVL, interval),
          set_option(fd_, IPPROTO_TCP, TCP_KEEPCNT, limits::k_unanswered_probes)}) {
        if (error != 0) return error;
    }
    return 0;
}

void Socket::prepare_sending() noexcept {
    // A system that can't takes as many as it likes.
    (void)set_option(fd_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, limits::k_unsent_in_kernel);
    paced_ = is_paced(fd_);
}

Io Socket::send(std::span<const Chunk> chunks) const noexcept {
    assert(chunks.size() <= limits::k_views_per_call);
    Views views;
    std::size_t count = 0;
    std::size_t asked = 0;
    for (const Chunk& chunk : chunks) {
        if (chunk.empty()) continue;
        // sendmsg only reads, but iovec serves both ways and has no const.
        views[count++] = {const_cast<std::byte*>(chunk.data()), chunk.size()};
        asked += chunk.size();
    }
    if (asked == 0) return {.complete = true};
    return send_views(fd_, paced_, std::span(views).first(count), asked);
}

Io Socket::send(std::span<const std::byte> octets) const noexcept {
    std::array<iovec, 1> view{{{const_cast<std::byte*>(octets.data()), octets.size()}}};
    return send_views(fd_, paced_, view, octets.size());
}

Io Socket::receive(std::span<const std::span<std::byte>> targets) const noexcept {
    assert(targets.size() <= limits::k_views_per_call);
    Views views;
    std::size_t count = 0;
    std::size_t asked = 0;
    for (const auto target : targets) {
        if (target.empty()) continue;
        views[count++] = {target.data(), target.size()};
        asked += target.size();
    }
    if (asked == 0) return {.complete = true};
    msghdr message{};
    message.msg_iov = views.data();
    message.msg_iovlen = count;
    ssize_t moved = 0;
    do {
        moved = ::recvmsg(fd_, &message, 0);
    } while (moved < 0 && errno == EINTR);
    if (moved == 0) return {.status = Io::Status::end};
    return outcome(moved, asked);
}

void Socket::finish_sending() const noexcept { (void)::shutdown(fd_, SHUT_WR); }

void Socket::shut_down() const noexcept { (void)::shutdown(fd_, SHUT_RDWR); }

void Socket::discard_on_close() const noexcept {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

int Socket::take_error() const noexcept {
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

Socket Socket::duplicate() const noexcept { return Socket(::fcntl(fd_, F_DUPFD_CLOEXEC, 0)); }

std::string error_text(int error) { return std::system_category().message(error); }

}  // namespace nq::detail
