// SPDX-License-Identifier: Apache-2.0
#include "closing.hpp"

#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace nq::python {

namespace {

/// All communicators that are not closed, and how many threads are at it. Never destroyed: threads
/// may outlive main.
struct Registry {
    std::mutex mutex;
    std::condition_variable idle;
    std::vector<std::weak_ptr<Closing>> open;
    int threads = 0;
};

Registry& registry() {
    static auto* const registry = new Registry;
    return *registry;
}

/// What is waited for beyond the timeout given to each close: its goodbyes, and its threads.
constexpr std::chrono::seconds k_finish_grace{1};

}  // namespace

std::shared_ptr<Closing> Closing::of(nq::Communicator core) {
    const std::shared_ptr<Closing> closing(new Closing(std::move(core)));
    const std::lock_guard lock(registry().mutex);
    std::erase_if(registry().open, [](const auto& other) { return other.expired(); });
    registry().open.push_back(closing);
    return closing;
}

void Closing::finish_all(std::chrono::nanoseconds timeout) {
    std::vector<std::shared_ptr<Closing>> open;
    {
        const std::lock_guard lock(registry().mutex);
        for (const auto& weak : registry().open) {
            if (auto closing = weak.lock()) open.push_back(std::move(closing));
        }
    }
    for (const auto& closing : open) closing->begin(timeout);
    std::unique_lock lock(registry().mutex);
    registry().idle.wait_for(lock, timeout + k_finish_grace,
                             [] { return registry().threads == 0; });
}

void Closing::before_fork() { registry().mutex.lock(); }

void Closing::after_fork(bool in_child) {
    if (in_child) {
        registry().open.clear();
        registry().threads = 0;
    }
    registry().mutex.unlock();
}

void Closing::begin(std::optional<std::chrono::nanoseconds> timeout) {
    {
        const std::lock_guard lock(mutex_);
        if (begun_ && !timeout) return;
        if (closed_) return;
        begun_ = true;
    }
    {
        const std::lock_guard lock(registry().mutex);
        ++registry().threads;
    }
    try {
        std::thread([self = shared_from_this(), timeout]() mutable {
            self->run(timeout);
            self.reset();  // may be the last, and end the communicator
            leave();
        }).detach();
    } catch (const std::system_error&) {  // no thread to be had: whoever asks again may be luckier
        leave();
        const std::lock_guard lock(mutex_);
        begun_ = false;
        throw;
    }
}

void Closing::leave() {
    const std::lock_guard lock(registry().mutex);
    if (--registry().threads == 0) registry().idle.notify_all();
}

void Closing::run(std::optional<std::chrono::nanoseconds> timeout) {
    if (!timeout) core_.close();
    CloseReport report = core_.close_for(timeout.value_or(std::chrono::nanoseconds(0)));
    const std::lock_guard lock(mutex_);
    if (closed_) return;  // whoever was told so reads the report without the lock
    report_ = std::move(report);
    closed_ = true;
    done_.notify_all();
}

bool Closing::wait_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    return done_.wait_for(lock, timeout, [this] { return closed_; });
}

}  // namespace nq::python
