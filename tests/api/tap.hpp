// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "transport/transport.hpp"

namespace nq::api {

class TappedConnection;
class TappedTransport;

/// One call to send that took something: the memory it was offered, and how much of it was taken.
struct Write {
    bool by_client = false;  ///< by the end that dialled
    std::vector<Chunk::Octets> chunks;
    std::size_t taken = 0;
};

/// One call to receive that brought something.
struct Read {
    const void* connection = nullptr;
    std::size_t octets = 0;
};

/// The test's hand on the line of any transports: records what is sent, holds it back, and cuts
/// connections, the same way on every one.
///
/// Shared by the test and the communicators. Thread safety: all methods, from any thread.
class Tap final : public std::enable_shared_from_this<Tap> {
  public:
    enum class Side { client, server };
    static constexpr std::size_t k_unlimited = std::numeric_limits<std::size_t>::max();

    /// The transport, with the hand on its connections.
    [[nodiscard]] std::shared_ptr<detail::Transport> over(
        std::shared_ptr<detail::Transport> transport);

    // The test's hand.
    /// Connections of that side, those to come too, pass at most so many octets more; the rest
    /// waits for the next call.
    void allow(Side side, std::size_t octets);
    /// As allow, but a connection that has passed them is lost.
    void lose_after(Side side, std::size_t octets);
    /// Every connection there is fails at both ends; octets in flight are lost.
    void lose_connections();

    // What was seen.
    [[nodiscard]] std::vector<Write> take_writes();
    [[nodiscard]] std::vector<Read> take_reads();
    [[nodiscard]] int dials() const { return dials_; }
    /// The reactors of the connections accepted so far, in order.
    [[nodiscard]] std::vector<detail::Reactor*> accepted_by() const;

  private:
    friend class TappedConnection;
    friend class TappedTransport;
    struct Valve {
        std::size_t octets = k_unlimited;
        bool fatal = false;
    };

    std::shared_ptr<detail::Connection> wrap(Side side, std::shared_ptr<detail::Connection> inner);
    void set_valve(Side side, Valve valve);
    void record(Write write);
    void record(Read read);

    std::atomic<int> dials_{0};

    mutable std::mutex mutex_;  // guards what follows
    Valve client_valve_;
    Valve server_valve_;
    std::vector<std::weak_ptr<TappedConnection>> connections_;
    std::vector<Write> writes_;
    std::vector<Read> reads_;
    std::vector<detail::Reactor*> accepted_by_;
};

}  // namespace nq::api
