// SPDX-License-Identifier: Apache-2.0
#include "interrupt.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "errors.hpp"

namespace nq::tool {

namespace {

// Sent by the destructor to its own watcher alone.
constexpr int k_stop_signal = SIGUSR1;

sigset_t watched_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGINT, SIGTERM, k_stop_signal}) sigaddset(&signals, number);
    return signals;
}

}  // namespace

Interrupt::Interrupt() {
    const sigset_t signals = watched_signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    watcher_ = std::thread([this] { watch(); });
}

Interrupt::~Interrupt() {
    pthread_kill(watcher_.native_handle(), k_stop_signal);
    watcher_.join();
    if (handling_.joinable()) handling_.join();
}

void Interrupt::watch() {
    const sigset_t signals = watched_signals();
    for (int number = 0; sigwait(&signals, &number) == 0 && number != k_stop_signal;) {
        handle_signal();
    }
}

void Interrupt::handle_signal() {
    const std::lock_guard lock(mutex_);
    if (happened_.exchange(true) || !handler_) _exit(k_exit_interrupted);
    // On a thread of its own: the handler may take long, and a second signal must still be heard.
    handling_ = std::thread(std::exchange(handler_, nullptr));
}

Interrupt::Scope::Scope(Interrupt& interrupt, std::function<void()> handler)
    : interrupt_(interrupt) {
    const std::lock_guard lock(interrupt_.mutex_);
    interrupt_.handler_ = std::move(handler);
}

Interrupt::Scope::~Scope() {
    std::thread handling;
    {
        const std::lock_guard lock(interrupt_.mutex_);
        interrupt_.handler_ = nullptr;
        handling = std::move(interrupt_.handling_);
    }
    if (handling.joinable()) handling.join();
}

}  // namespace nq::tool
