// SPDX-License-Identifier: Apache-2.0
#include "buffer/batch.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace nq::detail {
namespace {

/// A block with a text in it.
struct Block {
    explicit Block(std::string_view content)
        : octets(std::make_shared<std::vector<std::byte>>(content.size())),
          memory(octets, octets->data()) {
        std::memcpy(memory.get(), content.data(), content.size());
        octets.reset();
    }
    [[nodiscard]] Chunk::Octets part(std::size_t offset, std::size_t size) const {
        return {memory.get() + offset, size};
    }
    std::shared_ptr<std::vector<std::byte>> octets;
    std::shared_ptr<std::byte> memory;
};

std::vector<std::string> pop_all(Batch& batch) {
    std::vector<std::string> texts;
    while (!batch.empty()) texts.emplace_back(batch.pop().to_chunk().text());
    return texts;
}

TEST_CASE("messages leave a batch in the order they came, however they lie in memory") {
    const Block block("onetwo"), other("three");
    Batch batch;
    CHECK(batch.empty());
    batch.push(block.part(0, 3), block.memory);
    batch.push(Stream(Chunk("a stream")));
    batch.push(block.part(3, 3), block.memory);
    batch.push(block.part(6, 0), block.memory);
    batch.push(Stream());
    batch.push(other.part(0, 5), other.memory);
    CHECK(batch.size() == 6);
    CHECK(batch.octets() == 3 + 8 + 3 + 5);
    CHECK(batch.pop().to_chunk().text() == "one");
    CHECK(batch.popped() == 1);
    CHECK(batch.size() == 5);
    CHECK(batch.octets() == 8 + 3 + 5);
    CHECK(pop_all(batch) == std::vector<std::string>{"a stream", "two", "", "", "three"});
    CHECK(batch.octets() == 0);
    CHECK(batch.popped() == 6);
}

TEST_CASE("a block stays as long as a message of it, taken or not") {
    const Block block("onetwo");
    Stream kept;
    {
        Batch batch;
        batch.push(block.part(0, 3), block.memory);
        batch.push(block.part(3, 3), block.memory);
        CHECK(block.memory.use_count() == 2);  // one share for both
        kept = batch.pop();
        CHECK(block.memory.use_count() == 3);
    }
    CHECK(block.memory.use_count() == 2);
    CHECK(kept.chunk(0).data() == block.memory.get());  // not copied
    kept.clear();
    CHECK(block.memory.use_count() == 2);  // the thread's spare share
    {
        const auto other = share_of_block(std::make_shared<std::byte>());
        const Chunk chunk({}, other);
    }
    CHECK(block.memory.use_count() == 1);
}

TEST_CASE("who drops a message of a block before the next one takes no share anew") {
    const Block block("onetwothree");
    Batch batch;
    for (const std::size_t at : {0U, 3U, 6U}) batch.push(block.part(at, 3), block.memory);
    CHECK(block.memory.use_count() == 2);
    { const Stream one = batch.pop(); }
    CHECK(block.memory.use_count() == 3);  // the share of `one` is spare
    {
        const Stream two = batch.pop();
        CHECK(block.memory.use_count() == 3);
        const Stream three = batch.pop();
        CHECK(block.memory.use_count() == 4);
    }
    CHECK(block.memory.use_count() == 3);  // a thread has one spare share

    const Block other("another");
    Batch next;
    next.push(other.part(0, 7), other.memory);
    { const Stream another = next.pop(); }
    CHECK(block.memory.use_count() == 2);
    CHECK(other.memory.use_count() == 3);
}

TEST_CASE("a thread that ends leaves no share behind, whatever it drops last") {
    const Block block("onetwo");
    Batch batch;
    batch.push(block.part(0, 3), block.memory);
    batch.push(block.part(3, 3), block.memory);
    std::jthread([&batch] {
        thread_local Stream last;  // made before the spare share, so it goes after it
        last.clear();
        { const Stream one = batch.pop(); }
        last = batch.pop();
    }).join();
    batch = Batch();
    CHECK(block.memory.use_count() == 1);
}

}  // namespace
}  // namespace nq::detail
