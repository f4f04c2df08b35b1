// SPDX-License-Identifier: Apache-2.0
// What calls to a server of ours can bring about: their metadata, and the connection they carry,
// with calls that the input makes up in the place of gRPC's.
//
// input = length(u8) peer length(u8) nq-id length(u8) nq-stream *event
//   the three strings are gRPC's name for the peer and two values of metadata; empty: absent
//   event = kind [argument(u8)], see Conversation::happen
// Whatever comes in whatever order: the reader gets the octets of the messages, all of them and in
// order, and then the end; what was sent goes out likewise; and gRPC's rules are kept, on which it
// would abort: one read and one write under way, none after one failed, nothing after the end.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transport/grpc/grpc_server.hpp"

namespace {

using namespace nq;
using namespace nq::detail;

void require(bool condition) {
    if (!condition) std::abort();
}

class Input {
  public:
    explicit Input(std::span<const std::uint8_t> octets) : octets_(octets) {}
    [[nodiscard]] bool empty() const { return octets_.empty(); }
    std::uint8_t next() {
        if (octets_.empty()) return 0;
        const std::uint8_t octet = octets_.front();
        octets_ = octets_.subspan(1);
        return octet;
    }
    std::string text() {
        const std::size_t length = next();
        const std::size_t n = std::min(length, octets_.size());
        std::string text(octets_.begin(), octets_.begin() + static_cast<std::ptrdiff_t>(n));
        octets_ = octets_.subspan(n);
        return text;
    }

