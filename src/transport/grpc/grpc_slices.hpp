// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include <net_queue/stream.hpp>

namespace nq::detail {

/// Who lent Chunks to gRPC. `take_back` comes once for each, on any thread, maybe from within a
/// call to gRPC; what holds the user's memory must not be dropped there if a lock is held.
class GrpcLender {
  public:
    virtual ~GrpcLender() = default;
    virtual void take_back(Chunk chunk) = 0;
};

/// A slice over the chunk's own memory, without a copy. `lender` lives until it is taken back.
[[nodiscard]] grpc::Slice lend(Chunk chunk, std::shared_ptr<GrpcLender> lender);

/// The octets of one received message, until they have been copied out.
/// Invariant: size_ == sum of the slices - what was read of the first.
/// Thread safety: none.
class GrpcReceived {
  public:
    /// REQUIRES: empty().
    void fill(const grpc::ByteBuffer& message);
    /// Copies into one target after the other; returns how many octets.
    std::size_t read(std::span<const std::span<std::byte>> targets);
    void clear();

    [[nodiscard]] bool empty() const { return size_ == 0; }

  private:
    std::vector<grpc::Slice> slices_;
    std::size_t next_ = 0;    ///< the slice to read from
    std::size_t offset_ = 0;  ///< read of it already
    std::size_t size_ = 0;    ///< left to read
};

}  // namespace nq::detail
