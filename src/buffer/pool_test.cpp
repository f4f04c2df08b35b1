// SPDX-License-Identifier: Apache-2.0
#include "buffer/pool.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "buffer/limits.hpp"

using nq::detail::Buffer;
using nq::detail::BufferPool;
namespace limits = nq::detail::limits;

namespace {

constexpr std::size_t k_kib = 1024;
constexpr std::size_t k_mib = 1024 * k_kib;

/// Set, the next allocation by `new` on this thread fails.
thread_local bool next_allocation_fails = false;

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

/// Of the pages in which the octets lie, those that are in memory.
std::size_t resident_pages(std::byte* begin, std::size_t octets) {
    const std::size_t into_page = reinterpret_cast<std::uintptr_t>(begin) % page_size();
    const std::size_t pages = (into_page + octets + page_size() - 1) / page_size();
    std::vector<unsigned char> resident(pages);
    REQUIRE(mincore(begin - into_page, pages * page_size(), resident.data()) == 0);
    return static_cast<std::size_t>(
        std::ranges::count_if(resident, [](unsigned char page) { return (page & 1) != 0; }));
}

/// Can pages be asked for here, as the pool does? (Not before Linux 5.14, nor larger ones.)
bool pages_can_be_fetched() {
    constexpr std::size_t k_octets = std::size_t{8} * 4096;
    void* const memory =
        mmap(nullptr, k_octets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    const bool fetched = madvise(memory, k_octets, MADV_POPULATE_WRITE) == 0;
    munmap(memory, k_octets);
    return fetched && page_size() == 4096;
}

/// One of them would come as a whole.
void forbid_huge_pages(const Buffer& buffer) {
    const std::size_t into_page = reinterpret_cast<std::uintptr_t>(buffer.data()) % page_size();
    (void)madvise(buffer.data() - into_page, buffer.capacity(), MADV_NOHUGEPAGE);
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
    if (std::exchange(next_allocation_fails, false)) throw std::bad_alloc();
    if (void* const block = std::malloc(size == 0 ? 1 : size)) return block;
    throw std::bad_alloc();
}
// Not inlined: gcc would take the malloc and the free apart and warn of a mismatch.
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }

TEST_CASE("a buffer holds at least what was asked for") {
    CHECK(rc::check("acquire", [] {
        const auto capacity = *rc::gen::inRange<std::size_t>(0, 5 * k_mib);
        const auto pool = BufferPool::create(k_mib);
        const Buffer buffer = pool->acquire(capacity);
        RC_ASSERT(buffer.capacity() >= capacity);
        RC_ASSERT(static_cast<bool>(buffer));
        if (capacity > 0) std::memset(buffer.data(), 1, capacity);
    }));
}

TEST_CASE("the pool never keeps more than its bound") {
    CHECK(rc::check("acquire and drop", [](const std::vector<std::uint16_t>& sizes) {
        const std::size_t bound = *rc::gen::inRange<std::size_t>(0, k_mib);
        const auto pool = BufferPool::create(bound);
        std::vector<Buffer> held;
        for (const std::size_t size : sizes) {
            held.push_back(pool->acquire(size * 64));
            if (size % 3 == 0) held.clear();
            RC_ASSERT(pool->retained_bytes() <= bound);
        }
        held.clear();
        RC_ASSERT(pool->retained_bytes() <= bound);
        pool->trim();
        RC_ASSERT(pool->retained_bytes() == 0U);
    }));
}

TEST_CASE("the pages of a fresh block come a run at a time, ahead of what is written") {
    malloc_trim(0);  // so that the block is the system's
    const auto pool = BufferPool::create(0, 64 * k_mib);
    {
        Buffer buffer = pool->acquire(32 * k_mib);
        forbid_huge_pages(buffer);
        const std::size_t untouched = 16 * k_mib;
        if (!pages_can_be_fetched()) {
            CHECK(buffer.ready(untouched) == buffer.capacity());
            return;
        }
        REQUIRE(resident_pages(buffer.data() + untouched, 4 * k_mib) == 0);
        const std::size_t end = buffer.ready(untouched);
        CHECK(end == untouched + limits::k_page_run);
        // At each border there may be one more.
        const std::size_t fetched = resident_pages(buffer.data() + untouched, 4 * k_mib);
        CHECK(fetched >= limits::k_page_run / page_size());
        CHECK(fetched <= limits::k_page_run / page_size() + 1);
        CHECK(buffer.ready(untouched + 1'000) == end);                 // there is enough
        CHECK(buffer.ready(end - 1) == end - 1 + limits::k_page_run);  // but not that little

        std::size_t at = untouched;
        while (at < buffer.capacity()) at = buffer.ready(at);
        CHECK(at == buffer.capacity());
        CHECK(resident_pages(buffer.data() + untouched, 16 * k_mib) >=
              16 * k_mib / page_size() - 1);
    }
    Buffer kept = pool->acquire(32 * k_mib);
    CHECK(kept.ready(0) == kept.capacity());
}

TEST_CASE("what is fetched of a fresh block is as much as was written, at first") {
    const auto pool = BufferPool::create(0);
    Buffer buffer = pool->acquire(8 * k_mib);
    forbid_huge_pages(buffer);
    if (!pages_can_be_fetched()) return;  // see above
    CHECK(buffer.ready(0) == limits::k_page_run_least);
    CHECK(buffer.ready(60'000) == 120'000);
    CHECK(buffer.ready(8 * k_mib - 10) == 8 * k_mib);

    Buffer moved = std::move(buffer);
    CHECK(moved.ready(8 * k_mib - 10) == 8 * k_mib);  // it knows
    moved.grow(16 * k_mib);
    CHECK(moved.ready(8 * k_mib) == 8 * k_mib + limits::k_page_run);  // fresh ones again
    moved = pool->acquire(8 * k_mib);
    CHECK(moved.ready(8 * k_mib - 20) == 8 * k_mib);
    Buffer small = pool->acquire(limits::k_page_run);
    CHECK(small.ready(0) == small.capacity());
}

TEST_CASE("a block that grows into one that was kept is ready as a whole") {
    const auto pool = BufferPool::create(0, 64 * k_mib);
    { const Buffer kept = pool->acquire(32 * k_mib); }
    Buffer buffer = pool->acquire(6 * k_mib);
    buffer.grow(12 * k_mib, 32 * k_mib);
    REQUIRE(buffer.capacity() == 32 * k_mib);
    CHECK(buffer.ready(6 * k_mib) == 32 * k_mib);
}

TEST_CASE("a dropped block is the next one's memory") {
    const auto pool = BufferPool::create(k_mib);
    const std::byte* const block = pool->acquire(100 * k_kib).data();
    CHECK(pool->retained_bytes() == 128 * k_kib);
    CHECK(pool->acquire(65 * k_kib).data() == block);
}

TEST_CASE("blocks above 4 MiB are not kept") {
    const auto pool = BufferPool::create(100 * k_mib);
    { const Buffer buffer = pool->acquire(4 * k_mib + 1); }
    CHECK(pool->retained_bytes() == 0);
    { const Buffer buffer = pool->acquire(4 * k_mib); }
    CHECK(pool->retained_bytes() == 4 * k_mib);
}

TEST_CASE("blocks above 4 MiB are kept up to a bound of their own, for messages of their size") {
    const auto pool = BufferPool::create(0, 64 * k_mib);
    const std::byte* const block = pool->acquire(20 * k_mib).data();
    CHECK(pool->retained_bytes() == 20 * k_mib);
    CHECK(pool->acquire(21 * k_mib).data() != block);  // too small
    CHECK(pool->acquire(5 * k_mib).data() != block);   // a waste
    CHECK(pool->retained_bytes() == 46 * k_mib);
    CHECK(pool->acquire(17 * k_mib).data() == block);
    { const Buffer buffer = pool->acquire(40 * k_mib); }  // the longest kept makes room
    CHECK(pool->retained_bytes() == 60 * k_mib);
    CHECK(pool->acquire(20 * k_mib).data() == block);
    pool->trim();
    CHECK(pool->retained_bytes() == 0);
}

TEST_CASE("of a block beyond the bound its beginning is kept") {
    const auto pool = BufferPool::create(0, 64 * k_mib);
    {
        Buffer buffer = pool->acquire(100 * k_mib);
        std::memset(buffer.data(), 7, 64 * k_mib);
    }
    CHECK(pool->retained_bytes() == 64 * k_mib);
    const Buffer next = pool->acquire(60 * k_mib);
    CHECK(next.capacity() == 64 * k_mib);
    CHECK(next.data()[64 * k_mib - 1] == std::byte{7});
    CHECK(pool->retained_bytes() == 0);
}

TEST_CASE("large blocks grow old") {
    const auto pool = BufferPool::create(0, 64 * k_mib);
    CHECK_FALSE(pool->age());
    {
        const Buffer kept = pool->acquire(8 * k_mib);
        CHECK(pool->age());
    }
    CHECK(pool->age());
    { const Buffer kept = pool->acquire(20 * k_mib); }
    CHECK(pool->retained_bytes() == 28 * k_mib);
    CHECK(pool->age());
    CHECK(pool->retained_bytes() == 20 * k_mib);
    CHECK_FALSE(pool->age());
    CHECK(pool->retained_bytes() == 0);
}

TEST_CASE("a block that grows large is counted once, whatever becomes of it") {
    const auto pool = BufferPool::create(0, 64 * k_mib);
    {
        Buffer buffer = pool->acquire(4 * k_mib);
        CHECK_FALSE(pool->age());
        buffer.grow(8 * k_mib);
        buffer.grow(16 * k_mib);
        CHECK(pool->age());
    }
    CHECK(pool->age());
    CHECK_FALSE(pool->age());
}

TEST_CASE("a block grows into one that was kept, with its octets") {
    const auto pool = BufferPool::create(0, 64 * k_mib);
    const std::byte* const block = pool->acquire(20 * k_mib).data();
    Buffer buffer = pool->acquire(4 * k_mib);
    std::memset(buffer.data(), 7, 4 * k_mib);
    buffer.grow(8 * k_mib, 19 * k_mib);
    CHECK(buffer.data() == block);
    CHECK(buffer.capacity() == 20 * k_mib);
    CHECK(buffer.data()[0] == std::byte{7});
    CHECK(buffer.data()[4 * k_mib - 1] == std::byte{7});
    std::memset(buffer.data(), 8, buffer.capacity());
}

TEST_CASE("a block grows into the largest kept one that is not too large, and on from there") {
    const auto pool = BufferPool::create(0, 256 * k_mib);
    {
        const Buffer small = pool->acquire(10 * k_mib), large = pool->acquire(30 * k_mib),
                     too_large = pool->acquire(126 * k_mib);
    }
    Buffer buffer = pool->acquire(4 * k_mib);
    std::memset(buffer.data(), 7, 4 * k_mib);
    buffer.grow(8 * k_mib, 100 * k_mib);
    CHECK(buffer.capacity() == 30 * k_mib);
    CHECK(buffer.data()[4 * k_mib - 1] == std::byte{7});
    std::memset(buffer.data(), 8, buffer.capacity());
    buffer.grow(60 * k_mib, 100 * k_mib);
    CHECK(buffer.capacity() == 60 * k_mib);
    CHECK(buffer.data()[30 * k_mib - 1] == std::byte{8});
    CHECK(pool->retained_bytes() == 136 * k_mib);
    buffer = Buffer();
    CHECK(pool->retained_bytes() == 196 * k_mib);
}

TEST_CASE("growing keeps the octets and a grown block keeps to the bound") {
    const auto pool = BufferPool::create(k_mib);
    {
        Buffer buffer = pool->acquire(4 * k_kib);
        std::memset(buffer.data(), 7, 4 * k_kib);
        buffer.grow(3 * k_mib + 1);
        CHECK(buffer.capacity() == 3 * k_mib + 1);
        CHECK(buffer.data()[4 * k_kib - 1] == std::byte{7});
        buffer.grow(1);
        CHECK(buffer.capacity() == 3 * k_mib + 1);
    }
    CHECK(pool->retained_bytes() == 0);
}

TEST_CASE("a moved buffer has one owner") {
    const auto pool = BufferPool::create(k_mib);
    Buffer first = pool->acquire(4 * k_kib);
    Buffer second = pool->acquire(4 * k_kib);
    const std::byte* const data = first.data();
    second = std::move(first);
    CHECK(pool->retained_bytes() == 4 * k_kib);
    CHECK_FALSE(static_cast<bool>(first));
    CHECK(second.data() == data);
}

TEST_CASE("shared memory goes back when the last share goes, even after the pool's user left") {
    auto pool = BufferPool::create(k_mib);
    const std::weak_ptr<BufferPool> watched = pool;
    std::shared_ptr<std::byte> share = pool->acquire(4 * k_kib).share();
    std::shared_ptr<std::byte> second = share;
    share.reset();
    CHECK(pool->retained_bytes() == 0);
    pool.reset();
    REQUIRE_FALSE(watched.expired());
    second.reset();
    CHECK(watched.expired());
}

TEST_CASE("a pool whose user has left keeps nothing") {
    const auto pool = BufferPool::create(k_mib, 64 * k_mib);
    std::shared_ptr<std::byte> small = pool->acquire(64 * k_kib).share();
    std::shared_ptr<std::byte> large = pool->acquire(8 * k_mib).share();
    (void)pool->acquire(4 * k_kib);
    (void)pool->acquire(16 * k_mib);
    CHECK(pool->retained_bytes() == 4 * k_kib + 16 * k_mib);
    pool->retire();
    CHECK(pool->retained_bytes() == 0);
    small.reset();
    large.reset();
    CHECK(pool->retained_bytes() == 0);
}

TEST_CASE("a share that finds no memory gives the block back once") {
    const auto pool = BufferPool::create(k_mib);
    {
        Buffer buffer = pool->acquire(4 * k_kib);
        (void)pool->acquire(4 * k_kib);  // room for the note of an idle block
        next_allocation_fails = true;
        CHECK_THROWS_AS((void)std::move(buffer).share(), std::bad_alloc);
    }
    CHECK(pool->retained_bytes() == 8 * k_kib);
}

TEST_CASE("threads share a pool") {
    const auto pool = BufferPool::create(64 * k_kib);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&pool, i] {
            for (int turn = 0; turn < 500; ++turn) {
                Buffer buffer = pool->acquire(4 * k_kib << (turn % 3));
                std::memset(buffer.data(), i, buffer.capacity());
                if (turn % 2 == 0) (void)std::move(buffer).share();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(pool->retained_bytes() <= 64 * k_kib);
}