  private:
    std::span<const std::uint8_t> octets_;
};

std::string octets_of(const grpc::ByteBuffer& message) {
    std::vector<grpc::Slice> slices;
    std::string octets;
    if (!message.Valid() || !message.Dump(&slices).ok()) return octets;
    for (const grpc::Slice& slice : slices) {
        octets.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return octets;
}

/// A call as gRPC would be: told what to do, and strict about it.
struct Call final : GrpcCall {
    void start_read() override {
        require(!reading && !read_failed && !finished);
        reading = true;
    }
    void start_write() override {
        require(!writing && !write_failed && !finished);
        writing = true;
    }
    void finish(const grpc::Status&) override {
        require(!finished && !writing);
        finished = true;
    }
    void cancel() override { cancelled = true; }
    void let_go() override {}

    bool reading = false;
    bool read_failed = false;
    bool writing = false;
    bool write_failed = false;
    bool finished = false;
    bool cancelled = false;
};

/// What the session above would be.
struct Listener final : ConnectionHandler {
    void handle_readable() override {}
    void handle_writable() override {}
    void handle_released(std::size_t n) override { released += n; }
    void handle_lost(Failure) override {
        require(!lost);
        lost = true;
    }
    std::size_t released = 0;
    bool lost = false;
};

class Conversation {
  public:
    explicit Conversation(const GrpcPeer& peer)
        : connection_(std::make_shared<GrpcServerConnection>(reactor_, peer, 1000)) {
        call();
        connection_->set_handler(listener_);
    }
    ~Conversation() {
        connection_->close();
        end_calls();
        turn();
    }
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;

    void happen(Input& input) {
        switch (input.next() % 12) {
            case 0: return come(input.next());
            case 1: return come(std::size_t{input.next()} * 64);
            case 2: return half_close();
            case 3: return written(true);
            case 4: return written(false);
            case 5: return cut_off();
            case 6: return call();
            case 7: return hear(input.next());
            case 8: return say(input.next());
            case 9: return connection_->finish_sending();
            case 10: return turn();
            default: break;
        }
        if (input.next() % 8 == 0) leave();
    }

    /// What came is there to be read, to the end.
    void check() {
        turn();
        while (!left_ && hear_some(64) > 0) {
        }
        require(left_ || heard_ == came_);
        require(said_.starts_with(went_));
        require(listener_->released <= taken_);
        require(connection_->unwritten() <= taken_ - went_.size());
    }

  private:
    void call() {
        auto next = std::make_shared<Call>();
        if (!connection_->serve(next)) return;
        require(call_ == nullptr || call_->finished);  // gRPC's rules for rounds are ours
        end_calls();
        call_ = std::move(next);
    }
    /// A message, in pieces; only if somebody asked for it, as with gRPC.
    void come(std::size_t size) {
        if (call_ == nullptr || !call_->reading) return;
        if (call_->finished) return half_close();
        std::vector<grpc::Slice> slices;
        for (std::size_t left = size; left > 0;) {
            const std::size_t n = std::min<std::size_t>(left, 1 + size / 3);
            std::string piece;
            for (std::size_t i = 0; i < n; ++i) piece.push_back(static_cast<char>(octet_++));
            if (!left_) came_ += piece;
            slices.emplace_back(piece);
            left -= n;
        }
        call_->incoming = grpc::ByteBuffer(slices.data(), slices.size());
        call_->reading = false;
        connection_->handle_read(*call_, true);
    }
    void half_close() {
        if (call_ == nullptr || !call_->reading) return;
        call_->reading = false;
        call_->read_failed = true;
        connection_->handle_read(*call_, false);
    }
    void written(bool ok) {
        if (call_ == nullptr || !call_->writing) return;
        const std::string octets = octets_of(call_->outgoing);
        call_->writing = false;
        if (ok) {
            went_ += octets;
        } else {
            call_->write_failed = true;
        }
        connection_->handle_written(*call_, ok);
    }
    void cut_off() {
        if (call_ == nullptr || call_->cancelled) return;
        call_->cancelled = true;
        connection_->handle_cancelled(*call_);
    }
    /// What is under way when a call ends fails.
    void end_calls() {
        cut_off();
        half_close();
        written(false);
        call_.reset();
    }
    void hear(std::size_t room) {
        if (!left_) (void)hear_some(room);
    }
    std::size_t hear_some(std::size_t room) {
        std::array<std::byte, 256> memory{};
        const std::array<Connection::Target, 2> targets{
            std::span(memory).first(1), std::span(memory).subspan(1, room % 255 + 1)};
        const auto received = connection_->receive(targets);
        if (!received) {
            require(heard_ == came_);
            return 0;
        }
        heard_.append(reinterpret_cast<const char*>(memory.data()), *received);
        require(came_.starts_with(heard_));
        return *received;
    }
    void say(std::size_t size) {
        std::string text(size, ' ');
        for (char& octet : text) octet = static_cast<char>(octet_++);
        const std::array<Chunk, 1> chunks{Chunk::copy_of(text)};
        const auto sent = connection_->send(chunks);
        if (!sent) return;
        require(sent->taken <= size);
        said_ += text.substr(0, sent->taken);
        taken_ += sent->taken;
        listener_->released += sent->released;
    }
    void leave() {
        left_ = true;
        connection_->close();
    }
    void turn() {
        for (int i = 0; i < 4; ++i) reactor_.run_once(TimePoint());
    }

    Reactor reactor_;
    const std::shared_ptr<Listener> listener_ = std::make_shared<Listener>();
    const std::shared_ptr<GrpcServerConnection> connection_;
    std::shared_ptr<Call> call_;
    std::uint8_t octet_ = 0;
    std::string came_;
    std::string heard_;
    std::string said_;
    std::string went_;
    std::size_t taken_ = 0;
    bool left_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input({data, size});
    const std::string address = input.text();
    const std::string id = input.text();
    const std::string stream = input.text();
    GrpcMetadata metadata;
    if (!id.empty()) metadata.emplace("nq-id", id);
    if (!stream.empty()) metadata.emplace("nq-stream", stream);
    const auto peer = read_peer(address, metadata);
    require(peer.has_value() == (id.empty() || Uuid::parse(id).has_value()));
    if (!peer) return 0;
    require(peer->duplex == (stream == "1"));
    Conversation conversation(*peer);
    while (!input.empty()) conversation.happen(input);
    conversation.check();
    return 0;
}
