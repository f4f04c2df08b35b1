// SPDX-License-Identifier: Apache-2.0
#include "session/send_half.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <chrono>
#include <string>
#include <vector>

#include "buffer/limits.hpp"
#include "session/send_half_script.hpp"
#include "testing/octets.hpp"

namespace nq::testing {

namespace limits = detail::limits;

TEST_CASE("every connection begins with the ini") {
    Sender sender;
    CHECK(sender.offered().empty());
    sender.half.handle_connected();
    CHECK(sender.send() == k_ini);
    CHECK(sender.send().empty());
    sender.reconnect();
    CHECK(sender.send() == k_ini);
}

TEST_CASE("messages follow in the order of their puts") {
    Sender sender;
    sender.put("before the connection");
    sender.half.handle_connected();
    sender.put("");
    CHECK(sender.send() == k_ini + frame("before the connection") + frame(""));
    sender.put("after");
    CHECK(sender.send() == frame("after"));
    CHECK(sender.half.accepted() == 3);
    CHECK(sender.half.taken() == 3);
    CHECK(sender.half.released() == 3);
}

TEST_CASE("fin goes after the queue, and nothing after fin") {
    Sender sender;
    sender.put("one");
    sender.half.close();
    sender.half.close();
    sender.half.handle_connected();
    const std::string all = k_ini + frame("one") + k_fin;
    CHECK(sender.take(all.size() - 1) == all.substr(0, all.size() - 1));
    CHECK_FALSE(sender.half.fin_taken());
    sender.take(1);
    CHECK(sender.half.fin_taken());
    CHECK(sender.send().empty());
}

TEST_CASE("what is offered stays the same until it is taken") {
    Sender sender = Sender::connected();
    sender.put("message");
    const std::string offered = sender.offered();
    CHECK(sender.offered() == offered);
    sender.take(5);
    CHECK(sender.offered() == offered.substr(5));
}

TEST_CASE("octets are the same however few are taken at a time") {
    for (std::size_t n = 1; n < 80; ++n) {
        Sender sender;
        for (const char* const text : {"first", "", "third and longest"}) sender.put(text);
        sender.half.close();
        sender.half.handle_connected();
        CHECK(sender.send(n) ==
              k_ini + frame("first") + frame("") + frame("third and longest") + k_fin);
        CHECK(sender.half.released() == 3);
        CHECK(sender.half.fin_taken());
    }
}

TEST_CASE("small chunks are coalesced into one block") {
    Sender sender = Sender::connected();
    for (int i = 0; i < 100; ++i) sender.put("small");
    CHECK(sizes_of(sender.half.poll_transmit()) == std::vector<std::size_t>{24 + 100 * 13});
}

TEST_CASE("with put_merge off every chunk goes from where it is") {
    Sender sender = Sender::connected({.merge = false});
    const Chunk a("one"), b("two");
    Stream payload(a);
    payload.write_chunk(b);
    sender.half.put(Stream(payload));
    const auto chunks = sender.half.poll_transmit();
    REQUIRE(sizes_of(chunks) == std::vector<std::size_t>{24 + 8, 3, 3});
    CHECK(chunks[1].data() == a.data());
    CHECK(chunks[2].data() == b.data());
}

TEST_CASE("a chunk of efficient_size is never copied, a smaller one is") {
    Sender sender = Sender::connected({.efficient_size = 100});
    const Chunk large(std::string(100, 'x')), small(std::string(99, 'y'));
    sender.half.put(Stream(large));
    sender.half.put(Stream(small));
    const auto chunks = sender.half.poll_transmit();
    REQUIRE(sizes_of(chunks) == std::vector<std::size_t>{24 + 8, 100, 8 + 99});
    CHECK(chunks[1].data() == large.data());
}

TEST_CASE("at most transport_size octets are offered at once") {
    for (const std::size_t most : {24UL, 25UL, 31UL, 32UL, 33UL, 100UL}) {
        Sender sender({.efficient_size = 64, .transport_size = most});
        sender.half.put(Stream(Chunk(std::string(500, 'x'))));
        sender.put("small");
        sender.half.close();
        sender.half.handle_connected();
        std::string all;
        while (!sender.offered().empty()) {
            CHECK(sender.offered().size() <= most);
            all += sender.take(most / 2);
        }
        CHECK(all == k_ini + frame(std::string(500, 'x')) + frame("small") + k_fin);
    }
}

TEST_CASE("a call to the transport gets a bounded number of chunks and of copied octets") {
    Sender sender = Sender::connected({.efficient_size = std::size_t{64} << 20});
    Stream payload;
    for (int i = 0; i < 500; ++i)
        payload.write_chunk(Chunk(std::string(limits::k_block_size, 'x')));
    sender.half.put(Stream(payload));
    CHECK(sender.half.poll_transmit().size() <= limits::k_transmit_chunks);
    CHECK(sender.offered().size() <= limits::k_staged_copy_max + limits::k_block_size);
    Sender scattered = Sender::connected({.merge = false});
    scattered.half.put(Stream(payload));
    CHECK(scattered.half.poll_transmit().size() <= limits::k_transmit_chunks);
    CHECK(scattered.send().size() == 24 + 8 + payload.size());
}

TEST_CASE("one huge chunk to be copied stays within the bounds too") {
    Sender sender = Sender::connected({.efficient_size = std::size_t{64} << 20});
    sender.half.put(Stream(Chunk(std::string(std::size_t{8} << 20, 'x'))));
    CHECK(sender.half.poll_transmit().size() <= limits::k_transmit_chunks);
    CHECK(sender.offered().size() <= limits::k_staged_copy_max + limits::k_block_size);
    CHECK(sender.send().size() == 24 + 8 + (std::size_t{8} << 20));
}

TEST_CASE("a frame cut at any octet is sent again whole, one wholly taken is not") {
    const std::string first = frame("first"), second = frame("second");
    const std::string all = k_ini + first + second + k_fin;
    for (std::size_t cut = 0; cut <= all.size(); ++cut) {
        Sender sender;
        sender.put("first");
        sender.put("second");
        sender.half.close();
        sender.half.handle_connected();
        CHECK(sender.take(cut) == all.substr(0, cut));
        const std::uint64_t whole = cut >= 24 + first.size() + second.size() ? 2
                                    : cut >= 24 + first.size()               ? 1
                                                                             : 0;
        CHECK(sender.half.taken() == whole);
        sender.half.handle_lost();
        CHECK(sender.offered().empty());
        CHECK(sender.half.released() == whole);
        CHECK_FALSE(sender.half.fin_taken());
        sender.half.handle_connected();
        std::string expected = k_ini;
        if (whole < 1) expected += first;
        if (whole < 2) expected += second;
        CHECK(sender.send() == expected + k_fin);
        CHECK(sender.half.released() == 2);
    }
}

TEST_CASE("a message is released when its last octet is, not when that is taken") {
    Sender sender = Sender::connected();
    sender.put("one");
    sender.put("two");
    const std::size_t size = sender.take(SIZE_MAX).size();
    CHECK(size == 24 + 11 + 11);
    CHECK(sender.half.taken() == 2);
    CHECK(sender.half.released() == 0);
    sender.half.handle_released(24 + 10);
    CHECK(sender.half.released() == 0);
    sender.half.handle_released(1);
    CHECK(sender.half.released() == 1);
    sender.half.handle_released(10);
    CHECK(sender.half.released() == 1);
    sender.half.handle_released(1);
    CHECK(sender.half.released() == 2);
}

TEST_CASE("octets not released yet are left alone") {
    Sender sender = Sender::connected();
    sender.put("one");
    const Chunk held = sender.half.poll_transmit().front();
    const std::string before(held.text());
    sender.half.handle_taken(held.size());
    sender.put("two");
    sender.take(SIZE_MAX);
    CHECK(held.text() == before);
}

TEST_CASE("a lost connection holds no memory: what it took is released") {
    Sender sender = Sender::connected();
    sender.put("one");
    sender.take(SIZE_MAX);
    CHECK(sender.half.released() == 0);
    sender.half.handle_lost();
    CHECK(sender.half.released() == 1);
}

TEST_CASE("what a lost connection took and did not write is sent again, in order") {
    Sender sender = Sender::connected();
    for (const char* text : {"one", "two", "three"}) sender.put(text);
    const std::string all = k_ini + frame("one") + frame("two") + frame("three");
    CHECK(sender.take(SIZE_MAX) == all);
    sender.half.handle_released(k_ini.size() + frame("one").size());
    CHECK(sender.half.taken() == 3);
    std::size_t unwritten = 0;
    std::string again;
    std::uint64_t released = 3;
    SUBCASE("all was written") {}
    SUBCASE("the last octet was not") {
        unwritten = 1;
        again = frame("three");
        released = 2;
    }
    SUBCASE("nothing was but what is released") {
        unwritten = frame("two").size() + frame("three").size();
        again = frame("two") + frame("three");
        released = 1;
    }
    sender.half.handle_lost(unwritten);
    CHECK(sender.half.released() == released);
    CHECK(sender.half.taken() == released);
    CHECK(sender.half.accepted() == 3);
    sender.half.handle_connected();
    CHECK(sender.send() == k_ini + again);
    CHECK(sender.half.released() == 3);
    CHECK(sender.half.queued_bytes() == 0);
}

TEST_CASE("a peer that is awaited hears no more than the ini until it answers") {
    Sender sender = Sender::connected();
    sender.half.handle_identified(k_peer);
    CHECK(sender.send() == k_ini);
    sender.half.handle_lost();
    sender.put("for the one I know");
    sender.half.close();
    sender.half.handle_connected(true);
    CHECK(sender.send() == k_ini);
    SUBCASE("it is the same") {
        sender.half.handle_identified(k_peer);
        CHECK(sender.send() == frame("for the one I know") + k_fin);
    }
    SUBCASE("it is another") {
        sender.half.abandon();
        CHECK(sender.send() == k_fin);
    }
}

TEST_CASE("a message of which no octet was offered can be cancelled, once") {
    Sender sender;
    for (const char* const text : {"one", "two", "three"}) sender.put(text);
    CHECK(sender.half.cancel(1));
    CHECK_FALSE(sender.half.cancel(1));
    CHECK_FALSE(sender.half.cancel(3));
    CHECK(sender.half.queued_bytes() == 8);
    sender.half.handle_connected();
    CHECK(sender.send() == k_ini + frame("one") + frame("three"));
    CHECK(sender.half.released() == 3);
    CHECK_FALSE(sender.half.cancel(0));
}

TEST_CASE("a message that was offered can't be cancelled until the connection is lost") {
    Sender sender = Sender::connected({.transport_size = 24 + 11 + 2});
    for (const char* const text : {"one", "two", "three"}) sender.put(text);
    CHECK(sender.offered() == k_ini + frame("one") + header(3).substr(0, 2));
    CHECK_FALSE(sender.half.cancel(0));
    CHECK_FALSE(sender.half.cancel(1));
    CHECK(sender.half.cancel(2));
    sender.half.handle_lost();
    CHECK(sender.half.cancel(1));
    sender.half.handle_connected();
    CHECK(sender.send() == k_ini + frame("one"));
    CHECK(sender.half.released() == 3);
}

TEST_CASE("a cancelled message at the front passes at once, connected or not") {
    Sender sender;
    sender.put("one");
    sender.put("two");
    CHECK(sender.half.cancel(0));
    CHECK(sender.half.released() == 1);
    CHECK(sender.half.cancel(1));
    CHECK(sender.half.released() == 2);
    CHECK(sender.half.queued_bytes() == 0);
    sender.half.close();
    sender.half.handle_connected();
    CHECK(sender.send() == k_ini + k_fin);
}

TEST_CASE("a message for one peer waits until the peer is known") {
    Sender sender = Sender::connected();
    sender.put("for anybody");
    sender.put_to(k_peer, "for the peer");
    sender.put("after");
    sender.half.close();
    CHECK(sender.send() == k_ini + frame("for anybody"));
    sender.half.handle_identified(k_peer);
    CHECK_FALSE(sender.half.poll_refused());
    CHECK(sender.send() == frame("for the peer") + frame("after") + k_fin);
}

TEST_CASE("a message for somebody else is refused, once, and holds nothing up") {
    Sender sender = Sender::connected();
    sender.put_to(k_other, "queued before");
    sender.put("one");
    SUBCASE("when the peer becomes known") {
        CHECK_FALSE(sender.half.poll_refused());
        sender.half.handle_identified(k_peer);
        CHECK(sender.half.poll_refused() == 0);
    }
    SUBCASE("or when it is put") {
        sender.half.handle_identified(k_peer);
        CHECK(sender.half.poll_refused() == 0);
        sender.put_to(k_other, "put afterwards");
        CHECK(sender.half.poll_refused() == 2);
    }
    CHECK_FALSE(sender.half.poll_refused());
    CHECK(sender.send() == k_ini + frame("one"));
    CHECK(sender.half.released() == sender.half.accepted());
    sender.reconnect();
    sender.half.handle_identified(k_peer);
    CHECK_FALSE(sender.half.poll_refused());
}

TEST_CASE("a cancelled message for an unknown peer holds nothing up") {
    Sender sender = Sender::connected();
    sender.put("one");
    sender.put_to(k_other, "cancelled");
    sender.put("two");
    CHECK(sender.half.cancel(1));
    CHECK(sender.offered() == k_ini + frame("one") + frame("two"));
    sender.half.handle_identified(k_peer);
    CHECK_FALSE(sender.half.poll_refused());
}

TEST_CASE("abandon keeps the rest of a frame that was begun, then comes fin") {
    Sender sender = Sender::connected({.transport_size = 24 + 11 + 2});
    for (const char* const text : {"one", "two", "three"}) sender.put(text);
    SUBCASE("nothing was begun") {
        sender.half.abandon();
        CHECK(sender.send() == k_ini + k_fin);
        CHECK(sender.half.accepted() == 0);
    }
    SUBCASE("two were") {
        CHECK(sender.offered().size() == 24 + 11 + 2);
        sender.half.abandon();
        CHECK(sender.half.accepted() == 2);
        CHECK(sender.send() == k_ini + frame("one") + frame("two") + k_fin);
        CHECK(sender.half.released() == 2);
    }
    CHECK(sender.half.closing());
    CHECK(sender.half.queued_bytes() == 0);
    CHECK(sender.half.fin_taken());
}

TEST_CASE("a hundred thousand small messages cost well under a second") {
    const auto begin = std::chrono::steady_clock::now();
    Sender sender = Sender::connected();
    for (int i = 0; i < 100'000; ++i) sender.put("small");
    std::size_t octets = 0;
    for (std::size_t n = sender.take(SIZE_MAX).size(); n > 0; n = sender.take(SIZE_MAX).size()) {
        sender.half.handle_released(n);
        octets += n;
    }
    CHECK(octets == 24 + 100'000 * 13);
    CHECK(sender.half.released() == 100'000);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    MESSAGE("took " << seconds.count() << " s");
}

TEST_CASE("any puts, taken and released in any portions, arrive as they were put") {
    CHECK(rc::check("send", [](const std::vector<std::string>& messages, bool merge,
                               const std::vector<std::uint8_t>& portions) {
        Sender sender =
            Sender::connected({.merge = merge, .efficient_size = 5, .transport_size = 40});
        std::string expected = k_ini, sent;
        for (const std::string& message : messages) {
            Stream payload;
            for (const char c : message) payload.write(std::string_view(&c, 1));
            sender.half.put(std::move(payload));
            expected += frame(message);
        }
        std::size_t unreleased = 0;
        for (const std::uint8_t portion : portions) {
            const std::string part = sender.take(portion);
            sent += part;
            unreleased += part.size();
            const std::size_t n = std::min<std::size_t>(unreleased, portion / 2);
            sender.half.handle_released(n);
            unreleased -= n;
            RC_ASSERT(sender.half.released() <= sender.half.taken());
        }
        sent += sender.send();
        RC_ASSERT(sent == expected);
        sender.half.handle_released(unreleased);
        RC_ASSERT(sender.half.released() == messages.size());
    }));
}

}  // namespace nq::testing
