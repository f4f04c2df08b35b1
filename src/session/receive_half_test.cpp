// SPDX-License-Identifier: Apache-2.0
#include "session/receive_half.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/limits.hpp"
#include "session/send_half.hpp"
#include "testing/octets.hpp"

using nq::Chunk;
using nq::OnOversize;
using nq::Stream;
using nq::Uuid;
using nq::detail::BufferPool;
using nq::detail::ReceiveEvent;
using nq::detail::ReceiveHalf;
using nq::detail::ReceiveOptions;
using nq::testing::frame;
using nq::testing::header;
using nq::testing::identity;
using nq::testing::text_of;
using nq::testing::uuid_of;
namespace detail = nq::detail;
namespace limits = nq::detail::limits;

namespace {

using Lines = std::vector<std::string>;

const Uuid k_peer = uuid_of(2);
constexpr std::size_t k_everything = SIZE_MAX;

/// What an event says, as one word or the message itself.
std::string told(const ReceiveEvent& event) {
    if (const auto* received = std::get_if<detail::Received>(&event)) {
        return text_of(received->message);
    }
    if (std::holds_alternative<detail::Identified>(event)) return "<ini>";
    if (const auto* oversized = std::get_if<detail::Oversized>(&event)) {
        return "<oversized " + std::to_string(oversized->size) + ">";
    }
    return std::holds_alternative<detail::Finished>(event) ? "<fin>" : "<violation>";
}

/// A receive half and the transport below it.
struct Receiver {
    ReceiveHalf half;
    Lines heard;
    std::vector<Stream> messages;
    std::uint64_t run_max = k_everything;  ///< messages polled at a time, without an event each

    explicit Receiver(const ReceiveOptions& options = {}) : half(options, BufferPool::create(0)) {}

    /// A server's half, whose peer is known already.
    static Receiver of_peer(const ReceiveOptions& options = {}) {
        Receiver receiver(options);
        receiver.half.handle_connected(k_peer);
        return receiver;
    }

    void poll() {
        for (;;) {
            detail::Batch run;
            half.poll_messages(run, run_max, k_everything);
            while (!run.empty()) note(run.pop());
            auto event = half.poll_event();
            if (!event) break;
            if (auto* received = std::get_if<detail::Received>(&*event)) {
                note(std::move(received->message));
            } else {
                heard.push_back(told(*event));
            }
        }
    }
    void note(Stream message) {
        heard.push_back(text_of(message));
        messages.push_back(std::move(message));
    }

    /// One read: as many of the octets as fit. Returns what is left of them.
    std::string_view read(std::string_view octets) {
        std::size_t n = 0;
        for (const ReceiveHalf::Target& target : half.targets()) {
            const std::size_t part = std::min(target.size(), octets.size() - n);
            std::memcpy(target.data(), octets.data() + n, part);
            n += part;
        }
        REQUIRE(n > 0);
        half.handle_received(n);
        poll();
        return octets.substr(n);
    }

    /// All the octets, at most `portion` at a time.
    void hear(std::string_view octets, std::size_t portion = k_everything) {
        while (!octets.empty()) {
            const std::string_view part = octets.substr(0, portion);
            octets.remove_prefix(part.size() - read(part).size());
        }
    }
};

}  // namespace

TEST_CASE("a client hears the server's ini, messages and fin, however they are cut") {
    const std::string octets =
        identity(k_peer) + frame("one") + frame("") + frame("three") + identity(k_peer);
    for (const bool merge : {true, false}) {
        for (std::size_t portion = 1; portion <= octets.size(); ++portion) {
            for (const std::uint64_t run_max : {0, 1, 2, 10}) {
                Receiver receiver({.merge = merge});
                receiver.run_max = run_max;
                receiver.half.handle_connected(std::nullopt);
                receiver.hear(octets, portion);
                CHECK(receiver.heard == Lines{"<ini>", "one", "", "three", "<fin>"});
                CHECK(receiver.half.held_bytes() == 0);
            }
        }
    }
}

