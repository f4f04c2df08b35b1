// SPDX-License-Identifier: Apache-2.0
// The TLS layer of a server against a peer that is cut into small pieces and lies.
//
// input = mode piece octets
//   mode even: the octets are all that the peer ever says.
//   mode odd:  a real client shakes hands and says what it has to; each 4 octets (offset u24, mask)
//              change one octet of what it puts on the wire.
// Whatever comes, in pieces of at most `piece` octets: nothing is delivered but a prefix of what
// the client said, and a failure stays one.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <span>
#include <string>

#include "io/tls.hpp"
#include "testing/authority.hpp"

namespace {

using namespace nq;
using namespace nq::detail;

const std::string k_said(40'000, 'x');

void require(bool condition) {
    if (!condition) std::abort();
}

struct Pair {
    Pair() {
        std::array<int, 2> ends{};
        require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) ==
                0);
        near = Socket(ends[0]);
        far = Socket(ends[1]);
    }
    Socket near;
    Socket far;
};

/// A server's channel, and the octets it delivered.
class Server {
  public:
    explicit Server(Socket socket) : channel_(maker().accept(std::move(socket))) {}

    void go_on() {
        const Io own = channel_->advance();
        failed_ = failed_ || own.status == Io::Status::failed;
        open_ = open_ || own.complete;
        std::array<std::byte, 3000> room{};
        const std::array<std::span<std::byte>, 2> targets{std::span(room).first(1),
                                                          std::span(room).subspan(1)};
        for (Io io{.again = true}; io.complete || io.again;) {
            io = channel_->receive(targets);
            require(open_ || io.size == 0);
            require(!failed_ || io.status == Io::Status::failed);
            failed_ = failed_ || io.status == Io::Status::failed;
            heard_.append(reinterpret_cast<const char*>(room.data()), io.size);
            if (io.status != Io::Status::done) break;
        }
        require(heard_.size() <= k_said.size() && k_said.starts_with(heard_));
        (void)channel_->explain(EPROTO);
        (void)channel_->peer_certificate();
    }

    [[nodiscard]] const std::string& heard() const { return heard_; }

  private:
    static const ChannelMaker& maker() {
        static const auto made =
            make_tls(Purpose::server, testing::Authority::shared().server()).value();
        return *made;
    }

    const std::unique_ptr<Channel> channel_;
    bool open_ = false;
    bool failed_ = false;
    std::string heard_;
};

void say(const Socket& socket, std::span<const std::byte> octets, std::size_t piece,
         Server& server) {
    while (!octets.empty()) {
        const auto part = octets.first(std::min(piece, octets.size()));
        const Io io = socket.send(part);
        if (io.status == Io::Status::failed) return;
        octets = octets.subspan(io.size);
        server.go_on();
        std::array<std::byte, 4096> ignored{};
        const std::array<std::span<std::byte>, 1> room{ignored};
        (void)socket.receive(room);
    }
}

void run_liar(std::span<const std::byte> octets, std::size_t piece) {
    Pair wire;
    Server server(std::move(wire.far));
    say(wire.near, octets, piece, server);
    wire.near = Socket();
    server.go_on();
    require(server.heard().empty());
}

/// Moves what one end wrote to the other, in pieces, changed where the input says so.
void carry(const Socket& from, const Socket& to, std::size_t piece,
           std::map<std::size_t, std::byte>* changes, std::size_t& offset) {
    std::array<std::byte, 256> room{};
    const std::array<std::span<std::byte>, 1> targets{std::span(room).first(piece)};
    const Io io = from.receive(targets);
    if (io.status != Io::Status::done || io.size == 0) return;
    if (changes != nullptr) {
        for (std::size_t i = 0; i < io.size; ++i) {
            const auto change = changes->find(offset + i);
            if (change != changes->end()) room[i] ^= change->second;
        }
    }
    offset += io.size;
    (void)to.send(std::span(room).first(io.size));
}

void run_client(std::span<const std::byte> octets, std::size_t piece) {
    std::map<std::size_t, std::byte> changes;
    for (std::size_t at = 0; at + 4 <= octets.size(); at += 4) {
        const auto value = [&](std::size_t i) { return std::to_integer<std::size_t>(octets[i]); };
        changes[value(at) << 16 | value(at + 1) << 8 | value(at + 2)] = octets[at + 3];
    }
    static const auto maker =
        make_tls(Purpose::client, testing::Authority::shared().client()).value();
    Pair upper;  // client to the wire
    Pair lower;  // wire to the server
    const auto client = maker->connect(std::move(upper.near), "localhost");
    Server server(std::move(lower.far));
    Chunk unsaid = Chunk::copy_of(k_said);
    std::size_t up = 0;
    std::size_t down = 0;
    for (int idle = 0; idle < 4; ++idle) {
        const std::size_t before = up + down;
        const Io own = client->advance();
        if (own.complete && !unsaid.empty()) {
            const std::array<Chunk, 1> chunks{unsaid};
            const std::size_t taken = client->send(chunks).size;
            unsaid = unsaid.slice(taken, unsaid.size() - taken);
        }
        carry(upper.far, lower.near, piece, &changes, up);
        server.go_on();
        carry(lower.near, upper.far, piece, nullptr, down);
        if (up + down != before) idle = 0;
    }
    const bool honest = std::all_of(changes.begin(), changes.end(), [&](const auto& change) {
        return change.first >= up || change.second == std::byte{0};
    });
    require(!honest || server.heard() == k_said);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const auto octets = std::as_bytes(std::span(data, size));
    const std::size_t piece = 1 + std::to_integer<std::size_t>(octets[1]);
    if (data[0] % 2 == 0) {
        run_liar(octets.subspan(2), piece);
    } else {
        run_client(octets.subspan(2), piece);
    }
    return 0;
}
