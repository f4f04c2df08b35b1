// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace nq::tool {

/// A line on the terminal that tells how far something is, how fast, and how long it still takes.
/// Drawn to stderr from a thread of its own once the matter has lasted half a second; draws nothing
/// where stderr is no terminal. The destructor wipes it away.
class Progress {
  public:
    /// `done` is called on the drawing thread; octets so far. `total`: octets in all, if known.
    Progress(std::string label, std::optional<std::uint64_t> total,
             std::function<std::uint64_t()> done);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress();

    /// The line for `done` octets after `seconds`, at most `columns` wide. For itself, so that it
    /// can be tested.
    [[nodiscard]] static std::string line(const std::string& label, std::uint64_t done,
                                          std::optional<std::uint64_t> total, double seconds,
                                          double rate, std::size_t columns);

  private:
    void draw();

    const std::string label_;
    const std::optional<std::uint64_t> total_;
    const std::function<std::uint64_t()> done_;
    const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    double rate_ = 0;  ///< octets/s, smoothed
    std::uint64_t last_done_ = 0;
    std::chrono::steady_clock::time_point last_time_ = begun_;
    bool drawn_ = false;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;
};

}  // namespace nq::tool
