// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net_queue/uuid.hpp>

namespace nq {

/// What `get` returns: who sent it, and what.
template <class T>
struct Message {
    Uuid peer;
    T data;
};

}  // namespace nq