TEST_CASE("messages are polled in runs, up to a number and up to octets, and nothing else is") {
    Receiver receiver = Receiver::of_peer({.message_size = 20});
    detail::Batch run;
    const auto poll = [&receiver, &run](std::uint64_t messages, std::uint64_t octets) {
        run = detail::Batch();
        receiver.half.poll_messages(run, messages, octets);
        return run.octets();
    };
    const std::string octets = frame("one") + frame("") + frame("three") + frame("four") +
                               frame("sixteen octets!!") + frame(std::string(21, 'x')) +
                               identity(k_peer);
    const auto targets = receiver.half.targets();
    std::memcpy(targets[0].data(), octets.data(), octets.size());
    receiver.half.handle_received(octets.size());
    CHECK(poll(0, 1000) == 0);
    CHECK(poll(1000, 0) == 0);
    CHECK(run.empty());
    CHECK(poll(2, 1000) == 3);
    CHECK(run.size() == 2);
    CHECK(poll(1000, 6) == 9);  // the one that passes the bound is still taken
    CHECK(run.size() == 2);
    CHECK(poll(1000, 1000) == 16);
    CHECK(poll(1000, 1000) == 0);  // longer than a message may be: it comes in pieces
    receiver.poll();
    CHECK(receiver.heard == Lines{std::string(20, 'x'), "x", "<fin>"});
    CHECK(poll(1000, 1000) == 0);
}

TEST_CASE("a server, whose clients were identified before, hears no ini") {
    Receiver receiver = Receiver::of_peer();
    receiver.hear(frame("one") + identity(k_peer));
    CHECK(receiver.heard == Lines{"one", "<fin>"});
}

TEST_CASE("16 octets that are nobody's UUID, or not the peer's, are a message") {
    Receiver receiver = Receiver::of_peer();
    receiver.hear(frame("sixteen octets!!") + identity(uuid_of(9)) + frame(text_of(k_peer) + "+"));
    CHECK(receiver.heard == Lines{"sixteen octets!!", text_of(uuid_of(9)), text_of(k_peer) + "+"});
}

TEST_CASE("octets after fin are ignored") {
    Receiver receiver = Receiver::of_peer();
    receiver.hear(identity(k_peer) + frame("late") + identity(k_peer));
    receiver.hear(std::string(1'000'000, 'x'));
    CHECK(receiver.heard == Lines{"<fin>"});
    CHECK(receiver.half.held_bytes() == 0);
}

