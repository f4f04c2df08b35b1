// SPDX-License-Identifier: Apache-2.0
// 1,000 clients on one server at once, each exchanging 100 messages: nothing is lost, and
// afterwards descriptors, threads and memory are back where they were.
#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "network.hpp"

namespace nq::api {

namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::size_t k_clients = 60;
constexpr bool k_memory_counts = false;  // a sanitizer's own book-keeping grows
#else
constexpr std::size_t k_clients = 1'000;
constexpr bool k_memory_counts = true;
#endif
constexpr int k_messages = 100;

/// What this process holds.
struct Holdings {
    std::ptrdiff_t descriptors = 0;
    std::ptrdiff_t threads = 0;
    std::ptrdiff_t memory = 0;  ///< octets resident
    std::ptrdiff_t in_use = 0;  ///< octets allocated
};

std::ptrdiff_t count_entries(const char* folder) {
    std::ptrdiff_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
    return count;
}

Holdings take_stock() {
    malloc_trim(0);
    std::ptrdiff_t total = 0;
    std::ptrdiff_t resident = 0;
    std::ifstream("/proc/self/statm") >> total >> resident;
    return {count_entries("/proc/self/fd"), count_entries("/proc/self/task"),
            resident * sysconf(_SC_PAGESIZE),
            static_cast<std::ptrdiff_t>(mallinfo2().uordblks + mallinfo2().hblkhd)};
}

/// A client takes three descriptors on its side and one on the server's.
[[nodiscard]] bool may_open(std::size_t descriptors) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur =
        std::min<rlim_t>(limit.rlim_max, std::max<rlim_t>(limit.rlim_cur, descriptors));
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur >= descriptors;
}

/// All of them come, talk at the same time, and leave.
void gather(Network& network, std::size_t count) {
    auto server = network.server();
    {
        std::vector<TextQueue> clients;
        for (std::size_t i = 0; i < count; ++i) clients.push_back(network.client());
        std::jthread answering([&server, count] {
            for (std::size_t i = 0; i < count * k_messages; ++i) {
                const auto message = server.get_for(k_patience);
                if (!message) return;
                server.put(message->data, message->peer);
            }
        });
        for (int i = 0; i < k_messages; ++i) {
            for (auto& client : clients) client.put(std::to_string(i));
        }
        for (auto& client : clients) {
            for (int i = 0; i < k_messages; ++i) REQUIRE(hear(client) == std::to_string(i));
        }
        CHECK(server.peers().size() == count);
    }
    CHECK(eventually([&server] { return server.peers().empty(); }));
    CHECK((server.try_get().error().code == Errc::would_block));
}

}  // namespace

ON_EVERY_TRANSPORT("1,000 clients at once exchange 100 messages each; then all is as it was") {
    REQUIRE(may_open(4 * k_clients + 100));
    gather(network, 10);  // what is allocated once, is allocated
    const Holdings before = take_stock();
    gather(network, k_clients);
    gather(network, 10);  // a network in memory forgets what is gone when somebody comes
    // A library below may take a moment to let go of a thread.
    CHECK(eventually([&before] {
        const Holdings now = take_stock();
        return now.descriptors <= before.descriptors && now.threads <= before.threads;
    }));
    const Holdings after = take_stock();
    MESSAGE("memory grew by " << (after.memory - before.memory) / 1024 << " KiB, of which "
                              << (after.in_use - before.in_use) / 1024 << " KiB are allocated");
    // How much of it the allocator keeps resident, in pieces, is its own affair.
    if (k_memory_counts) CHECK(after.in_use - before.in_use <= 1 << 20);
}

}  // namespace nq::api
