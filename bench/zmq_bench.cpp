// SPDX-License-Identifier: Apache-2.0
// The workloads over libzmq: a PAIR between two processes, ROUTER and DEALERs for a star; one I/O
// thread, no high-water marks, messages that are large are sent from where they lie.
#include <zmq.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "workload.hpp"

namespace {

using nq::bench::Content;
using nq::bench::End;
using nq::bench::Ends;
using nq::bench::Messages;
using nq::bench::Outcome;
using nq::bench::ServerProcess;
using nq::bench::Stopwatch;
using nq::bench::Workload;

/// From this size on libzmq is given the memory, not a copy.
constexpr std::size_t k_large = std::size_t{64} << 10;

void require(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(std::string(what) + ": " + zmq_strerror(zmq_errno()));
}

struct Terminate {
    void operator()(void* context) const { zmq_ctx_term(context); }
};
using Context = std::unique_ptr<void, Terminate>;

struct Close {
    void operator()(void* socket) const { zmq_close(socket); }
};
using Socket = std::unique_ptr<void, Close>;

Socket open_socket(const Context& context, int type) {
    Socket socket(zmq_socket(context.get(), type));
    require(socket != nullptr, "socket");
    const int unbounded = 0;
    zmq_setsockopt(socket.get(), ZMQ_SNDHWM, &unbounded, sizeof unbounded);
    zmq_setsockopt(socket.get(), ZMQ_RCVHWM, &unbounded, sizeof unbounded);
    return socket;
}

std::uint16_t bind_to_any_port(const Socket& socket) {
    require(zmq_bind(socket.get(), "tcp://127.0.0.1:*") == 0, "bind");
    std::string endpoint(256, '\0');
    std::size_t length = endpoint.size();
    require(zmq_getsockopt(socket.get(), ZMQ_LAST_ENDPOINT, endpoint.data(), &length) == 0,
            "endpoint");
    return static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
}

void connect_to(const Socket& socket, std::uint16_t port) {
    const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(port);
    require(zmq_connect(socket.get(), endpoint.c_str()) == 0, "connect");
}

void send(const Socket& socket, std::span<const std::byte> octets) {
    zmq_msg_t message;
    if (octets.size() < k_large) {
        require(zmq_send(socket.get(), octets.data(), octets.size(), 0) >= 0, "send");
        return;
    }
    auto* const memory = const_cast<std::byte*>(octets.data());  // sent, not written to
    zmq_msg_init_data(
        &message, memory, octets.size(), [](void*, void*) {}, nullptr);
    require(zmq_msg_send(&message, socket.get(), 0) >= 0, "send");
}

void receive(const Socket& socket, const Content& content) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    require(zmq_msg_recv(&message, socket.get(), 0) >= 0, "receive");
    const auto* const data = static_cast<const std::byte*>(zmq_msg_data(&message));
    content.touch({data, zmq_msg_size(&message)});
    zmq_msg_close(&message);
}

class PairEnd final : public End {
  public:
    PairEnd(const Socket& socket, const Content& content) : socket_(socket), content_(content) {}

    void put(const Messages& messages) override {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            send(socket_, content_.octets(messages.size(i)));
        }
    }
    void get(const Messages& messages) override {
        for (std::uint64_t i = 0; i < messages.count(); ++i) receive(socket_, content_);
    }
    /// A socket belongs to one thread; what was put goes out behind its back.
    void put_and_get(const Messages& messages) override {
        put(messages);
        get(messages);
    }

  private:
    const Socket& socket_;
    const Content& content_;
};

/// A ROUTER names a message's peer in a part before it.
struct PeerName {
    std::array<std::byte, 256> octets{};
    std::size_t size = 0;
};

PeerName receive_name(const Socket& router) {
    PeerName name;
    const int size = zmq_recv(router.get(), name.octets.data(), name.octets.size(), 0);
    require(size >= 0, "receive");
    name.size = static_cast<std::size_t>(size);
    return name;
}

