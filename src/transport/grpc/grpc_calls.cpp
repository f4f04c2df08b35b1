// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_calls.hpp"

#include <utility>

#include "transport/grpc/grpc_client.hpp"

namespace nq::detail {

void GrpcCalls::add(std::shared_ptr<GrpcClientCall> call) {
    const std::lock_guard lock(mutex_);
    calls_.insert(std::move(call));
}

void GrpcCalls::remove(const std::shared_ptr<GrpcClientCall>& call) {
    const std::lock_guard lock(mutex_);
    calls_.erase(call);
    changed_.notify_all();
}

std::shared_ptr<grpc::Channel> GrpcCalls::keep(std::shared_ptr<grpc::Channel> channel) {
    {
        const std::lock_guard lock(mutex_);
        ++channels_in_use_;
    }
    grpc::Channel* const used = channel.get();
    return {used, [self = shared_from_this(), channel = std::move(channel)](
                      grpc::Channel*) mutable { self->bury(std::move(channel)); }};
}

void GrpcCalls::bury(std::shared_ptr<grpc::Channel> channel) {
    const std::lock_guard lock(mutex_);
    dead_channels_.push_back(std::move(channel));
    --channels_in_use_;
    changed_.notify_all();
}

void GrpcCalls::drop_channels() {
    std::vector<std::shared_ptr<grpc::Channel>> dead;
    const std::lock_guard lock(mutex_);
    dead.swap(dead_channels_);
}

void GrpcCalls::wait(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    const auto none = [this] { return calls_.empty(); };
    if (!changed_.wait_for(lock, patience, none)) {
        std::vector<std::shared_ptr<GrpcClientCall>> left(calls_.begin(), calls_.end());
        lock.unlock();
        for (const auto& call : left) call->cancel();
        left.clear();  // with the last share of a call goes a channel, which comes to bury
        lock.lock();
        changed_.wait(lock, none);
    }
    // Only slices on their way to a socket can hold one now, or who still holds a connection.
    changed_.wait_for(lock, patience, [this] { return channels_in_use_ == 0; });
    lock.unlock();
    drop_channels();
}

}  // namespace nq::detail
