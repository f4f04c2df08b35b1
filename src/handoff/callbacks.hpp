// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

namespace nq::detail {

/// The thread on which a communicator calls its user back, so that a callback that blocks delays
/// other callbacks and nothing else. The thread starts with the first callback.
///
/// Owned by the communicator. Its futures, which may outlive it, look whether it is still there,
/// and share it only as long as a callback of theirs is to come.
///
/// Thread safety: all methods, from any thread.
class Callbacks {
  public:
    using Call = std::function<void()>;

    /// `failed` is told, on the callback thread, what a callback threw.
    explicit Callbacks(std::function<void(const char*)> failed);
    ~Callbacks();
    Callbacks(const Callbacks&) = delete;
    Callbacks& operator=(const Callbacks&) = delete;

    /// Queues a call, to be made in the order posted. After stop, makes it here and now.
    void post(Call call);
    /// Is this the thread that makes the calls?
    [[nodiscard]] bool on_thread() const;
    /// Makes the calls that are queued, then ends the thread and waits for that; called from a
    /// callback, it does not wait.
    void stop();

  private:
    // What the thread shares with this object, which it may outlive by the length of one callback.
    struct State;
    static void run(const std::shared_ptr<State>& state);

    const std::shared_ptr<State> state_;
};

}  // namespace nq::detail