TEST_CASE("a connection that begins with anything but an ini is a violation, told once") {
    for (const std::uint64_t size : {0ULL, 15ULL, 17ULL, 1ULL << 40, ~0ULL}) {
        Receiver receiver;
        receiver.half.handle_connected(std::nullopt);
        receiver.hear(header(size) + std::string(100'000, 'x'), 7);
        CHECK(receiver.heard == Lines{"<violation>"});
        CHECK(receiver.half.held_bytes() == 0);
    }
}

TEST_CASE("a large message lands straight in one contiguous buffer") {
    const std::string large(1'000'000, 'x');
    Receiver receiver = Receiver::of_peer();
    CHECK_FALSE(receiver.half.midway_in_large());
    receiver.hear(header(large.size()));
    CHECK(receiver.half.midway_in_large());
    const std::byte* const buffer = receiver.half.targets()[0].data();
    // Its memory is fresh; a system that fetches no pages ahead offers it as a whole.
    const std::size_t offered = receiver.half.targets()[0].size();
    CHECK((offered == limits::k_page_run_least || offered == large.size()));
    receiver.hear(large, 10'000);
    CHECK_FALSE(receiver.half.midway_in_large());
    REQUIRE(receiver.messages.size() == 1);
    CHECK(receiver.messages[0].chunk_count() == 1);
    CHECK(receiver.messages[0].peek_chunk().data() == buffer);
}

TEST_CASE("what follows a large message is read by the same call, but little of it") {
    Receiver receiver = Receiver::of_peer();
    receiver.hear(header(100'000) + std::string(99'999, 'x'));
    const auto targets = receiver.half.targets();
    REQUIRE(targets.size() == 2);
    CHECK(targets[0].size() == 1);
    CHECK(targets[1].size() == limits::k_read_ahead);
    CHECK(receiver.read("x" + frame("next") + frame("and")).empty());
    CHECK(receiver.heard == Lines{std::string(100'000, 'x'), "next", "and"});
}

TEST_CASE("behind a large message another is looked for: little is read until it is known") {
    Receiver receiver = Receiver::of_peer();
    const auto offered = [&receiver] { return receiver.half.targets()[0].size(); };
    CHECK(offered() == limits::k_block_size);
    receiver.hear(frame(std::string(100'000, 'x')));
    CHECK(offered() == limits::k_read_ahead);
    receiver.half.handle_idle();
    CHECK(offered() == limits::k_read_ahead);
    receiver.hear(header(10'000));
    CHECK(offered() >= 10'000);
    receiver.hear(std::string(10'000, 'y'));
    CHECK(offered() > limits::k_read_ahead);
    receiver.hear(frame("small"));
    CHECK(receiver.heard.back() == "small");
}

TEST_CASE("small messages are slices of the block they came in") {
    Receiver receiver = Receiver::of_peer();
    const std::byte* const block = receiver.half.targets()[0].data();
    receiver.hear(frame("one") + frame("two"));
    REQUIRE(receiver.messages.size() == 2);
    CHECK(receiver.messages[0].peek_chunk().data() == block + 8);
    CHECK(receiver.messages[1].peek_chunk().data() == block + 8 + 3 + 8);
    CHECK(receiver.messages[0].peek_chunk().owner() == receiver.messages[1].peek_chunk().owner());
}

TEST_CASE("with get_merge off a message is the chunks it came in") {
    Receiver receiver = Receiver::of_peer({.merge = false});
    receiver.hear(header(10) + "hello");
    receiver.hear("world");
    REQUIRE(receiver.heard == Lines{"helloworld"});
    CHECK(receiver.messages[0].chunk_count() == 2);
}

TEST_CASE("an oversized message is split, and no piece is read as fin") {
    const std::string uuid = text_of(k_peer);
    for (const bool merge : {true, false}) {
        for (std::size_t portion = 1; portion < 120; ++portion) {
            Receiver receiver = Receiver::of_peer({.merge = merge, .message_size = 16});
            receiver.hear(frame(uuid + uuid + "end") + frame("next") + identity(k_peer), portion);
            CHECK(receiver.heard == Lines{uuid, uuid, "end", "next", "<fin>"});
        }
    }
}

TEST_CASE("an oversized message is refused before it came, and the session goes on") {
    for (std::size_t portion = 1; portion < 80; ++portion) {
        Receiver receiver =
            Receiver::of_peer({.message_size = 20, .on_oversize = OnOversize::refuse});
        receiver.hear(header(21));
        CHECK(receiver.heard == Lines{"<oversized 21>"});
        receiver.hear(std::string(21, 'x') + frame(std::string(20, 'y')), portion);
        CHECK(receiver.heard == Lines{"<oversized 21>", std::string(20, 'y')});
    }
}

TEST_CASE("a frame that can't be meant is a violation, one of just that size is a message") {
    ReceiveOptions options;
    options.frame_size = 100;
    Receiver receiver = Receiver::of_peer(options);
    const std::string text(100, 'x');
    receiver.hear(frame(text) + header(101) + "what follows" + frame("ignored"));
    CHECK(receiver.heard == Lines{text, "<violation>"});
}

TEST_CASE("a refused message takes no memory however long it is") {
    Receiver receiver =
        Receiver::of_peer({.message_size = 1000, .on_oversize = OnOversize::refuse});
    receiver.hear(header(10'000'000));
    for (int i = 0; i < 10; ++i) {
        receiver.hear(std::string(1'000'000, 'x'));
        CHECK(receiver.half.held_memory() <= limits::k_block_size);
    }
    receiver.hear(frame("next"));
    CHECK(receiver.heard.back() == "next");
}

TEST_CASE("a declared size is worth 4 MiB, beyond that memory follows what arrives") {
    for (const int power : {15, 20, 22, 23, 30, 40}) {
        Receiver receiver = Receiver::of_peer();
        receiver.hear(header(std::uint64_t{1} << power));
        std::size_t arrived = 0;
        for (int i = 0; i < 24 && arrived + 500'000 < (std::uint64_t{1} << power); ++i) {
            receiver.hear(std::string(500'000, 'x'));
            arrived += 500'000;
            const std::size_t trusted = std::max(limits::k_trusted_size, 2 * arrived);
            CHECK(receiver.half.held_memory() <= trusted + limits::k_block_size);
            CHECK(receiver.half.held_bytes() == arrived);
        }
        receiver.half.handle_lost();
        CHECK(receiver.half.held_memory() == 0);
    }
}

TEST_CASE("a message of many doublings arrives whole") {
    std::string large(20'000'000, 'x');
    for (std::size_t i = 0; i < large.size(); i += 1000) large[i] = static_cast<char>(i / 1000);
    Receiver receiver = Receiver::of_peer();
    receiver.hear(frame(large) + frame("next"), 1'000'003);
    CHECK(receiver.heard == Lines{large, "next"});
    CHECK(receiver.messages[0].chunk_count() == 1);
}

TEST_CASE("an idle session holds at most 16 KiB") {
    Receiver receiver = Receiver::of_peer();
    receiver.half.handle_idle();
    receiver.hear(frame("message"));
    receiver.half.handle_idle();
    CHECK(receiver.half.held_memory() == 0);
    for (const std::size_t partial : {1UL, 8UL, 5000UL, 16'000UL, 16'384UL + 7}) {
        const std::string octets = frame(std::string(16'384, 'x'));
        receiver.hear(std::string_view(octets).substr(0, partial));
        receiver.half.handle_idle();
        receiver.half.handle_idle();
        CHECK(receiver.half.held_memory() <= 16 * limits::KiB);
        receiver.hear(std::string_view(octets).substr(partial));
        CHECK(receiver.heard.back() == std::string(16'384, 'x'));
    }
}

TEST_CASE("unread messages that came with pauses between them share their blocks") {
    for (const bool merge : {true, false}) {
        Receiver receiver = Receiver::of_peer({.merge = merge});
        std::vector<std::shared_ptr<const void>> blocks;
        const std::string octets = frame("message") + frame("another");
        for (int i = 0; i < 1000; ++i) {
            for (const char& octet : octets) {
                receiver.hear(std::string_view(&octet, 1));
                receiver.half.handle_idle();
            }
        }
        REQUIRE(receiver.messages.size() == 2000);
        for (const Stream& message : receiver.messages) {
            CHECK(text_of(message).size() == 7);
            for (std::size_t i = 0; i < message.chunk_count(); ++i) {
                const auto& owner = message.chunk(i).owner();
                if (blocks.empty() || blocks.back() != owner) blocks.push_back(owner);
            }
        }
        CHECK(blocks.size() <= 3);
    }
}

TEST_CASE("a frame cut by the loss is dropped at every octet of it") {
    const std::string octets = frame("cut by the loss");
    for (const bool merge : {true, false}) {
        for (std::size_t cut = 0; cut < octets.size(); ++cut) {
            Receiver receiver = Receiver::of_peer({.merge = merge});
            receiver.hear(frame("whole") + octets.substr(0, cut));
            receiver.half.handle_lost();
            CHECK(receiver.half.held_memory() == 0);
            receiver.hear("octets of a dead connection");
            receiver.half.handle_lost();
            receiver.half.handle_connected(k_peer);
            receiver.hear(octets + identity(k_peer));
            CHECK(receiver.heard == Lines{"whole", "cut by the loss", "<fin>"});
        }
    }
}

TEST_CASE("a large message cut by the loss is dropped too") {
    for (const std::uint64_t message_size : {std::uint64_t{30'000}, std::uint64_t{1} << 40}) {
        Receiver receiver = Receiver::of_peer({.message_size = message_size});
        receiver.hear(header(100'000) + std::string(20'000, 'x'));
        receiver.half.handle_lost();
        CHECK(receiver.half.held_memory() == 0);
        receiver.half.handle_connected(std::nullopt);
        receiver.hear(identity(k_peer) + frame("next"));
        CHECK(receiver.heard == Lines{"<ini>", "next"});
    }
}

TEST_CASE("who stops polling stops the events, and loses none") {
    Receiver receiver = Receiver::of_peer();
    const std::string octets = frame("one") + frame("two") + frame("three");
    const auto target = receiver.half.targets()[0];
    std::memcpy(target.data(), octets.data(), octets.size());
    receiver.half.handle_received(octets.size());
    CHECK(told(*receiver.half.poll_event()) == "one");
    CHECK(receiver.half.held_bytes() == octets.size() - 11);
    CHECK(told(*receiver.half.poll_event()) == "two");
    CHECK(told(*receiver.half.poll_event()) == "three");
    CHECK_FALSE(receiver.half.poll_event());
}

namespace {

struct Talk {
    std::vector<std::size_t> sizes;
    std::vector<std::uint32_t> portions;
    bool put_merge, get_merge;
};

/// A message that tells its number and octets apart.
std::string message_of(std::size_t number, std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((number * 31 + i * 7) >> 2);
    return text;
}

/// Sends the messages of the talk through both halves; returns what was heard.
Lines carry(const Talk& talk) {
    const auto pool = BufferPool::create(std::size_t{1} << 20);
    const detail::SendOptions options{
        .merge = talk.put_merge, .efficient_size = 1000, .transport_size = 9000};
    detail::SendHalf sender(k_peer, options, pool);
    Receiver receiver({.merge = talk.get_merge});
    receiver.half.handle_connected(std::nullopt);
    sender.handle_connected();
    for (std::size_t i = 0; i < talk.sizes.size(); ++i) {
        sender.put(Stream(Chunk(message_of(i, talk.sizes[i]))));
    }
    sender.close();
    for (std::size_t turn = 0; !sender.fin_taken(); ++turn) {
        const std::string offered = text_of(sender.poll_transmit());
        const std::size_t portion =
            talk.portions.empty() ? 5000 : talk.portions[turn % talk.portions.size()];
        const std::size_t n = std::min(offered.size(), portion);
        sender.handle_taken(n);
        sender.handle_released(n);
        receiver.hear(std::string_view(offered).substr(0, n), 1 + portion / 3);
        if (portion % 5 == 0) receiver.half.handle_idle();
    }
    return receiver.heard;
}

}  // namespace

TEST_CASE("what is put is what is received, whatever the portions") {
    CHECK(rc::check("put, carry, receive", [] {
        const auto size = rc::gen::weightedOneOf<std::size_t>(
            {{8, rc::gen::inRange<std::size_t>(0, 100)},
             {2, rc::gen::inRange<std::size_t>(100, 20'000)},
             {1, rc::gen::inRange<std::size_t>(20'000, 200'000)}});
        const Talk talk{.sizes = *rc::gen::container<std::vector<std::size_t>>(size),
                        .portions = *rc::gen::container<std::vector<std::uint32_t>>(
                            rc::gen::inRange<std::uint32_t>(30, 6000)),
                        .put_merge = *rc::gen::arbitrary<bool>(),
                        .get_merge = *rc::gen::arbitrary<bool>()};
        const Lines heard = carry(talk);
        RC_ASSERT(heard.size() == talk.sizes.size() + 2);
        for (std::size_t i = 0; i < talk.sizes.size(); ++i) {
            RC_ASSERT(heard[i + 1] == message_of(i, talk.sizes[i]));
        }
        RC_ASSERT(heard.back() == "<fin>");
    }));
}
