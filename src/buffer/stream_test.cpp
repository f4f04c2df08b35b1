// SPDX-License-Identifier: Apache-2.0
#include <net_queue/stream.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "testing/stream_model.hpp"

using nq::Chunk;
using nq::Stream;
using nq::testing::StreamModel;

namespace {

/// Counts how often the memory it lends out is released.
struct Lender {
    std::string memory;
    int released = 0;

    Chunk lend() {
        return Chunk::borrow(std::as_bytes(std::span(memory)), [this] { ++released; });
    }
};

Stream stream_of(std::initializer_list<const char*> parts) {
    Stream stream;
    for (const char* const part : parts) stream.write_chunk(Chunk(part));
    return stream;
}

std::string text_of(const Stream& stream) { return std::string(stream.to_chunk().text()); }

}  // namespace

template <>
struct rc::Arbitrary<StreamModel::Step> {
    static Gen<StreamModel::Step> arbitrary() {
        return gen::build<StreamModel::Step>(
            gen::set(&StreamModel::Step::operation, gen::cast<StreamModel::Operation>(gen::inRange(
                                                        0U, unsigned{StreamModel::k_operations}))),
            gen::set(&StreamModel::Step::amount, gen::inRange(std::size_t{0}, std::size_t{40})),
            gen::set(&StreamModel::Step::text,
                     gen::container<std::string>(gen::elementOf(std::string("ab\n\0", 4)))));
    }
};

namespace nq::testing {

void showValue(const StreamModel::Step& step, std::ostream& out) {
    out << "{" << static_cast<unsigned>(step.operation) << ", " << step.amount << ", ";
    rc::show(step.text, out);
    out << "}";
}

}  // namespace nq::testing

TEST_CASE("a stream does what a list of strings does") {
    CHECK(rc::check("any steps", [](const std::vector<StreamModel::Step>& steps) {
        StreamModel model;
        for (const StreamModel::Step& step : steps) {
            model.apply(step);
            model.invariants();
        }
    }));
}

TEST_CASE("a long rope read from the front stays in order") {
    CHECK(rc::check("reads and writes in any rhythm", [](const std::vector<std::uint8_t>& rhythm) {
        Stream stream;
        std::size_t written = 0, read = 0;
        for (const std::uint8_t turns : rhythm) {
            for (int i = 0; i < turns; ++i) stream.write(std::to_string(written++));
            for (int i = 0; i < turns * 3 / 4; ++i) {
                RC_ASSERT(stream.read_chunk().text() == std::to_string(read++));
            }
        }
        RC_ASSERT(stream.chunk_count() == written - read);
    }));
}

TEST_CASE("cutting a stream anywhere and joining the parts gives it back") {
    CHECK(rc::check("read then update", [](const std::vector<std::string>& parts, std::uint8_t n) {
        Stream stream;
        for (const std::string& part : parts) stream.write(part);
        const std::string before = text_of(stream);
        Stream front = stream.read(n);
        RC_ASSERT(front.size() + stream.size() == before.size());
        front.update(std::move(stream));
        RC_ASSERT(text_of(front) == before);
    }));
}

TEST_CASE("read splits a chunk without copying it") {
    const Chunk chunk("hello world");
    Stream stream(chunk);
    const Stream hello = stream.read(5);
    CHECK(hello.peek_chunk().data() == chunk.data());
    CHECK(stream.peek_chunk().data() == chunk.data() + 5);
    CHECK(hello.peek_chunk().owner() == chunk.owner());
    CHECK(text_of(stream) == " world");
}

TEST_CASE("no operation on chunks copies payload") {
    const Chunk a("aa"), b("bb"), c("cc");
    Stream stream(b);
    stream.unread_chunk(a);
    stream.write_chunk(c);
    Stream second = stream.copy();
    Stream third;
    third.update(second);
    third.update(std::move(second));
    const std::vector<Chunk> chunks = third.read_chunks();
    REQUIRE(chunks.size() == 6);
    const Chunk* const expected[] = {&a, &b, &c, &a, &b, &c};
    for (std::size_t i = 0; i < 6; ++i) CHECK(chunks[i].data() == expected[i]->data());
    CHECK(stream.read_chunk().data() == a.data());
    CHECK(stream.unwrite_chunk().data() == c.data());
    CHECK(stream.to_chunk().data() == b.data());
}

TEST_CASE("a string or a vector given away is not copied") {
    std::string text(100, 'x');
    const char* const characters = text.data();
    CHECK(Chunk(std::move(text)).text().data() == characters);
    std::vector<std::byte> octets(100);
    const std::byte* const data = octets.data();
    CHECK(Chunk::take(std::move(octets)).data() == data);
}

TEST_CASE("a copy lives on unchanged when its original goes") {
    Stream copy;
    {
        Stream original = stream_of({"one", "two"});
        copy = original.copy();
        original.clear();
        original.write("three");
    }
    CHECK(text_of(copy) == "onetwo");
}

TEST_CASE("borrowed memory is released once, when its last chunk goes") {
    Lender lender{"some octets"};
    {
        Stream stream(lender.lend());
        Stream copy = stream.copy();
        const Stream front = stream.read(4);
        stream.clear();
        copy.clear();
        CHECK(lender.released == 0);
    }
    CHECK(lender.released == 1);
}

TEST_CASE("borrowed memory of no octets is released at once") {
    Lender lender{""};
    Stream stream;
    stream.write_chunk(lender.lend());
    CHECK(lender.released == 1);
    CHECK(stream.chunk_count() == 0);
}

TEST_CASE("borrowed memory may be released by another thread") {
    Lender lender{"some octets"};
    std::thread([chunk = lender.lend()]() mutable { chunk = Chunk(); }).join();
    CHECK(lender.released == 1);
}

TEST_CASE("what was read leaves no owner behind in the stream") {
    Lender lender{"some octets"};
    Stream stream(lender.lend());
    stream.write("more");
    stream.skip(11);
    CHECK(lender.released == 1);
    stream.write_chunk(lender.lend());
    stream.unwrite_chunk();
    CHECK(lender.released == 2);
}

TEST_CASE("equality is of octets, not of cuts") {
    CHECK(stream_of({"ab", "c"}) == stream_of({"a", "bc"}));
    CHECK_FALSE(stream_of({"ab", "c"}) == stream_of({"a", "bd"}));
    CHECK_FALSE(stream_of({"ab"}) == stream_of({"abc"}));
    CHECK(Stream() == Stream(Chunk("")));
}

TEST_CASE("read_line crosses chunks and ends with what is left") {
    Stream stream = stream_of({"one\ntw", "o\n", "three"});
    CHECK(stream.read_line() == "one\n");
    CHECK(stream.read_line() == "two\n");
    CHECK(stream.read_line() == "three");
    CHECK(stream.read_line().empty());
}
