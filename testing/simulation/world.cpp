// SPDX-License-Identifier: Apache-2.0
#include "testing/simulation/world.hpp"

#include <algorithm>

namespace nq::testing {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

WorldReport& WorldReport::operator+=(const WorldReport& other) {
    sessions += other.sessions;
    programs += other.programs;
    faulty += other.faulty;
    events += other.events;
    delivered += other.delivered;
    lost += other.lost;
    trace = trace * 31 + other.trace;
    return *this;
}

WorldReport World::run() {
    const std::uint64_t attempts = clients_.size() * random_.between(80, 200);
    for (std::uint64_t i = 0; i < attempts; ++i) {
        now_ += microseconds{random_.below(2000)};
        step();
    }
    drain();
    close_all();
    check_end();
    report_.faulty = faulty_.size();
    report_.trace = trace_.hash();
    return report_;
}

bool World::note(const char* event, std::uint64_t id, std::uint64_t n) {
    ++report_.events;
    trace_.note(std::chrono::duration_cast<microseconds>(now_.time_since_epoch()).count(), event,
                id, n);
    return true;
}

bool World::step() {
    Client& client = clients_[random_.below(clients_.size())];
    const std::uint64_t kind = random_.below(100);
    if (kind < 75) return act_network(client);
    if (kind < 96 || !rhythm_.faults) return act_user(client);
    return act_fault(client);
}

// One of the client's programs that still runs.
World::Program* World::live(Client& client) {
    std::erase_if(client.programs, [](const Program& p) { return p.endpoint->ended(); });
    if (client.programs.empty()) return nullptr;
    return &client.programs[random_.below(client.programs.size())];
}

// The session that the server keeps for that client, unless it has ended.
Endpoint* World::session_of(const Uuid& uuid) const {
    const auto found = registry_.find(uuid);
    return found == registry_.end() || found->second->ended() ? nullptr : found->second;
}

bool World::act_network(Client& client) {
    Endpoint* session = session_of(client.uuid);
    if (random_.chance(20)) {
        for (Connection& connection : connections_) {
            if (random_.chance(60) && tend(connection, draw_portion())) return true;
        }
        return notice_end(session);
    }
    Endpoint* endpoint = session;
    bool stalled = client.unread;
    if (random_.chance(50)) {
        if (client.hostile) return speak(client, draw_portion());
        Program* const program = live(client);
        if (program == nullptr || program->connection == nullptr) {
            return program == nullptr ? start(client) : dial(client, *program);
        }
        endpoint = program->endpoint;
        stalled = client.stalled;
        if (random_.chance(30) && tend(*program->connection, draw_portion())) return true;
    }
    switch (random_.below(8)) {
        case 0:
        case 1:
        case 2: {
            const bool deaf = client.raw != nullptr && client.raw->deaf;
            const std::size_t window = deaf ? 0 : static_cast<std::size_t>(rhythm_.window);
            return transmit(endpoint, draw_portion(), window);
        }
        case 3: return release(endpoint, draw_portion());
        case 4: return idle(endpoint);
        case 5: return notice_end(endpoint);
        default: return !stalled && receive(endpoint, draw_portion(), draw_patience());
    }
}

bool World::act_user(Client& client) {
    Endpoint* const session = session_of(client.uuid);
    Program* const program = live(client);
    Endpoint* const endpoint = program == nullptr ? nullptr : program->endpoint;
    const std::uint64_t kind = random_.below(100);
    if (kind < 35) return put(endpoint, client.uuid, server_);
    if (kind < 70) return put(session, server_, client.uuid);
    if (kind < 74) return broadcast();
    if (kind < 82) return cancel(random_.chance(50) ? endpoint : session);
    if (kind < 86)
        return client.stalled = !client.stalled, note("client stalls", 0, client.stalled);
    if (kind < 90) return client.unread = !client.unread, note("server stalls", 0, client.unread);
    if (kind < 95) return pass_time(milliseconds{random_.below(20)});
    if (kind < 98 && endpoint != nullptr && !endpoint->session().closing()) {
        endpoint->close(now_);
        return note("client closes", endpoint->id());
    }
    if (kind == 98 && session != nullptr && random_.chance(50)) {
        session->end(now_);
        return note("server ends session", session->id());
    }
    if (kind == 99 && endpoint != nullptr && random_.chance(20)) {
        endpoint->end(now_);
        return note("client ends", endpoint->id());
    }
    return false;
}

bool World::act_fault(Client& client) {
    Program* const program = live(client);
    const std::uint64_t kind = random_.below(100);
    if (kind < 45) {
        if (program == nullptr || !cut(program->connection, random_.chance(30))) return false;
        fault(client);
        return true;
    }
    if (kind < 57) return crash(client);
    if (kind < 70 && program != nullptr && !client.hostile) {
        fault(client);
        return start(client);
    }
    if (kind < 73 && program != nullptr && program->connection == nullptr) {
        program->endpoint->unreachable(now_);
        return note("unreachable", program->endpoint->id());
    }
    if (kind < 77) return pass_time(seconds{random_.below(200)});
    if (kind < 90) return pass_time(seconds{random_.below(8)});
    return client.raw != nullptr && cut(client.raw, false);
}

void World::fault(const Client& client) {
    if (const Endpoint* const session = session_of(client.uuid)) faulty_.insert(session);
}

bool World::put(Endpoint* endpoint, const Uuid& sender, const Uuid& peer) {
    if (endpoint == nullptr || !endpoint->may_put()) return false;
    std::optional<Uuid> target;
    if (random_.chance(20)) target = random_.chance(70) ? peer : Uuid();
    std::string text = draw_text(sender);
    if (text.size() == Uuid::k_size) text[0] = 'm';  // never the sender's UUID: nobody may put that
    const std::uint64_t size = text.size();
    endpoint->put(std::move(text), target, random_.below(5), now_);
    return note("put", endpoint->id(), size);
}

bool World::broadcast() {
    bool any = false;
    for (const Client& client : clients_) any |= put(session_of(client.uuid), server_, client.uuid);
    return any;
}

bool World::cancel(Endpoint* endpoint) {
    if (endpoint == nullptr || endpoint->accepted() == 0) return false;
    const std::uint64_t last = endpoint->accepted() - 1;
    const std::uint64_t number = last - random_.below(std::min<std::uint64_t>(last + 1, 4));
    const bool done = endpoint->cancel(number, now_);
    return note(done ? "cancelled" : "too late to cancel", endpoint->id(), number);
}

bool World::transmit(Endpoint* endpoint, std::size_t n, std::size_t window) {
    if (endpoint == nullptr || !endpoint->on_line()) return false;
    const std::uint64_t in_flight = endpoint->out()->in_flight();
    if (in_flight >= window) return false;
    n = endpoint->transmit(std::min<std::size_t>(n, window - in_flight), now_);
    if (n == 0) return false;
    if (!rhythm_.deferred && endpoint->on_line()) endpoint->release(n, now_);
    return note("taken", endpoint->id(), n);
}

bool World::release(Endpoint* endpoint, std::size_t n) {
    if (endpoint == nullptr || !endpoint->on_line()) return false;
    n = endpoint->release(n, now_);
    return n > 0 && note("released", endpoint->id(), n);
}

bool World::receive(Endpoint* endpoint, std::size_t n, std::size_t events) {
    if (endpoint == nullptr || !endpoint->on_line()) return false;
    n = endpoint->receive(n, events, now_);
    if (endpoint->violated() && !endpoint->ended()) {
        endpoint->lost(now_);
        return note("dropped for a violation", endpoint->id());
    }
    return n > 0 && note("received", endpoint->id(), n);
}

bool World::notice_end(Endpoint* endpoint) {
    if (endpoint == nullptr || !endpoint->on_line() || !endpoint->in()->at_end(now_)) return false;
    endpoint->lost(now_);
    return note("lost", endpoint->id());
}

bool World::idle(Endpoint* endpoint) {
    if (endpoint == nullptr || !endpoint->on_line()) return false;
    endpoint->idle(now_);
    return note("idle", endpoint->id());
}

bool World::pass_time(TimePoint::duration duration) {
    now_ += duration;
    for (const auto& endpoint : endpoints_) {
        if (endpoint->ended() || crashed_.contains(endpoint.get())) continue;
        const auto due = endpoint->session().poll_timeout();
        if (!due || *due > now_) continue;
        endpoint->timeout(now_);
        (void)note("timeout", endpoint->id());
    }
    return note("time passes", 0);
}

}  // namespace nq::testing
