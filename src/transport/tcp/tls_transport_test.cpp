// SPDX-License-Identifier: Apache-2.0
// The conformance suite over TLS, and what the layer does with peers that get it wrong.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <filesystem>

#include "io/limits.hpp"
#include "io/resolver.hpp"
#include "io/socket_script.hpp"
#include "io/tls.hpp"
#include "io/tls_channel.hpp"
#include "testing/authority.hpp"
#include "testing/both_ends.hpp"
#include "transport/conformance.hpp"
#include "transport/tcp/tcp_transport.hpp"

namespace nq::detail::conformance {

namespace {

using nq::testing::Authority;

std::shared_ptr<Transport> tls_transport(Purpose purpose, const SecurityOptions& security) {
    return make_tcp_transport({.layer = make_tls(purpose, security).value()});
}

Candidate candidate_of(const SecurityOptions& server, const SecurityOptions& client) {
    auto both = std::make_unique<nq::testing::BothEnds>(tls_transport(Purpose::server, server),
                                                        tls_transport(Purpose::client, client));
    return {.name = "tls",
            .transport = std::move(both),
            .location = {"127.0.0.1", 0},
            .large = k_large / 2,
            .crowd = 50};
}

struct Secured {
    explicit Secured(const SecurityOptions& server = Authority::shared().server(),
                     const SecurityOptions& client = Authority::shared().client())
        : candidate(candidate_of(server, client)), scene(candidate) {}
    Candidate candidate;
    Scene scene;
};

/// A socket connected to the scene's listener, without any TLS.
Socket plain_peer(Scene& scene) {
    const Addresses addresses = look_up(scene.listener->location()).value();
    Socket socket = Socket::open(addresses.front().family());
    REQUIRE(socket.connect(addresses.front()) == EINPROGRESS);
    scene.run_until([&scene] { return !scene.accepted.empty(); });
    return socket;
}

std::shared_ptr<Talker> accepted_talker(Scene& scene) {
    scene.run_until([&scene] { return !scene.accepted.empty(); });
    auto talker = std::make_shared<Talker>(scene.accepted.back());
    talker->start();
    return talker;
}

/// What a client gets to hear that dials such a server.
Failure refusal(const SecurityOptions& server, const SecurityOptions& client,
                const std::string& host = "127.0.0.1") {
    Secured secured(server, client);
    const auto dialled = secured.scene.dial({host, secured.scene.listener->location().port});
    REQUIRE_FALSE(dialled.has_value());
    return dialled.error();
}

std::array<Socket, 2> local_pair() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    return {Socket(ends[0]), Socket(ends[1])};
}

/// A server's channel and a bare client of OpenSSL's that have shaken hands.
struct Handshaken {
    explicit Handshaken(std::array<Socket, 2> ends = local_pair()) {
        channel = make_tls(Purpose::server, Authority::shared().server())
                      .value()
                      ->accept(std::move(ends[0]));
        socket = std::move(ends[1]);
        REQUIRE(SSL_set_fd(peer.get(), socket.fd()) == 1);
        SSL_set_connect_state(peer.get());
        while (SSL_do_handshake(peer.get()) != 1 || !channel->advance().complete) {
            REQUIRE(channel->advance().status == Io::Status::done);
        }
        REQUIRE(SSL_version(peer.get()) == TLS1_3_VERSION);
    }

