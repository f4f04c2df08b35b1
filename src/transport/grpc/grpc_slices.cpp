// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_slices.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace nq::detail {

namespace {

struct Loan {
    Chunk chunk;
    std::shared_ptr<GrpcLender> lender;
};

void give_back(void* loan) {
    const std::unique_ptr<Loan> own(static_cast<Loan*>(loan));
    own->lender->take_back(std::move(own->chunk));
}

}  // namespace

grpc::Slice lend(Chunk chunk, std::shared_ptr<GrpcLender> lender) {
    const Chunk::Octets octets = chunk.octets();
    auto loan = std::make_unique<Loan>(Loan{std::move(chunk), std::move(lender)});
    // gRPC only reads, but its slices serve both ways and have no const.
    return grpc::Slice(const_cast<std::byte*>(octets.data()), octets.size(), give_back,
                       loan.release());
}

void GrpcReceived::fill(const grpc::ByteBuffer& message) {
    clear();
    // Fails where a message can't be decompressed; none of ours is compressed.
    if (!message.Valid() || !message.Dump(&slices_).ok()) return clear();
    for (const grpc::Slice& slice : slices_) size_ += slice.size();
}

std::size_t GrpcReceived::read(std::span<const std::span<std::byte>> targets) {
    std::size_t copied = 0;
    for (std::span<std::byte> target : targets) {
        while (!target.empty() && size_ > 0) {
            const grpc::Slice& slice = slices_[next_];
            const std::size_t n = std::min(target.size(), slice.size() - offset_);
            std::memcpy(target.data(), slice.begin() + offset_, n);
            target = target.subspan(n);
            copied += n;
            size_ -= n;
            offset_ += n;
            if (offset_ < slice.size()) continue;
            slices_[next_++] = grpc::Slice();
            offset_ = 0;
        }
    }
    return copied;
}

void GrpcReceived::clear() {
    slices_.clear();
    next_ = offset_ = size_ = 0;
}

}  // namespace nq::detail
