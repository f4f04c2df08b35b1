// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_connection.hpp"

#include <algorithm>

#include "transport/grpc/grpc_limits.hpp"

namespace nq::detail {

namespace {

std::size_t size_of(std::span<const Chunk> chunks) {
    std::size_t size = 0;
    for (const Chunk& chunk : chunks) size += chunk.size();
    return size;
}

}  // namespace

void GrpcBell::ring() {
    const std::lock_guard lock(mutex_);
    ring_locked();
}

// Posted under the lock: shut waits for it, and after shut the reactor may go.
void GrpcBell::ring_locked() {
    if (reactor_ == nullptr || std::exchange(rung_, true)) return;
    reactor_->post([connection = connection_.shared_from_this()] { connection->tell(); });
}

void GrpcBell::shut() {
    const std::lock_guard lock(mutex_);
    reactor_ = nullptr;
}

std::vector<Chunk> GrpcBell::answer() {
    const std::lock_guard lock(mutex_);
    rung_ = false;
    return std::exchange(returned_, {});
}

std::size_t GrpcBell::lent() const {
    const std::lock_guard lock(mutex_);
    return lent_;
}

void GrpcBell::lend(std::size_t octets) {
    const std::lock_guard lock(mutex_);
    lent_ += octets;
}

Chunk GrpcBell::take_back(Chunk chunk) {
    const std::lock_guard lock(mutex_);
    lent_ -= chunk.size();
    if (reactor_ == nullptr) return chunk;
    returned_.push_back(std::move(chunk));
    if (!held_) ring_locked();
    return {};
}

void GrpcBell::hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
}

std::vector<Chunk> GrpcBell::let_go(std::size_t limit) {
    const std::lock_guard lock(mutex_);
    held_ = false;
    if (returned_.empty()) return {};
    if (size_of(returned_) <= limit) return std::exchange(returned_, {});
    ring_locked();
    return {};
}

GrpcConnection::GrpcConnection(Reactor& reactor, std::string peer_name, std::size_t transport_size)
    : reactor_(reactor),
      peer_name_(std::move(peer_name)),
      transport_size_(std::min(transport_size, limits::k_grpc_old_receive_max)),  // of rounds
      bell_(*this, reactor) {}

void GrpcConnection::set_handler(std::shared_ptr<ConnectionHandler> handler) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    handler_.swap(handler);
    if (lost_) ring_locked();  // what happened while there was nobody to tell
}

Result<Connection::Sent> GrpcConnection::send(std::span<const Chunk> chunks) {
    std::vector<Chunk> released;  // dropped without the lock: their owners may do as they like
    Lock lock(mutex_);
    if (closed_) return closed_failure();
    if (ended_ && !lost_ && call_ == nullptr) fail_locked(lost_failure("the peer has left"));
    if (lost_) return *lost_;
    const std::size_t taken = take_locked(chunks, room());
    send_waits_ = taken < size_of(chunks);
    if (taken == 0) return Sent{};
    bell_.hold();
    pump(lock);
    released = bell_.let_go(taken);
    if (write_failed_locked()) return Sent{taken, 0};
    if (send_waits_ && !released.empty()) bell_.ring();  // there is room again, and nobody said so
    return Sent{taken, size_of(released)};
}

std::size_t GrpcConnection::room() const {
    const std::size_t limit = std::max(2 * transport_size_, limits::k_grpc_unreleased_min);
    return limit - std::min(limit, bell_.lent());
}

std::size_t GrpcConnection::take_locked(std::span<const Chunk> chunks, std::size_t room) {
    std::size_t taken = 0;
    for (const Chunk& chunk : chunks) {
        const std::size_t n = std::min(chunk.size(), room - taken);
        if (n == 0) continue;
        unsent_.push_back(chunk.slice(0, n));
        taken += n;
    }
    bell_.lend(taken);
    return taken;
}

