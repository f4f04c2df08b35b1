// SPDX-License-Identifier: Apache-2.0
#include "transport/mqtt/mqtt_inlet.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "transport/mqtt/mqtt_connection.hpp"

namespace nq::detail {

using mqtt::Packet;

MqttInlet::Next MqttInlet::next() {
    const std::lock_guard lock(mutex_);
    if (parked_) return *std::exchange(parked_, std::nullopt);
    if (payload_left_ > 0) return Payload{reader_};
    reader_.reset();
    auto packet = parse();
    if (!packet) return packet.error();
    if (!*packet) return Nothing{};
    return **std::move(packet);
}

void MqttInlet::park(const mqtt::Publish& publish) {
    const std::lock_guard lock(mutex_);
    parked_ = publish;
}

Result<std::span<const std::byte>> MqttInlet::peek(std::size_t n) {
    const std::lock_guard lock(mutex_);
    n = std::min(n, payload_left_);
    while (buffered().size() < n) {
        const auto more = fill();
        if (!more) return more.error();
        if (!*more) break;
    }
    return buffered().first(std::min(n, buffered().size()));
}

void MqttInlet::deliver_to(std::shared_ptr<MqttConnection> reader) {
    const std::lock_guard lock(mutex_);
    reader_ = std::move(reader);
}

void MqttInlet::skip_payload() {
    const std::lock_guard lock(mutex_);
    skip_ = std::exchange(payload_left_, 0);
}

Result<MqttInlet::Received> MqttInlet::receive(const std::shared_ptr<MqttConnection>& reader,
                                               const mqtt::Topic& topic,
                                               std::span<const Target> targets) {
    const std::lock_guard lock(mutex_);
    Received out;
    if (reader->closed()) return out;  // forget was here, or will be
    Cursor cursor{targets};
    cursor.settle();
    while (!cursor.full()) {
        if (parked_ || (payload_left_ > 0 && reader_ != reader)) break;
        if (payload_left_ > 0) {
            const std::size_t buffered = take_buffered(cursor);
            out.size += buffered;
            if (buffered > 0) continue;
            if (drained_) break;
            const auto pulled = pull(cursor);
            if (!pulled && out.size == 0) return pulled.error();
            if (!pulled) break;
            out.size += *pulled;
            continue;
        }
        auto packet = parse();
        if (!packet && out.size == 0) return packet.error();
        if (!packet || !*packet) break;
        const auto* const publish = std::get_if<mqtt::Publish>(&**packet);
        if (publish != nullptr && publish->topic == topic && !may_begin_stream(reader->opening())) {
            reader_ = reader;
        } else {
            parked_ = std::move(*packet);
        }
    }
    // What is left is for others, unless it is the rest of this one's payload, or nothing.
    const bool own = payload_left_ > 0 && reader_ == reader && !parked_;
    out.look_again = !own && (parked_ || payload_left_ > 0 || end_ > begin_ || !drained_);
    return out;
}

bool MqttInlet::forget(const MqttConnection& reader) {
    const std::lock_guard lock(mutex_);
    if (reader_.get() != &reader) return false;
    skip_ = std::exchange(payload_left_, 0);
    reader_.reset();
    return true;
}

bool MqttInlet::holds(const MqttConnection& reader) const {
    const std::lock_guard lock(mutex_);
    return payload_left_ > 0 && reader_.get() == &reader;
}

void MqttInlet::handle_readable() {
    const std::lock_guard lock(mutex_);
    drained_ = false;
}

bool MqttInlet::drained() const {
    const std::lock_guard lock(mutex_);
    return drained_;
}

// Or it is not all here yet, to tell.
bool MqttInlet::may_begin_stream(std::span<const std::byte> opening) const {
    const std::size_t n = std::min(opening.size(), payload_left_);
    if (n == 0) return false;
    const auto first = buffered();
    return first.size() < n ||
           std::equal(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(n),
                      opening.begin());
}

// The next packet; nothing: its octets are not here yet. REQUIRES: no payload is at the front.
Result<std::optional<Packet>> MqttInlet::parse() {
    for (;;) {
        const std::size_t skipped = std::min(skip_, end_ - begin_);
        begin_ += skipped;
        skip_ -= skipped;
        if (skip_ == 0) {
            auto octets = buffered();
            if (auto packet = mqtt::parse_packet(octets)) {
                begin_ = end_ - octets.size();
                if (const auto* foreign = std::get_if<mqtt::Foreign>(&*packet)) {
                    skip_ = foreign->rest;
                } else if (const auto* publish = std::get_if<mqtt::Publish>(&*packet)) {
                    payload_left_ = publish->payload_size;
                    reader_.reset();
                }
                return packet;
            }
        }
        const auto more = fill();
        if (!more) return more.error();
        if (!*more) return std::optional<Packet>();
    }
}

// More octets into the buffer; false: there are none now.
Result<bool> MqttInlet::fill() {
    if (drained_) return false;
    if (begin_ > 0) std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
    const std::array<Target, 1> room{std::span(buffer_).subspan(end_)};
    const auto received = beneath_->receive(room);
    if (!received) return received.error();
    note(*received, room[0].size());
    end_ += *received;
    return *received > 0;
}

std::size_t MqttInlet::take_buffered(Cursor& cursor) {
    const std::size_t n = cursor.put(buffered().first(std::min(payload_left_, end_ - begin_)));
    begin_ += n;
    payload_left_ -= n;
    return n;
}

// Payload from the socket to where it belongs, and with its end the beginning of what follows.
// REQUIRES: the buffer is empty.
Result<std::size_t> MqttInlet::pull(Cursor& cursor) {
    list_.clear();
    std::size_t asked = 0;
    for (std::size_t i = 0; i < cursor.targets.size() && asked < payload_left_; ++i) {
        const Target target = cursor.targets[i].subspan(i == 0 ? cursor.used : 0);
        list_.push_back(target.first(std::min(target.size(), payload_left_ - asked)));
        asked += list_.back().size();
    }
    begin_ = end_ = 0;
    const bool ahead = asked == payload_left_;
    if (ahead) list_.emplace_back(buffer_);
    const auto received = beneath_->receive(list_);
    if (!received) return received.error();
    note(*received, asked + (ahead ? k_room : 0));
    const std::size_t n = std::min(*received, asked);
    end_ = *received - n;
    payload_left_ -= n;
    cursor.advance(n);
    return n;
}

void MqttInlet::note(std::size_t received, std::size_t asked) {
    drained_ = received < asked;
    total_.fetch_add(received, std::memory_order_relaxed);  // relaxed: see total
}

// To the next target with room.
void MqttInlet::Cursor::settle() {
    while (!targets.empty() && used == targets.front().size()) {
        targets = targets.subspan(1);
        used = 0;
    }
}

std::size_t MqttInlet::Cursor::put(std::span<const std::byte> octets) {
    std::size_t done = 0;
    while (done < octets.size() && !full()) {
        const Target room = targets.front().subspan(used);
        const std::size_t n = std::min(room.size(), octets.size() - done);
        std::memcpy(room.data(), octets.data() + done, n);
        done += n;
        advance(n);
    }
    return done;
}

void MqttInlet::Cursor::advance(std::size_t n) {
    while (n > 0) {
        const std::size_t part = std::min(n, targets.front().size() - used);
        used += part;
        n -= part;
        settle();
    }
}

}  // namespace nq::detail
