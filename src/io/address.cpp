// SPDX-License-Identifier: Apache-2.0
#include "io/address.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <array>
#include <cassert>
#include <cstring>

#include <net_queue/options.hpp>

namespace nq::detail {

namespace {

template <class T>
T as(const SocketAddress& address) {
    T result{};
    std::memcpy(&result, address.data(), sizeof result);
    return result;
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size) : size_(size) {
    assert(size <= sizeof storage_);
    std::memcpy(&storage_, address, size);
}

SocketAddress SocketAddress::local_of(int fd) {
    SocketAddress result;
    socklen_t size = sizeof result.storage_;
    auto* const data = reinterpret_cast<sockaddr*>(&result.storage_);
    if (::getsockname(fd, data, &size) != 0) return {};
    result.size_ = size;
    return result;
}

SocketAddress SocketAddress::peer_of(int fd) {
    SocketAddress result;
    socklen_t size = sizeof result.storage_;
    auto* const data = reinterpret_cast<sockaddr*>(&result.storage_);
    if (::getpeername(fd, data, &size) != 0) return {};
    result.size_ = size;
    return result;
}

std::uint16_t SocketAddress::port() const noexcept {
    switch (family()) {
        case AF_INET: return ntohs(as<sockaddr_in>(*this).sin_port);
        case AF_INET6: return ntohs(as<sockaddr_in6>(*this).sin6_port);
        default: return 0;
    }
}

std::string SocketAddress::to_string() const {
    std::array<char, NI_MAXHOST> host{};
    // Numeric: never asks a name server. It knows scopes (fe80::1%eth0), which inet_ntop does not.
    const int failed =
        ::getnameinfo(data(), size_, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST);
    if (failed != 0) return "unknown address";
    return NetworkLocation{host.data(), port()}.to_string();
}

bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept {
    if (a.family() != b.family()) return false;
    if (a.family() == AF_INET) {
        const auto left = as<sockaddr_in>(a);
        const auto right = as<sockaddr_in>(b);
        return left.sin_port == right.sin_port && left.sin_addr.s_addr == right.sin_addr.s_addr;
    }
    if (a.family() == AF_INET6) {
        const auto left = as<sockaddr_in6>(a);
        const auto right = as<sockaddr_in6>(b);
        return left.sin6_port == right.sin6_port && left.sin6_scope_id == right.sin6_scope_id &&
               std::memcmp(&left.sin6_addr, &right.sin6_addr, sizeof left.sin6_addr) == 0;
    }
    return true;
}

}  // namespace nq::detail
