// SPDX-License-Identifier: Apache-2.0
#include "io/health.hpp"

#include <doctest/doctest.h>

namespace nq::detail {

using std::chrono::seconds;

TEST_CASE("a peer with an open window that answers nothing for 45 s is dead") {
    const TcpHealth health{.silent = seconds(45), .retransmits = 3, .outstanding = true};
    CHECK(is_dead(health, seconds(45)));
}

TEST_CASE("a peer with a closed window that answers probes is a slow reader") {
    // Probes two minutes apart: the last answer is old, but every probe had one.
    const TcpHealth health{.silent = seconds(119), .probes = 0, .outstanding = true};
    CHECK_FALSE(is_dead(health, seconds(45)));
}

TEST_CASE("a peer with a closed window that leaves three probes unanswered is dead") {
    const TcpHealth health{.silent = seconds(60), .probes = 3, .outstanding = true};
    CHECK(is_dead(health, seconds(45)));
}

TEST_CASE("a lost packet or two on a long line is no death") {
    const TcpHealth health{.silent = seconds(50), .retransmits = 2, .outstanding = true};
    CHECK_FALSE(is_dead(health, seconds(45)));
}

TEST_CASE("retransmissions alone are no death while the peer is heard") {
    const TcpHealth health{.silent = seconds(1), .retransmits = 9, .outstanding = true};
    CHECK_FALSE(is_dead(health, seconds(45)));
}

TEST_CASE("an idle peer is the kernel's to probe") {
    const TcpHealth health{.silent = seconds(500), .retransmits = 9, .outstanding = false};
    CHECK_FALSE(is_dead(health, seconds(45)));
}

TEST_CASE("the next look comes when silence could have lasted long enough") {
    CHECK(next_look({.silent = seconds(5)}, seconds(45)) == seconds(40));
    CHECK(next_look({.silent = seconds(45)}, seconds(45)) == seconds(5));
    CHECK(next_look({.silent = seconds(500)}, seconds(45)) == seconds(5));
}

}  // namespace nq::detail
