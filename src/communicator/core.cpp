// SPDX-License-Identifier: Apache-2.0
#include "communicator/core.hpp"

#include <stdexcept>
#include <utility>

#include "buffer/limits.hpp"
#include "communicator/client.hpp"
#include "communicator/server.hpp"
#include "handoff/bias.hpp"
#include "handoff/completion.hpp"

namespace nq::detail {

namespace {

// Refuses what can't work, with the option's name and bound.
Options validated(Options options) {
    const auto require = [](bool condition, const char* text) {
        if (!condition) throw std::invalid_argument(text);
    };
    const ConnectionOptions& connection = options.connection;
    require(!options.id || !options.id->is_nil(), "id: the nil UUID can't be an identity");
    require(options.workers >= 1, "workers: at least 1");
    require(options.workers <= 1024, "workers: at most 1024");
    require(connection.message_size >= Uuid::k_size, "message_size: at least 16 octets");
    require(connection.transport_size >= 64, "transport_size: at least 64 octets");
    require(connection.queue_size >= 1, "queue_size: at least 1 message");
    require(connection.receive_bytes >= 1, "receive_bytes: at least 1 octet");
    require(options.busy_poll.count() >= 0, "busy_poll: not negative");
    require(options.busy_poll <= std::chrono::minutes(1), "busy_poll: at most a minute");
    require(options.connect_timeout.count() > 0, "connect_timeout: more than 0");
    require(options.handshake_timeout.count() > 0, "handshake_timeout: more than 0");
    require(options.session_expiry.count() >= 0, "session_expiry: not negative");
    require(options.broker.payload_size >= 64, "broker.payload_size: at least 64 octets");
    require(options.broker.user.size() <= 65535, "broker.user: at most 65535 octets");
    require(options.broker.password.size() <= 65535, "broker.password: at most 65535 octets");
    require(options.broker.keep_alive.count() >= 0, "broker.keep_alive: not negative");
    require(options.broker.keep_alive.count() <= 65535, "broker.keep_alive: at most 65535 s");
    return options;
}

}  // namespace

Core::Core(std::shared_ptr<Transport> transport, Options options)
    : options_(validated(std::move(options))),
      transport_(std::move(transport)),
      lossy_(transport_->lossy()),
      pool_(BufferPool::create(limits::k_retained_bytes, limits::k_retained_large)),
      callbacks_(std::make_shared<Callbacks>([log = options_.log](const char* what) {
          if (log) log(LogLevel::error, "callback", std::string("a callback threw: ") + what);
      })),
      inbox_(options_.lost_sessions),
      workers_(options_.workers,
               transport_->has_threads() ? Duration::zero() : options_.busy_poll) {
    Bias::prepare();
}

Core::~Core() {
    shut_down();
    // Messages that are kept, and the spare share of a thread, keep the pool.
    pool_->retire();
}

std::unique_ptr<Core> Core::make(std::shared_ptr<Transport> transport, Purpose purpose,
                                 Options options) {
    if (purpose == Purpose::server) {
        return std::make_unique<Server>(std::move(transport), std::move(options));
    }
    return std::make_unique<Client>(std::move(transport), std::move(options));
}

Future Core::put(Stream&& message, Peers peers) {
    if (closing()) {
        return Future(
            refused({make_error_code(Errc::connection_aborted), id(), "put: the queue is closed"}));
    }
    if (reads_as_fin(message)) {
        return Future(
            refused({make_error_code(Errc::protocol_error), Uuid(),
                     "put: a message of exactly the own id (16 octets) would be read as the end of "
                     "the session; send it in another form"}));
    }
    return put_each(std::move(message), peers);
}

Future Core::future_of(Tickets tickets) const {
    return tickets.count() > 0 ? Future(std::move(tickets)) : Future(callbacks_);
}

inline bool Core::reads_as_fin(const Stream& message) const {
    if (message.size() != Uuid::k_size) return false;
    if (message.chunk_count() == 1) return Uuid::from_octets(message.chunk(0).octets()) == id();
    return Uuid::from_octets(message.to_chunk().octets()) == id();
}

Ticket Core::refused(Failure failure) const {
    CompletionShare completion(std::make_unique<Completion>(failure.peer, nullptr, callbacks_));
    completion->fail(std::move(failure));
    return Ticket{std::move(completion)};
}

Message<Stream> Core::get(Peers peers) { return inbox_.get_or_raise(peers, role().get()); }

Result<Message<Stream>> Core::get(Peers peers, std::optional<Clock::time_point> deadline) {
    return inbox_.get(peers, deadline, role().get());
}

void Core::when_readable(Peers peers, std::function<void()> callback) {
    inbox_.when_readable(peers, [callbacks = callbacks_, callback = std::move(callback)]() mutable {
        callbacks->post(std::move(callback));
    });
}

CloseReport Core::close(std::optional<Clock::time_point> deadline, bool abruptly) {
    bring_forward(deadline);
    std::unique_lock closer(close_mutex_, std::defer_lock);
    if (!callbacks_->on_thread()) {
        closer.lock();
    } else if (!closer.try_lock()) {
        return {};
    }
    if (closed_) return report_;
    if (options_.close_timeout) bring_forward(Clock::now() + bounded(*options_.close_timeout));
    // release: a session that is told to close sees that the communicator is closing.
    closing_.store(true, std::memory_order_release);
    begin_close();
    workers_.call();
    const bool in_time = wait_idle();
    if (!in_time) {
        end_all();
        if (!abruptly) wait_goodbyes();
    }
    kill_all();
    shut_down();
    report_.undelivered = std::move(unsent_);  // no lock: the reactors have stopped
    inbox_.close({make_error_code(Errc::connection_aborted), id(), "get: the queue is closed"});
    report_.clean = in_time && report_.undelivered.empty();
    callbacks_->stop();  // last: a callback may be in get, or wait for a future
    closed_ = true;
    return report_;
}

void Core::log(LogLevel level, std::string text) {
    if (!options_.log) return;
    callbacks_->post([hook = options_.log, level, text = std::move(text)] {
        hook(level, "communicator", text);
    });
}

void Core::announce(const std::function<void(const Uuid&)>& event, const Uuid& peer) {
    if (event) callbacks_->post([event, peer] { event(peer); });
}

void Core::look_after_pool() {
    // relaxed: who finds it set has nothing to do, who sets it posts.
    if (pool_watched_.exchange(true, std::memory_order_relaxed)) return;
    workers_.first().post([this] { age_pool(); });
}

void Core::age_pool() {
    pool_watched_.store(pool_->age(), std::memory_order_relaxed);  // relaxed: as above
    if (!pool_watched_.load(std::memory_order_relaxed)) return;
    pool_timer_ = workers_.first().call_after(limits::k_large_age, [this] { age_pool(); });
}

void Core::note_unsent(const PeerStats& peer) {
    const std::lock_guard lock(busy_mutex_);
    unsent_.push_back(peer);
}

void Core::add_busy() {
    const std::lock_guard lock(busy_mutex_);
    ++busy_;
}

void Core::remove_busy() {
    const std::lock_guard lock(busy_mutex_);
    if (--busy_ == 0) idle_.notify_all();
}

void Core::bring_forward(std::optional<Clock::time_point> deadline) {
    if (!deadline) return;
    const std::lock_guard lock(busy_mutex_);
    if (close_deadline_ && *close_deadline_ <= *deadline) return;
    close_deadline_ = deadline;
    idle_.notify_all();
}

bool Core::wait_idle() {
    std::unique_lock lock(busy_mutex_);
    while (busy_ != 0) {
        if (!close_deadline_) {
            idle_.wait(lock);
        } else if (const auto deadline = *close_deadline_; Clock::now() < deadline) {
            idle_.wait_until(lock, deadline);
        } else {
            return false;
        }
    }
    return true;
}

void Core::wait_goodbyes() {
    std::unique_lock lock(busy_mutex_);
    idle_.wait_for(lock, limits::k_close_grace, [this] { return busy_ == 0; });
}

}  // namespace nq::detail
