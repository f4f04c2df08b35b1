// SPDX-License-Identifier: Apache-2.0
// The workloads through the public API of net-queue.
#include <chrono>
#include <deque>
#include <filesystem>
#include <net_queue/net_queue.hpp>
#include <net_queue/version.hpp>

#include "star.hpp"

namespace {

using nq::BytesSerializer;
using nq::Chunk;
using nq::Purpose;
using nq::bench::Content;
using nq::bench::End;
using nq::bench::Ends;
using nq::bench::Messages;
using nq::bench::Outcome;
using nq::bench::ServerProcess;
using nq::bench::Workload;
using Queue = nq::BasicQueue<BytesSerializer>;

/// Messages that may be queued before the sender waits for the first of them, and how often it
/// looks: what a program does that must not fill its memory.
constexpr std::uint64_t k_window = 16'384;
constexpr std::uint64_t k_window_step = 1'024;

nq::Protocol protocol_of(const Workload& workload) {
    for (const nq::Protocol protocol : {nq::Protocol::mqtt, nq::Protocol::grpc}) {
        if (workload.protocol == nq::to_string(protocol)) return protocol;
    }
    return nq::Protocol::tcp;
}

Queue open_queue(const Workload& workload, Purpose purpose, std::uint16_t port) {
    nq::Options options;
    options.netloc.port = port;
    if (workload.busy_poll) options.busy_poll = std::chrono::microseconds(*workload.busy_poll);
    // Nothing is held back on MQTT: what is beyond the bound would be dropped.
    if (workload.protocol == "mqtt") options.connection.receive_bytes = std::size_t{1} << 40;
    if (!workload.authority.empty()) {
        const std::filesystem::path folder = workload.authority;
        const bool server = purpose == Purpose::server;
        options.security.emplace();
        options.security->key = server ? folder / "server.key" : "";
        options.security->certificate = folder / (server ? "server.pem" : "authority.pem");
    }
    return nq::open<BytesSerializer>(protocol_of(workload), purpose, std::move(options));
}

/// A server's puts go to each of its clients.
class QueueEnd final : public End {
  public:
    QueueEnd(Queue& queue, const Content& content)
        : queue_(queue), content_(content), octets_(Chunk::borrow(content.octets())) {}

    /// The user's own memory: no message is copied on its way out.
    void put(const Messages& messages) override {
        std::deque<nq::Future> window;
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            nq::Future future = queue_.put(octets_.slice(0, messages.size(i)));
            if (i % k_window_step != 0) continue;
            window.push_back(std::move(future));
            if (window.size() * k_window_step <= k_window) continue;
            window.front().get();
            window.pop_front();
        }
    }
    void get(const Messages& messages) override {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            content_.touch(queue_.get().data.octets());
        }
    }

  private:
    Queue& queue_;
    const Content& content_;
    const Chunk octets_;
};

void serve_star(const Workload& workload, End& end) {
    const Messages& messages = workload.messages;
    const Messages word = messages.word();
    if (workload.name == "fanin") {
        end.get({messages.size(0), messages.count() * workload.clients});
        end.put(word);
    } else {
        end.get(word);
        if (workload.name == "fanout") end.put(messages);
    }
}

Ends make_ends(const Workload& workload) {
    const auto server = [workload](const std::function<void(std::uint16_t)>& listening) {
        Queue queue = open_queue(workload, Purpose::server, workload.port);
        listening(queue.options().netloc.port);
        const Content content(workload.messages);
        QueueEnd end(queue, content);
        if (workload.is_star()) {
            serve_star(workload, end);
        } else {
            serve(workload, end);
        }
        queue.close();
    };
    const auto client = [workload](const ServerProcess& process) -> Outcome {
        if (workload.is_star()) return run_star_clients(workload, process);
        Queue queue = open_queue(workload, Purpose::client, process.port);
        const Content content(workload.messages);
        QueueEnd end(queue, content);
        const double seconds = measure(workload, end);
        queue.close();
        return {.seconds = seconds};
    };
    return {server, client};
}

}  // namespace

int main(int argc, char** argv) {
    return nq::bench::run_program(argc, argv, "net-queue " + std::string(nq::k_version), make_ends);
}
