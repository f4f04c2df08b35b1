// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <net_queue/stream.hpp>
#include <net_queue/value.hpp>

namespace nq {

/// What `open<S>` asks of a serializer. Both functions may throw; what they throw reaches the
/// caller of put (nothing is sent) or of get (the session goes on). Called on the threads of those
/// callers, several at once: keep them const or thread-safe.
template <class S>
concept Serializer = requires(const S& serializer, const typename S::value_type& value,
                              Stream stream) {
    typename S::value_type;
    { serializer.dump(value) } -> std::convertible_to<Stream>;
    { serializer.load(std::move(stream)) } -> std::convertible_to<typename S::value_type>;
};

/// Python's pickle, protocol 5, in-band; reads protocols 0 to 5 (WIRE.md, Objects). Loading never
/// runs code: what is not a known type arrives as an `Object`.
class PickleSerializer {
  public:
    using value_type = Value;

    PickleSerializer() = default;
    explicit PickleSerializer(PickleOptions options)
        : options_(std::make_shared<const PickleOptions>(std::move(options))) {}

    /// Throws SerializationError for what pickle can't express. Bytes, bytearrays and arrays of
    /// 64 KiB and more are not copied: the Stream shares the Value's memory.
    [[nodiscard]] Stream dump(const Value& value) const;
    /// Throws SerializationError with the offset of what can't be read or is not allowed.
    [[nodiscard]] Value load(Stream stream) const;

  private:
    std::shared_ptr<const PickleOptions> options_;
};

/// Raw octets, contiguous. On the way out the Chunk's memory goes to the socket as it is.
struct BytesSerializer {
    using value_type = Chunk;
    [[nodiscard]] Stream dump(const Chunk& octets) const { return Stream(octets); }
    [[nodiscard]] Chunk load(const Stream& stream) const { return stream.to_chunk(); }
    [[nodiscard]] Chunk load(Stream&& stream) const { return std::move(stream).to_chunk(); }
};

/// Raw octets in chunks: the rope itself.
struct StreamSerializer {
    using value_type = Stream;
    [[nodiscard]] Stream dump(const Stream& stream) const { return stream; }
    [[nodiscard]] Stream load(Stream stream) const { return stream; }
};

}  // namespace nq
