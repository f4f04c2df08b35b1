// SPDX-License-Identifier: Apache-2.0
#include "communicator/workers.hpp"

#include <csignal>

namespace nq::detail {

namespace {

// While it lives, threads started by this one block all signals.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_;
};

}  // namespace

Workers::Workers(unsigned count, Duration busy_poll) {
    for (unsigned i = 0; i < count; ++i) {
        reactors_.push_back(std::make_unique<Reactor>(busy_poll));
        pointers_.push_back(reactors_.back().get());
    }
    if (count > 1) return;
    Reactor& reactor = first();
    role_ = std::make_shared<Role>([&reactor](TimePoint until) { return reactor.run_once(until); },
                                   [&reactor] { reactor.post([] {}); });
}

void Workers::start() {
    const SignalsBlocked blocked;
    try {
        for (Reactor* const reactor : pointers_) {
            threads_.emplace_back([reactor, role = role_] {
                if (role != nullptr) {
                    role->stand_in();
                } else {
                    reactor->run();
                }
            });
        }
    } catch (...) {
        stop();
        throw;
    }
}

void Workers::stop() {
    if (threads_.empty()) return;
    for (Reactor* const reactor : pointers_) reactor->stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    for (Reactor* const reactor : pointers_) reactor->retire();
}

}  // namespace nq::detail
