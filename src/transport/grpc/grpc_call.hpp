// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

namespace nq::detail {

class GrpcConnection;

/// One call as its connection sees it; the two kinds are the reactors (in gRPC's word) of either
/// end. What happens to it is told to the connection on gRPC's threads, never from within a call to
/// a method here: handle_read after start_read, handle_written after start_write.
///
/// Owns itself from its start until gRPC is done with it, and a share of its connection meanwhile.
/// Thread safety: the connection calls one method at a time, under its lock, except start_write,
/// which goes on beside the others.
class GrpcCall {
  public:
    virtual ~GrpcCall() = default;

    /// REQUIRES: no other read is under way, none has failed, the call is not finished.
    virtual void start_read() = 0;
    /// Sends `outgoing`. REQUIRES: as start_read, for writes.
    virtual void start_write() = 0;
    /// Client: half-closes; handle_half_closed follows; the status is not used. Server: ends the
    /// call, and nothing may be started any more. REQUIRES: no write is under way.
    virtual void finish(const grpc::Status& status) = 0;
    /// What is under way fails soon.
    virtual void cancel() = 0;
    /// Client: nothing will be started any more; handle_done follows. Server: nothing to do.
    virtual void let_go() = 0;

    // Here and not in the connection, because gRPC may use them until it is done with the call.
    grpc::ByteBuffer incoming;  ///< between start_read and handle_read it is gRPC's
    grpc::ByteBuffer outgoing;  ///< between start_write and handle_written it is gRPC's
};

}  // namespace nq::detail
