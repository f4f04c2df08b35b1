// SPDX-License-Identifier: Apache-2.0
// What the machine can do: the workloads over blocking sockets, no library, one thread each end.
// The same frames as net-queue's (8 octets of size, payload), so the octets moved are the same.
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "workload.hpp"

namespace {

using nq::bench::Content;
using nq::bench::Ends;
using nq::bench::Stopwatch;
using nq::bench::Workload;

constexpr std::size_t k_header = 8;
/// Small messages are coalesced into, and parsed from, blocks of this size: of 16 to 256 KiB the
/// one with the best median time on the machine this was written on.
constexpr std::size_t k_block = std::size_t{128} << 10;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

class Socket {
  public:
    explicit Socket(int descriptor) : descriptor_(descriptor) {
        if (descriptor < 0) fail("socket");
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() { ::close(descriptor_); }

    [[nodiscard]] int descriptor() const { return descriptor_; }

    void send_now() const {
        const int on = 1;
        if (setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) fail("nodelay");
    }

    /// All of the pieces, gathered into as few calls as the kernel allows.
    void write(std::span<iovec> pieces) const {
        msghdr message{};
        while (!pieces.empty()) {
            message.msg_iov = pieces.data();
            message.msg_iovlen = pieces.size();
            const ssize_t count = sendmsg(descriptor_, &message, MSG_NOSIGNAL);
            if (count < 0) fail("send");
            pieces = advance(pieces, static_cast<std::size_t>(count));
        }
    }

    /// Fills all of the pieces, scattered by as few calls as the kernel allows.
    void read(std::span<iovec> pieces) const {
        msghdr message{};
        while (!pieces.empty()) {
            message.msg_iov = pieces.data();
            message.msg_iovlen = pieces.size();
            const ssize_t count = recvmsg(descriptor_, &message, MSG_WAITALL);
            if (count < 0) fail("receive");
            if (count == 0) throw std::runtime_error("the peer left");
            pieces = advance(pieces, static_cast<std::size_t>(count));
        }
    }

    /// Some octets: what one call brings.
    [[nodiscard]] std::size_t read_some(std::span<std::byte> target) const {
        const ssize_t count = recv(descriptor_, target.data(), target.size(), 0);
        if (count < 0) fail("receive");
        if (count == 0) throw std::runtime_error("the peer left");
        return static_cast<std::size_t>(count);
    }

  private:
    static std::span<iovec> advance(std::span<iovec> pieces, std::size_t count) {
        while (!pieces.empty() && count >= pieces.front().iov_len) {
            count -= pieces.front().iov_len;
            pieces = pieces.subspan(1);
        }
        if (!pieces.empty()) {
            pieces.front().iov_base = static_cast<std::byte*>(pieces.front().iov_base) + count;
            pieces.front().iov_len -= count;
        }
        return pieces;
    }

    int descriptor_;
};

std::uint64_t header_of(std::size_t size) { return htobe64(size); }

/// sendmsg does not write to what it sends.
iovec piece(const void* data, std::size_t size) { return {const_cast<void*>(data), size}; }

void put_large(const Socket& socket, const Content& content, std::uint64_t count) {
    const std::uint64_t header = header_of(content.octets().size());
    for (std::uint64_t i = 0; i < count; ++i) {
        std::array<iovec, 2> pieces{piece(&header, k_header),
                                    piece(content.octets().data(), content.octets().size())};
        socket.write(pieces);
    }
}

void get_large(const Socket& socket, const Content& content, std::uint64_t count) {
    std::vector<std::byte> message(content.octets().size());
    std::uint64_t header = 0;
    std::array<iovec, 1> first{piece(&header, k_header)};
    socket.read(first);
    for (std::uint64_t i = 0; i < count; ++i) {
        if (be64toh(header) != message.size()) throw std::runtime_error("wrong size");
        // The next header comes with the same call, where there is one.
        std::array<iovec, 2> pieces{piece(message.data(), message.size()),
                                    piece(&header, k_header)};
        socket.read(std::span(pieces).first(i + 1 < count ? 2 : 1));
        content.touch(message);
    }
}

/// One end of the workloads of small messages; the block is allocated once.
class SmallMessages {
  public:
    SmallMessages(const Socket& socket, const Content& content)
        : socket_(socket), content_(content), block_(k_block) {}

