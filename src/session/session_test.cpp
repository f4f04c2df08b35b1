// SPDX-License-Identifier: Apache-2.0
#include "session/session.hpp"

#include <doctest/doctest.h>

using nq::detail::Session;
using Order = Session::Order;
using Reason = Session::Reason;
using Role = Session::Role;
using State = Session::State;
using std::chrono::seconds;

namespace {

/// A session on a clock of its own. The verbs are what happens to it.
struct Life {
    Session::TimePoint now{seconds{1000}};
    Session session;

    explicit Life(Role role)
        : session(role, {.connect = seconds{30}, .expiry = seconds{120}, .fin = seconds{5}}, now) {}

    static Life open(Role role) {
        Life life(role);
        life.session.handle_connected(life.now);
        if (role == Role::client) life.session.handle_identified(life.now);
        return life;
    }

    void close() { session.close(now); }
    void end() { session.end(now); }
    void connected() { session.handle_connected(now); }
    void identified() { session.handle_identified(now); }
    void fin_seen() { session.handle_fin_seen(now); }
    void fin_taken() { session.handle_fin_taken(now); }
    void lost() { session.handle_lost(now); }
    void interrupted() { session.handle_interrupted(now); }
    void wait(seconds duration) {
        now += duration;
        session.handle_timeout(now);
    }

    void check(State state, Reason reason = Reason::none) {
        CHECK(session.state() == state);
        CHECK(session.reason() == reason);
        if (session.ended()) CHECK_FALSE(session.poll_timeout());
    }
    void check_told(Order order) {
        CHECK(session.poll_order() == order);
        CHECK(session.poll_order() == Order::none);
    }
    void check_due_in(seconds duration) { CHECK(session.poll_timeout() == now + duration); }
};

}  // namespace

TEST_CASE("a client connects, is answered and stays as long as it likes") {
    Life client(Role::client);
    client.check(State::connecting);
    client.check_due_in(seconds{30});
    client.connected();
    client.check(State::open);
    client.check_due_in(seconds{30});
    client.identified();
    CHECK_FALSE(client.session.poll_timeout());
    client.wait(seconds{1'000'000});
    client.check(State::open);
    client.check_told(Order::none);
}

TEST_CASE("a client gives up when nobody answers in time") {
    Life client(Role::client);
    SUBCASE("nobody to connect to") {}
    SUBCASE("connected, but no ini") { client.connected(); }
    SUBCASE("closed while it still connects") { client.close(); }
    client.wait(seconds{29});
    CHECK_FALSE(client.session.ended());
    client.wait(seconds{1});
    client.check(State::ended, Reason::no_answer);
}

TEST_CASE("a client that can't reach anybody ends at once") {
    Life client(Role::client);
    client.session.handle_unreachable(client.now);
    client.check(State::ended, Reason::no_answer);
    client.session.handle_unreachable(client.now);
    client.check(State::ended, Reason::no_answer);
}

TEST_CASE("a client closes: fin after the queue, then the server's fin") {
    Life client = Life::open(Role::client);
    client.close();
    client.close();
    CHECK(client.session.closing());
    client.check_told(Order::close);
    client.fin_taken();
    client.check(State::open);
    CHECK_FALSE(client.session.poll_timeout());
    client.fin_seen();
    client.check(State::ended, Reason::finished);
    client.check_told(Order::none);
}

TEST_CASE("the other side's fin may be told before the own one is") {
    Life client = Life::open(Role::client);
    client.close();
    client.fin_seen();
    client.check(State::open);
    client.fin_taken();
    client.check(State::ended, Reason::finished);
}

TEST_CASE("a client that closed before it was connected still says goodbye") {
    Life client(Role::client);
    client.close();
    client.check_told(Order::close);
    client.connected();
    client.identified();
    client.fin_taken();
    client.fin_seen();
    client.check(State::ended, Reason::finished);
}

