// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>

#include "gil.hpp"
#include "octets.hpp"

namespace nq::python {

using Clock = std::chrono::steady_clock;
/// None: for as long as it takes.
using Deadline = std::optional<Clock::time_point>;

/// The thread in which Python handles signals; in a forked child another.
void set_main_thread(unsigned long identifier);

/// Seconds, or None, from now. Throws ValueError for what is no time.
Deadline deadline_after(const std::optional<double>& seconds);

/// How long the next wait may take without a look at signals: only Python's main thread looks.
std::chrono::nanoseconds next_slice(const Deadline& deadline);

/// Waits until `waited(some time)`, called without the interpreter's lock, tells true; false: the
/// deadline came first. In the main thread Ctrl-C, or what another signal's handler raises, ends
/// it at once.
template <class F>
bool wait_until(const Deadline& deadline, F&& waited) {
    for (;;) {
        const auto slice = next_slice(deadline);
        const bool done = without_gil([&] { return waited(slice); });
        collect_returned();
        if (done) return true;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (deadline && Clock::now() >= *deadline) return false;
    }
}

}  // namespace nq::python