void send_to(const Socket& router, const PeerName& name, std::span<const std::byte> octets) {
    require(zmq_send(router.get(), name.octets.data(), name.size, ZMQ_SNDMORE) >= 0, "send");
    send(router, octets);
}

void serve_star(const Workload& workload, const Socket& router, const Content& content) {
    const Messages& messages = workload.messages;
    std::vector<PeerName> clients;
    const auto send_to_all = [&] {
        for (const PeerName& client : clients) send_to(router, client, content.octets());
    };
    while (clients.size() < workload.clients) {
        clients.push_back(receive_name(router));
        receive(router, content);
    }
    send_to_all();  // all are there
    if (workload.name == "fanout") {
        (void)receive_name(router);
        receive(router, content);
        for (std::uint64_t i = 0; i < messages.count(); ++i) send_to_all();
    } else {
        for (std::uint64_t left = messages.count() * workload.clients; left > 0; --left) {
            (void)receive_name(router);
            receive(router, content);
        }
        send_to_all();
    }
}

/// Each takes so many.
void receive_all(const std::vector<Socket>& clients, std::uint64_t count, const Content& content) {
    std::vector<zmq_pollitem_t> items;
    for (const Socket& client : clients) items.push_back({client.get(), 0, ZMQ_POLLIN, 0});
    for (std::uint64_t left = count * clients.size(); left > 0;) {
        require(zmq_poll(items.data(), static_cast<int>(items.size()), -1) >= 0, "poll");
        for (std::size_t i = 0; i < clients.size(); ++i) {
            if ((items[i].revents & ZMQ_POLLIN) == 0) continue;
            receive(clients[i], content);
            --left;
        }
    }
}

double run_star(const Workload& workload, const Context& context, std::uint16_t port) {
    const Messages& messages = workload.messages;
    const Content content(messages);
    std::vector<Socket> clients;
    for (std::size_t i = 0; i < workload.clients; ++i) {
        clients.push_back(open_socket(context, ZMQ_DEALER));
        connect_to(clients.back(), port);
        send(clients.back(), content.octets());
    }
    receive_all(clients, 1, content);
    const Stopwatch watch;
    if (workload.name == "fanout") {
        send(clients.front(), content.octets());
        receive_all(clients, messages.count(), content);
    } else {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            for (const Socket& client : clients) send(client, content.octets());
        }
        receive_all(clients, 1, content);
    }
    return watch.seconds();
}

Ends make_ends(const Workload& workload) {
    if (workload.name == "idle") throw std::runtime_error("not the workload idle");
    const auto server = [workload](const std::function<void(std::uint16_t)>& listening) {
        const Content content(workload.messages);  // outlives the messages under way
        const Context context(zmq_ctx_new());
        const Socket socket = open_socket(context, workload.is_star() ? ZMQ_ROUTER : ZMQ_PAIR);
        listening(bind_to_any_port(socket));
        if (workload.is_star()) return serve_star(workload, socket, content);
        PairEnd end(socket, content);
        serve(workload, end);
    };
    const auto client = [workload](const ServerProcess& process) -> Outcome {
        const Content content(workload.messages);
        const Context context(zmq_ctx_new());
        if (workload.is_star()) return {.seconds = run_star(workload, context, process.port)};
        const Socket socket = open_socket(context, ZMQ_PAIR);
        connect_to(socket, process.port);
        PairEnd end(socket, content);
        return {.seconds = measure(workload, end)};
    };
    return {server, client};
}

}  // namespace

int main(int argc, char** argv) {
    int major = 0;
    int minor = 0;
    int patch = 0;
    zmq_version(&major, &minor, &patch);
    const std::string library = "libzmq " + std::to_string(major) + "." + std::to_string(minor) +
                                "." + std::to_string(patch);
    return nq::bench::run_program(argc, argv, library, make_ends);
}
