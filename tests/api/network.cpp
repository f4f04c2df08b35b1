// SPDX-License-Identifier: Apache-2.0
#include "network.hpp"

#include <algorithm>
#include <utility>

#include "communicator/transports.hpp"
#include "testing/authority.hpp"
#ifdef NQ_WITH_MQTT
#include "testing/broker.hpp"
#else
class nq::testing::Broker {};
#endif

namespace nq::api {

namespace {

Protocol protocol_of(Wire wire) {
    switch (wire) {
        case Wire::grpc: return Protocol::grpc;
        case Wire::mqtt: return Protocol::mqtt;
        default: return Protocol::tcp;
    }
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
    // A pause that nobody ends: what is waited for has no event of its own.
    std::mutex mutex;
    std::condition_variable pause;
    std::unique_lock lock(mutex);
    const auto deadline = std::chrono::steady_clock::now() + k_patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        pause.wait_for(lock, std::chrono::microseconds(200));
    }
    return true;
}

Network::Network(Wire wire_of)
    : wire(wire_of), location{"127.0.0.1", 0}, memory_(detail::MemoryNetwork::create()) {
#ifdef NQ_WITH_MQTT
    if (wire != Wire::mqtt) return;
    broker_ = std::make_unique<testing::Broker>();
    location = broker_->location();
#endif
}

Network::~Network() = default;

Tap& Network::tap() {
    if (tap_ == nullptr) tap_ = std::make_shared<Tap>();
    return *tap_;
}

NetworkLocation Network::place_for_a_server() {
#ifdef NQ_WITH_MQTT
    if (broker_ != nullptr) return broker_->location();
#endif
    return {"127.0.0.1", 0};
}

Communicator Network::open(Purpose purpose, Options options) {
    if (wire == Wire::tls && !options.security) {
        const auto& files = testing::Authority::shared();
        options.security = purpose == Purpose::server ? files.server() : files.client();
    }
    if (tap_ == nullptr && wire != Wire::memory) {
        return Communicator(protocol_of(wire), purpose, std::move(options));
    }
    if (!options.id) options.id = Uuid::random();  // as Communicator does, for make_transport
    std::shared_ptr<detail::Transport> transport =
        wire == Wire::memory ? detail::make_memory_transport(memory_)
                             : detail::make_transport(protocol_of(wire), purpose, options);
    if (tap_ != nullptr) transport = tap_->over(std::move(transport));
    return Communicator(std::move(transport), purpose, std::move(options));
}

void Network::leave_empty() {
#ifdef NQ_WITH_MQTT
    if (broker_ != nullptr) return broker_->stop();
#endif
    // A server that was there a moment ago left its port free.
    (void)server();
}

void Diary::note(const std::string& line) const {
    const std::lock_guard lock(state_->mutex);
    state_->lines.push_back(line);
    state_->changed.notify_all();
}

bool Diary::tells(std::string_view text, int times) const {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, k_patience,
                                    [this, text, times] { return count_locked(text) >= times; });
}

int Diary::count(std::string_view text) const {
    const std::lock_guard lock(state_->mutex);
    return count_locked(text);
}

int Diary::count_locked(std::string_view text) const {
    return static_cast<int>(std::count_if(
        state_->lines.begin(), state_->lines.end(),
        [text](const std::string& line) { return line.find(text) != std::string::npos; }));
}

std::vector<std::string> Diary::lines() const {
    const std::lock_guard lock(state_->mutex);
    return state_->lines;
}

LogHook Diary::log() const {
    return [self = *this](LogLevel level, std::string_view, std::string_view text) {
        constexpr const char* k_names[] = {"debug ", "info ", "warning ", "error "};
        self.note(k_names[static_cast<int>(level)] + std::string(text));
    };
}

EventOptions Diary::events() const {
    return {.ini = [self = *this](const Uuid& peer) { self.note("ini " + peer.to_string()); },
            .fin = [self = *this](const Uuid& peer) { self.note("fin " + peer.to_string()); }};
}

std::string pattern(std::size_t size, unsigned seed) {
    std::string text(size, '\0');
    unsigned state = seed;
    for (char& octet : text) {
        state = state * 1664525U + 1013904223U;  // Numerical Recipes' generator
        octet = static_cast<char>(state >> 24);
    }
    return text;
}

}  // namespace nq::api
