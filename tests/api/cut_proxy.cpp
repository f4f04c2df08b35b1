// SPDX-License-Identifier: Apache-2.0
#include "cut_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace nq::api {

namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

/// A socket that takes little on its own: what is held back stays with who said it. The system may
/// let it grow to many MiB otherwise.
int open_socket() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    constexpr int k_room = 64 << 10;
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &k_room, sizeof k_room);
    return fd;
}

void reset(int fd) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(fd);
}

}  // namespace

/// A client's connection and the one to the server. What one sends and the other does not take yet
/// waits in the sockets.
struct CutProxy::Pair {
    Pair(int client_fd, int server_fd) : client(client_fd), server(server_fd) {}
    ~Pair() {
        const auto let_go =
            client_finished && server_finished ? [](int fd) { ::close(fd); } : reset;
        let_go(client);
        let_go(server);
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    const int client;
    const int server;
    bool client_finished = false;  ///< it has said all, and the server was told so
    bool server_finished = false;
};

CutProxy::CutProxy(const NetworkLocation& server)
    : listener_(open_socket()),  // those that it accepts are like it
      wakeup_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      location_{"127.0.0.1", 0},
      port_(server.port) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 100) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
        throw std::system_error(errno, std::system_category(), "proxy");
    }
    location_.port = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
}

CutProxy::~CutProxy() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
    }
    wake();
    thread_.join();
    pairs_.clear();
    ::close(listener_);
    ::close(wakeup_);
}

void CutProxy::cut_after(Way way, std::size_t octets) {
    const std::lock_guard lock(mutex_);
    valve(way) = {octets, true};
    wake();
}

void CutProxy::hold_after(Way way, std::size_t octets) {
    const std::lock_guard lock(mutex_);
    valve(way) = {octets, false};
    wake();
}

void CutProxy::cut() {
    const std::lock_guard lock(mutex_);
    cut_ = true;
    wake();
}

void CutProxy::wake() const { (void)::eventfd_write(wakeup_, 1); }

void CutProxy::run() {
    for (;;) {
        std::vector<pollfd> interests{{wakeup_, POLLIN, 0}, {listener_, POLLIN, 0}};
        {
            const std::lock_guard lock(mutex_);
            if (stopped_) return;
            if (cut_) {
                pairs_.clear();
                up_ = down_ = {};
                cut_ = false;
            }
            for (const auto& pair : pairs_) {
                const short up = up_.octets > 0 ? POLLIN : 0;
                const short down = down_.octets > 0 ? POLLIN : 0;
                interests.push_back({pair->client_finished ? -1 : pair->client, up, 0});
                interests.push_back({pair->server_finished ? -1 : pair->server, down, 0});
            }
        }
        ::poll(interests.data(), interests.size(), -1);
        eventfd_t ignored = 0;
        (void)::eventfd_read(wakeup_, &ignored);
        for (std::size_t i = pairs_.size(); i-- > 0;) {
            const bool from_client = interests[2 + 2 * i].revents != 0;
            const bool from_server = interests[3 + 2 * i].revents != 0;
            if ((from_client && !carry(*pairs_[i], Way::to_server)) ||
                (from_server && !carry(*pairs_[i], Way::to_client))) {
                pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
        if (interests[1].revents != 0) accept();
    }
}

void CutProxy::accept() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    ++connections_;
    const int server = open_socket();
    auto pair = std::make_unique<Pair>(client, server);
    const sockaddr_in address = loopback(port_);
    if (port_ == 0 ||
        ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return;
    }
    pairs_.push_back(std::move(pair));
}

// False: the connection is over.
bool CutProxy::carry(Pair& pair, Way way) {
    const bool up = way == Way::to_server;
    std::array<char, 65'536> room;
    std::size_t most = 0;
    {
        const std::lock_guard lock(mutex_);
        most = std::min(room.size(), valve(way).octets);
    }
    const auto n = ::recv(up ? pair.client : pair.server, room.data(), most, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n == 0 && most > 0) {
        ::shutdown(up ? pair.server : pair.client, SHUT_WR);
        (up ? pair.client_finished : pair.server_finished) = true;
        return !(pair.client_finished && pair.server_finished);
    }
    if (n < 0) return false;
    for (ssize_t sent = 0; sent < n;) {
        const auto more = ::send(up ? pair.server : pair.client, room.data() + sent,
                                 static_cast<std::size_t>(n - sent), MSG_NOSIGNAL);
        if (more < 0) return false;
        sent += more;
    }
    const std::lock_guard lock(mutex_);
    Valve& own = valve(way);
    if (own.octets != k_unlimited) own.octets -= static_cast<std::size_t>(n);
    if (own.octets == 0 && own.fatal) cut_ = true;
    return true;
}

}  // namespace nq::api
