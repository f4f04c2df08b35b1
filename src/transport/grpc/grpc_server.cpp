// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_server.hpp"

#include <utility>

#include "transport/grpc/grpc_limits.hpp"

namespace nq::detail {

void GrpcServerCall::belong_to(std::shared_ptr<GrpcServerConnection> connection) {
    connection_ = std::move(connection);
}

void GrpcServerCall::OnReadDone(bool ok) { connection_->handle_read(*this, ok); }

void GrpcServerCall::OnWriteDone(bool ok) { connection_->handle_written(*this, ok); }

// Comes for a call that was refused, too.
void GrpcServerCall::OnCancel() {
    if (connection_ != nullptr) connection_->handle_cancelled(*this);
}

void GrpcServerCall::OnDone() { const auto last = std::exchange(self_, nullptr); }

bool GrpcServerConnection::refuse(const std::string& reason) {
    if (!peer_.duplex) return false;
    {
        const std::lock_guard lock(mutex_);
        status_ = grpc::Status(grpc::StatusCode::ALREADY_EXISTS, reason);
    }
    close();
    return true;
}

bool GrpcServerConnection::serve(std::shared_ptr<GrpcCall> call) {
    Lock lock(mutex_);
    if (call_ != nullptr || lost_ || (closed_ && unsent_.empty())) return false;
    answered_ = cancelled_ = false;
    begin_locked(std::move(call));
    if (closed_) watch_flush();  // it only fetches what is left
    pump(lock);
    return true;
}

void GrpcServerConnection::advance_locked() {
    if (call_ == nullptr) {
        if (!peer_.duplex && finishing_ && !ended_ && unsent_.empty()) end_locked();
        return;
    }
    if (cancelled_ && !writing_) fail_locked(lost_failure("the call was cut off"));
    // Not before the write is settled: if the call broke, it tells what did not arrive.
    if (peer_.duplex && read_ended_ && !writing_ && !ended_) end_locked();
    start_reading_locked();
    if (!wants_finish_locked()) return;
    const auto call = drop_call_locked();
    if (lost_) {
        call->finish(grpc::Status(grpc::StatusCode::CANCELLED, "the connection is lost"));
        return;
    }
    call->finish(peer_.duplex ? status_ : grpc::Status::OK);
    if (peer_.duplex) return;
    if (finishing_ && unsent_.empty()) end_locked();
    if (address_gone_) fail_locked(lost_failure("the client has left"));
}

bool GrpcServerConnection::wants_finish_locked() const {
    if (writing_) return false;
    if (lost_) return true;
    const bool all_said = unsent_.empty();
    if (peer_.duplex) return all_said && (closed_ || (finishing_ && read_ended_));
    return (all_said || said_ >= limits::k_grpc_round_max) && read_ended_ && (answered_ || closed_);
}

void GrpcServerConnection::handle_read_end_locked() {
    // All octets of a round were handed on; what they bring about comes first.
    if (!peer_.duplex) ring_locked();
}

void GrpcServerConnection::handle_turn() {
    Lock lock(mutex_);
    if (peer_.duplex || call_ == nullptr || !read_ended_) return;
    answered_ = true;
    pump(lock);
}

void GrpcServerConnection::handle_write_failed_locked() {
    fail_locked(lost_failure("the call was cut off"));
}

void GrpcServerConnection::handle_cancelled(const GrpcCall& call) {
    Lock lock(mutex_);
    if (&call != call_.get()) return;
    cancelled_ = true;
    pump(lock);
}

void GrpcServerConnection::handle_address_gone() {
    Lock lock(mutex_);
    address_gone_ = true;
    if (call_ == nullptr) fail_locked(lost_failure("the client has left"));
}

bool GrpcServerConnection::is_over() const {
    const std::lock_guard lock(mutex_);
    return call_ == nullptr && (lost_ || (closed_ && unsent_.empty()));
}

}  // namespace nq::detail
