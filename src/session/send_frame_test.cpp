// SPDX-License-Identifier: Apache-2.0
#include "session/send_frame.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <array>
#include <string>
#include <vector>

#include "session/send_run.hpp"
#include "testing/octets.hpp"

using nq::Chunk;
using nq::Stream;
using nq::detail::SendFrame;
using nq::detail::SendRun;
using nq::testing::frame;
using nq::testing::text_of;

namespace {

Stream stream_of(const std::string& text) { return Stream(Chunk::copy_of(text)); }

/// The frames of the messages, one behind the other in memory of their own.
std::string frames_of(const std::vector<std::string>& messages) {
    std::string octets;
    for (const std::string& message : messages) octets += frame(message);
    return octets;
}

SendFrame run_of(const std::vector<std::string>& messages) {
    return SendFrame::run(Chunk(frames_of(messages)), messages.size());
}

std::vector<std::string> texts_of(const std::vector<SendFrame>& frames) {
    std::vector<std::string> texts;
    for (const SendFrame& each : frames) texts.push_back(text_of(each.octets()));
    return texts;
}

}  // namespace

TEST_CASE("a run holds the frames of what was added, as far as there is room") {
    std::array<std::byte, 30> memory{};
    SendRun run;
    CHECK_FALSE(run.has_room_for(Stream()));
    run.open(memory.data(), memory.size());
    CHECK(run.empty());
    for (const char* const text : {"one", ""}) {
        REQUIRE(run.has_room_for(stream_of(text)));
        run.add(stream_of(text));
    }
    CHECK(run.messages() == 2);
    CHECK(run.size() == 11 + 8);
    CHECK(run.payload_size() == 3);
    CHECK(run.has_room_for(stream_of("abc")));
    CHECK_FALSE(run.has_room_for(stream_of("abcd")));
    Stream pieces = stream_of("a");
    pieces.write("b");
    CHECK_FALSE(run.has_room_for(pieces));
    CHECK(text_of(memory).substr(0, run.size()) == frame("one") + frame(""));
    run.close();
    CHECK(run.empty());
    CHECK(run.size() == 0);
    CHECK_FALSE(run.has_room_for(Stream()));
}

TEST_CASE("a run counts as its messages") {
    const SendFrame one(stream_of("one"), std::nullopt);
    CHECK_FALSE(one.is_run());
    CHECK(one.messages() == 1);
    CHECK(one.wire_size() == 11);
    CHECK(one.payload_size() == 3);
    const SendFrame run = run_of({"one", "", "three"});
    CHECK(run.is_run());
    CHECK(run.messages() == 3);
    CHECK(run.wire_size() == 8 * 3 + 8);
    CHECK(run.payload_size() == 8);
}

TEST_CASE("a withdrawn message puts nothing on the wire") {
    SendFrame one(stream_of("one"), std::nullopt);
    one.withdraw();
    CHECK(one.withdrawn());
    CHECK(one.wire_size() == 0);
    CHECK(one.payload_size() == 0);
    CHECK(one.messages() == 1);
}

TEST_CASE("a message by itself is not cut") {
    SendFrame one(stream_of("one"), std::nullopt);
    CHECK_FALSE(one.cut_front(10));
    CHECK(text_of(one.octets()) == "one");
}

TEST_CASE("a run cut anywhere falls into the messages before that, whole, and the others") {
    CHECK(rc::check("cut", [](std::vector<std::string> messages) {
        messages.push_back("last");
        const std::size_t cut = *rc::gen::inRange<std::size_t>(0, frames_of(messages).size());
        SendFrame rest = run_of(messages);
        const auto front = rest.cut_front(cut);
        std::vector<std::string> before;
        std::size_t size = 0;
        while (size + frame(messages.front()).size() <= cut) {
            size += frame(messages.front()).size();
            before.push_back(messages.front());
            messages.erase(messages.begin());
        }
        RC_ASSERT(front.has_value() == !before.empty());
        if (front) {
            RC_ASSERT(front->messages() == before.size());
            RC_ASSERT(front->wire_size() == size);
            RC_ASSERT(texts_of(front->unpack()) == before);
        }
        RC_ASSERT(rest.messages() == messages.size());
        RC_ASSERT(texts_of(rest.unpack()) == messages);
    }));
}
