// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include <net_queue/stream.hpp>

#include "bench/bench.hpp"

namespace nq::tool {

/// The sizes of the messages that each end puts for each client, in order.
class Workload {
  public:
    explicit Workload(const BenchOptions& options);

    [[nodiscard]] const std::vector<std::uint64_t>& sizes() const { return sizes_; }
    [[nodiscard]] std::uint64_t count() const { return sizes_.size(); }
    /// Octets in all.
    [[nodiscard]] std::uint64_t octets() const { return octets_; }

  private:
    std::vector<std::uint64_t> sizes_;
    std::uint64_t octets_ = 0;
};

/// What arrived, to be compared with what was to arrive. Thread safety: none.
class Tally {
  public:
    void add(std::uint64_t size) {
        ++counts_[size];
        ++count_;
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    /// Throws std::runtime_error where the sizes are not those of the workload, `times` over.
    void require(const Workload& workload, std::uint64_t times) const;

  private:
    std::map<std::uint64_t, std::uint64_t> counts_;
    std::uint64_t count_ = 0;
};

/// The one buffer that every message of a run is a view of: the same octets in every process.
/// Thread safety: all methods, from any thread.
class Buffer {
  public:
    Buffer(std::size_t size, bool pickle);

    /// The first `size` octets as a message: no copy.
    [[nodiscard]] Stream message(std::size_t size) const;
    /// How many octets a message carries.
    [[nodiscard]] std::uint64_t size_of(const Stream& message) const;
    /// Throws std::runtime_error where it does not carry the octets of `message(size)`.
    void require(Stream message) const;

  private:
    [[nodiscard]] Stream carried(Stream message) const;

    bool pickle_;
    Chunk octets_;
};

}  // namespace nq::tool
