// SPDX-License-Identifier: Apache-2.0
#include "transport/memory/memory_connection.hpp"

#include <algorithm>
#include <cstring>

namespace nq::detail {

void MemoryRecorder::add(const MemoryWrite& write) {
    const std::lock_guard lock(mutex_);
    writes_.push_back(write);
}

std::vector<MemoryWrite> MemoryRecorder::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(writes_, {});
}

std::pair<std::shared_ptr<MemoryConnection>, std::shared_ptr<MemoryConnection>> MemoryLink::connect(
    Reactor& client, Reactor& server, const MemoryOptions& options,
    std::shared_ptr<MemoryRecorder> recorder, const std::string& server_name) {
    const auto link = std::make_shared<MemoryLink>(options, std::move(recorder));
    auto here = std::make_shared<MemoryConnection>(link, k_client, client, server_name);
    auto there = std::make_shared<MemoryConnection>(link, k_server, server, "memory client");
    const std::lock_guard lock(link->mutex);
    link->ends[k_client].connection = here;
    link->ends[k_client].reactor = &client;
    link->ends[k_server].connection = there;
    link->ends[k_server].reactor = &server;
    return {std::move(here), std::move(there)};
}

void MemoryLink::lose() {
    std::array<std::deque<Chunk>, 2> dropped;
    const std::lock_guard lock(mutex);  // before `dropped` goes, so that goes without it
    for (std::size_t side = 0; side < pipes.size(); ++side) {
        dropped[side].swap(pipes[side].chunks);
        pipes[side].size = 0;
    }
    fail_locked();
}

void MemoryLink::fail_locked() {
    if (std::exchange(lost, true)) return;
    for (const Side side : {k_client, k_server}) {
        ends[side].events.readable |= std::exchange(ends[side].receive_waits, false);
        ends[side].events.writable |= std::exchange(ends[side].send_waits, false);
        ends[side].events.lost = true;
        tell_locked(side);
    }
}

void MemoryLink::tell_locked(Side side) {
    End& end = ends[side];
    if (end.reactor == nullptr || end.told) return;
    auto connection = end.connection.lock();
    if (connection == nullptr) return;
    end.told = true;
    end.reactor->post([connection = std::move(connection)] { connection->tell(); });
}

void MemoryLink::wake_reader_locked(Side side) {
    if (!std::exchange(ends[side].receive_waits, false)) return;
    ends[side].events.readable = true;
    tell_locked(side);
}

MemoryConnection::MemoryConnection(std::shared_ptr<MemoryLink> link, MemoryLink::Side side,
                                   Reactor& reactor, std::string peer_name)
    : link_(std::move(link)), side_(side), reactor_(reactor), peer_name_(std::move(peer_name)) {}

MemoryConnection::~MemoryConnection() {
    const std::lock_guard lock(link_->mutex);
    shut_locked();
}

void MemoryConnection::set_handler(std::shared_ptr<ConnectionHandler> handler) {
    const std::lock_guard lock(link_->mutex);
    if (link_->ends[side_].reactor == nullptr) return;
    handler_.swap(handler);
    link_->tell_locked(side_);  // what happened while there was nobody to tell
}

Result<Connection::Sent> MemoryConnection::send(std::span<const Chunk> chunks) {
    const std::lock_guard lock(link_->mutex);
    MemoryLink::End& own = link_->ends[side_];
    MemoryLink::Pipe& pipe = link_->pipes[side_];
    if (own.reactor == nullptr) return closed_failure();
    if (link_->ends[peer_side()].reactor == nullptr) link_->fail_locked();
    if (link_->lost) return lost_failure();

    std::size_t asked = 0;
    for (const Chunk& chunk : chunks) asked += chunk.size();
    const MemoryOptions& options = link_->options;
    const std::size_t taken = take_locked(
        chunks, std::min(options.capacity - pipe.size, options.lose_after - pipe.passed));
    own.send_waits = taken < asked;
    if (taken > 0) {
        pipe.passed += taken;
        if (options.record_writes) {
            link_->recorder->add({side_ == Side::k_client, chunks.size(), taken});
        }
        link_->wake_reader_locked(peer_side());
    }
    if (pipe.passed == options.lose_after) link_->fail_locked();
    return Sent{taken, options.release_late ? 0 : taken};
}

