// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "session/send_half.hpp"
#include "testing/octets.hpp"

/// What the tests of the send half have in common.
namespace nq::testing {

const Uuid k_self = uuid_of(1);
const Uuid k_peer = uuid_of(2);
const Uuid k_other = uuid_of(3);
const std::string k_ini = identity(k_self);
const std::string k_fin = k_ini;

/// A send half and the transport below it.
struct Sender {
    detail::SendHalf half;

    explicit Sender(const detail::SendOptions& options = {})
        : half(k_self, options, detail::BufferPool::create(0)) {}

    static Sender connected(const detail::SendOptions& options = {}) {
        Sender sender(options);
        sender.half.handle_connected();
        return sender;
    }

    /// With the ini sent, so that small messages are copied as they are put.
    static Sender speaking(const detail::SendOptions& options = {}) {
        Sender sender = connected(options);
        CHECK(sender.send() == k_ini);
        return sender;
    }

    void put(const char* text) { half.put(Stream(Chunk(text))); }
    void put_to(const Uuid& target, const char* text) { half.put(Stream(Chunk(text)), target); }

    std::string offered() { return text_of(half.poll_transmit()); }

    /// The transport takes up to n octets of what is offered now, without releasing them.
    std::string take(std::size_t n) {
        const std::string octets = offered().substr(0, n);
        half.handle_taken(octets.size());
        return octets;
    }
    /// It takes and releases until nothing is offered any more, n octets at a time.
    std::string send(std::size_t n = SIZE_MAX) {
        std::string all;
        for (std::string part = take(n); !part.empty(); part = take(n)) {
            half.handle_released(part.size());
            all += part;
        }
        return all;
    }
    void reconnect() {
        half.handle_lost();
        half.handle_connected();
    }
};

inline std::vector<std::size_t> sizes_of(std::span<const Chunk> chunks) {
    std::vector<std::size_t> sizes;
    for (const Chunk& chunk : chunks) sizes.push_back(chunk.size());
    return sizes;
}

}  // namespace nq::testing
