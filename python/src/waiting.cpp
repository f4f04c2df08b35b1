// SPDX-License-Identifier: Apache-2.0
#include "waiting.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

namespace nq::python {

namespace {

/// How late Ctrl-C may be: what nobody notices; and so few looks that an idle program costs
/// nothing.
constexpr std::chrono::milliseconds k_signal_slice{50};
/// Longer than anybody waits, and no overflow when added to now.
constexpr double k_seconds_max = 1e9;

std::atomic<unsigned long> g_main_thread{0};

bool in_main_thread() {
    // relaxed: written before there is a second thread.
    return PyThread_get_thread_ident() == g_main_thread.load(std::memory_order_relaxed);
}

}  // namespace

void set_main_thread(unsigned long identifier) {
    g_main_thread.store(identifier, std::memory_order_relaxed);  // as in_main_thread
}

Deadline deadline_after(const std::optional<double>& seconds) {
    if (!seconds) return std::nullopt;
    if (std::isnan(*seconds) || *seconds < 0) {
        throw py::value_error("timeout: seconds, at least 0, or None");
    }
    const std::chrono::duration<double> wait(std::min(*seconds, k_seconds_max));
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(wait);
}

std::chrono::nanoseconds next_slice(const Deadline& deadline) {
    const auto slice = in_main_thread() ? std::chrono::nanoseconds(k_signal_slice)
                                        : std::chrono::nanoseconds(std::chrono::hours(1));
    if (!deadline) return slice;
    return std::clamp<std::chrono::nanoseconds>(*deadline - Clock::now(),
                                                std::chrono::nanoseconds(0), slice);
}

}  // namespace nq::python
