// SPDX-License-Identifier: Apache-2.0
// What a peer may send: an IdentityReader, then a ReceiveHalf, fed in two different rhythms, which
// must hear the same. Input grammar:
//   input   = options *octet              the octets are the connection from its first one on
//   options = flags message_size rhythm   u8 each; message_size: 16 octets more than that
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "buffer/limits.hpp"
#include "session/frame.hpp"
#include "session/receive_half.hpp"

namespace {

namespace detail = nq::detail;
namespace limits = nq::detail::limits;
using Octets = std::span<const std::uint8_t>;
using Status = detail::IdentityReader::Status;

void require(bool holds) {
    if (!holds) std::abort();
}

std::string told(detail::ReceiveEvent event) {
    std::string text(1, static_cast<char>('0' + event.index()));
    if (const auto* received = std::get_if<detail::Received>(&event)) {
        return text + std::string(received->message.to_chunk().text());
    }
    if (const auto* ini = std::get_if<detail::Identified>(&event)) return text + ini->peer.hex();
    if (const auto* over = std::get_if<detail::Oversized>(&event)) {
        return text + std::to_string(over->size);
    }
    return text;
}

/// A pseudo-random portion of at most `most` octets.
std::size_t draw(std::uint32_t& state, std::size_t most) {
    state = state * 1664525U + 1013904223U;
    return 1 + (state >> 16) % most;
}

/// Feeds the half; returns everything that it told.
std::vector<std::string> hear(detail::ReceiveHalf& half, Octets octets, std::size_t most) {
    std::vector<std::string> heard;
    std::uint32_t state = static_cast<std::uint32_t>(most);
    const std::size_t all = octets.size();
    while (!octets.empty()) {
        std::size_t left = std::min(octets.size(), draw(state, most)), n = 0;
        for (const detail::ReceiveHalf::Target& target : half.targets()) {
            const std::size_t part = std::min(target.size(), left);
            if (part > 0) std::memcpy(target.data(), octets.data() + n, part);
            n += part;
            left -= part;
        }
        require(n > 0);
        half.handle_received(n);
        octets = octets.subspan(n);
        // Both ways of polling, which must tell the same.
        detail::Batch run;
        if (most % 2 == 0) half.poll_messages(run, 1 + state % 4, 1 + state % 1000);
        while (!run.empty()) heard.push_back(told(detail::Received{run.pop()}));
        while (auto event = half.poll_event()) heard.push_back(told(std::move(*event)));
        if (state % 3 == 0) half.handle_idle();
        const std::size_t arrived = all - octets.size();
        const std::size_t most_held = std::max(limits::k_trusted_size, 2 * arrived);
        require(half.held_memory() <= limits::k_block_size + most_held);
        require(half.held_bytes() <= arrived);
    }
    return heard;
}

/// Reads the ini as a server does; returns how many octets it took.
std::size_t read_identity(detail::IdentityReader& reader, Octets octets, std::size_t most) {
    std::size_t done = 0;
    std::uint32_t state = 1;
    while (reader.status() == Status::incomplete && done < octets.size()) {
        const auto space = reader.space();
        const std::size_t n = std::min({space.size(), octets.size() - done, draw(state, most)});
        std::memcpy(space.data(), octets.data() + done, n);
        reader.handle_received(n);
        done += n;
    }
    return done;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const std::uint8_t flags = data[0];
    const std::size_t most = 1 + data[2];
    detail::ReceiveOptions options;
    options.merge = (flags & 1) != 0;
    if ((flags & 2) != 0) options.message_size = 16 + std::uint64_t{data[1]};
    if ((flags & 4) != 0) options.on_oversize = nq::OnOversize::refuse;
    const Octets octets(data + 3, size - 3);

    // One for all inputs: fresh memory is what costs most under a sanitizer.
    static const auto pool = detail::BufferPool::create(limits::k_retained_bytes);
    detail::ReceiveHalf client(options, pool), again(options, pool), server(options, pool);
    client.handle_connected(std::nullopt);
    again.handle_connected(std::nullopt);
    const auto heard = hear(client, octets, most);
    require(heard == hear(again, octets, SIZE_MAX >> 16));

    // A server, which reads the ini for itself, hears the same behind it.
    detail::IdentityReader reader;
    const std::size_t taken = read_identity(reader, octets, most);
    const bool identified = !heard.empty() && heard[0][0] == '0';
    require(identified == (reader.status() == Status::complete));
    if (!identified) return 0;
    server.handle_connected(reader.uuid());
    const auto rest = hear(server, octets.subspan(taken), most);
    require(std::equal(rest.begin(), rest.end(), heard.begin() + 1, heard.end()));
    server.handle_lost();
    require(server.held_memory() == 0);
    return 0;
}
