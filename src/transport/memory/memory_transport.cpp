// SPDX-License-Identifier: Apache-2.0
#include "transport/memory/memory_transport.hpp"

#include <atomic>
#include <cassert>
#include <map>
#include <mutex>
#include <utility>

#include "transport/memory/memory_connection.hpp"

namespace nq::detail {

namespace {

/// A listener as the network sees it.
struct Door {
    std::vector<Reactor*> reactors;
    AcceptHandler accept;
    std::size_t next_reactor = 0;     // guarded by the network's mutex
    std::atomic<bool> closed{false};  // tells tasks on their way
};

}  // namespace

/// Lock order: this mutex, then a link's.
struct MemoryNetwork::State {
    Result<std::uint16_t> add(std::uint16_t port, std::shared_ptr<Door> door);
    void remove(std::uint16_t port);
    std::shared_ptr<MemoryConnection> connect(Reactor& client, const NetworkLocation& location);

    std::mutex mutex;
    MemoryOptions options;
    std::map<std::uint16_t, std::shared_ptr<Door>> doors;
    std::vector<std::weak_ptr<MemoryLink>> links;
    const std::shared_ptr<MemoryRecorder> recorder = std::make_shared<MemoryRecorder>();
};

/// The port, or a Failure if it is taken.
Result<std::uint16_t> MemoryNetwork::State::add(std::uint16_t port, std::shared_ptr<Door> door) {
    const std::lock_guard lock(mutex);
    if (port == 0) {
        port = 49'152;  // where the ports for passing use begin (RFC 6335)
        while (doors.contains(port)) ++port;
    }
    if (!doors.emplace(port, std::move(door)).second) {
        return Failure{std::make_error_code(std::errc::address_in_use), {}, ""};
    }
    return port;
}

void MemoryNetwork::State::remove(std::uint16_t port) {
    decltype(doors)::node_type door;  // goes after the lock, with whatever its handler owns
    const std::lock_guard lock(mutex);
    door = doors.extract(port);
    // relaxed: a connection on its way to another reactor meanwhile may pass either way.
    door.mapped()->closed.store(true, std::memory_order_relaxed);
}

/// The client's end, or null if nobody listens. The server's end is posted to its reactor under the
/// mutex, so neither the listener nor its reactors can go meanwhile.
std::shared_ptr<MemoryConnection> MemoryNetwork::State::connect(Reactor& client,
                                                                const NetworkLocation& location) {
    const std::lock_guard lock(mutex);
    const auto found = doors.find(location.port);
    if (found == doors.end()) return nullptr;
    const std::shared_ptr<Door> door = found->second;
    Reactor& server = *door->reactors[door->next_reactor++ % door->reactors.size()];
    auto [here, there] =
        MemoryLink::connect(client, server, options, recorder, location.to_string());
    std::erase_if(links, [](const auto& link) { return link.expired(); });
    links.push_back(here->link());
    server.post([door, there = std::move(there)] {
        if (!door->closed.load(std::memory_order_relaxed)) door->accept(there);  // relaxed: remove
    });
    return std::move(here);
}

namespace {

class MemoryListener final : public Listener {
  public:
    MemoryListener(std::shared_ptr<MemoryNetwork> network, NetworkLocation location)
        : network_(std::move(network)), location_(std::move(location)) {}
    ~MemoryListener() override { network_->state()->remove(location_.port); }
    [[nodiscard]] NetworkLocation location() const override { return location_; }

  private:
    const std::shared_ptr<MemoryNetwork> network_;
    const NetworkLocation location_;
};

class MemoryDial final : public Dial {
  public:
    explicit MemoryDial(std::shared_ptr<DialHandler> done) : done_(std::move(done)) {}
    ~MemoryDial() override { *done_ = nullptr; }

  private:
    const std::shared_ptr<DialHandler> done_;  // shared with the task that calls it
};

class MemoryTransport final : public Transport {
  public:
    explicit MemoryTransport(std::shared_ptr<MemoryNetwork> network)
        : network_(std::move(network)) {}

    Result<std::unique_ptr<Listener>> listen(std::span<Reactor* const> reactors,
                                             const NetworkLocation& location, AcceptHandler accept,
                                             TransportLog) override {
        assert(!reactors.empty());
        auto door = std::make_shared<Door>();
        door->reactors.assign(reactors.begin(), reactors.end());
        door->accept = std::move(accept);
        const auto port = network_->state()->add(location.port, std::move(door));
        if (!port) {
            return Failure{port.error().code,
                           {},
                           "cannot listen on " + location.to_string() +
                               ": another server listens there; choose another port"};
        }
        const NetworkLocation real{location.host, *port};
        return std::unique_ptr<Listener>(std::make_unique<MemoryListener>(network_, real));
    }

    std::unique_ptr<Dial> dial(Reactor& reactor, const NetworkLocation& location,
                               DialHandler done) override {
        auto shared = std::make_shared<DialHandler>(std::move(done));
        reactor.post([network = network_, &reactor, location, shared] {
            // Out of the shared place first: the handler may destroy the dial.
            const DialHandler tell = std::exchange(*shared, nullptr);
            if (!tell) return;
            if (auto connection = network->state()->connect(reactor, location)) {
                return tell(std::shared_ptr<Connection>(std::move(connection)));
            }
            tell(dial_failure(Errc::connection_reset, location,
                              "nobody listens there; is a server running?"));
        });
        return std::make_unique<MemoryDial>(std::move(shared));
    }

  private:
    const std::shared_ptr<MemoryNetwork> network_;
};

}  // namespace

MemoryNetwork::MemoryNetwork(const MemoryOptions& options) : state_(std::make_shared<State>()) {
    state_->options = options;
}

MemoryNetwork::~MemoryNetwork() = default;

std::shared_ptr<MemoryNetwork> MemoryNetwork::create(const MemoryOptions& options) {
    return std::shared_ptr<MemoryNetwork>(new MemoryNetwork(options));
}

void MemoryNetwork::set_options(const MemoryOptions& options) {
    const std::lock_guard lock(state_->mutex);
    state_->options = options;
}

void MemoryNetwork::lose_connections() {
    std::vector<std::weak_ptr<MemoryLink>> links;
    {
        const std::lock_guard lock(state_->mutex);
        links.swap(state_->links);
    }
    for (const auto& link : links) {
        if (const auto living = link.lock()) living->lose();
    }
}

std::vector<MemoryWrite> MemoryNetwork::take_writes() { return state_->recorder->take(); }

std::unique_ptr<Transport> make_memory_transport(std::shared_ptr<MemoryNetwork> network) {
    return std::make_unique<MemoryTransport>(std::move(network));
}

}  // namespace nq::detail
