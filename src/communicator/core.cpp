// SPDX-License-Identifier: Apache-2.0
#include "communicator/core.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "buffer/limits.hpp"
#include "communicator/client.hpp"
#include "communicator/server.hpp"

namespace nq::detail {

namespace {

// Refuses what can't work, with the option's name and bound.
void validate(const Options& options) {
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
    require(options.connect_timeout.count() > 0, "connect_timeout: more than 0");
    require(options.handshake_timeout.count() > 0, "handshake_timeout: more than 0");
    require(options.session_expiry.count() >= 0, "session_expiry: not negative");
}

Options complete(Options options) {
    validate(options);
    if (!options.id) options.id = Uuid::random();
    return options;
}

}  // namespace

Core::Core(std::shared_ptr<Transport> transport, Options options)
    : options_(complete(std::move(options))),
      transport_(std::move(transport)),
      pool_(BufferPool::create(limits::k_retained_bytes)),
      callbacks_(std::make_shared<Callbacks>([log = options_.log](const char* what) {
          if (log) log(LogLevel::error, "callback", std::string("a callback threw: ") + what);
      })),
      inbox_(options_.lost_sessions),
      workers_(options_.workers) {}

Core::~Core() { shut_down(); }

std::unique_ptr<Core> Core::make(std::shared_ptr<Transport> transport, Purpose purpose,
                                 Options options) {
    if (purpose == Purpose::server) {
        return std::make_unique<Server>(std::move(transport), std::move(options));
    }
    return std::make_unique<Client>(std::move(transport), std::move(options));
}

Future Core::put(Stream message, Peers peers) {
    if (closing()) {
        return Future(refused(Errc::connection_aborted, Uuid(), "put: the queue is closed"),
                      callbacks_);
    }
    if (reads_as_fin(message)) {
        return Future(refused(Errc::protocol_error, Uuid(),
                              "put: a message of exactly the own id (16 octets) would be read as "
                              "the end of the session; send it in another form"),
                      callbacks_);
    }
    auto tickets = put_each(message, peers);
    if (tickets.size() == 1) return Future(std::move(tickets.front()), callbacks_);
    return Future(std::move(tickets), callbacks_);
}

bool Core::reads_as_fin(const Stream& message) const {
    if (message.size() != Uuid::k_size) return false;
    return Uuid::from_octets(message.to_chunk().octets()) == id();
}

Ticket Core::refused(Errc code, const Uuid& peer, std::string text) const {
    return Ticket{
        nullptr, 0,
        std::make_shared<const Failure>(Failure{make_error_code(code), peer, std::move(text)})};
}

Result<Message<Stream>> Core::get(Peers peers, std::optional<Clock::time_point> deadline) {
    return inbox_.get(peers, deadline);
}

CloseReport Core::close(std::optional<Clock::time_point> deadline, bool abruptly) {
    std::unique_lock closer(close_mutex_, std::defer_lock);
    if (!callbacks_->on_thread()) {
        closer.lock();
    } else if (!closer.try_lock()) {
        return {};
    }
    if (closed_) return report_;
    if (options_.close_timeout) {
        const auto limit = Clock::now() + bounded(*options_.close_timeout);
        deadline = deadline ? std::min(*deadline, limit) : limit;
    }
    // release: a session that is told to close sees that the communicator is closing.
    closing_.store(true, std::memory_order_release);
    begin_close();
    const bool in_time = wait_idle(deadline);
    if (!in_time) {
        end_all();
        if (!abruptly) wait_idle(Clock::now() + limits::k_close_grace);
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

bool Core::wait_idle(std::optional<Clock::time_point> deadline) {
    std::unique_lock lock(busy_mutex_);
    const auto idle = [this] { return busy_ == 0; };
    if (deadline) return idle_.wait_until(lock, *deadline, idle);
    idle_.wait(lock, idle);
    return true;
}

}  // namespace nq::detail
