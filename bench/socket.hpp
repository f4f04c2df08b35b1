// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <endian.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "workload.hpp"

namespace nq::bench {

/// The frames of net-queue: 8 octets of size, payload. So all move the same octets.
constexpr std::size_t k_header = 8;
inline std::uint64_t header_of(std::size_t size) { return htobe64(size); }
/// Small messages are coalesced into, and parsed from, blocks of this size: of 16 to 256 KiB the
/// one with the best median time on the machine this was written on.
constexpr std::size_t k_block = std::size_t{128} << 10;

/// sendmsg does not write to what it sends.
inline iovec piece(const void* data, std::size_t size) { return {const_cast<void*>(data), size}; }

/// A blocking TCP socket on loopback; a connection sends at once.
class Socket {
  public:
    explicit Socket(int descriptor);
    Socket(Socket&& other) noexcept;
    Socket& operator=(Socket&&) = delete;
    ~Socket();

    /// On a port of the system's choice.
    static Socket listener();
    static Socket connected(std::uint16_t port);

    [[nodiscard]] int descriptor() const { return descriptor_; }
    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] Socket accept() const;
    /// Where the kernel paces, as under BBR, `write` hands it one packet at a time from here on:
    /// what is more would wait for a timer.
    void call_for_each_packet();
    /// All of the pieces, two at most, gathered into as few calls as the kernel allows.
    void write(std::span<iovec> pieces) const;
    void write(std::span<const std::byte> octets) const;
    /// Fills all of the pieces, scattered by as few calls as the kernel allows.
    void read(std::span<iovec> pieces) const;
    /// Some octets: what one call brings.
    [[nodiscard]] std::size_t read_some(std::span<std::byte> target) const;
    /// Until the peer leaves.
    void wait_for_end() const;

  private:
    int descriptor_;
    bool by_packets_ = false;
};

/// Parses small messages out of blocks and touches each where it lies.
class FrameReader {
  public:
    FrameReader(const Socket& socket, const Content& content)
        : socket_(socket), content_(content), block_(k_block) {}

    /// One call to the kernel: how many messages it brought.
    std::uint64_t read_some();

  private:
    const Socket& socket_;
    const Content& content_;
    std::vector<std::byte> block_;
    std::size_t filled_ = 0;
};

}  // namespace nq::bench