TEST_CASE("a client that is dismissed abandons its queue and answers") {
    Life client = Life::open(Role::client);
    client.fin_seen();
    client.check(State::open);
    CHECK(client.session.fin_seen());
    client.check_told(Order::abandon);
    client.check_due_in(seconds{5});
    SUBCASE("and its fin goes out") { client.fin_taken(); }
    SUBCASE("and the server does not wait for it") { client.lost(); }
    SUBCASE("and nothing can be sent") { client.wait(seconds{5}); }
    SUBCASE("though the user closes meanwhile") {
        client.close();
        client.check_told(Order::none);
        client.fin_taken();
    }
    client.check(State::ended, Reason::dismissed);
}

TEST_CASE("a fin counts once") {
    Life client = Life::open(Role::client);
    client.fin_seen();
    client.check_told(Order::abandon);
    client.wait(seconds{3});
    client.fin_seen();
    client.check_told(Order::none);
    client.check_due_in(seconds{2});
}

TEST_CASE("a client whose connection is lost is at its end") {
    Life client = Life::open(Role::client);
    SUBCASE("in the middle") {}
    SUBCASE("while it closes") { client.close(); }
    SUBCASE("between its fin and the server's") {
        client.close();
        client.fin_taken();
    }
    SUBCASE("between the server's fin and its own") {
        client.close();
        client.fin_seen();
    }
    client.lost();
    client.check(State::ended, Reason::reset);
}

TEST_CASE("a server's session ends when its client leaves") {
    Life server = Life::open(Role::server);
    CHECK_FALSE(server.session.poll_timeout());
    server.fin_seen();
    server.check_told(Order::close);
    server.check(State::open);
    server.fin_taken();
    server.check(State::ended, Reason::finished);
}

TEST_CASE("a lost client comes back and finds its session, as often as it likes") {
    Life server = Life::open(Role::server);
    for (int i = 0; i < 3; ++i) {
        server.lost();
        server.check(State::lost);
        server.check_due_in(seconds{120});
        server.wait(seconds{119});
        server.check(State::lost);
        server.connected();
        server.check(State::open);
        CHECK_FALSE(server.session.poll_timeout());
        server.wait(seconds{1000});
        server.check(State::open);
    }
}

TEST_CASE("a lost client that does not come back is forgotten") {
    Life server = Life::open(Role::server);
    server.lost();
    server.wait(seconds{120});
    server.check(State::ended, Reason::expired);
    server.connected();
    server.check(State::ended, Reason::expired);
}

TEST_CASE("a client that said fin is not awaited any more") {
    Life server = Life::open(Role::server);
    server.fin_seen();
    server.lost();
    server.check(State::ended, Reason::reset);
}

TEST_CASE("a session whose stream is broken ends at once: nobody can continue it") {
    for (const Role role : {Role::server, Role::client}) {
        Life life = Life::open(role);
        life.session.handle_broken(life.now);
        life.check(State::ended, Reason::reset);
    }
    Life closing = Life::open(Role::server);
    closing.close();
    closing.session.handle_broken(closing.now);
    closing.check(State::ended, Reason::closed);
}

TEST_CASE("a closing server serves on until its client leaves") {
    Life server = Life::open(Role::server);
    server.close();
    CHECK(server.session.closing());
    server.check(State::open);
    server.check_told(Order::none);
    CHECK_FALSE(server.session.poll_timeout());
    SUBCASE("cleanly") {
        server.fin_seen();
        server.check_told(Order::close);
        server.fin_taken();
        server.check(State::ended, Reason::finished);
    }
    SUBCASE("or is lost: nobody is waited for") {
        server.lost();
        server.check(State::ended, Reason::closed);
    }
}

TEST_CASE("a server that closes does not wait for a lost session") {
    Life server = Life::open(Role::server);
    server.lost();
    server.close();
    server.check(State::ended, Reason::closed);
}

TEST_CASE("a server ends a session: fin, and the client's within the deadline") {
    Life server = Life::open(Role::server);
    server.end();
    server.end();
    server.check_told(Order::abandon);
    server.check(State::open);
    server.check_due_in(seconds{5});
    SUBCASE("the client answers") {
        server.fin_taken();
        server.fin_seen();
        server.check(State::ended, Reason::finished);
    }
    SUBCASE("the client says nothing") {
        server.fin_taken();
        server.wait(seconds{5});
        server.check(State::ended, Reason::deadline);
    }
    SUBCASE("the client answers, but takes nothing") {
        server.fin_seen();
        server.wait(seconds{5});
        server.check(State::ended, Reason::deadline);
    }
    SUBCASE("the client goes") {
        server.lost();
        server.check(State::ended, Reason::closed);
    }
}

