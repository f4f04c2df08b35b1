// SPDX-License-Identifier: Apache-2.0
#include "session/send_frame.hpp"

namespace nq::detail {

namespace {

// The octets of the frame that begins at `offset` of a run.
std::size_t frame_size_at(const Chunk& run, std::size_t offset) {
    return k_header_size +
           static_cast<std::size_t>(decode_header(run.octets().subspan(offset, k_header_size)));
}

}  // namespace

std::optional<SendFrame> SendFrame::cut_front(std::size_t n) {
    assert(n < wire_size());
    if (!is_run()) return std::nullopt;
    const Chunk all = octets_.chunk(0);
    std::size_t size = 0;
    std::uint64_t messages = 0;
    while (n - size >= k_header_size) {
        const std::size_t next = frame_size_at(all, size);
        if (next > n - size) break;
        size += next;
        ++messages;
    }
    if (messages == 0) return std::nullopt;
    octets_ = Stream(all.slice(size, all.size() - size));
    run_ -= messages;
    return run(all.slice(0, size), messages);
}

std::vector<SendFrame> SendFrame::unpack() const {
    assert(is_run());
    const Chunk& all = octets_.chunk(0);
    std::vector<SendFrame> frames;
    frames.reserve(run_);
    for (std::size_t offset = 0; offset < all.size();) {
        const std::size_t size = frame_size_at(all, offset);
        frames.emplace_back(Stream(all.slice(offset + k_header_size, size - k_header_size)),
                            std::nullopt);
        offset += size;
    }
    return frames;
}

}  // namespace nq::detail
