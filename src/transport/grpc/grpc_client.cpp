// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_client.hpp"

#include <algorithm>

#include "transport/grpc/grpc_limits.hpp"

namespace nq::detail {

namespace {

/// The call broke, rather than that the server does not want such calls. In use may be the id
/// because of the connection that was lost here, and not there yet.
bool is_no_verdict(grpc::StatusCode code) {
    switch (code) {
        case grpc::StatusCode::UNAVAILABLE:
        case grpc::StatusCode::CANCELLED:
        case grpc::StatusCode::INTERNAL:
        case grpc::StatusCode::UNKNOWN:
        case grpc::StatusCode::ABORTED:
        case grpc::StatusCode::DEADLINE_EXCEEDED:
        case grpc::StatusCode::ALREADY_EXISTS: return true;
        default: return false;
    }
}

}  // namespace

void GrpcClientCall::start(grpc::GenericStub& stub, const Uuid& id, bool ask_for_stream) {
    calls_->add(shared_from_this());
    context_.AddMetadata(limits::k_grpc_id_key, id.hex());
    if (ask_for_stream) context_.AddMetadata(limits::k_grpc_stream_key, "1");
    stub.PrepareBidiStreamingCall(&context_, limits::k_grpc_method, {}, this);
    AddHold();  // operations are started outside its reactions, until let_go
    StartCall();
}

void GrpcClientCall::OnReadInitialMetadataDone(bool ok) {
    if (!ok) return;  // OnDone says why
    const auto& metadata = context_.GetServerInitialMetadata();
    const auto found = metadata.find(limits::k_grpc_stream_key);
    connection_->handle_metadata(*this, found != metadata.end() && found->second == "1");
}

void GrpcClientCall::OnReadDone(bool ok) { connection_->handle_read(*this, ok); }

void GrpcClientCall::OnWriteDone(bool ok) { connection_->handle_written(*this, ok); }

void GrpcClientCall::OnWritesDoneDone(bool) { connection_->handle_half_closed(*this); }

void GrpcClientCall::OnDone(const grpc::Status& status) {
    const auto self = shared_from_this();  // until the end of this function
    connection_->handle_done(*this, status);
    calls_->remove(self);
}

GrpcClientConnection::GrpcClientConnection(Reactor& reactor, const NetworkLocation& location,
                                           std::shared_ptr<grpc::Channel> channel,
                                           std::shared_ptr<GrpcCalls> calls,
                                           const GrpcOptions& options)
    : GrpcConnection(reactor, location.to_string(), options.transport_size),
      channel_(std::move(channel)),
      stub_(channel_),
      calls_(std::move(calls)),
      options_(options),
      pause_(limits::k_grpc_poll_min) {}

void GrpcClientConnection::start() {
    Lock lock(mutex_);
    begin_call_locked();
    pump(lock);
}

bool GrpcClientConnection::is_open() const {
    const std::lock_guard lock(mutex_);
    return answered_ || channel_->GetState(false) == GRPC_CHANNEL_READY;
}

std::string GrpcClientConnection::reason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
}

bool GrpcClientConnection::may_come_back() const {
    const std::lock_guard lock(mutex_);
    return cut_off_ && mode_ != Mode::rounds;
}

void GrpcClientConnection::begin_call_locked() {
    half_closing_ = letting_go_ = poll_due_ = false;
    auto call = std::make_shared<GrpcClientCall>(
        std::static_pointer_cast<GrpcClientConnection>(shared_from_this()), calls_);
    begin_locked(call);
    call->start(stub_, options_.id, mode_ == Mode::undecided && options_.duplex);
}

void GrpcClientConnection::handle_metadata(const GrpcCall& call, bool duplex) {
    Lock lock(mutex_);
    if (&call != call_.get()) return;
    if (!std::exchange(answered_, true)) {
        mode_ = duplex ? Mode::duplex : Mode::rounds;
        ring_locked();
    }
    pump(lock);
}

