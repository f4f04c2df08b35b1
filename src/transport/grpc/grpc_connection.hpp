// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/alarm.h>

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "transport/grpc/grpc_call.hpp"
#include "transport/grpc/grpc_slices.hpp"
#include "transport/transport.hpp"

namespace nq::detail {

class GrpcConnection;

/// The way back from gRPC's threads to the reactor: rings for the connection's `tell` there, once
/// until it is answered, and keeps count of the octets lent to gRPC. Silent once shut, so that
/// nobody posts to a reactor that is gone.
/// Thread safety: all methods, from any thread. Its lock is taken last, and nothing is dropped
/// under it.
class GrpcBell {
  public:
    GrpcBell(GrpcConnection& connection, Reactor& reactor)
        : connection_(connection), reactor_(&reactor) {}

    void ring();
    void shut();
    /// The tell that was rung for begins. The chunks that came back since.
    std::vector<Chunk> answer();

    [[nodiscard]] std::size_t lent() const;
    void lend(std::size_t octets);
    /// Empty, unless the bell is shut: then it is the caller's to drop.
    Chunk take_back(Chunk chunk);
    /// Between the two, chunks that come back do not ring. The second returns those, up to `limit`
    /// octets; more are left to the next tell.
    void hold();
    std::vector<Chunk> let_go(std::size_t limit);

  private:
    void ring_locked();

    GrpcConnection& connection_;
    mutable std::mutex mutex_;
    Reactor* reactor_;  // null once shut
    bool rung_ = false;
    bool held_ = false;
    std::size_t lent_ = 0;
    std::vector<Chunk> returned_;
};

/// The stream of octets between two ends, carried by one call, or by one call after the other: what
/// both ends have in common. When calls come and go, and what their end means, is up to the
/// derived classes (grpc_client.hpp, grpc_server.hpp).
///
/// At most one write is under way, of chunks that were taken; at most one message is held for the
/// reader, and no other is asked for before it is being read, so HTTP/2's flow control bounds both
/// ends.
/// A message of gRPC arrives whole or not at all; so once the connection is lost, the octets of a
/// write that failed and those behind it are known not to have arrived. (A write that gRPC reports
/// as done may still have been on its way, as what a kernel took.) From a write that failed on
/// nothing is reported released: the memory of what is to be sent again may come back with it.
///
/// Owned by its users and its calls. Closed before its reactor goes.
/// Thread safety: as Connection; handle_* on gRPC's threads. `mutex_` guards all but what is
/// marked; gRPC is called under it (its callbacks come on other threads), except for writes, which
/// are long.
class GrpcConnection : public Connection,
                       public GrpcLender,
                       public std::enable_shared_from_this<GrpcConnection> {
  public:
    GrpcConnection(Reactor& reactor, std::string peer_name, std::size_t transport_size);

    void set_handler(std::shared_ptr<ConnectionHandler> handler) override;
    Result<Sent> send(std::span<const Chunk> chunks) override;
    Result<std::size_t> receive(std::span<const Target> targets) override;
    void finish_sending() override;
    void close() override;
    [[nodiscard]] std::size_t unwritten() const override;
    [[nodiscard]] Reactor& reactor() const override { return reactor_; }
    [[nodiscard]] const std::string& peer_name() const override { return peer_name_; }

    // For calls. Those of a call that is not the current one any more are not heard.
    void handle_read(const GrpcCall& call, bool ok);
    void handle_written(const GrpcCall& call, bool ok);

    void take_back(Chunk chunk) override { (void)bell_.take_back(std::move(chunk)); }

    // For the bell; reactor thread.
    void tell();

  protected:
    using Lock = std::unique_lock<std::mutex>;

    // REQUIRE: the lock is held.
    /// Starts whatever can be started now. May let the lock go and take it again.
    void pump(Lock& lock);
    /// The part of it that depends on the end: reads, the end of a call, a new one.
    virtual void advance_locked() = 0;
    /// A message came though we have closed.
    virtual void handle_unwanted_locked() {}
    virtual void handle_read_end_locked() = 0;
    virtual void handle_write_failed_locked() = 0;
    /// One call carries everything: the peer is one of ours. Not known yet: false.
    [[nodiscard]] virtual bool is_duplex_locked() const = 0;
    void start_reading_locked();
    /// From here on `call` carries the stream.
    void begin_locked(std::shared_ptr<GrpcCall> call);
    /// There is no call for the time being.
    std::shared_ptr<GrpcCall> drop_call_locked();
    void fail_locked(Failure failure);
    /// The stream ends after what was received.
    void end_locked();
    void ring_locked() { bell_.ring(); }
    [[nodiscard]] bool write_failed_locked() const { return unwritten_ > 0; }
    /// Closed: octets on their way are not waited for longer than k_grpc_flush, nor is a peer that
    /// ends nothing.
    void watch_flush();
    [[nodiscard]] Failure lost_failure(const std::string& why) const;

    /// Reactor thread: what the derived class has to do there. Called whenever it rang.
    virtual void handle_turn() {}
    /// Reactor thread: closed or lost; what belongs to it goes.
    virtual void handle_detached() {}

    // Constant after construction.
    Reactor& reactor_;
    const std::string peer_name_;
    const std::size_t transport_size_;

    mutable std::mutex mutex_;
    std::shared_ptr<GrpcCall> call_;
    bool reading_ = false;      // a read is under way
    bool writing_ = false;      // a write is under way
    bool read_ended_ = false;   // nothing more comes in this call
    bool half_closed_ = false;  // nothing more goes out in this call
    GrpcReceived received_;     // whose content is the reader's alone while copying_
    GrpcReceived next_;         // came while copying_
    bool copying_ = false;
    std::deque<Chunk> unsent_;
    bool finishing_ = false;
    bool ended_ = false;
    bool closed_ = false;
    std::optional<Failure> lost_;
    std::size_t under_way_ = 0;  // octets of the last write
    std::size_t said_ = 0;       // octets of this call's writes
    bool moved_ = false;         // octets passed, either way, since the derived class last looked

  private:
    struct Events {
        bool readable = false;
        bool writable = false;
        bool lost = false;
    };

    std::size_t take_locked(std::span<const Chunk> chunks, std::size_t room);
    [[nodiscard]] bool may_write_locked() const;
    [[nodiscard]] grpc::ByteBuffer gather_locked();
    [[nodiscard]] std::size_t room() const;
    void wake_reader_locked();
    [[nodiscard]] std::size_t unsent_octets_locked() const;
    void give_up();

    Events events_;                             // guarded by mutex_
    std::size_t unwritten_ = 0;                 // guarded by mutex_
    bool send_waits_ = false;                   // guarded by mutex_
    bool receive_waits_ = false;                // guarded by mutex_
    std::shared_ptr<grpc::Alarm> flush_alarm_;  // guarded by mutex_

    GrpcBell bell_;  // with a lock of its own

    // Belong to the reactor thread.
    std::shared_ptr<ConnectionHandler> handler_;
    bool lost_told_ = false;
};

}  // namespace nq::detail