Result<std::size_t> GrpcConnection::receive(std::span<const Target> targets) {
    std::size_t asked = 0;
    for (const Target target : targets) asked += target.size();
    Lock lock(mutex_);
    if (closed_) return closed_failure();
    std::size_t received = 0;
    if (!received_.empty()) {
        // Nobody else touches a message that is held, so the copying needs no lock; and meanwhile
        // the next one comes.
        copying_ = true;
        start_reading_locked();
        lock.unlock();
        received = received_.read(targets);
        lock.lock();
        copying_ = false;
        if (closed_) received_.clear();
        if (received_.empty()) received_ = std::exchange(next_, {});
        pump(lock);
    } else if (ended_) {
        return Failure{make_error_code(Errc::connection_reset), {}, "end of stream"};
    } else if (lost_) {
        return *lost_;
    }
    receive_waits_ = received < asked;
    if (!received_.empty() || ended_ || lost_) wake_reader_locked();
    return received;
}

void GrpcConnection::finish_sending() {
    Lock lock(mutex_);
    if (closed_) return;
    finishing_ = true;
    pump(lock);
}

void GrpcConnection::close() {
    {
        Lock lock(mutex_);
        if (std::exchange(closed_, true)) return;
        if (!copying_) received_.clear();
        next_.clear();
        pump(lock);
        if (call_ != nullptr) watch_flush();
    }
    bell_.shut();
    // The handler goes with the task, on the reactor thread, whether it runs or is dropped there:
    // so no share of the guard stays on this one.
    std::shared_ptr<void> guard(nullptr, [self = shared_from_this()](void*) {
        self->handler_.reset();
        self->handle_detached();
    });
    reactor_.post([guard = std::move(guard)] {});
}

void GrpcConnection::watch_flush() {
    flush_alarm_ = std::make_shared<grpc::Alarm>();
    flush_alarm_->Set(std::chrono::system_clock::now() + limits::k_grpc_flush,
                      [weak = weak_from_this()](bool fired) {
                          const auto self = fired ? weak.lock() : nullptr;
                          if (self != nullptr) self->give_up();
                      });
}

void GrpcConnection::give_up() {
    const std::lock_guard lock(mutex_);
    if (call_ != nullptr) call_->cancel();
}

void GrpcConnection::handle_read(const GrpcCall& call, bool ok) {
    Lock lock(mutex_);
    if (&call != call_.get()) return;
    reading_ = false;
    if (!ok) {
        read_ended_ = true;
        handle_read_end_locked();
    } else if (closed_) {
        call_->incoming.Clear();
        handle_unwanted_locked();
    } else {
        GrpcReceived& place = copying_ || !received_.empty() ? next_ : received_;
        place.fill(call_->incoming);
        call_->incoming.Clear();
        if (!place.empty()) {
            moved_ = true;
            wake_reader_locked();
        }
    }
    pump(lock);
}

void GrpcConnection::handle_written(const GrpcCall& call, bool ok) {
    grpc::ByteBuffer written;  // goes without the lock, with the slices that nobody else holds
    Lock lock(mutex_);
    if (&call != call_.get()) return;
    writing_ = false;
    if (ok) {
        call_->outgoing.Swap(&written);
    } else {
        // It stays with the call, which ends: what was not written must not be told released.
        unwritten_ += under_way_;
        handle_write_failed_locked();
    }
    pump(lock);
}

void GrpcConnection::pump(Lock& lock) {
    advance_locked();
    while (may_write_locked()) {
        call_->outgoing = gather_locked();
        under_way_ = call_->outgoing.Length();
        said_ += under_way_;
        writing_ = moved_ = true;
        const std::shared_ptr<GrpcCall> call = call_;
        lock.unlock();
        call->start_write();
        lock.lock();
        advance_locked();
    }
}

bool GrpcConnection::may_write_locked() const {
    return call_ != nullptr && !writing_ && !half_closed_ && !lost_ && !unsent_.empty();
}

