// SPDX-License-Identifier: Apache-2.0
#include "io/pacing.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "io/limits.hpp"

namespace nq::detail {

bool is_paced(int fd) noexcept {
    std::array<char, 16> name{};  // the kernel's TCP_CA_NAME_MAX, with a zero at the end
    auto size = static_cast<socklen_t>(name.size());
    if (::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size) != 0) return false;
    return std::string_view(name.data()).starts_with("bbr");
}

std::size_t packet_size(int fd) noexcept {
    int segment = 0;
    socklen_t size = sizeof segment;
    const bool known = ::getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &size) == 0;
    if (!known || segment <= 0) return limits::k_packet_max;
    const auto octets = static_cast<std::size_t>(segment);
    return std::max<std::size_t>(1, limits::k_packet_max / octets) * octets;
}

}  // namespace nq::detail
