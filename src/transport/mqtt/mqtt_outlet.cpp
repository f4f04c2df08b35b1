// SPDX-License-Identifier: Apache-2.0
#include "transport/mqtt/mqtt_outlet.hpp"

#include <algorithm>
#include <cassert>

#include "transport/mqtt/mqtt_connection.hpp"

namespace nq::detail {

MqttOutlet::MqttOutlet(std::shared_ptr<Connection> beneath, std::size_t payload_size)
    : beneath_(std::move(beneath)), payload_size_(std::min(payload_size, mqtt::k_payload_max)) {}

Result<MqttOutlet::Outcome> MqttOutlet::send(const std::shared_ptr<MqttConnection>& sender,
                                             const mqtt::Topic& topic,
                                             std::span<const Chunk> chunks) {
    std::size_t left = 0;
    for (const Chunk& chunk : chunks) left += chunk.size();
    Outcome out;
    if (left == 0) return out;
    const std::lock_guard lock(mutex_);
    if (sender->closed()) return out;  // forget was here, or will be
    if (const auto flushed = flush(); !flushed) return flushed.error();
    Octets octets{chunks};
    while (left > 0) {
        if (packet_left_ > 0) {
            wait(sender);
            break;
        }
        if (!waiting_.empty() && favoured_ != sender) {
            wait(sender);
            out.poll = true;  // nothing is under way, so no edge will come
            break;
        }
        favoured_.reset();
        const std::size_t n = std::min(left, payload_size_);
        begin_publish(topic, octets, n);
        left -= n;
        out.sent.taken += n;
        out.sent.released += n;
        owner_ = sender;
        if (const auto flushed = flush(); !flushed) return flushed.error();
        if (packet_left_ > 0) {
            owed_ = std::min(n, packet_left_);
            out.sent.released -= owed_;
        }
    }
    out.poll = out.poll || !released_.empty();
    return out;
}

bool MqttOutlet::send_control(Chunk packet) {
    const std::lock_guard lock(mutex_);
    control_.push_back(std::move(packet));
    (void)flush();  // a failure is told by the connection beneath
    // What was under way may be done now, before the edge that its sender waits for: none comes.
    return packet_left_ == 0 && (!waiting_.empty() || !released_.empty());
}

MqttOutlet::Turn MqttOutlet::poll() {
    Turn turn;
    const std::lock_guard lock(mutex_);
    favoured_.reset();
    const bool works = flush().has_value();
    turn.released = std::exchange(released_, {});
    if (!works || packet_left_ > 0 || waiting_.empty()) return turn;
    turn.next = std::move(waiting_.front());
    waiting_.pop_front();
    turn.next->waits_to_send = false;
    favoured_ = turn.next;
    return turn;
}

void MqttOutlet::forget(const std::shared_ptr<MqttConnection>& sender) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(sender->waits_to_send, false)) std::erase(waiting_, sender);
    std::erase_if(released_, [&sender](const auto& each) { return each.first == sender; });
    if (favoured_ == sender) favoured_.reset();
    if (owner_ != sender) return;
    owner_.reset();
    owed_ = 0;
}

bool MqttOutlet::idle() const {
    const std::lock_guard lock(mutex_);
    return packet_left_ == 0 && control_.empty();
}

// Sends what is under way, then what waits without payload. Packets are begun only when it is done.
Result<void> MqttOutlet::flush() {
    for (;;) {
        if (packet_left_ == 0) {
            if (control_.empty()) return {};
            packet_.assign(1, std::move(control_.front()));
            control_.pop_front();
            packet_next_ = 0;
            packet_left_ = packet_.front().size();
        }
        const auto sent = beneath_->send(std::span(packet_).subspan(packet_next_));
        if (!sent) return sent.error();
        assert(sent->released == sent->taken);
        packet_left_ -= sent->taken;
        std::size_t taken = sent->taken;
        while (taken > 0) {
            Chunk& front = packet_[packet_next_];
            const std::size_t n = std::min(taken, front.size());
            front.remove_prefix(n);
            taken -= n;
            if (front.empty()) ++packet_next_;
        }
        if (packet_left_ > 0) return {};  // an edge follows, and leads to poll
        packet_.clear();
        packet_next_ = 0;
        const auto owner = std::exchange(owner_, nullptr);
        if (const std::size_t owed = std::exchange(owed_, 0); owed > 0) {
            released_.emplace_back(owner, owed);
        }
    }
}

// Makes a packet of the first n octets, and takes them off.
void MqttOutlet::begin_publish(const mqtt::Topic& topic, Octets& octets, std::size_t n) {
    header_ = mqtt::encode_publish(topic, n);
    packet_.emplace_back(header_.octets(), nullptr);
    packet_left_ = header_.size + n;
    while (n > 0) {
        const Chunk& chunk = octets.chunks.front();
        const std::size_t part = std::min(n, chunk.size() - octets.used);
        if (part > 0) packet_.push_back(chunk.slice(octets.used, part));
        n -= part;
        octets.used += part;
        if (octets.used < chunk.size()) continue;
        octets.chunks = octets.chunks.subspan(1);
        octets.used = 0;
    }
}

void MqttOutlet::wait(const std::shared_ptr<MqttConnection>& sender) {
    if (std::exchange(sender->waits_to_send, true)) return;
    waiting_.push_back(sender);
}

}  // namespace nq::detail