// As many chunks as fit into one message that the peer takes.
grpc::ByteBuffer GrpcConnection::gather_locked() {
    std::size_t left = is_duplex_locked()
                           ? std::min(transport_size_, limits::k_grpc_stream_message_max)
                           : transport_size_;
    std::vector<grpc::Slice> slices;
    while (left > 0 && !unsent_.empty()) {
        Chunk& first = unsent_.front();
        const std::size_t n = std::min(left, first.size());
        slices.push_back(nq::detail::lend(first.slice(0, n), shared_from_this()));
        first.remove_prefix(n);
        left -= n;
        if (first.empty()) unsent_.pop_front();
    }
    return {slices.data(), slices.size()};
}

void GrpcConnection::start_reading_locked() {
    if (call_ == nullptr || reading_ || read_ended_ || !next_.empty()) return;
    if (!received_.empty() && !copying_) return;
    reading_ = true;
    call_->start_read();
}

void GrpcConnection::begin_locked(std::shared_ptr<GrpcCall> call) {
    call_ = std::move(call);
    reading_ = writing_ = read_ended_ = half_closed_ = false;
    said_ = 0;
}

std::shared_ptr<GrpcCall> GrpcConnection::drop_call_locked() {
    if (flush_alarm_ != nullptr) std::exchange(flush_alarm_, nullptr)->Cancel();
    return std::exchange(call_, nullptr);
}

void GrpcConnection::fail_locked(Failure failure) {
    if (lost_) return;
    lost_ = std::move(failure);
    unwritten_ += unsent_octets_locked();
    events_.lost = true;
    events_.writable |= std::exchange(send_waits_, false);
    wake_reader_locked();
    ring_locked();
}

std::size_t GrpcConnection::unsent_octets_locked() const {
    std::size_t octets = 0;
    for (const Chunk& chunk : unsent_) octets += chunk.size();
    return octets;
}

// A peer that has ended its stream reads nothing any more.
std::size_t GrpcConnection::unwritten() const {
    const std::lock_guard lock(mutex_);
    if (lost_) return unwritten_;
    if (!ended_) return 0;
    return unwritten_ + (writing_ ? under_way_ : 0) + unsent_octets_locked();
}

void GrpcConnection::end_locked() {
    ended_ = true;
    wake_reader_locked();
}

void GrpcConnection::wake_reader_locked() {
    if (!std::exchange(receive_waits_, false)) return;
    events_.readable = true;
    ring_locked();
}

void GrpcConnection::tell() {
    const auto self = shared_from_this();
    const std::shared_ptr<ConnectionHandler> handler = handler_;
    const std::vector<Chunk> returned = bell_.answer();
    std::deque<Chunk> dropped;  // goes without the lock
    Events events;
    bool failed = false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_ || lost_told_) return;
        if (lost_) dropped.swap(unsent_);
        failed = write_failed_locked();
        if (handler != nullptr) {
            if (room() > 0) events_.writable |= std::exchange(send_waits_, false);
            events = std::exchange(events_, {});
        }
    }
    const auto open = [this, &handler] {
        const std::lock_guard lock(mutex_);
        return !closed_ && handler != nullptr && handler == handler_;
    };
    if (const std::size_t n = size_of(returned); n > 0 && !failed && !events.lost && open()) {
        handler->handle_released(n);
    }
    if (events.readable && open()) handler->handle_readable();
    if (events.writable && open()) handler->handle_writable();
    handle_turn();
    if (!events.lost || !open()) return;
    lost_told_ = true;
    handler_.reset();
    handle_detached();
    handler->handle_lost(*lost_);
}

Failure GrpcConnection::lost_failure(const std::string& why) const {
    return {make_error_code(Errc::connection_reset),
            {},
            "lost the connection with " + peer_name_ + ": " + why};
}

}  // namespace nq::detail
