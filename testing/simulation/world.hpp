// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "testing/simulation/endpoint.hpp"
#include "testing/simulation/network.hpp"
#include "testing/simulation/random.hpp"
#include "testing/simulation/trace.hpp"

namespace nq::testing {

/// What came of a world, or of many.
struct WorldReport {
    std::uint64_t sessions = 0;  ///< of the server, each with one or more programs at the other end
    std::uint64_t programs = 0;  ///< sessions of clients
    std::uint64_t faulty = 0;    ///< of the server's sessions, those that met a fault
    std::uint64_t events = 0;
    std::uint64_t delivered = 0;  ///< messages
    std::uint64_t lost = 0;       ///< messages wholly taken by a connection that did not carry them
    std::uint64_t trace = 0;

    WorldReport& operator+=(const WorldReport& other);
};

/// A server and some clients on a network that cuts, delays and breaks, on virtual time: all of it
/// follows from one seed. First anything happens, then faults stop and everything must drain, then
/// all close and everything must end. Throws Violated at the first invariant that does not hold.
/// Thread safety: none.
class World {
  public:
    explicit World(std::uint64_t seed, std::ostream* trace = nullptr);
    WorldReport run();

  private:
    using TimePoint = Endpoint::TimePoint;

    /// A process of ours at the client's end of a connection.
    struct Program {
        Endpoint* endpoint;
        Connection* connection;  ///< null until it is connected
    };
    /// Those who come under one UUID.
    struct Client {
        Uuid uuid;
        bool hostile;  ///< no program of ours: octets that none would send
        std::vector<Program> programs = {};
        Connection* raw = nullptr;  ///< of the hostile
        std::size_t spoken = 0;     ///< octets of its script
        bool stalled = false;       ///< does not read
        bool unread = false;        ///< the server does not read from it
        unsigned starts_left = 3;
    };
    struct Rhythm {
        std::uint64_t portion;      ///< octets per call to the network, at most
        std::uint64_t window;       ///< octets in flight, at most
        std::uint64_t message_max;  ///< octets
        bool deferred;              ///< memory is released later than it is taken
        bool faults;
    };

    // world_plan.cpp: what the seed says.
    EndpointOptions draw_options();
    Rhythm draw_rhythm();
    std::string draw_text(const Uuid& sender);
    std::size_t draw_portion() {
        return static_cast<std::size_t>(random_.between(1, rhythm_.portion));
    }
    std::size_t draw_patience();
    std::string draw_script(Client& client, Connection& connection);

    // world.cpp: one event each; false if it is not possible now.
    bool step();
    bool act_user(Client& client);
    bool act_network(Client& client);
    bool act_fault(Client& client);
    bool put(Endpoint* endpoint, const Uuid& sender, const Uuid& peer);
    bool broadcast();
    bool cancel(Endpoint* endpoint);
    bool transmit(Endpoint* endpoint, std::size_t n, std::size_t window);
    bool release(Endpoint* endpoint, std::size_t n);
    bool receive(Endpoint* endpoint, std::size_t n, std::size_t events);
    bool notice_end(Endpoint* endpoint);
    bool idle(Endpoint* endpoint);
    bool pass_time(TimePoint::duration duration);

    // world_ends.cpp: the two ends of connections, and the end of the world.
    bool start(Client& client);
    bool dial(Client& client, Program& program);
    bool crash(Client& client);
    bool cut(Connection* connection, bool silent);
    bool speak(Client& client, std::size_t n);
    bool tend(Connection& connection, std::size_t n);
    void accept(Connection& connection);
    void refuse(Connection& connection);
    void drain();
    bool pump();
    bool pump(Endpoint* endpoint);
    bool revive();
    bool jump_to_deadline();
    void close_all();
    void check_end();

    Endpoint& make(Endpoint::Role role, const Uuid& client);
    Endpoint* session_of(const Uuid& uuid) const;
    Program* live(Client& client);
    void fault(const Client& client);
    bool note(const char* event, std::uint64_t id, std::uint64_t n = 0);

    Random random_;
    Trace trace_;
    TimePoint now_{};
    Rhythm rhythm_{};
    Uuid server_;
    bool server_closing_ = false;
    bool calm_ = false;  ///< faults have stopped
    std::vector<Client> clients_;
    std::deque<Connection> connections_;
    std::deque<std::unique_ptr<Endpoint>> endpoints_;  ///< all that ever were
    std::deque<std::unique_ptr<Message>> strays_;      ///< of hostile clients
    std::map<Uuid, Endpoint*> registry_;               ///< the server's last session of each client
    std::set<const Endpoint*> crashed_;
    std::set<const Endpoint*> faulty_;  ///< the server's sessions that met a fault
    WorldReport report_;
};

}  // namespace nq::testing