std::size_t MemoryConnection::take_locked(std::span<const Chunk> chunks, std::size_t room) {
    MemoryLink::Pipe& pipe = link_->pipes[side_];
    std::size_t taken = 0;
    for (const Chunk& chunk : chunks) {
        const std::size_t n = std::min(chunk.size(), room - taken);
        if (n == 0) continue;
        const Chunk part = chunk.slice(0, n);
        pipe.chunks.push_back(link_->options.release_late ? part : Chunk::copy_of(part.octets()));
        taken += n;
    }
    pipe.size += taken;
    return taken;
}

Result<std::size_t> MemoryConnection::receive(std::span<const Target> targets) {
    std::vector<Chunk> drained;  // goes after the lock: its owners may do as they like
    const std::lock_guard lock(link_->mutex);
    MemoryLink::End& own = link_->ends[side_];
    MemoryLink::End& peer = link_->ends[peer_side()];
    MemoryLink::Pipe& pipe = link_->pipes[peer_side()];
    if (own.reactor == nullptr) return closed_failure();
    const bool ended = link_->lost || pipe.finished || peer.reactor == nullptr;
    if (pipe.size == 0 && ended) {
        if (link_->lost) return lost_failure();
        return Failure{Errc::connection_reset, {}, "end of stream"};
    }

    std::size_t asked = 0;
    for (const Target target : targets) asked += target.size();
    const std::size_t received = fill_locked(targets, link_->options.receive_max, drained);
    if (received > 0) {
        peer.events.writable |= std::exchange(peer.send_waits, false);
        if (link_->options.release_late) peer.events.released += received;
        if (peer.events.writable || peer.events.released > 0) link_->tell_locked(peer_side());
    }
    own.receive_waits = received < asked;
    if (pipe.size > 0 || ended) link_->wake_reader_locked(side_);
    return received;
}

std::size_t MemoryConnection::fill_locked(std::span<const Target> targets, std::size_t room,
                                          std::vector<Chunk>& drained) {
    MemoryLink::Pipe& pipe = link_->pipes[peer_side()];
    std::size_t filled = 0;
    for (Target target : targets) {
        while (!target.empty() && filled < room && !pipe.chunks.empty()) {
            Chunk& chunk = pipe.chunks.front();
            const std::size_t n = std::min({target.size(), room - filled, chunk.size()});
            std::memcpy(target.data(), chunk.data(), n);
            target = target.subspan(n);
            filled += n;
            chunk.remove_prefix(n);
            if (!chunk.empty()) continue;
            drained.push_back(std::move(chunk));
            pipe.chunks.pop_front();
        }
    }
    pipe.size -= filled;
    return filled;
}

void MemoryConnection::finish_sending() {
    const std::lock_guard lock(link_->mutex);
    link_->pipes[side_].finished = true;
    link_->wake_reader_locked(peer_side());
}

void MemoryConnection::close() {
    const std::lock_guard lock(link_->mutex);
    if (link_->ends[side_].reactor == nullptr) return;
    shut_locked();
    // The handler goes with the task, on the reactor thread, whether it runs or is dropped there:
    // so no share of the guard stays on this one.
    std::shared_ptr<void> guard(nullptr,
                                [self = shared_from_this()](void*) { self->handler_.reset(); });
    reactor_.post([guard = std::move(guard)] {});
}

void MemoryConnection::shut_locked() {
    link_->ends[side_].reactor = nullptr;
    link_->pipes[side_].finished = true;
    link_->wake_reader_locked(peer_side());
    MemoryLink::End& peer = link_->ends[peer_side()];
    peer.events.writable |= std::exchange(peer.send_waits, false);  // send will tell it why not
    if (peer.events.writable) link_->tell_locked(peer_side());
}

void MemoryConnection::tell() {
    MemoryLink::Events events;
    const auto open = [this] {
        const std::lock_guard lock(link_->mutex);
        return link_->ends[side_].reactor != nullptr;
    };
    const std::shared_ptr<ConnectionHandler> handler = handler_;
    {
        const std::lock_guard lock(link_->mutex);
        link_->ends[side_].told = false;
        if (handler == nullptr || lost_told_) return;
        events = std::exchange(link_->ends[side_].events, {});
    }
    if (events.released > 0 && open()) handler->handle_released(events.released);
    if (events.readable && open() && handler == handler_) handler->handle_readable();
    if (events.writable && open() && handler == handler_) handler->handle_writable();
    if (!events.lost || !open() || handler != handler_) return;
    lost_told_ = true;
    handler_.reset();
    handler->handle_lost(lost_failure());
}

Failure MemoryConnection::lost_failure() const {
    return {Errc::connection_reset, {}, "lost the connection with " + peer_name_};
}

}  // namespace nq::detail
