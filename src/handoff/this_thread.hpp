// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace nq::detail {

/// A number that no other living thread has, and never 0. (std::thread::id has no atomic that is
/// lock-free by promise, and no number.)
inline std::uintptr_t this_thread() {
    thread_local const char here = 0;
    return reinterpret_cast<std::uintptr_t>(&here);
}

}  // namespace nq::detail
