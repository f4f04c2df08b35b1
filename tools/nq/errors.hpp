// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace nq::tool {

/// What the program ends with.
enum Exit : int {
    k_exit_done = 0,
    k_exit_failed = 1,         ///< a peer, a file or the network did not do as asked
    k_exit_usage = 2,          ///< wrong arguments, or something this build lacks
    k_exit_interrupted = 130,  ///< Ctrl-C, as shells count it
};

/// The command line asks for what can't be done: exit code 2.
class UsageError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace nq::tool
