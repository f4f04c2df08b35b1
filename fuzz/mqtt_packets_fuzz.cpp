// SPDX-License-Identifier: Apache-2.0
// The packets of a broker. Input grammar:
//   input = *octet        what comes from the broker, as it is
// Read at once, and again octet by octet: both must find the same packets, and no packet may need
// to see more than k_look_ahead octets.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "transport/mqtt/mqtt_packet.hpp"

namespace {

using namespace nq::detail::mqtt;
using Input = std::span<const std::byte>;

void require(bool condition) {
    if (!condition) std::abort();
}

/// Octets that follow a packet and belong to it.
std::size_t rest_of(const Packet& packet) {
    if (const auto* foreign = std::get_if<Foreign>(&packet)) return foreign->rest;
    if (const auto* publish = std::get_if<Publish>(&packet)) return publish->payload_size;
    return 0;
}

/// A topic that is accepted is the one it would be written as.
void check(const Packet& packet, Input header) {
    const auto* const publish = std::get_if<Publish>(&packet);
    if (publish == nullptr) return;
    const std::string topic = publish->topic.to_string();
    require(header.size() > topic.size());
    const Input tail = header.last(topic.size());
    require(std::equal(tail.begin(), tail.end(), std::as_bytes(std::span(topic)).begin()));
}

/// `look` octets at a time are shown to the parser, more if it asks for more.
std::vector<Packet> read_all(Input input, std::size_t look) {
    std::vector<Packet> packets;
    std::size_t shown = look;
    while (!input.empty()) {
        const Input window = input.first(std::min(shown, input.size()));
        Input rest = window;
        const auto packet = parse_packet(rest);
        require(packet.has_value() || rest.size() == window.size());
        if (!packet) {
            require(window.size() < k_look_ahead);
            if (window.size() == input.size()) break;
            ++shown;
            continue;
        }
        packets.push_back(*packet);
        if (std::holds_alternative<Malformed>(*packet)) break;
        const std::size_t used = window.size() - rest.size();
        require(used > 0);
        check(*packet, window.first(used));
        input = input.subspan(used);
        input = input.subspan(std::min(rest_of(*packet), input.size()));
        shown = look;
    }
    return packets;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Input input = std::as_bytes(std::span(data, size));
    require(read_all(input, size) == read_all(input, 1));
    return 0;
}
