// SPDX-License-Identifier: Apache-2.0
// TLS as a user of the public API meets it: options, errors, who may be whom.
#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <semaphore>

#include "network.hpp"
#include "raw_peer.hpp"
#include "testing/authority.hpp"

namespace nq::api {

namespace {

using nq::testing::Authority;
using std::chrono::milliseconds;

Options secured(SecurityOptions security) {
    Options options;
    options.security = std::move(security);
    return options;
}

/// What get says once the session is over.
std::string end_of(TextQueue& client, Errc code = Errc::connection_reset) {
    const auto result = client.get_for(k_patience);
    REQUIRE_FALSE(result.has_value());
    CHECK((result.error().code == code));
    return result.error().text;
}

bool contains(const std::string& text, const std::string& part) {
    CAPTURE(text);
    const bool found = text.find(part) != std::string::npos;
    CHECK(found);
    return found;
}

}  // namespace

TEST_CASE("tls: what is wrong with the own files throws at once") {
    const Authority& files = Authority::shared();
    SecurityOptions mismatch = files.server();
    mismatch.key = files.file("client.key");
    try {
        (void)open<TextSerializer>(Protocol::tcp, Purpose::server, secured(mismatch));
        FAIL_CHECK("nothing was thrown");
    } catch (const Error& error) {
        CHECK((error.code() == Errc::invalid_certificate));
        contains(error.what(), "key values mismatch");
    }
}

TEST_CASE("tls: a client that can't verify the server says why at once, and does not try again") {
    Network network(Wire::tls);
    const Authority& files = Authority::shared();
    auto server = network.server(secured(files.server("expired")));
    auto client = network.client();
    const Future sent = client.put("hello");
    contains(end_of(client, Errc::untrusted), "certificate has expired");
    CHECK((failure_of(sent) == Errc::untrusted));
    CHECK_THROWS_AS((void)client.get(), Untrusted);
    CHECK(server.peers().empty());
}

TEST_CASE("tls: a plain client and a secured server, and the reverse, end with a clear text") {
    Diary diary;
    {
        Network network(Wire::tls);
        auto server = network.server({.log = diary.log()});
        RawPeer stranger(server.options().netloc);
        stranger.say("GET / HTTP/1.0\r\n\r\n");
        CHECK(diary.tells("the peer does not speak TLS"));
        auto client = network.client();
        client.put("hello");
        CHECK(hear(server) == "hello");
    }
    Network plain(Wire::tcp);
    auto server = plain.server({.log = diary.log()});
    auto options = secured(Authority::shared().client());
    options.connect_timeout = milliseconds(500);
    auto client = plain.client(std::move(options));
    contains(end_of(client), "does it speak TLS?");
    CHECK(diary.tells("(this is TLS)"));
}

TEST_CASE("tls: a client without the certificate that is demanded learns it") {
    Network network(Wire::tls);
    const Authority& files = Authority::shared();
    SecurityOptions demanding = files.server();
    demanding.client_authority = files.file("authority.pem");
    auto server = network.server(secured(demanding));
    auto poor = network.client();
    contains(end_of(poor), "certificate required");
    auto rich = network.client(secured(files.client_as("client")));
    rich.put("hello");
    CHECK(hear(server) == "hello");
}

namespace {

/// A server that demands certificates and lets in one identity alone; what the other hears is
/// `farewell`.
void let_in_by_certificate_and_id(Wire wire, const std::string& farewell) {
    Network network(wire);
    const Authority& files = Authority::shared();
    SecurityOptions demanding = files.server();
    demanding.client_authority = files.file("authority.pem");
    const Uuid good = Uuid::random();
    const Uuid bad = Uuid::random();
    Diary diary;
    Options options = secured(demanding);
    options.log = diary.log();
    options.authorize = [&](const Uuid& id, const std::optional<Certificate>& shown,
                            std::string_view address) {
        diary.note("asked by " + shown.value().subject + " at " + std::string(address));
        return id == good;
    };
    auto server = network.server(std::move(options));

    Options refused = secured(files.client_as("client"));
    refused.id = bad;
    auto stranger = network.client(std::move(refused));
    stranger.put("let me in");
    contains(end_of(stranger), farewell);
    CHECK(diary.tells("it is not authorized"));
    CHECK(diary.tells("asked by CN=client,O=net-queue tests at 127.0.0.1:"));
    CHECK(server.stats().identities_refused == 1);
    CHECK_FALSE(server.try_get().has_value());

    Options admitted = secured(files.client_as("client"));
    admitted.id = good;
    auto friendly = network.client(std::move(admitted));
    friendly.put("hello");
    const auto message = server.get();
    CHECK(message.peer == good);
    CHECK(message.data == "hello");
}

}  // namespace

TEST_CASE("tls: authorize sees the identity with its certificate, and decides") {
    let_in_by_certificate_and_id(Wire::tls, "ended by the server");
}

// Not under ThreadSanitizer, for the reason in grpc_transport_test.cpp.
#if defined(NQ_WITH_GRPC) && !defined(__SANITIZE_THREAD__)
TEST_CASE("grpc: authorize sees the identity with its certificate, and decides") {
    let_in_by_certificate_and_id(Wire::grpc, "it is not authorized");
}
#endif

ON_EVERY_TRANSPORT_BUT_MQTT("authorize: who is refused delivers nothing and gets nothing",
                            "a broker does not tell a client that it was dropped") {
    std::atomic<int> asked{0};
    auto server = network.server({.authorize = [&asked](const Uuid&, const auto&, auto) {
        if (asked++ == 0) return false;
        if (asked == 2) throw std::runtime_error("I can't decide");
        return true;
    }});
    for (int i = 0; i < 2; ++i) {
        auto client = network.client();
        client.put("hello");
        (void)end_of(client);
    }
    CHECK(server.peers().empty());
    CHECK(server.stats().identities_refused == 2);
    auto client = network.client();
    client.put("at last");
    CHECK(hear(server) == "at last");
}

ON_EVERY_TRANSPORT_BUT_MQTT("authorize: close does not wait for an answer that comes too late",
                            "a broker does not tell a client that it was dropped") {
    std::binary_semaphore answer(0);
    std::atomic<bool> asked{false};
    auto client = std::optional<TextQueue>();
    {
        auto server = network.server(
            {.close_timeout = milliseconds(100), .authorize = [&](const Uuid&, const auto&, auto) {
                 asked = true;
                 answer.acquire();
                 return true;
             }});
        client.emplace(network.client());
        client->put("hello");
        CHECK(eventually([&asked] { return asked.load(); }));
        // The server's callbacks are waited for, as every close does; the answer comes meanwhile.
        std::jthread later([&answer] { answer.release(); });
        server.close();
    }
    (void)end_of(*client);
}

TEST_CASE("tls: certificates are read again without a restart") {
    Network network(Wire::tls);
    const Authority& files = Authority::shared();
    const SecurityOptions own = files.install("server", "renewed");
    auto server = network.server(secured(own));
    auto before = network.client();
    before.put("before");
    CHECK(hear(server) == "before");

    files.install("expired", "renewed");
    server.communicator().reload_certificates();
    auto fooled = network.client();
    contains(end_of(fooled, Errc::untrusted), "certificate has expired");

    std::filesystem::remove(own.key);
    CHECK_THROWS_AS(server.communicator().reload_certificates(), Error);

    files.install("server", "renewed");
    server.communicator().reload_certificates();
    auto after = network.client();
    after.put("after");
    CHECK(hear(server) == "after");
    before.put("still there");
    CHECK(hear(server) == "still there");
}

TEST_CASE("tls: 200 half-open handshakes do not disturb a pair that behaves") {
    Network network(Wire::tls);
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    // The first octets of a client's hello, and silence.
    const std::string begun("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    std::vector<RawPeer> strangers;
    for (std::size_t i = 0; i < 200; ++i) {
        strangers.emplace_back(server.options().netloc);
        strangers.back().say(begun.substr(0, i % begun.size()));
        client.put("ping");
        CHECK(hear(server) == "ping");
        server.put("pong", client.id());
        CHECK(hear(client) == "pong");
    }
    CHECK(eventually([&server] { return server.stats().strangers == 200; }));
}

TEST_CASE("tls: a transport without certificates has none to read again") {
    Network network(Wire::tcp);
    auto server = network.server();
    try {
        server.communicator().reload_certificates();
        FAIL_CHECK("nothing was thrown");
    } catch (const Error& error) {
        CHECK((error.code() == Errc::unsupported));
    }
}

}  // namespace nq::api
