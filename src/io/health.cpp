// SPDX-License-Identifier: Apache-2.0
#include "io/health.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

#include "io/limits.hpp"

namespace nq::detail {

bool is_dead(const TcpHealth& health, std::chrono::milliseconds dead_peer) noexcept {
    const unsigned unanswered = std::max(health.retransmits, health.probes);
    return health.outstanding && health.silent >= dead_peer &&
           unanswered >= unsigned{limits::k_unanswered_probes};
}

std::chrono::milliseconds next_look(const TcpHealth& health,
                                    std::chrono::milliseconds dead_peer) noexcept {
    // A ninth: 5 s of 45 s, so a death is seen at most that late.
    return std::max(dead_peer - health.silent, dead_peer / 9);
}

TcpHealth read_health(int fd) noexcept {
    TcpHealth health;
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return health;
    // Both: an acknowledgement riding on data does not always count as one.
    health.silent =
        std::chrono::milliseconds(std::min(info.tcpi_last_ack_recv, info.tcpi_last_data_recv));
    health.retransmits = info.tcpi_retransmits;
    health.probes = info.tcpi_probes;
    int unacknowledged = 0;  // octets, those not sent yet included
    health.outstanding = ::ioctl(fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0;
    return health;
}

}  // namespace nq::detail
