// SPDX-License-Identifier: Apache-2.0
// The send half's small messages, which are copied as they are put.
#include <doctest/doctest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "buffer/limits.hpp"
#include "session/send_half_script.hpp"
#include "testing/octets.hpp"

namespace nq::testing {

namespace limits = detail::limits;

TEST_CASE("a small message is copied as it is put, and stays with who put it") {
    Sender sender = Sender::speaking();
    int dropped = 0;
    Stream small(Chunk::borrow(std::as_bytes(std::span("small", 5)), [&dropped] { ++dropped; }));
    sender.half.put(std::move(small));
    CHECK(text_of(small) == "small");
    small.clear();
    CHECK(dropped == 1);
    CHECK(sender.half.accepted() == 1);
    CHECK(sender.half.queued_bytes() == 5);
    CHECK(sender.send() == frame("small"));
    CHECK(sender.half.released() == 1);
}

TEST_CASE("what can't be copied as it is put keeps its place among those that can") {
    Sender sender = Sender::speaking({.efficient_size = 100});
    sender.half.handle_identified(k_peer);
    std::string expected;
    const auto put = [&](Stream&& payload, const std::optional<Uuid>& target = std::nullopt) {
        expected += frame(text_of(payload));
        sender.half.put(std::move(payload), target);
    };
    Stream pieces(Chunk("in two "));
    pieces.write_chunk(Chunk("pieces"));
    put(Stream(Chunk("small")));
    put(std::move(pieces));
    put(Stream(Chunk("small again")));
    put(Stream(Chunk(std::string(100, 'x'))));
    put(Stream());
    put(Stream(Chunk("for the peer")), k_peer);
    put(Stream(Chunk("last")));
    CHECK(sender.half.accepted() == 7);
    CHECK(sender.send() == expected);
    CHECK(sender.half.released() == 7);
    CHECK(sender.half.queued_bytes() == 0);
}

TEST_CASE("copies are bounded, whoever puts and however little is taken") {
    Sender sender = Sender::speaking();
    const std::string text(1000, 'x');
    std::string expected;
    while (expected.size() < 3 * limits::k_staged_copy_max) {
        sender.half.put(Stream(Chunk::copy_of(text)));
        expected += frame(text);
    }
    CHECK(sender.offered().size() <= limits::k_staged_copy_max + limits::k_block_size);
    CHECK(sender.half.queued_bytes() == expected.size() / 1008 * 1000);
    CHECK(sender.send(50'000) == expected);
    CHECK(sender.half.released() == sender.half.accepted());
}

TEST_CASE("a small message that does not fit the rest of a block lies whole in the next") {
    Sender sender = Sender::speaking();
    const std::string text(limits::k_block_rest_max - 8, 'x');
    for (int i = 0; i < 20; ++i) sender.half.put(Stream(Chunk::copy_of(text)));
    const std::size_t per_block = limits::k_block_size / limits::k_block_rest_max;
    const std::size_t most = per_block * limits::k_block_rest_max;
    CHECK(sizes_of(sender.half.poll_transmit()) ==
          std::vector<std::size_t>{most, most, 4 * limits::k_block_rest_max});
}

TEST_CASE("a message that was copied and not offered can be cancelled, wherever it is") {
    for (std::uint64_t number = 0; number < 4; ++number) {
        Sender sender = Sender::speaking();
        std::string expected;
        for (const char* const text : {"one", "two", "three"}) {
            sender.put(text);
            if (number != sender.half.accepted() - 1) expected += frame(text);
        }
        CHECK(sender.half.cancel(number) == (number < 3));
        CHECK_FALSE(sender.half.cancel(number));
        sender.put("four");
        CHECK(sender.send() == expected + frame("four"));
        CHECK(sender.half.released() == 4);
        CHECK(sender.half.queued_bytes() == 0);
    }
}

TEST_CASE("one that was copied behind those offered can be cancelled, those can't") {
    Sender sender = Sender::speaking();
    sender.put("one");
    const std::string offered = sender.offered();
    sender.put("two");
    sender.put("three");
    CHECK_FALSE(sender.half.cancel(0));
    CHECK(sender.half.cancel(1));
    CHECK(sender.take(SIZE_MAX) == offered + frame("three"));
    CHECK(sender.half.taken() == 3);
}

TEST_CASE("a run is taken, released and lost by the message") {
    const std::array frames{frame("one"), frame("two"), frame("three")};
    const std::string all = frames[0] + frames[1] + frames[2];
    const auto whole_in = [&frames](std::size_t n) {
        std::uint64_t whole = 0;
        while (whole < frames.size() && frames[whole].size() <= n) n -= frames[whole++].size();
        return whole;
    };
    for (std::size_t cut = 0; cut <= all.size(); ++cut) {
        for (std::size_t released = 0; released <= cut; ++released) {
            Sender sender = Sender::speaking();
            for (const char* const text : {"one", "two", "three"}) sender.put(text);
            CHECK(sender.take(cut) == all.substr(0, cut));
            CHECK(sender.half.taken() == whole_in(cut));
            sender.half.handle_released(released);
            CHECK(sender.half.released() == whole_in(released));
            sender.half.handle_lost(cut - released);  // written is what was released, no more
            CHECK(sender.half.accepted() == 3);
            CHECK(sender.half.taken() == whole_in(released));
            CHECK(sender.half.cancel(whole_in(released)) == (whole_in(released) < 3));
            std::string again;
            for (std::size_t i = whole_in(released) + 1; i < 3; ++i) again += frames[i];
            sender.half.handle_connected();
            CHECK(sender.send() == k_ini + again);
            CHECK(sender.half.released() == 3);
            CHECK(sender.half.queued_bytes() == 0);
        }
    }
}

TEST_CASE("abandon forgets what was copied and not offered") {
    Sender sender = Sender::speaking();
    sender.put("one");
    const std::string offered = sender.offered();
    sender.put("two");
    sender.half.abandon();
    CHECK(sender.half.accepted() == 1);
    CHECK(sender.half.queued_bytes() == 3);
    CHECK(sender.send() == offered + k_fin);
}

}  // namespace nq::testing
