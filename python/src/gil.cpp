// SPDX-License-Identifier: Apache-2.0
#include "gil.hpp"

#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

namespace nq::python {

namespace {

std::atomic<bool> g_exiting{false};
std::thread::id g_exit_thread;  // written before g_exiting
std::atomic<int> g_generation{0};
thread_local bool t_in_callback = false;

std::mutex& attaching() {
    static auto* const mutex = new std::mutex;  // never destroyed: threads may outlive main
    return *mutex;
}

/// What Python knows of a thread of ours.
class Attached {
  public:
    Attached() = default;
    Attached(const Attached&) = delete;
    Attached& operator=(const Attached&) = delete;
    ~Attached() {
        if (state_ == nullptr || exiting() || Py_IsInitialized() == 0) return;
        calling([this] {
            PyEval_AcquireThread(state_);
            PyThreadState_Clear(state_);
            PyThreadState_DeleteCurrent();
        });
    }

    void attach() {
        if (PyGILState_GetThisThreadState() != nullptr) return;
        const std::lock_guard lock(attaching());
        state_ = PyThreadState_New(PyInterpreterState_Main());
    }

  private:
    PyThreadState* state_ = nullptr;
};

}  // namespace

void begin_exit() {
    g_exit_thread = std::this_thread::get_id();
    // release: who sees the flag sees whose it is.
    g_exiting.store(true, std::memory_order_release);
}

bool exiting() noexcept {
    // acquire: pairs with begin_exit.
    return g_exiting.load(std::memory_order_acquire) && std::this_thread::get_id() != g_exit_thread;
}

void rest() noexcept {
    for (;;) pause();
}

void attach() {
    thread_local Attached attached;
    attached.attach();
}

void before_fork() { attaching().lock(); }

void after_fork() { attaching().unlock(); }

bool in_callback() noexcept { return t_in_callback; }

void set_in_callback(bool inside) noexcept { t_in_callback = inside; }

// relaxed, all of them: a child has one thread when the number changes.
static int generation() noexcept { return g_generation.load(std::memory_order_relaxed); }

ForkGuard::ForkGuard() : generation_(generation()) {}

bool ForkGuard::forked() const noexcept { return generation_ != generation(); }

void ForkGuard::require_parent() const {
    if (!forked()) return;
    throw std::runtime_error(
        "this queue stayed with the process that was forked: open another one here, or "
        "start the child with multiprocessing's 'spawn'");
}

void after_fork_in_child() noexcept {
    g_generation.fetch_add(1, std::memory_order_relaxed);  // as generation
}

}  // namespace nq::python