void GrpcClientConnection::advance_locked() {
    if (call_ == nullptr && mode_ == Mode::rounds && !closed_ && !lost_ &&
        (poll_due_ || !unsent_.empty())) {
        next_round_locked();
    }
    if (call_ == nullptr) return;
    if (wants_half_close_locked()) {
        half_closed_ = half_closing_ = true;
        call_->finish(grpc::Status::OK);
    }
    start_reading_locked();
    // After the end of reading the call is over, and what is still under way fails.
    if (read_ended_ && !writing_ && !half_closing_ && !std::exchange(letting_go_, true)) {
        call_->let_go();
    }
}

// gRPC would connect again by itself, but an old server would not know us there (WIRE.md, Loss).
void GrpcClientConnection::next_round_locked() {
    if (channel_->GetState(false) == GRPC_CHANNEL_READY) return begin_call_locked();
    reason_ = "the server has left";
    fail_locked(lost_failure(reason_));
}

bool GrpcClientConnection::wants_half_close_locked() const {
    if (half_closed_ || read_ended_ || writing_) return false;
    const bool all_said = unsent_.empty();
    if (mode_ == Mode::rounds) return all_said || said_ >= limits::k_grpc_round_max;
    return all_said && (finishing_ || closed_);
}

void GrpcClientConnection::handle_half_closed(const GrpcCall& call) {
    Lock lock(mutex_);
    if (&call != call_.get()) return;
    half_closing_ = false;
    pump(lock);
}

// The call is let go next, after which nothing may be started.
void GrpcClientConnection::handle_read_end_locked() { half_closed_ = true; }

// The end of reading follows, and the status with it; at once where nobody reads, because a message
// waits for its reader.
void GrpcClientConnection::handle_write_failed_locked() {
    half_closed_ = true;
    if (!reading_) read_ended_ = true;
}

void GrpcClientConnection::handle_unwanted_locked() {
    if (mode_ != Mode::rounds) call_->cancel();
}

void GrpcClientConnection::handle_done(const GrpcCall& call, const grpc::Status& status) {
    std::shared_ptr<GrpcCall> done;
    Lock lock(mutex_);
    if (&call != call_.get()) return;
    done = drop_call_locked();
    if (!status.ok()) {
        if (status.error_code() == grpc::StatusCode::ALREADY_EXISTS) reason_ = "refused there: ";
        reason_ += status.error_message().empty() ? "the call failed" : status.error_message();
        cut_off_ = is_no_verdict(status.error_code());
        fail_locked(lost_failure(reason_));
    } else if (mode_ == Mode::duplex) {
        end_locked();
    } else if (write_failed_locked()) {  // what it had begun can't go on in the next round
        fail_locked(lost_failure("the server ended a call that was still being written"));
    } else {
        mode_ = Mode::rounds;
        answered_ = true;
        ring_locked();  // for the pause until the next round
    }
    pump(lock);
}

void GrpcClientConnection::handle_turn() {
    const std::lock_guard lock(mutex_);
    if (closed_ || lost_ || timer_.armed()) return;
    if (mode_ == Mode::duplex) {
        look_again();
    } else if (mode_ == Mode::rounds && call_ == nullptr) {
        pause_ = std::exchange(moved_, false)
                     ? Duration(limits::k_grpc_poll_min)
                     : std::min<Duration>(pause_ * 2, limits::k_grpc_poll_max);
        // The tasks of the timer own a share, so that no destructor on another thread finds it
        // armed.
        timer_ = reactor_.call_after(pause_, [this, self = shared_from_this()] {
            Lock again(mutex_);
            poll_due_ = true;
            pump(again);
        });
    }
}

void GrpcClientConnection::look_again() {
    timer_ = reactor_.call_after(limits::k_grpc_ping_after,
                                 [this, self = shared_from_this()] { keep_alive(); });
}

// An empty message when nothing else goes out: see limits::k_grpc_ping_after.
void GrpcClientConnection::keep_alive() {
    look_again();
    std::shared_ptr<GrpcCall> call;
    {
        const std::lock_guard lock(mutex_);
        if (call_ == nullptr || writing_ || half_closed_ || read_ended_ || closed_) return;
        if (std::exchange(moved_, false)) return;
        writing_ = true;
        under_way_ = 0;
        call = call_;
        call->outgoing = grpc::ByteBuffer(nullptr, 0);
    }
    call->start_write();
}

void GrpcClientConnection::handle_detached() { timer_.cancel(); }

}  // namespace nq::detail
