// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <net_queue/options.hpp>

namespace nq::api {

/// A way between a client and a server that can be cut: passes on octets between the TCP
/// connections made to it and one of its own for each.
/// Thread safety: all methods, from any thread.
class CutProxy {
  public:
    enum class Way { to_server, to_client };
    static constexpr std::size_t k_unlimited = std::numeric_limits<std::size_t>::max();

    explicit CutProxy(const NetworkLocation& server);
    ~CutProxy();
    CutProxy(const CutProxy&) = delete;
    CutProxy& operator=(const CutProxy&) = delete;

    /// Where clients connect to.
    [[nodiscard]] NetworkLocation location() const { return location_; }
    /// Connections from now on go there.
    void lead_to(const NetworkLocation& server) { port_ = server.port; }
    /// Connections from now on are reset at once.
    void bar() { port_ = 0; }
    /// So many octets more pass that way, then all connections are reset.
    void cut_after(Way way, std::size_t octets);
    /// So many octets more pass that way, and the rest waits.
    void hold_after(Way way, std::size_t octets);
    void pass_all() {
        hold_after(Way::to_server, k_unlimited);
        hold_after(Way::to_client, k_unlimited);
    }
    /// All connections are reset, whatever waits in them, and what comes after passes.
    void cut();
    /// Connections made to it so far.
    [[nodiscard]] int connections() const { return connections_; }

  private:
    struct Valve {
        std::size_t octets = k_unlimited;
        bool fatal = false;
    };
    struct Pair;

    void run();
    void accept();
    [[nodiscard]] bool carry(Pair& pair, Way way);
    void wake() const;
    Valve& valve(Way way) { return way == Way::to_server ? up_ : down_; }

    const int listener_;
    const int wakeup_;
    NetworkLocation location_;
    std::atomic<std::uint16_t> port_;  ///< 0: barred
    std::atomic<int> connections_{0};

    std::mutex mutex_;  // guards what follows
    Valve up_;
    Valve down_;
    bool cut_ = false;
    bool stopped_ = false;

    std::vector<std::unique_ptr<Pair>> pairs_;  // belongs to the thread
    std::thread thread_;
};

}  // namespace nq::api
