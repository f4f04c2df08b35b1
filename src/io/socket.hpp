// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include <net_queue/stream.hpp>

#include "io/address.hpp"

namespace nq::detail {

/// What became of one non-blocking call that moves octets.
struct Io {
    enum class Status {
        done,    ///< size octets moved; 0 and not complete: it would block
        end,     ///< receive: the peer finished sending, and all of it was received
        failed,  ///< error says why
    };
    Status status = Status::done;
    std::size_t size = 0;
    /// Everything asked for was moved. If not, readiness will be reported.
    bool complete = false;
    /// Not complete, and the socket will not report it: more can be had at once.
    bool again = false;
    int error = 0;  ///< an errno
};

/// A TCP socket, non-blocking and close-on-exec; closed when dropped.
/// Commands that can fail return an errno, 0 if they did not.
/// Thread safety: as the descriptor: any thread may send, receive or shut down while the Socket
/// lives, one at a time in each direction; construction, assignment and destruction alone.
class Socket {
  public:
    Socket() = default;
    /// Takes the descriptor over.
    explicit Socket(int fd) noexcept : fd_(fd) {}
    Socket(Socket&& other) noexcept;
    Socket& operator=(Socket&& other) noexcept;
    ~Socket();

    /// A new TCP socket of that family; not valid if the system gives none (see errno).
    static Socket open(int family) noexcept;
    /// The next connection of a listening socket; not valid if there is none (see errno).
    [[nodiscard]] Socket accept() const noexcept;

    /// Binds to the address and listens. SO_REUSEADDR lets a restarted server have its port back
    /// while old connections linger; SO_REUSEPORT, which lets two servers share a port unawares, is
    /// never set.
    int listen(const SocketAddress& address, int backlog) noexcept;
    /// Begins to connect: EINPROGRESS is the usual answer, and the socket is writable at the end.
    int connect(const SocketAddress& address) noexcept;
    /// Sends small writes at once, and finds an idle peer dead after `dead_peer` of silence.
    int set_connection_options(std::chrono::seconds dead_peer) const noexcept;
    /// From here on leaves little to the kernel that can't be sent yet, and heeds its pacing. Of a
    /// connected socket, before another thread has it.
    void prepare_sending() noexcept;

    /// One sendmsg(2), or one for each packet if the kernel paces (pacing.hpp). It may fail after
    /// some octets, which are then told as well. REQUIRES: chunks.size() <=
    /// limits::k_views_per_call.
    [[nodiscard]] Io send(std::span<const Chunk> chunks) const noexcept;
    [[nodiscard]] Io send(std::span<const std::byte> octets) const noexcept;
    /// One recvmsg(2). REQUIRES: as for send, and the targets are not all empty.
    [[nodiscard]] Io receive(std::span<const std::span<std::byte>> targets) const noexcept;
    /// The peer sees the end of the stream after what was sent.
    void finish_sending() const noexcept;
    /// Ends both directions; the descriptor stays ours, so nobody can mistake another's for it.
    void shut_down() const noexcept;
    /// Lets closing throw away what the peer has not acknowledged, for a peer that never will.
    void discard_on_close() const noexcept;
    /// The pending error of the socket, which is cleared.
    [[nodiscard]] int take_error() const noexcept;

    /// A second descriptor of the same socket; not valid if the system gives none (see errno).
    [[nodiscard]] Socket duplicate() const noexcept;
    /// Leaves the descriptor to the caller.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int fd() const noexcept { return fd_; }

  private:
    int fd_ = -1;
    bool paced_ = false;
};

/// The system's words for an errno.
[[nodiscard]] std::string error_text(int error);

}  // namespace nq::detail
