// SPDX-License-Identifier: Apache-2.0
#include "progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "format.hpp"

namespace nq::tool {

namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr auto k_first_draw = std::chrono::milliseconds{500};
constexpr auto k_draw_period = std::chrono::milliseconds{200};
/// Weight of the newest sample in the rate: steady to the eye, and a stall shows within a second.
constexpr double k_rate_weight = 0.3;
constexpr std::size_t k_bar_width = 24;

std::size_t terminal_columns() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

Progress::Progress(std::string label, std::optional<std::uint64_t> total,
                   std::function<std::uint64_t()> done)
    : label_(std::move(label)), total_(total), done_(std::move(done)) {
    if (isatty(STDERR_FILENO) == 0) return;
    thread_ = std::thread([this] {
        std::unique_lock lock(mutex_);
        auto next = begun_ + k_first_draw;
        while (!changed_.wait_until(lock, next, [this] { return over_; })) {
            draw();
            next = steady_clock::now() + k_draw_period;
        }
    });
}

Progress::~Progress() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
    }
    changed_.notify_all();
    thread_.join();
    if (drawn_) std::fputs("\r\x1b[K", stderr);
}

std::string Progress::line(const std::string& label, std::uint64_t done,
                           std::optional<std::uint64_t> total, double seconds, double rate,
                           std::size_t columns) {
    const auto octets = static_cast<double>(done);
    const std::string speed = decimal_size(rate) + "/s";
    std::string text = label + "  ";
    if (total && *total > 0) {
        const double share = std::min(octets / static_cast<double>(*total), 1.0);
        const auto filled = static_cast<std::size_t>(share * k_bar_width);
        text += "[" + std::string(filled, '#') + std::string(k_bar_width - filled, '.') + "]  ";
        text += fixed(100 * share, 0) + "%  " + decimal_size(octets) + " of " +
                decimal_size(static_cast<double>(*total)) + "  " + speed;
        const double left = static_cast<double>(*total) - octets;
        if (rate > 0) text += "  " + clock_time(left / rate) + " left";
    } else {
        text += decimal_size(octets) + "  " + speed + "  " + clock_time(seconds);
    }
    if (text.size() >= columns && columns > 0) text.resize(columns - 1);
    return text;
}

void Progress::draw() {
    const auto now = steady_clock::now();
    const std::uint64_t done = done_();
    const double elapsed = duration<double>(now - last_time_).count();
    // A count that fell (a peer left) is no negative speed.
    const auto moved = static_cast<double>(done - std::min(done, last_done_));
    const double sample = elapsed > 0 ? moved / elapsed : 0;
    rate_ = drawn_ ? (1 - k_rate_weight) * rate_ + k_rate_weight * sample : sample;
    last_done_ = done;
    last_time_ = now;
    drawn_ = true;
    const std::string text = line(label_, done, total_, duration<double>(now - begun_).count(),
                                  rate_, terminal_columns());
    std::fputs(("\r" + text + "\x1b[K").c_str(), stderr);
}

}  // namespace nq::tool
