// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include <net_queue/error.hpp>
#include <net_queue/serializer.hpp>

#include "pickle/hostile_table.hpp"
#include "pickle/test_support.hpp"

namespace {

// Octets in use now, and at most since the last reset: what operator new gave, as malloc rounds it.
std::atomic<std::size_t> used{0};
std::atomic<std::size_t> peak{0};

void* allocate(std::size_t size) {
    void* const block = std::malloc(size);
    if (block == nullptr) throw std::bad_alloc();
    const std::size_t now = used += ::malloc_usable_size(block);
    if (now > peak) peak = now;
    return block;
}

void release(void* block) noexcept {
    if (block != nullptr) used -= ::malloc_usable_size(block);
    std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t) noexcept { release(block); }

using namespace nq::testing;

namespace {

std::size_t bound(std::size_t size) { return 4 * size + (std::size_t{1} << 20); }

/// What load threw, or "" where it loaded; the peak is that of the load alone.
std::string refusal(const Hostile& row, std::size_t& taken) {
    nq::PickleOptions options;
    if (row.restricted) options.allow = nq::AllowList::known_types();
    const nq::PickleSerializer serializer(std::move(options));
    // The message itself is the transport's memory, not the reader's.
    const nq::Stream message(nq::Chunk::borrow(std::as_bytes(std::span(row.octets))));
    const std::size_t before = used;
    peak = before;
    std::string text;
    try {
        (void)serializer.load(message);
    } catch (const nq::SerializationError& error) {
        text = error.what();
    }
    taken = peak - before;
    return text;
}

void check_table(const std::vector<Hostile>& table) {
    for (const Hostile& row : table) {
        CAPTURE(row.name);
        std::size_t taken = 0;
        const std::string text = refusal(row, taken);
        CHECK(text.find("offset ") != std::string::npos);
        CHECK_MESSAGE(text.find(row.error) != std::string::npos, text);
        CHECK_MESSAGE(taken <= bound(row.octets.size()),
                      taken << " octets for a message of " << row.octets.size());
        CHECK(text.size() < 500);
    }
}

}  // namespace

TEST_CASE("hostile: code-execution gadgets") { check_table(gadgets()); }
TEST_CASE("hostile: lying lengths") { check_table(lying_lengths()); }
TEST_CASE("hostile: memo, stack and nesting bombs") { check_table(bombs()); }
TEST_CASE("hostile: programs that no pickler writes") { check_table(nonsense()); }
TEST_CASE("hostile: what needs the sender's program") { check_table(unsupported()); }

TEST_CASE("the same gadgets without an allow list are data, or errors all the same") {
    for (Hostile& row : gadgets()) {
        CAPTURE(row.name);
        row.restricted = false;
        std::size_t taken = 0;
        CHECK(refusal(row, taken).find("not allowed") == std::string::npos);
    }
}

TEST_CASE("a message that ends anywhere before its end is refused within the bound") {
    const std::string whole = dump(nq::Value::list(
        {1, "text", nq::Value::dict({{1, nq::Value::set({2})}}), nq::Uuid::random(),
         nq::Array::of<double>({1.0, 2.0}), nq::Object("m", "C", nq::Value::tuple({1}), "s")}));
    for (std::size_t size = 0; size < whole.size(); ++size) {
        std::size_t taken = 0;
        const std::string text = refusal({"cut", whole.substr(0, size), ""}, taken);
        CHECK(text.find("offset ") != std::string::npos);
        CHECK(taken <= bound(size));
    }
}

TEST_CASE("what loads stays within the object budget") {
    for (const std::string& octets :
         {"(" + std::string(1'000'000, 'N') + "l.", "](" + std::string(1'000'000, 'N') + "e.",
          "(" + repeated("]\x94", 500'000) + "l.", "(" + repeated("K\1\x85\x94", 500'000) + "t.",
          "}(" + repeated("K\1K\2", 500'000) + "u.",
          pickle("cm\nC\nq\0"
                 "0(") +
              repeated(pickle("h\0(K\1tR\x94"), 100'000) + "l."}) {
        const nq::Stream message(nq::Chunk::borrow(std::as_bytes(std::span(octets))));
        const std::size_t before = used;
        peak = before;
        CHECK_NOTHROW((void)nq::PickleSerializer().load(message));
        CHECK(peak - before <= 64 * octets.size() + (std::size_t{1} << 20));
    }
}
