// SPDX-License-Identifier: Apache-2.0
// The workloads of bare_sockets.cpp through the public API of net-queue.
#include <deque>
#include <net_queue/net_queue.hpp>

#include "workload.hpp"

namespace {

using nq::BytesSerializer;
using nq::Chunk;
using nq::Purpose;
using nq::bench::Content;
using nq::bench::Ends;
using nq::bench::Stopwatch;
using nq::bench::Workload;
using Queue = nq::BasicQueue<BytesSerializer>;

/// Small messages that may be queued before the sender waits for the first of them, and how often
/// it looks: what a program does that must not fill its memory.
constexpr std::uint64_t k_window = 16'384;
constexpr std::uint64_t k_window_step = 1'024;

Queue open_queue(Purpose purpose, std::uint16_t port) {
    nq::Options options;
    options.netloc.port = port;
    return nq::open<BytesSerializer>(nq::Protocol::tcp, purpose, std::move(options));
}

/// The user's own memory: no message is copied on its way out.
Chunk view_of(const Content& content) { return Chunk::borrow(content.octets()); }

void put_all(Queue& queue, const Content& content, std::uint64_t count) {
    const Chunk message = view_of(content);
    std::deque<nq::Future> window;
    for (std::uint64_t i = 0; i < count; ++i) {
        nq::Future future = queue.put(message);
        if (i % k_window_step != 0) continue;
        window.push_back(std::move(future));
        if (window.size() * k_window_step <= k_window) continue;
        window.front().get();
        window.pop_front();
    }
}

void get_all(Queue& queue, const Content& content, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) content.touch(queue.get().data.octets());
}

void run_server(const Workload& workload, Queue& queue) {
    const Content content(workload.size);
    queue.put(queue.get().data);
    if (workload.name == "sync") {
        get_all(queue, content, workload.count);
        put_all(queue, content, workload.count);
    } else if (workload.name == "oneway") {
        get_all(queue, content, workload.count);
        put_all(queue, content, 1);
    } else {
        for (std::uint64_t i = 0; i < workload.count; ++i) {
            get_all(queue, content, 1);
            put_all(queue, content, 1);
        }
    }
    queue.close();
}

double run_client(const Workload& workload, Queue& queue) {
    const Content content(workload.size);
    queue.put("start");
    (void)queue.get();
    const Stopwatch watch;
    if (workload.name == "sync" || workload.name == "oneway") {
        put_all(queue, content, workload.count);
        get_all(queue, content, workload.name == "sync" ? workload.count : 1);
    } else {
        for (std::uint64_t i = 0; i < workload.count; ++i) {
            put_all(queue, content, 1);
            get_all(queue, content, 1);
        }
    }
    const double seconds = watch.seconds();
    queue.close();
    return seconds;
}

Ends make_ends(const Workload& workload) {
    const auto server = [workload](const std::function<void(std::uint16_t)>& listening) {
        Queue queue = open_queue(Purpose::server, 0);
        listening(queue.options().netloc.port);
        run_server(workload, queue);
    };
    const auto client = [workload](std::uint16_t port) {
        Queue queue = open_queue(Purpose::client, port);
        return run_client(workload, queue);
    };
    return {server, client};
}

}  // namespace

int main(int argc, char** argv) {
    return nq::bench::run_program(argc, argv, "The workloads over net-queue", make_ends);
}
