// SPDX-License-Identifier: Apache-2.0
// What libmosquitto can do: the workload `sync` as QoS 0 payloads of 40 KiB through a broker, a
// bounded window of them under way, each message put together in one buffer.
#include <mosquitto.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "workload.hpp"

namespace {

using nq::bench::Content;
using nq::bench::Ends;
using nq::bench::Outcome;
using nq::bench::ServerProcess;
using nq::bench::Stopwatch;
using nq::bench::Workload;

constexpr std::size_t k_payload = std::size_t{40} << 10;
/// Payloads handed to the library and not yet to the kernel.
constexpr int k_window = 32;

void require(int code, const char* what) {
    if (code != MOSQ_ERR_SUCCESS) {
        throw std::runtime_error(std::string(what) + ": " + mosquitto_strerror(code));
    }
}

/// One end: publishes on one topic, subscribes to the other; the library runs a thread of its own.
class End {
  public:
    End(const Workload& workload, const char* own, const char* other)
        : content_(workload.messages),
          count_(workload.messages.count()),
          message_(workload.messages.largest()),
          topic_(own),
          client_(mosquitto_new(nullptr, true, this)) {
        mosquitto_subscribe_callback_set(
            client_.get(), [](mosquitto*, void* self, int, int, const int*) {
                static_cast<End*>(self)->note([](End& end) { end.subscribed_ = true; });
            });
        mosquitto_publish_callback_set(client_.get(), [](mosquitto*, void* self, int) {
            static_cast<End*>(self)->note([](End& end) { --end.under_way_; });
        });
        mosquitto_message_callback_set(
            client_.get(), [](mosquitto*, void* self, const mosquitto_message* payload) {
                static_cast<End*>(self)->take(*payload);
            });
        require(mosquitto_connect(client_.get(), "127.0.0.1", workload.port, 60), "connect");
        require(mosquitto_loop_start(client_.get()), "loop");
        require(mosquitto_subscribe(client_.get(), nullptr, other, 0), "subscribe");
        wait([this] { return subscribed_; });
    }
    End(const End&) = delete;
    End& operator=(const End&) = delete;
    ~End() {
        mosquitto_disconnect(client_.get());
        mosquitto_loop_stop(client_.get(), false);
    }

    void put_all() {
        const auto octets = content_.octets();
        for (std::uint64_t i = 0; i < count_; ++i) {
            for (std::size_t at = 0; at < octets.size(); at += k_payload) {
                const std::size_t n = std::min(k_payload, octets.size() - at);
                note([](End& end) { ++end.under_way_; });
                require(mosquitto_publish(client_.get(), nullptr, topic_, static_cast<int>(n),
                                          octets.data() + at, 0, false),
                        "publish");
                wait([this] { return under_way_ < k_window; });
            }
        }
        wait([this] { return under_way_ == 0; });
    }
    void get_all() {
        wait([this] { return received_ == count_; });
    }

  private:
    struct Free {
        void operator()(mosquitto* client) const { mosquitto_destroy(client); }
    };

    template <class Change>
    void note(Change change) {
        const std::lock_guard lock(mutex_);
        change(*this);
        changed_.notify_all();
    }
    template <class Condition>
    void wait(Condition condition) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, condition);
    }
    // On the library's thread.
    void take(const mosquitto_message& payload) {
        const auto size = static_cast<std::size_t>(payload.payloadlen);
        if (filled_ + size > message_.size()) throw std::runtime_error("too much");
        std::memcpy(message_.data() + filled_, payload.payload, size);
        filled_ += size;
        if (filled_ < message_.size()) return;
        filled_ = 0;
        content_.touch(message_);
        note([](End& end) { ++end.received_; });
    }

    const Content content_;
    const std::uint64_t count_;
    std::vector<std::byte> message_;
    std::size_t filled_ = 0;
    const char* const topic_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    bool subscribed_ = false;
    int under_way_ = 0;
    std::uint64_t received_ = 0;
    const std::unique_ptr<mosquitto, Free> client_;
};

Ends make_ends(const Workload& workload) {
    if (workload.name != "sync" || workload.messages.sizes().size() != 1)
        throw std::runtime_error("sync of one size only");
    const auto server = [workload](const std::function<void(std::uint16_t)>& listening) {
        mosquitto_lib_init();
        End end(workload, "bench/s2c", "bench/c2s");
        listening(workload.port);
        end.get_all();
        end.put_all();
    };
    const auto client = [workload](const ServerProcess&) -> Outcome {
        mosquitto_lib_init();
        End end(workload, "bench/c2s", "bench/s2c");
        const Stopwatch watch;
        end.put_all();
        end.get_all();
        return {.seconds = watch.seconds()};
    };
    return {server, client};
}

}  // namespace

int main(int argc, char** argv) {
    int major = 0;
    int minor = 0;
    int patch = 0;
    mosquitto_lib_version(&major, &minor, &patch);
    const std::string library = "libmosquitto " + std::to_string(major) + "." +
                                std::to_string(minor) + "." + std::to_string(patch);
    return nq::bench::run_program(argc, argv, library, make_ends);
}
