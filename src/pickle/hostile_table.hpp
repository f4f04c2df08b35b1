// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nq::testing {

/// A pickle that must be refused.
struct Hostile {
    std::string_view name;
    std::string octets;
    std::string_view error;  ///< a part of the error's text
    bool restricted =
        false;  ///< with an allow list of all known types; else any global may be named
};

/// Code-execution gadgets: harmless here in any case, and refused by an allow list.
std::vector<Hostile> gadgets();
/// Lengths and numbers that promise more than the message holds.
std::vector<Hostile> lying_lengths();
/// Memos, stacks and nesting that grow faster than the message.
std::vector<Hostile> bombs();
/// Programs that no pickler writes.
std::vector<Hostile> nonsense();
/// What needs the sender's own program.
std::vector<Hostile> unsupported();

}  // namespace nq::testing
