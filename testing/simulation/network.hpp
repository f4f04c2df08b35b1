// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "session/frame.hpp"
#include "testing/simulation/pipe.hpp"

namespace nq::testing {

/// A simulated connection, and what the server knows of it.
struct Connection {
    enum class Host {
        stranger,  ///< the server waits for an ini
        session,   ///< a session of the server's reads it
        refused,   ///< the server sent ini and fin, and waits for the client to leave
        gone,      ///< the server closed it
    };

    Pipe up;    ///< towards the server
    Pipe down;  ///< from it
    detail::IdentityReader reader = {};
    Host host = Host::stranger;
    Pipe::TimePoint refused_until{};
    std::string script = {};  ///< what a hostile client says
    bool deaf = false;        ///< the client takes nothing
};

}  // namespace nq::testing