    /// The lengths of the records that came, past the client.
    [[nodiscard]] std::vector<std::size_t> records() const {
        std::vector<std::byte> octets(200'000);
        const std::array<std::span<std::byte>, 1> targets{octets};
        octets.resize(socket.receive(targets).size);
        std::vector<std::size_t> lengths;
        for (std::size_t at = 0; at < octets.size(); at += 5 + lengths.back()) {
            REQUIRE(at + 5 <= octets.size());
            lengths.push_back(std::to_integer<std::size_t>(octets[at + 3]) << 8 |
                              std::to_integer<std::size_t>(octets[at + 4]));
        }
        return lengths;
    }

    std::unique_ptr<Channel> channel;
    Socket socket;
    const SslContext context{SSL_CTX_new(TLS_client_method())};
    const SslHandle peer{SSL_new(context.get())};
};

bool contains(const std::string& text, const std::string& part) {
    CAPTURE(text);
    const bool found = text.find(part) != std::string::npos;
    CHECK(found);
    return found;
}

}  // namespace

std::vector<Candidate> candidates() {
    std::vector<Candidate> all;
    all.push_back(candidate_of(Authority::shared().server(), Authority::shared().client()));
    return all;
}

TEST_CASE("tls: who can't be verified is not talked to, and not tried again") {
    const Authority& files = Authority::shared();
    SecurityOptions other = files.client();
    other.certificate = files.file("other_authority.pem");
    const struct {
        const char* what;
        SecurityOptions server;
        SecurityOptions client;
        const char* reason;
    } cases[] = {
        {"another authority", files.server(), other, "certificate verify failed"},
        {"the system's authorities", files.server(), SecurityOptions{}, "verify failed"},
        {"another address", files.server("elsewhere"), files.client(), "IP address mismatch"},
        {"expired", files.server("expired"), files.client(), "certificate has expired"},
    };
    for (const auto& each : cases) {
        CAPTURE(each.what);
        const Failure failure = refusal(each.server, each.client);
        CHECK(failure.code == Errc::untrusted);
        contains(failure.text, each.reason);
        contains(failure.text, "cannot connect to 127.0.0.1:");
    }
    const Failure name = refusal(files.server("elsewhere"), files.client(), "localhost");
    CHECK(name.code == Errc::untrusted);
    contains(name.text, "hostname mismatch");
}

TEST_CASE("tls: a server is known by its name as well, or by its very certificate") {
    const Authority& files = Authority::shared();
    SecurityOptions pinned = files.client();
    pinned.certificate = files.file("server.pem");
    for (const SecurityOptions& client : {files.client(), pinned}) {
        Secured secured(files.server(), client);
        const auto dialled =
            secured.scene.dial({"localhost", secured.scene.listener->location().port});
        REQUIRE(dialled.has_value());
        const auto shown = (*dialled)->peer_certificate();
        REQUIRE(shown.has_value());
        CHECK(shown->subject == "CN=server");
        CHECK(shown->names ==
              std::vector<std::string>{"localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"});
        CHECK(shown->pem.starts_with("-----BEGIN CERTIFICATE-----"));
        (*dialled)->close();
    }
}

TEST_CASE("tls: a client certificate reaches the server, and a client without is sent away") {
    const Authority& files = Authority::shared();
    SecurityOptions server = files.server();
    server.client_authority = files.file("authority.pem");
    {
        Secured secured(server, files.client_as("client"));
        const auto [client, served] = secured.scene.connect();
        client->say(Chunk("hello"));
        secured.scene.run_until([&served = served] { return served->heard == "hello"; });
        const auto shown = served->connection().peer_certificate();
        REQUIRE(shown.has_value());
        CHECK(shown->subject == "CN=client,O=net-queue tests");
    }
    for (const SecurityOptions& wrong : {files.client(), files.client_as("stranger")}) {
        Secured secured(server, wrong);
        // TLS 1.3: the client's handshake is done before the server has looked at it.
        const auto [client, served] = secured.scene.connect();
        client->say(Chunk("hello"));
        secured.scene.run_until(
            [&client = client, &served = served] { return client->over() && served->lost > 0; });
        CHECK(served->heard.empty());
        contains(served->complaint, "certificate");
        contains(client->complaint, "alert");
        CHECK_FALSE(served->connection().peer_certificate().has_value());
    }
}

TEST_CASE("tls: a plain client on a TLS port is told apart, and harms nobody") {
    Secured secured;
    Socket peer = plain_peer(secured.scene);
    const auto server = accepted_talker(secured.scene);
    const std::array<Chunk, 1> words{Chunk("GET / HTTP/1.0\r\n\r\n")};
    REQUIRE(peer.send(words).complete);
    secured.scene.run_until([&server] { return server->lost == 1; });
    contains(server->complaint, "the peer does not speak TLS");
    CHECK(server->heard.empty());
    secured.scene.accepted.clear();
    const auto [client, served] = secured.scene.connect();
    client->say(Chunk("hello"));
    secured.scene.run_until([&served = served] { return served->heard == "hello"; });
}

TEST_CASE("tls: a TLS client on a plain port says what is wrong") {
    Candidate plain{"tcp", make_tcp_transport(), {"127.0.0.1", 0}};
    Scene scene(plain);
    Candidate secured{"tls", nullptr, {}};
    const auto client = tls_transport(Purpose::client, Authority::shared().client());
    std::optional<Result<std::shared_ptr<Connection>>> outcome;
    const auto dial = client->dial(
        scene.reactor, scene.listener->location(),
        [&outcome](Result<std::shared_ptr<Connection>> result) { outcome = std::move(result); });
    const auto server = accepted_talker(scene);
    scene.run_until([&server] { return server->heard.size() > 16; });
    server->say(Chunk("what is this?"));
    scene.run_until([&outcome] { return outcome.has_value(); });
    REQUIRE_FALSE(outcome->has_value());
    contains(outcome->error().text, "the peer does not speak TLS");
}

TEST_CASE("tls: a stream that is cut off is no clean end") {
    Secured secured;
    const auto [client, server] = secured.scene.connect();
    client->say(Chunk("hello"));
    secured.scene.run_until([&server = server] { return server->heard == "hello"; });
    client->connection().close();  // without finish_sending: no close_notify
    secured.scene.run_until([&server = server] { return server->lost == 1; });
    contains(server->complaint, "cut off");
}

TEST_CASE("tls: certificates are read again for new connections, and only if they are in order") {
    const Authority& files = Authority::shared();
    const SecurityOptions security = files.install("server", "reload");
    const auto layer = make_tls(Purpose::server, security).value();
    CHECK(layer->reload().has_value());
    std::filesystem::copy_file(files.file("client.key"), security.key,
                               std::filesystem::copy_options::overwrite_existing);
    const auto mismatch = layer->reload();
    REQUIRE_FALSE(mismatch.has_value());
    CHECK(mismatch.error().code == Errc::invalid_certificate);
    contains(mismatch.error().text, "key values mismatch");
    files.install("elsewhere", "reload");
    CHECK(layer->reload().has_value());
}

TEST_CASE("tls: files that can't be used are named, with OpenSSL's reason") {
    const Authority& files = Authority::shared();
    const auto complaint = [](Purpose purpose, const SecurityOptions& security) {
        const auto made = make_tls(purpose, security);
        REQUIRE_FALSE(made.has_value());
        CHECK(made.error().code == Errc::invalid_certificate);
        return made.error().text;
    };
    SecurityOptions server = files.server();
    server.key.clear();
    contains(complaint(Purpose::server, server), "its key (and none was given)");
    server.key = files.file("missing.key");
    contains(complaint(Purpose::server, server), "missing.key: No such file or directory");
    server.key = files.file("encrypted.key");
    contains(complaint(Purpose::server, server), "encrypted.key: ");
    server.key = files.file("client.key");
    contains(complaint(Purpose::server, server), "key values mismatch");
    server = files.server();
    server.certificate = files.file("server.key");
    contains(complaint(Purpose::server, server), "server.key: ");
    server = files.server();
    server.client_authority = files.file("server.key");
    contains(complaint(Purpose::server, server), "trusted certificates");
    SecurityOptions client = files.client_as("client");
    client.client_key.clear();
    contains(complaint(Purpose::client, client), "a client that shows a certificate");
}

TEST_CASE("tls: octets that are no TLS at all end the connection, one at a time or all at once") {
    Secured secured;
    std::string octets = pattern(4096, 7);
    octets[0] = '\x16';  // a handshake record at first sight
    octets[1] = '\x03';
    octets[2] = '\x01';
    Socket peer = plain_peer(secured.scene);
    const auto server = accepted_talker(secured.scene);
    for (std::size_t at = 0; at < octets.size() && server->lost == 0; ++at) {
        const std::array<Chunk, 1> one{Chunk::copy_of(octets.substr(at, 1))};
        if (peer.send(one).status != Io::Status::done) break;
        secured.scene.settle();
    }
    secured.scene.run_until([&server] { return server->lost == 1; });
    contains(server->complaint, "TLS: ");
}

TEST_CASE("tls: who is turned away hears why, whatever fails first") {
    Handshaken pair;
    // A record that nobody made with their key: the client complains and goes.
    const std::string forged = "\x17\x03\x03" + std::string(1, '\0') + " " + pattern(32, 7);
    const std::array<Chunk, 1> record{Chunk::copy_of(forged)};
    REQUIRE(pair.channel->socket().send(record).complete);
    std::array<std::byte, 100> room{};
    REQUIRE(SSL_read(pair.peer.get(), room.data(), room.size()) == -1);
    pair.socket = Socket();

    SUBCASE("a send") {
        const std::array<Chunk, 1> hello{Chunk::copy_of("hello")};
        const Io io = pair.channel->send(hello);
        CHECK(io.status == Io::Status::failed);
        contains(pair.channel->explain(io.error), "bad record mac");
    }
    SUBCASE("the connection, whose error the reactor has seen before anything was read") {
        const std::array<std::span<std::byte>, 1> targets{room};
        CHECK(pair.channel->receive(targets).status == Io::Status::failed);
        contains(pair.channel->explain(ECONNRESET), "bad record mac");
    }
}

TEST_CASE("tls: small chunks share records, and large ones fill them") {
    const Handshaken pair;
    const auto records_of = [&pair](std::size_t chunk_size, std::size_t chunks) {
        const std::vector<Chunk> said(chunks, Chunk::copy_of(std::string(chunk_size, 'x')));
        const Io io = pair.channel->send(said);
        REQUIRE(io.complete);
        REQUIRE(io.size == chunk_size * chunks);
        return pair.records();
    };
    // Each record has 5 octets before it and 17 behind: the type of what is in it, and the tag.
    constexpr std::size_t k_more = 17;
    CHECK((records_of(1, 1) == std::vector{1 + k_more}));
    CHECK((records_of(256, 64) == std::vector{limits::k_tls_record + k_more}));
    CHECK((records_of(300, 64) ==
           std::vector{limits::k_tls_record + k_more, 300 * 64 - limits::k_tls_record + k_more}));
    CHECK((records_of(2 * limits::k_tls_record, 2) ==
           std::vector<std::size_t>(4, limits::k_tls_record + k_more)));
}

/// What becomes of a MiB that is sent to a peer who has gone.
Io send_to_nobody(std::array<Socket, 2> ends) {
    Handshaken pair(std::move(ends));
    pair.socket = Socket();
    wait_until(pair.channel->socket().fd(), POLLIN);
    const std::vector<Chunk> said{Chunk::copy_of(std::string(std::size_t{1} << 20, 'x'))};
    return pair.channel->send(said);
}

TEST_CASE("tls: a send that fails tells what may have left before: nothing") {
    const Io io = send_to_nobody(local_pair());
    CHECK(io.status == Io::Status::failed);
    CHECK(io.size == 0);
}

TEST_CASE("tls: a send that fails tells what may have left before: what was answered by a reset") {
    // Which over loopback is nearly always here before the next call.
    Io io;
    for (int tries = 0; tries < 100 && io.status == Io::Status::done; ++tries) {
        io = send_to_nobody(tcp_pair());
    }
    if (io.status == Io::Status::done) {
        MESSAGE("not checked: here a reset takes its time");
        return;
    }
    CHECK(io.size > 0);
    CHECK(io.size % (limits::k_records_per_write * limits::k_tls_record) == 0);
}

TEST_CASE("tls: who makes us answer and reads no answer is cut off before the answers pile up") {
    const Handshaken pair;
    std::array<std::byte, 100> room{};
    const std::array<std::span<std::byte>, 1> targets{room};
    Io io;
    for (int asked = 0; io.status == Io::Status::done;) {
        // As many as the socket takes; each is answered with a record.
        while (SSL_do_handshake(pair.peer.get()) == 1) {
            REQUIRE(SSL_key_update(pair.peer.get(), SSL_KEY_UPDATE_REQUESTED) == 1);
            REQUIRE(++asked < 100'000);
        }
        io = pair.channel->receive(targets);
        REQUIRE(io.size == 0);
    }
    CHECK(io.status == Io::Status::failed);
    contains(pair.channel->explain(io.error), "makes us answer and reads no answer");
}

}  // namespace nq::detail::conformance
