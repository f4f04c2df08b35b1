// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <net_queue/serializer.hpp>

namespace nq::testing {

/// The octets of a pickle written down as they are: `pickle("\x80\x05N.")`, zeros included.
template <std::size_t size>
std::string pickle(const char (&octets)[size]) {
    return std::string(octets, size - 1);
}

inline std::string repeated(std::string_view part, std::size_t times) {
    std::string text;
    text.reserve(part.size() * times);
    for (std::size_t i = 0; i < times; ++i) text += part;
    return text;
}

inline Value load(std::string octets, PickleOptions options = {}) {
    return PickleSerializer(std::move(options)).load(Chunk(std::move(octets)));
}

inline std::string dump(const Value& value) {
    const Chunk octets = PickleSerializer().dump(value).to_chunk();
    return std::string(octets.text());
}

/// What comes back from a dump.
inline Value round_trip(const Value& value) {
    return PickleSerializer().load(PickleSerializer().dump(value));
}

}  // namespace nq::testing
