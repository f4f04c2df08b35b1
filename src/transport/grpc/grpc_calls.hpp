// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

namespace nq::detail {

class GrpcClientCall;

/// What gRPC is not done with of a client's transport: calls outlive their connections by what is
/// still on its way, but not the transport; and channels are only destroyed by the transport,
/// because the last one of a process ends gRPC's threads and waits for them, which none of those
/// threads must do.
/// Thread safety: all methods, from any thread; `drop_channels` and `wait` on none of gRPC's.
class GrpcCalls : public std::enable_shared_from_this<GrpcCalls> {
  public:
    void add(std::shared_ptr<GrpcClientCall> call);
    void remove(const std::shared_ptr<GrpcClientCall>& call);
    /// The channel to use instead: when it goes, the channel itself stays here.
    std::shared_ptr<grpc::Channel> keep(std::shared_ptr<grpc::Channel> channel);
    /// Destroys the channels that are not in use any more.
    void drop_channels();
    /// Until there are no calls, those left after a while being cancelled, and no channels in use.
    void wait(std::chrono::milliseconds patience);

  private:
    void bury(std::shared_ptr<grpc::Channel> channel);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::unordered_set<std::shared_ptr<GrpcClientCall>> calls_;
    std::size_t channels_in_use_ = 0;
    std::vector<std::shared_ptr<grpc::Channel>> dead_channels_;
};

}  // namespace nq::detail
