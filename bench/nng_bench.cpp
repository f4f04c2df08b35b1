// SPDX-License-Identifier: Apache-2.0
// The workloads of two processes over nng's pair.
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
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
using nq::bench::Workload;

/// What may be queued on either side: so many messages, the most that nng allows, and octets.
constexpr std::size_t k_queued = 8192;
constexpr std::size_t k_queued_octets = std::size_t{64} << 20;

void require(int code, const char* what) {
    if (code != 0) throw std::runtime_error(std::string(what) + ": " + nng_strerror(code));
}

class PairEnd final : public End {
  public:
    explicit PairEnd(const Content& content) : content_(content) {
        const auto queued = static_cast<int>(
            std::clamp<std::size_t>(k_queued_octets / content.octets().size(), 1, k_queued));
        require(nng_pair0_open(&socket_), "open");
        require(nng_socket_set_size(socket_, NNG_OPT_RECVMAXSZ, 0), "size");
        require(nng_socket_set_bool(socket_, NNG_OPT_TCP_NODELAY, true), "nodelay");
        require(nng_socket_set_int(socket_, NNG_OPT_SENDBUF, queued), "queue");
        require(nng_socket_set_int(socket_, NNG_OPT_RECVBUF, queued), "queue");
        const auto leave = [](nng_pipe, nng_pipe_ev, void* self) {
            static_cast<PairEnd*>(self)->note_left();
        };
        require(nng_pipe_notify(socket_, NNG_PIPE_EV_REM_POST, leave, this), "notify");
    }
    PairEnd(const PairEnd&) = delete;
    PairEnd& operator=(const PairEnd&) = delete;
    ~PairEnd() override { nng_close(socket_); }

    std::uint16_t listen() {
        nng_listener listener;
        require(nng_listen(socket_, "tcp://127.0.0.1:0", &listener, 0), "listen");
        int port = 0;
        require(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port), "port");
        return static_cast<std::uint16_t>(port);
    }
    void connect(std::uint16_t port) {
        const std::string url = "tcp://127.0.0.1:" + std::to_string(port);
        require(nng_dial(socket_, url.c_str(), nullptr, 0), "dial");
    }
    /// A message is nng's own memory: each is a copy.
    void put(const Messages& messages) override {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            const auto octets = content_.octets(messages.size(i));
            nng_msg* message = nullptr;
            require(nng_msg_alloc(&message, octets.size()), "allocate");
            std::memcpy(nng_msg_body(message), octets.data(), octets.size());
            require(nng_sendmsg(socket_, message, 0), "send");
        }
    }
    void get(const Messages& messages) override {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            nng_msg* message = nullptr;
            require(nng_recvmsg(socket_, &message, 0), "receive");
            content_.touch(
                {static_cast<const std::byte*>(nng_msg_body(message)), nng_msg_len(message)});
            nng_msg_free(message);
        }
    }
    /// Until the peer leaves: what is queued goes out meanwhile.
    void wait_for_end() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return left_; });
    }

  private:
    void note_left() {
        const std::lock_guard lock(mutex_);
        left_ = true;
        changed_.notify_all();
    }

    nng_socket socket_{};
    const Content& content_;
    std::mutex mutex_;  // guards left_
    std::condition_variable changed_;
    bool left_ = false;
};

Ends make_ends(const Workload& workload) {
    if (workload.is_star()) throw std::runtime_error("between two processes only");
    const auto server = [workload](const std::function<void(std::uint16_t)>& listening) {
        const Content content(workload.messages);
        PairEnd end(content);
        listening(end.listen());
        serve(workload, end);
        end.wait_for_end();
    };
    const auto client = [workload](const ServerProcess& process) -> Outcome {
        const Content content(workload.messages);
        PairEnd end(content);
        end.connect(process.port);
        return {.seconds = measure(workload, end)};
    };
    return {server, client};
}

}  // namespace

int main(int argc, char** argv) {
    return nq::bench::run_program(argc, argv, std::string("nng ") + nng_version(), make_ends);
}