TEST_CASE("ending what has no connection takes no time") {
    Life client(Role::client);
    client.end();
    client.check(State::ended, Reason::closed);
    Life server = Life::open(Role::server);
    server.lost();
    server.end();
    server.check(State::ended, Reason::closed);
}

TEST_CASE("a client that ends itself keeps its deadline though the server's ini comes") {
    Life client(Role::client);
    client.connected();
    client.end();
    client.identified();
    client.check_due_in(seconds{5});
    client.fin_seen();
    client.check_told(Order::abandon);
    client.fin_taken();
    client.check(State::ended, Reason::finished);
}

TEST_CASE("close after end changes no order, end after close makes it the stronger one") {
    Life client = Life::open(Role::client);
    SUBCASE("end, close") {
        client.end();
        client.close();
    }
    SUBCASE("close, end") {
        client.close();
        client.end();
    }
    client.check_told(Order::abandon);
}

TEST_CASE("nothing wakes an ended session") {
    Life client = Life::open(Role::client);
    client.lost();
    client.connected();
    client.identified();
    client.fin_seen();
    client.fin_taken();
    client.close();
    client.end();
    client.lost();
    client.wait(seconds{1000});
    client.check(State::ended, Reason::reset);
    client.check_told(Order::none);
}

TEST_CASE("a client that may come back has as long for it as for its first connection") {
    Life client = Life::open(Role::client);
    client.interrupted();
    client.check(State::lost);
    client.check_due_in(seconds{30});
    SUBCASE("it is answered in time") {
        client.wait(seconds{29});
        client.connected();
        client.identified();
        client.check(State::open);
        CHECK_FALSE(client.session.poll_timeout());
        client.wait(seconds{1'000'000});
        client.check(State::open);
    }
    SUBCASE("connections without an answer give it no more time") {
        for (int i = 0; i < 29; ++i) {
            client.wait(seconds{1});
            client.connected();
            client.interrupted();
        }
        client.check(State::lost);
        client.wait(seconds{1});
        client.check(State::ended, Reason::no_answer);
    }
    SUBCASE("nobody can be reached any more") {
        client.session.handle_unreachable(client.now);
        client.check(State::ended, Reason::no_answer);
    }
    SUBCASE("it closes meanwhile: what is queued still has its chance") {
        client.close();
        client.check(State::lost);
        client.check_told(Order::close);
        client.connected();
        client.identified();
        client.fin_taken();
        client.fin_seen();
        client.check(State::ended, Reason::finished);
    }
    SUBCASE("it has no time to say goodbye") {
        client.end();
        client.check(State::ended, Reason::closed);
    }
}

TEST_CASE("a client has nothing to come back for after the server's fin, or its own end") {
    Life client = Life::open(Role::client);
    Reason reason = Reason::none;
    SUBCASE("dismissed") {
        client.fin_seen();
        reason = Reason::dismissed;
    }
    SUBCASE("closing, and the server said goodbye") {
        client.close();
        client.fin_seen();
        reason = Reason::reset;
    }
    SUBCASE("ending") {
        client.end();
        reason = Reason::reset;
    }
    client.interrupted();
    client.check(State::ended, reason);
}

TEST_CASE("a client that finds another server in the old one's place says goodbye to it") {
    Life client = Life::open(Role::client);
    client.interrupted();
    client.connected();
    client.session.handle_replaced(client.now);
    client.check(State::open);
    client.check_told(Order::abandon);
    client.check_due_in(seconds{5});
    SUBCASE("which answers") {
        client.fin_taken();
        client.fin_seen();
    }
    SUBCASE("which does not") { client.wait(seconds{5}); }
    SUBCASE("which goes") { client.interrupted(); }
    client.check(State::ended, Reason::dismissed);
}
