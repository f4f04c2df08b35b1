// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <net_queue/communicator.hpp>

#include "buffer/pool.hpp"
#include "communicator/workers.hpp"
#include "handoff/callbacks.hpp"
#include "handoff/inbox.hpp"
#include "session/session.hpp"
#include "transport/transport.hpp"

namespace nq::detail {

class Peer;

/// What a server and a client have in common: the inbox, the threads, the callbacks, and how
/// closing goes. The two roles derive from it (server.hpp, client.hpp).
///
/// Owns everything of a communicator. Whatever close has to wait for holds a Busy.
/// Thread safety: all public methods, from any thread, except construction and destruction.
class Core {
  public:
    using Clock = std::chrono::steady_clock;
    using Peers = std::span<const Uuid>;

    virtual ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    /// Makes the role; see Communicator's constructor for what it throws.
    static std::unique_ptr<Core> make(std::shared_ptr<Transport> transport, Purpose purpose,
                                      Options options);

    // For Communicator.
    Future put(Stream&& message, Peers peers);
    Message<Stream> get(Peers peers);
    Result<Message<Stream>> get(Peers peers, std::optional<Clock::time_point> deadline);
    /// See Communicator.
    void when_readable(Peers peers, std::function<void()> callback);
    /// Past the deadline the goodbyes get a moment more (k_close_grace), unless `abruptly`. Called
    /// from a callback while another thread closes, it returns at once: that thread waits for the
    /// callback.
    CloseReport close(std::optional<Clock::time_point> deadline, bool abruptly = false);
    Result<void> reload_certificates() { return transport_->reload_certificates(); }
    [[nodiscard]] virtual std::vector<Uuid> peers() const = 0;
    [[nodiscard]] virtual Stats stats() const = 0;
    [[nodiscard]] const Options& options() const { return options_; }
    [[nodiscard]] const Uuid& id() const { return *options_.id; }
    [[nodiscard]] virtual Purpose purpose() const = 0;

    // For the sessions.
    [[nodiscard]] Inbox& inbox() { return inbox_; }
    [[nodiscard]] const std::shared_ptr<BufferPool>& pool() { return pool_; }
    /// Of a put that is not even queued.
    [[nodiscard]] Ticket refused(Failure failure) const;
    /// A large message came, or a part of one: the pool keeps its memory for a while.
    void look_after_pool();
    [[nodiscard]] bool closing() const {
        return closing_.load(std::memory_order_acquire);  // pairs with the store in close
    }
    [[nodiscard]] const std::shared_ptr<Callbacks>& callbacks() const { return callbacks_; }
    [[nodiscard]] const std::shared_ptr<Role>& role() const { return workers_.role(); }
    /// See Transport::lossy.
    [[nodiscard]] bool lossy() const { return lossy_; }
    [[nodiscard]] virtual Session::Timeouts timeouts() const = 0;
    void log(LogLevel level, std::string text);
    /// Runs it on the callback thread.
    void call_back(std::function<void()> task) { callbacks_->post(std::move(task)); }
    /// Calls events.ini or events.fin on the callback thread.
    void announce(const std::function<void(const Uuid&)>& event, const Uuid& peer);
    /// A session ended with messages that close could not deliver. Any thread.
    void note_unsent(const PeerStats& peer);
    /// A peer identified itself, or its session was lost or has ended. Reactor thread. With
    /// `connection`, goodbyes were exchanged on it and it has to be closed properly.
    virtual void handle_identified(Peer& peer) = 0;
    virtual void handle_peer_lost(Peer& peer) = 0;
    virtual void handle_ended(Peer& peer, const Failure& failure,
                              std::shared_ptr<Connection> connection) = 0;

    /// Close waits until every Busy is gone: a living session, a goodbye under way.
    class Busy {
      public:
        Busy() = default;
        explicit Busy(Core& core) : core_(&core) { core.add_busy(); }
        Busy(Busy&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
        Busy& operator=(Busy&& other) noexcept {
            std::swap(core_, other.core_);
            return *this;
        }
        ~Busy() {
            if (core_ != nullptr) core_->remove_busy();
        }

      private:
        Core* core_ = nullptr;
    };

  protected:
    Core(std::shared_ptr<Transport> transport, Options options);

    /// Queues to the peers of `put`; none named: to all.
    virtual Future put_each(Stream&& message, Peers peers) = 0;
    [[nodiscard]] Future future_of(Tickets tickets) const;
    /// No new peers; the living ones are told to leave.
    virtual void begin_close() = 0;
    /// The deadline passed: says goodbye to who still lives.
    virtual void end_all() = 0;
    /// And no more waiting for an answer: ends every session at once.
    virtual void kill_all() = 0;
    /// Ends the threads of the reactors. To be called by the destructor of each role.
    void shut_down() { workers_.stop(); }

    /// A timeout that can be added to a point in time: a hundred years at most.
    static Clock::duration bounded(std::chrono::milliseconds timeout) {
        return std::min<std::chrono::milliseconds>(timeout, std::chrono::hours(24 * 365 * 100));
    }

    Options options_;
    const std::shared_ptr<Transport> transport_;
    const bool lossy_;
    const std::shared_ptr<BufferPool> pool_;
    const std::shared_ptr<Callbacks> callbacks_;
    Inbox inbox_;
    Workers workers_;

  private:
    [[nodiscard]] inline bool reads_as_fin(const Stream& message) const;
    void age_pool();
    void add_busy();
    void remove_busy();
    /// Whoever closes, or will, does not wait beyond `deadline`.
    void bring_forward(std::optional<Clock::time_point> deadline);
    /// False: the deadline passed first.
    bool wait_idle();
    /// The moment that those get whose session is ended by the deadline.
    void wait_goodbyes();

    std::atomic<bool> closing_{false};
    std::atomic<bool> closed_{false};
    std::atomic<bool> pool_watched_{false};
    Reactor::Timer pool_timer_;  // belongs to the first reactor's thread
    std::mutex close_mutex_;     // held by the one who closes
    CloseReport report_;         // guarded by it

    std::mutex busy_mutex_;
    std::condition_variable idle_;
    // Guarded by busy_mutex_.
    int busy_ = 0;
    std::optional<Clock::time_point> close_deadline_;
    std::vector<PeerStats> unsent_;
};

}  // namespace nq::detail