    /// Coalesces the frames into blocks and sends those.
    void put(std::uint64_t count) {
        const auto octets = content_.octets();
        const std::uint64_t header = header_of(octets.size());
        const std::size_t frame = k_header + octets.size();
        std::size_t filled = 0;
        for (std::uint64_t i = 0; i < count; ++i) {
            std::memcpy(block_.data() + filled, &header, k_header);
            std::memcpy(block_.data() + filled + k_header, octets.data(), octets.size());
            filled += frame;
            if (filled + frame <= block_.size() && i + 1 < count) continue;
            std::array<iovec, 1> pieces{piece(block_.data(), filled)};
            socket_.write(pieces);
            filled = 0;
        }
    }

    /// Receives blocks, parses them and touches each message where it lies.
    void get(std::uint64_t count) {
        std::size_t filled = 0;
        while (count > 0) {
            filled += socket_.read_some(std::span(block_).subspan(filled));
            std::size_t at = 0;
            while (filled - at >= k_header) {
                std::uint64_t header = 0;
                std::memcpy(&header, block_.data() + at, k_header);
                const std::size_t size = be64toh(header);
                if (filled - at - k_header < size) break;
                content_.touch(std::span(block_).subspan(at + k_header, size));
                at += k_header + size;
                --count;
            }
            std::memmove(block_.data(), block_.data() + at, filled - at);
            filled -= at;
        }
    }

  private:
    const Socket& socket_;
    const Content& content_;
    std::vector<std::byte> block_;
};

void run_server(const Workload& workload, const Socket& socket) {
    const Content content(workload.size);
    SmallMessages small(socket, content);
    if (workload.name == "sync") {
        get_large(socket, content, workload.count);
        put_large(socket, content, workload.count);
    } else if (workload.name == "oneway") {
        small.get(workload.count);
        put_large(socket, content, 1);
    } else {
        for (std::uint64_t i = 0; i < workload.count; ++i) {
            small.get(1);
            small.put(1);
        }
    }
    // Leave last, so that nothing under way is lost.
    std::byte end{};
    (void)recv(socket.descriptor(), &end, 1, 0);
}

double run_client(const Workload& workload, const Socket& socket) {
    const Content content(workload.size);
    SmallMessages small(socket, content);
    const Stopwatch watch;
    if (workload.name == "sync") {
        put_large(socket, content, workload.count);
        get_large(socket, content, workload.count);
    } else if (workload.name == "oneway") {
        small.put(workload.count);
        get_large(socket, content, 1);
    } else {
        for (std::uint64_t i = 0; i < workload.count; ++i) {
            small.put(1);
            small.get(1);
        }
    }
    return watch.seconds();
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

Ends make_ends(const Workload& workload) {
    const auto server = [workload](const std::function<void(std::uint16_t)>& listening) {
        const Socket listener(socket(AF_INET, SOCK_STREAM, 0));
        sockaddr_in address = loopback(0);
        socklen_t length = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (bind(listener.descriptor(), generic, length) != 0) fail("bind");
        if (listen(listener.descriptor(), 1) != 0) fail("listen");
        if (getsockname(listener.descriptor(), generic, &length) != 0) fail("getsockname");
        listening(ntohs(address.sin_port));
        const Socket connection(accept(listener.descriptor(), nullptr, nullptr));
        connection.send_now();
        run_server(workload, connection);
    };
    const auto client = [workload](std::uint16_t port) {
        const Socket connection(socket(AF_INET, SOCK_STREAM, 0));
        const sockaddr_in address = loopback(port);
        if (connect(connection.descriptor(), reinterpret_cast<const sockaddr*>(&address),
                    sizeof address) != 0) {
            fail("connect");
        }
        connection.send_now();
        return run_client(workload, connection);
    };
    return {server, client};
}

}  // namespace

int main(int argc, char** argv) {
    return nq::bench::run_program(argc, argv, "The workloads over bare blocking sockets",
                                  make_ends);
}
