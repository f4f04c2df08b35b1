// SPDX-License-Identifier: Apache-2.0
#include "bench/run.hpp"

#include <atomic>
#include <cstdio>
#include <future>
#include <set>
#include <thread>

#include <net_queue/net_queue.hpp>

#include "bench/workload.hpp"
#include "endpoint.hpp"
#include "progress.hpp"

namespace nq::tool {

namespace {

using BenchQueue = BasicQueue<StreamSerializer>;
using Clock = std::chrono::steady_clock;

/// What the client says before anything is measured, and the server's answer.
constexpr const char* k_start = "start";

/// One end's part of a run: the messages to move and the queue to move them through.
class Bench {
  public:
    Bench(const BenchOptions& options, BenchQueue& queue, const Workload& workload,
          const Buffer& buffer, std::uint64_t clients, std::atomic<std::uint64_t>& moved)
        : options_(options),
          queue_(queue),
          workload_(workload),
          buffer_(buffer),
          clients_(clients),
          moved_(moved) {}

    Stream start_message() const {
        if (!options_.pickle) return Stream(Chunk(k_start));
        return PickleSerializer{}.dump(Value(k_start));
    }

    /// Puts the workload (a server: to each client) without waiting for anything; the last future.
    Future put_all() {
        Future last;
        for (const std::uint64_t size : workload_.sizes()) last = queue_.put(buffer_.message(size));
        return last;
    }

    /// Gets the workload of every client; each message is gone once it was counted.
    void get_all() {
        const std::uint64_t expected = workload_.count() * clients_;
        while (tally_.count() < expected) {
            Stream message = queue_.get().data;
            const std::uint64_t size = buffer_.size_of(message);
            tally_.add(size);
            moved_.fetch_add(size);
            if (options_.verify) buffer_.require(std::move(message));
        }
        tally_.require(workload_, clients_);
    }

    /// Both directions; returns the seconds they took.
    double measure(bool puts_first) {
        const auto begun = Clock::now();
        if (!options_.sync()) {
            // On a thread of its own, as a program that produces messages would: put never blocks,
            // but to dump and to queue takes its time.
            auto putting = std::async(std::launch::async, [this] { return put_all(); });
            get_all();
            putting.get().get();
        } else if (puts_first) {
            const Future last = put_all();
            get_all();
            last.get();
        } else {
            get_all();
            put_all().get();
        }
        return std::chrono::duration<double>(Clock::now() - begun).count();
    }

  private:
    const BenchOptions& options_;
    BenchQueue& queue_;
    const Workload& workload_;
    const Buffer& buffer_;
    const std::uint64_t clients_;
    std::atomic<std::uint64_t>& moved_;
    Tally tally_;
};

Outcome outcome_of(const char* role, const Workload& workload, std::uint64_t clients,
                   double seconds) {
    return {.role = role,
            .seconds = seconds,
            .messages = workload.count() * clients,
            .octets = workload.octets() * clients,
            .peak_bytes = peak_memory()};
}

/// Runs one client from its start message to its goodbye; returns the seconds measured.
double run_one_client(const BenchOptions& options, const Workload& workload, const Buffer& buffer,
                      std::atomic<std::uint64_t>& moved, Interrupt* interrupt) {
    auto queue = open<StreamSerializer>(parse_protocol(options.protocol), Purpose::client,
                                        options.queue_options(k_default_port));
    std::optional<Interrupt::Scope> scope;
    if (interrupt != nullptr) {
        scope.emplace(*interrupt, [&queue] { (void)queue.close_for(k_goodbye); });
    }
    Bench bench(options, queue, workload, buffer, 1, moved);
    queue.put(bench.start_message()).get();
    (void)queue.get();
    const double seconds = bench.measure(true);
    queue.close();
    return seconds;
}

}  // namespace

Outcome run_bench_server(const BenchOptions& options, Interrupt& interrupt) {
    const Workload workload(options);
    const Buffer buffer(std::size_t{1} << options.max_size, options.pickle);
    auto queue = open<StreamSerializer>(parse_protocol(options.protocol), Purpose::server,
                                        options.queue_options(k_default_port));
    const Interrupt::Scope scope(interrupt, [&queue] { (void)queue.close_for(k_goodbye); });
    announce(options, queue.options().netloc);

    std::atomic<std::uint64_t> moved{0};
    Bench bench(options, queue, workload, buffer, options.clients, moved);
    std::set<Uuid> clients;
    while (clients.size() < options.clients) clients.insert(queue.get().peer);
    const Progress progress("server", workload.octets() * options.clients,
                            [&moved] { return moved.load(); });
    queue.put(bench.start_message());
    const double seconds = bench.measure(false);
    queue.close();
    return outcome_of("server", workload, options.clients, seconds);
}

Outcome run_bench_client(const BenchOptions& options, Interrupt& interrupt) {
    const Workload workload(options);
    const Buffer buffer(std::size_t{1} << options.max_size, options.pickle);
    std::this_thread::sleep_for(std::chrono::duration<double>(options.delay));

    std::atomic<std::uint64_t> moved{0};
    const Progress progress("client", workload.octets() * options.clients,
                            [&moved] { return moved.load(); });
    // Ctrl-C closes the first client; the server, its peer gone, is interrupted with it, or the
    // second Ctrl-C ends the rest.
    std::vector<std::future<double>> running;
    for (unsigned i = 1; i < options.clients; ++i) {
        running.push_back(std::async(std::launch::async, run_one_client, std::cref(options),
                                     std::cref(workload), std::cref(buffer), std::ref(moved),
                                     nullptr));
    }
    double seconds = run_one_client(options, workload, buffer, moved, &interrupt);
    for (auto& client : running) seconds = std::max(seconds, client.get());
    return outcome_of("client", workload, options.clients, seconds);
}

}  // namespace nq::tool
