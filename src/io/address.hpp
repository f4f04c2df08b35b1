// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace nq::detail {

/// A numeric address and port, IPv4 or IPv6.
/// Thread safety: a value.
class SocketAddress {
  public:
    SocketAddress() = default;
    /// REQUIRES: size <= sizeof(sockaddr_storage).
    SocketAddress(const sockaddr* address, socklen_t size);

    /// The own end of a socket, or the peer's; of family AF_UNSPEC where there is none.
    static SocketAddress local_of(int fd);
    static SocketAddress peer_of(int fd);

    [[nodiscard]] const sockaddr* data() const noexcept {
        return reinterpret_cast<const sockaddr*>(&storage_);
    }
    [[nodiscard]] socklen_t size() const noexcept { return size_; }
    [[nodiscard]] int family() const noexcept { return storage_.ss_family; }
    [[nodiscard]] std::uint16_t port() const noexcept;
    /// 127.0.0.1:4711 or [::1]:4711.
    [[nodiscard]] std::string to_string() const;

    /// The same family, address, scope and port.
    friend bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept;

  private:
    sockaddr_storage storage_{};
    socklen_t size_ = 0;
};

}  // namespace nq::detail
