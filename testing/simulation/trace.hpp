// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iomanip>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace nq::testing {

/// What a simulation found: an invariant that does not hold.
struct Violated : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void require(bool holds, const char* what) {
    if (!holds) throw Violated(what);
}

/// Everything that happened in a simulated world, in order, as one number (FNV-1a): two runs of one
/// seed are the same iff their numbers are. With an output, for people too.
class Trace {
  public:
    explicit Trace(std::ostream* out = nullptr) : out_(out) {}

    /// At virtual time `now_us`, `event` happened to session or connection `id`; n: how much.
    void note(std::int64_t now_us, std::string_view event, std::uint64_t id, std::uint64_t n) {
        for (const char c : event) mix(static_cast<unsigned char>(c));
        for (std::uint64_t value : {static_cast<std::uint64_t>(now_us), id, n}) {
            for (int i = 0; i < 8; ++i, value >>= 8) mix(value & 0xff);
        }
        if (out_ == nullptr) return;
        *out_ << std::setw(12) << now_us << " us  " << std::left << std::setw(24) << event
              << std::right << " #" << id;
        if (n > 0) *out_ << "  " << n;
        *out_ << '\n';
    }
    [[nodiscard]] std::uint64_t hash() const { return hash_; }

  private:
    void mix(std::uint64_t octet) { hash_ = (hash_ ^ octet) * 0x100000001b3U; }

    std::ostream* out_;
    std::uint64_t hash_ = 0xcbf29ce484222325U;
};

}  // namespace nq::testing
