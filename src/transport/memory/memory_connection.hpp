// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "transport/memory/memory_transport.hpp"

namespace nq::detail {

class MemoryConnection;

/// Sends that were recorded. Thread safety: all methods, from any thread.
class MemoryRecorder {
  public:
    void add(const MemoryWrite& write);
    [[nodiscard]] std::vector<MemoryWrite> take();

  private:
    std::mutex mutex_;
    std::vector<MemoryWrite> writes_;
};

/// What two connected ends have in common: a pipe each way, and what each end waits for.
/// Invariants: pipe.size == sum of pipe.chunks <= capacity; size <= passed <= lose_after.
/// Thread safety: `mutex` guards everything but the constants. Nothing is called under it that
/// could come back: tasks are posted, and chunks that go are let go outside.
struct MemoryLink {
    enum Side : std::size_t { k_client, k_server };

    /// The octets one side has sent and the other has not received.
    struct Pipe {
        std::deque<Chunk> chunks;
        std::size_t size = 0;
        std::size_t passed = 0;  // octets ever taken
        bool finished = false;
    };
    /// What is to be told to a handler.
    struct Events {
        bool readable = false;
        bool writable = false;
        bool lost = false;
        std::size_t released = 0;
    };
    struct End {
        std::weak_ptr<MemoryConnection> connection;
        Reactor* reactor = nullptr;  // null once closed: it may be gone
        bool send_waits = false;
        bool receive_waits = false;
        bool told = false;  // a task that tells is on its way
        Events events;
    };

    MemoryLink(const MemoryOptions& with, std::shared_ptr<MemoryRecorder> recorded_by)
        : options(with), recorder(std::move(recorded_by)) {}

    /// Makes both ends.
    static std::pair<std::shared_ptr<MemoryConnection>, std::shared_ptr<MemoryConnection>> connect(
        Reactor& client, Reactor& server, const MemoryOptions& options,
        std::shared_ptr<MemoryRecorder> recorder, const std::string& server_name);
    /// The link is lost; octets in flight with it.
    void lose();

    // REQUIRE: the mutex is held.
    void fail_locked();
    void tell_locked(Side side);
    void wake_reader_locked(Side side);

    const MemoryOptions options;
    const std::shared_ptr<MemoryRecorder> recorder;
    std::mutex mutex;
    std::array<Pipe, 2> pipes;  // by the side that sends
    std::array<End, 2> ends;
    bool lost = false;
};

/// One end of a link.
/// Owned by its users alone; the last share to go closes it. Thread safety: as Connection.
class MemoryConnection final : public Connection,
                               public std::enable_shared_from_this<MemoryConnection> {
  public:
    MemoryConnection(std::shared_ptr<MemoryLink> link, MemoryLink::Side side, Reactor& reactor,
                     std::string peer_name);
    ~MemoryConnection() override;

    void set_handler(std::shared_ptr<ConnectionHandler> handler) override;
    Result<Sent> send(std::span<const Chunk> chunks) override;
    Result<std::size_t> receive(std::span<const Target> targets) override;
    void finish_sending() override;
    void close() override;
    [[nodiscard]] Reactor& reactor() const override { return reactor_; }
    [[nodiscard]] const std::string& peer_name() const override { return peer_name_; }

    [[nodiscard]] const std::shared_ptr<MemoryLink>& link() const noexcept { return link_; }
    /// Passes the events of this end on to the handler, on the reactor thread.
    void tell();

  private:
    using Side = MemoryLink::Side;
    [[nodiscard]] Side peer_side() const noexcept {
        return side_ == Side::k_client ? Side::k_server : Side::k_client;
    }
    void shut_locked();
    std::size_t take_locked(std::span<const Chunk> chunks, std::size_t room);
    std::size_t fill_locked(std::span<const Target> targets, std::size_t room,
                            std::vector<Chunk>& drained);
    [[nodiscard]] Failure lost_failure() const;

    // Constant after construction.
    const std::shared_ptr<MemoryLink> link_;
    const Side side_;
    Reactor& reactor_;
    const std::string peer_name_;

    // Belong to the reactor thread.
    std::shared_ptr<ConnectionHandler> handler_;
    bool lost_told_ = false;
};

}  // namespace nq::detail
