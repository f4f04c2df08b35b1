// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <net_queue/options.hpp>
#include <net_queue/uuid.hpp>

namespace nq::api {

/// A TCP socket in the test's own hands: says and hears octets. Owned by the test, on one thread.
class RawPeer {
  public:
    explicit RawPeer(int fd) : fd_(fd) {}
    /// Connects to a server on the loopback.
    explicit RawPeer(const NetworkLocation& location);
    RawPeer(RawPeer&& other) noexcept;
    RawPeer& operator=(RawPeer&&) = delete;
    ~RawPeer() { hang_up(); }

    void say(std::string_view octets);
    /// Exactly n octets; less if the stream ends or nothing comes in time.
    [[nodiscard]] std::string hear(std::size_t n);
    /// All octets up to the end of the stream; a reset or nothing in time counts as failure ("!").
    [[nodiscard]] std::string hear_all();
    /// Nothing is there to be read now, and the stream has not ended.
    [[nodiscard]] bool hears_nothing() const;
    /// Waits until the other end's kernel has all that was said; false if it does not in time.
    [[nodiscard]] bool all_delivered() const;
    void finish_saying();
    /// Leaves without a word.
    void hang_up();

  private:
    int fd_ = -1;
};

/// A listening socket, for tests that play the server.
class RawListener {
  public:
    /// With `room`, the kernel holds about so many octets of what is said to it.
    explicit RawListener(int room = 0);
    RawListener(const RawListener&) = delete;
    RawListener& operator=(const RawListener&) = delete;
    ~RawListener();
    [[nodiscard]] NetworkLocation location() const;
    [[nodiscard]] RawPeer accept() const;

  private:
    int fd_ = -1;
};

}  // namespace nq::api
