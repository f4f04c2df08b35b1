// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "testing/octets.hpp"
#include "testing/simulation/world.hpp"

namespace nq::testing {

using std::chrono::seconds;
using Host = Connection::Host;

namespace {

// More rounds than any world needs: who is not drained then never will be.
constexpr int k_rounds_max = 20'000;
constexpr std::size_t k_everything = std::size_t{1} << 30;

}  // namespace

Endpoint& World::make(Endpoint::Role role, const Uuid& client) {
    const bool server = role == Endpoint::Role::server;
    ++(server ? report_.sessions : report_.programs);
    const Uuid& self = server ? server_ : client;
    const Uuid& peer = server ? client : server_;
    endpoints_.push_back(
        std::make_unique<Endpoint>(endpoints_.size() + 1, role, self, peer, draw_options(), now_));
    return *endpoints_.back();
}

bool World::start(Client& client) {
    if (client.hostile || client.starts_left == 0 || server_closing_) return false;
    if (!calm_) --client.starts_left;
    Endpoint& endpoint = make(Endpoint::Role::client, client.uuid);
    client.programs.push_back({&endpoint, nullptr});
    return note("program starts", endpoint.id());
}

bool World::dial(Client& client, Program& program) {
    Connection& connection = connections_.emplace_back();
    program.connection = &connection;
    if (rhythm_.faults && !calm_ && random_.chance(3)) {
        // Somebody else listens there.
        connection.host = Host::gone;
        connection.up.cut(0, now_);
        const std::string octets = random_.chance(70) ? frame("not a net-queue") : "";
        connection.down.units.push_back({Pipe::Kind::violation, nullptr, 0, octets.size()});
        connection.down.write(octets);
        connection.down.finish(now_);
        fault(client);
    }
    program.endpoint->connected(connection.up, connection.down, now_);
    return note("connected", program.endpoint->id(), connections_.size());
}

bool World::crash(Client& client) {
    Program* const program = live(client);
    if (program == nullptr) return false;
    Endpoint* const endpoint = program->endpoint;
    crashed_.insert(endpoint);
    fault(client);
    if (program->connection != nullptr && !cut(program->connection, random_.chance(20))) {
        program->connection->up.cut(0, now_);
        program->connection->down.cut(0, now_);
    }
    client.programs.erase(client.programs.begin() + (program - client.programs.data()));
    return note("program crashes", endpoint->id());
}

// What is in flight arrives up to any octet. Where it is silent, both ends find out only later.
bool World::cut(Connection* connection, bool silent) {
    if (connection == nullptr || connection->up.broken() || connection->down.broken()) return false;
    const auto visible_at = now_ + seconds{silent ? random_.below(45) : 0};
    for (Pipe* const pipe : {&connection->up, &connection->down}) {
        const std::uint64_t in_flight = pipe->in_flight();
        const std::uint64_t kind = random_.below(4);
        const std::uint64_t arrives =
            kind == 0 ? 0 : (kind == 1 ? in_flight : random_.below(in_flight + 1));
        pipe->cut(arrives, visible_at);
    }
    return note("cut", 0, silent);
}

// The hostile client dials, says up to n octets of its script, and leaves or stays.
bool World::speak(Client& client, std::size_t n) {
    if (client.raw == nullptr) {
        if (client.starts_left == 0 || server_closing_) return false;
        --client.starts_left;
        client.raw = &connections_.emplace_back();
        client.raw->script = draw_script(client, *client.raw);
        client.raw->deaf = random_.chance(30);
        if (!client.raw->deaf) client.raw->down.cut(0, now_);
        client.spoken = 0;
        return note("hostile", 0, client.raw->script.size());
    }
    Connection& connection = *client.raw;
    if (connection.host == Host::session) fault(client);
    const std::string_view rest = std::string_view(connection.script).substr(client.spoken);
    if (!rest.empty() && !connection.up.ended()) {
        connection.up.write(rest.substr(0, n));
        client.spoken += std::min(n, rest.size());
        return note("hostile speaks", 0, n);
    }
    const bool over = connection.host == Host::gone || connection.up.ended();
    if (!over && !random_.chance(10)) return false;
    connection.up.finish(now_);
    connection.down.cut(0, now_);
    client.raw = nullptr;
    return note("hostile leaves", 0);
}

// The server's end of a connection that is no session's.
bool World::tend(Connection& connection, std::size_t n) {
    if (connection.host == Host::refused) {
        connection.up.cut(0, connection.up.end_visible_at());
        if (now_ < connection.refused_until && !connection.up.at_end(now_)) return false;
        connection.host = Host::gone;
        connection.down.finish(now_);
        return note("refused one goes", 0);
    }
    if (connection.host != Host::stranger) return false;
    const auto space = connection.reader.space();
    const std::size_t got = connection.up.read(space.first(std::min(n, space.size())));
    connection.reader.handle_received(got);
    switch (connection.reader.status()) {
        case detail::IdentityReader::Status::complete: accept(connection); return true;
        case detail::IdentityReader::Status::incomplete:
            if (got > 0) return note("part of an ini", 0, got);
            if (!connection.up.at_end(now_)) return false;
            break;
        case detail::IdentityReader::Status::invalid: break;
    }
    connection.host = Host::gone;
    connection.up.cut(0, now_);
    connection.down.finish(now_);
    return note("stranger dropped", 0);
}

void World::accept(Connection& connection) {
    const Uuid uuid = connection.reader.uuid();
    const bool usable = uuid != server_ && !uuid.is_nil() && !server_closing_;
    Endpoint* session = session_of(uuid);
    const bool in_use = session != nullptr && session->session().state() != Endpoint::State::lost;
    if (!usable || in_use) return refuse(connection);
    require(
        !connection.up.units.empty() && connection.up.units.front().end == connection.up.arrived(),
        "the server reads the ini and no octet more");
    connection.up.units.pop_front();
    connection.host = Host::session;
    (void)note(session == nullptr ? "new session" : "session resumed", endpoints_.size());
    if (session == nullptr) session = &make(Endpoint::Role::server, uuid);
    registry_[uuid] = session;
    session->connected(connection.down, connection.up, now_);
}

void World::refuse(Connection& connection) {
    const std::string octets = identity(server_);
    Pipe& down = connection.down;
    down.units.push_back({Pipe::Kind::ini, nullptr, 0, octets.size()});
    down.units.push_back({Pipe::Kind::fin, nullptr, octets.size(), 2 * octets.size()});
    down.write(octets + octets);
    connection.host = Host::refused;
    connection.refused_until = now_ + seconds{5};
    (void)note("refused", 0);
}

bool World::pump(Endpoint* endpoint) {
    if (endpoint == nullptr || crashed_.contains(endpoint)) return false;
    bool any = transmit(endpoint, k_everything, k_everything);
    any |= release(endpoint, k_everything);
    any |= receive(endpoint, k_everything, SIZE_MAX);
    return notice_end(endpoint) || any;
}

// Everything that can happen without a fault and without time.
bool World::pump() {
    bool any = false;
    for (Connection& connection : connections_) any |= tend(connection, k_everything);
    for (Client& client : clients_) {
        std::erase_if(client.programs, [](const Program& p) { return p.endpoint->ended(); });
        for (Program& program : client.programs) {
            if (program.connection == nullptr) any |= dial(client, program);
            any |= pump(program.endpoint);
        }
        const bool deaf = client.raw != nullptr && client.raw->deaf;
        Endpoint* const session = session_of(client.uuid);
        any |=
            deaf ? receive(session, k_everything, SIZE_MAX) || notice_end(session) : pump(session);
    }
    return any;
}

// A client whose session is lost comes back.
bool World::revive() {
    bool any = false;
    for (Client& client : clients_) {
        const Endpoint* const session = session_of(client.uuid);
        const bool lost = session != nullptr && session->session().state() == Endpoint::State::lost;
        if (!lost || live(client) != nullptr || client.hostile) continue;
        client.starts_left = 1;
        any |= start(client);
    }
    return any;
}

bool World::jump_to_deadline() {
    std::optional<TimePoint> next;
    const auto consider = [&](TimePoint at) {
        if (at > now_ && (!next || at < *next)) next = at;
    };
    for (const auto& endpoint : endpoints_) {
        if (endpoint->ended() || crashed_.contains(endpoint.get())) continue;
        if (endpoint->on_line() && endpoint->in()->ended())
            consider(endpoint->in()->end_visible_at());
        if (const auto due = endpoint->session().poll_timeout()) consider(*due);
    }
    for (const Connection& connection : connections_) {
        if (connection.host == Host::refused) consider(connection.refused_until);
        if (connection.host == Host::stranger) consider(connection.up.end_visible_at());
    }
    return next && pass_time(*next - now_);
}

// Faults stop: whatever was accepted goes where it belongs.
void World::drain() {
    calm_ = true;
    int rounds = 0;
    while (pump() || revive() || jump_to_deadline()) {
        require(++rounds < k_rounds_max, "once faults stop there is an end");
    }
    for (Client& client : clients_) {
        const Endpoint* const session = session_of(client.uuid);
        const Program* const program = live(client);
        if (client.hostile || program == nullptr) continue;
        require(session != nullptr && session->on_line(), "a client finds its session");
        require(session->drained() && program->endpoint->drained(), "everything is drained");
    }
}

void World::close_all() {
    const bool server_first = random_.chance(50);
    for (const bool servers : {server_first, !server_first}) {
        for (Client& client : clients_) {
            Endpoint* const session = session_of(client.uuid);
            if (servers && session != nullptr) session->close(now_);
            if (servers && session != nullptr && client.hostile) session->end(now_);
            Program* const program = servers ? nullptr : live(client);
            if (program == nullptr) continue;
            Endpoint* const endpoint = program->endpoint;
            endpoint->close(now_);
            while (pump() || (!endpoint->ended() && jump_to_deadline())) {
            }
            require(endpoint->session().reason() == Endpoint::Reason::finished, "a clean end");
        }
        server_closing_ = server_closing_ || servers;
    }
    int rounds = 0;
    while (pump() || jump_to_deadline()) require(++rounds < k_rounds_max, "closes end");
}

void World::check_end() {
    for (Connection& connection : connections_) {
        for (Pipe* const pipe : {&connection.up, &connection.down}) {
            for (const Pipe::Unit& unit : pipe->units) {
                if (unit.message != nullptr && pipe->broken()) unit.message->lost = true;
            }
        }
    }
    for (const auto& endpoint : endpoints_) {
        if (crashed_.contains(endpoint.get())) continue;
        require(endpoint->ended(), "every session ends");
        for (const auto& message : endpoint->messages()) {
            require(message->future() != Message::Future::pending, "every future completes");
            const bool done = message->future() == Message::Future::done;
            const bool excused = message->lost || message->oversized;
            require(!done || message->delivered() || excused, "done, but not delivered");
            report_.delivered += message->delivered();
            report_.lost += done && !message->delivered();
        }
    }
}

}  // namespace nq::testing
