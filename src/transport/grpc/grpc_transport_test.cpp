// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_transport.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "testing/authority.hpp"
#include "testing/both_ends.hpp"
#include "transport/conformance.hpp"

namespace nq::detail::conformance {

namespace {

// Not under ThreadSanitizer: TLS is all within gRPC and OpenSSL, which it can't see through, and
// tests/tsan.supp does not name OpenSSL, for the sake of the TLS under TCP.
#if defined(NQ_WITH_TLS) && !defined(__SANITIZE_THREAD__)
#define NQ_TRY_TLS
#endif

const Uuid k_client_id = Uuid::parse("0123456789abcdef0123456789abcdef").value();

Candidate candidate_with(std::string name, const GrpcOptions& options,
                         std::size_t large = k_large) {
    auto transport = make_grpc_transport(Purpose::client, options);
    return {std::move(name), std::move(transport).value(), {"127.0.0.1", 0}, large};
}

#ifdef NQ_TRY_TLS
Candidate secured(const SecurityOptions& server, const SecurityOptions& client) {
    const auto end = [](Purpose purpose, const SecurityOptions& security) {
        return std::shared_ptr<Transport>(make_grpc_transport(purpose, {}, security).value());
    };
    return {"grpc duplex over TLS",
            std::make_unique<testing::BothEnds>(end(Purpose::server, server),
                                                end(Purpose::client, client)),
            {"127.0.0.1", 0},
            k_large / 4};
}
#endif

struct Local {
    explicit Local(const GrpcOptions& options)
        : candidate(candidate_with("grpc", options)), scene(candidate) {}
    Candidate candidate;
    Scene scene;
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

std::vector<Candidate> candidates() {
    std::vector<Candidate> all;
    all.push_back(candidate_with("grpc duplex", {.id = k_client_id}));
    all.push_back(candidate_with("grpc duplex, short messages", {.transport_size = 1000},
                                 std::size_t{256} << 10));
#ifdef NQ_TRY_TLS
    const auto& files = nq::testing::Authority::shared();
    all.push_back(secured(files.server(), files.client()));
#endif
    return all;
}

TEST_CASE("grpc: a call says whose it is") {
    Local local({.id = k_client_id});
    const auto [client, server] = local.scene.connect();
    CHECK((server->connection().announced_id() == k_client_id));
    CHECK_FALSE(client->connection().announced_id().has_value());
    CHECK_FALSE(server->connection().peer_certificate().has_value());
}

TEST_CASE("grpc: octets taken are the sender's own memory") {
    Local local({});
    const auto [client, server] = local.scene.connect();
    bool released = false;
    const std::string text = pattern(100'000);
    client->say(Chunk::borrow(std::as_bytes(std::span(text)), [&released] { released = true; }));
    local.scene.run_until([&, a = client] { return a->released == text.size(); });
    local.scene.run_until([&, b = server] { return b->heard == text; });
    CHECK(released);
}

TEST_CASE("grpc: a refusal ends the call, and says why") {
    Local local({});
    const auto [client, server] = local.scene.connect();
    CHECK(server->connection().refuse("id in use"));
    local.scene.run_until([a = client] { return a->lost == 1; });
    CHECK(contains(client->complaint, "refused there: id in use"));
    local.scene.settle();
    CHECK(server->lost == 0);
}

TEST_CASE("grpc: who sends to a server that closed learns of it, once") {
    Local local({});
    const auto [client, server] = local.scene.connect();
    server->say("goodbye");
    server->connection().close();
    local.scene.run_until([a = client] { return a->ended; });
    CHECK(client->heard == "goodbye");
    CHECK(client->lost == 0);
    for (int i = 0; i < 3; ++i) {
        client->say("anybody there?");
        local.scene.settle();
    }
    CHECK(client->lost == 1);
}

TEST_CASE("grpc: in rounds, octets go both ways, much and little, whoever begins") {
    Local local({.duplex = false});
    const auto [client, server] = local.scene.connect();
    CHECK_FALSE(server->connection().refuse("old peers know no other way than a fin"));
    const std::string text = pattern(std::size_t{9} << 20);
    client->say(Chunk::copy_of(text));
    local.scene.run_until([b = server, &text] { return b->heard.size() == text.size(); });
    CHECK((server->heard == text));
    server->say(Chunk::copy_of(text));
    local.scene.run_until([a = client, &text] { return a->heard.size() == text.size(); });
    CHECK((client->heard == text));
    for (int i = 0; i < 20; ++i) {
        server->say("a");
        client->say("b");
        local.scene.settle();
    }
    local.scene.run_until([a = client, b = server, size = text.size() + 20] {
        return a->heard.size() == size && b->heard.size() == size;
    });
    CHECK_FALSE(client->over());
    CHECK_FALSE(server->over());
    local.scene.run_until([a = client] { return a->released == a->taken; });
    local.scene.run_until([b = server] { return b->released == b->taken; });
}

TEST_CASE("grpc: in rounds, what a closed server took goes out with the next one") {
    Local local({.duplex = false});
    const auto [client, server] = local.scene.connect();
    client->say("question");
    local.scene.run_until([b = server] { return b->heard == "question"; });
    server->say("last words");
    server->connection().close();
    local.scene.run_until([a = client] { return a->heard == "last words"; });
}

TEST_CASE("grpc: in rounds, a finished server's stream ends after the round that takes the rest") {
    Local local({.duplex = false});
    const auto [client, server] = local.scene.connect();
    client->say("question");
    local.scene.run_until([b = server] { return b->heard == "question"; });
    server->say("last words");
    server->finish();
    local.scene.run_until([b = server] { return b->ended; });
    CHECK(server->complaint == "end of stream");
    local.scene.run_until([a = client] { return a->heard == "last words"; });
}

TEST_CASE("grpc: a host that does not exist fails for good") {
    Local local({});
    const auto lost = local.scene.dial({"no-such-host.invalid", 1});
    REQUIRE_FALSE(lost.has_value());
    CHECK(lost.error().code == Errc::unknown_peer);
    CHECK(contains(lost.error().text, "cannot connect to no-such-host.invalid:1: "));
}

#ifdef NQ_TRY_TLS
TEST_CASE("grpc: a certificate that was demanded is shown to the server") {
    const auto& files = nq::testing::Authority::shared();
    SecurityOptions server = files.server();
    server.client_authority = files.file("authority.pem");
    Candidate candidate = secured(server, files.client_as("client"));
    Scene scene(candidate);
    const auto pair = scene.connect();
    const auto shown = pair.server->connection().peer_certificate();
    REQUIRE(shown.has_value());
    CHECK(contains(shown->subject, "CN=client"));
    CHECK(std::find(shown->names.begin(), shown->names.end(), "client.example") !=
          shown->names.end());
    CHECK(contains(shown->pem, "BEGIN CERTIFICATE"));
}

TEST_CASE("grpc: a server that is not to be trusted is named as such") {
    const auto& files = nq::testing::Authority::shared();
    Candidate candidate = secured(files.server("stranger"), files.client());
    Scene scene(candidate);
    const auto lost = scene.dial(scene.listener->location());
    REQUIRE_FALSE(lost.has_value());
    CHECK(lost.error().code == Errc::untrusted);
    CHECK(contains(lost.error().text, "certificate verify failed"));
}
#endif

}  // namespace nq::detail::conformance
