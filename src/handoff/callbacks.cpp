// SPDX-License-Identifier: Apache-2.0
#include "handoff/callbacks.hpp"

#include <condition_variable>
#include <csignal>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace nq::detail {

struct Callbacks::State {
    std::function<void(const char*)> failed;
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Call> calls;  // guarded by mutex, as the three below
    bool stopped = false;
    std::thread thread;
    std::thread::id runner;  // the thread's, as long as it makes calls

    void invoke(const Call& call) noexcept {
        try {
            call();
        } catch (const std::exception& error) {
            report(error.what());
        } catch (...) {
            report("an exception of an unknown type");
        }
    }

    void report(const char* text) noexcept {
        try {
            if (failed) failed(text);
        } catch (...) {
            // The log hook itself threw: there is nobody left to tell.
        }
    }
};

Callbacks::Callbacks(std::function<void(const char*)> failed) : state_(std::make_shared<State>()) {
    state_->failed = std::move(failed);
}

Callbacks::~Callbacks() { stop(); }

void Callbacks::post(Call call) {
    {
        const std::lock_guard lock(state_->mutex);
        if (!state_->stopped) {
            if (!state_->thread.joinable()) {
                state_->thread = std::thread([state = state_] { run(state); });
            }
            state_->calls.push_back(std::move(call));
            state_->wake.notify_one();
            return;
        }
    }
    state_->invoke(call);
}

bool Callbacks::on_thread() const {
    const std::lock_guard lock(state_->mutex);
    return state_->runner == std::this_thread::get_id();
}

void Callbacks::stop() {
    std::thread thread;
    {
        const std::lock_guard lock(state_->mutex);
        state_->stopped = true;
        thread = std::move(state_->thread);
        state_->wake.notify_one();
    }
    if (!thread.joinable()) return;
    if (thread.get_id() == std::this_thread::get_id()) {
        thread.detach();  // a thread can't wait for itself; it shares the state, so it may linger
    } else {
        thread.join();
    }
}

void Callbacks::run(const std::shared_ptr<State>& state) {
    // The program's signals are for the program's threads.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::unique_lock lock(state->mutex);
    state->runner = std::this_thread::get_id();
    for (;;) {
        state->wake.wait(lock, [&state] { return state->stopped || !state->calls.empty(); });
        if (state->calls.empty()) break;
        {
            const Call call = std::move(state->calls.front());
            state->calls.pop_front();
            lock.unlock();
            state->invoke(call);
        }  // what the call owns goes before the lock comes back
        lock.lock();
    }
    state->runner = {};
}

}  // namespace nq::detail
