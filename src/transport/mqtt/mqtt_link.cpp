// SPDX-License-Identifier: Apache-2.0
#include "transport/mqtt/mqtt_link.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "buffer/limits.hpp"

namespace nq::detail {

using mqtt::Channel;

namespace {

/// Packets, or turns of senders, before the reactor looks at others.
constexpr int k_packets_per_turn = 64;
/// Strangers at the broker fill at most a line of the log in so long.
constexpr std::chrono::seconds k_ignored_pause{10};
constexpr std::uint16_t k_subscription = 1;
constexpr std::uint8_t k_refused = 0x80;

}  // namespace

MqttLink::MqttLink(std::shared_ptr<Connection> beneath, Role role, MqttOptions options,
                   NetworkLocation broker, Events events)
    : beneath_(std::move(beneath)),
      role_(role),
      options_(std::move(options)),
      broker_(std::move(broker)),
      inlet_(beneath_),
      outlet_(beneath_, options_.payload_size),
      events_(std::move(events)) {}

void MqttLink::start() {
    beneath_->set_handler(shared_from_this());
    const mqtt::Connect connect{
        .id = options_.id,
        .user = options_.broker.user,
        .password = options_.broker.password,
        .keep_alive = static_cast<std::uint16_t>(options_.broker.keep_alive.count()),
        .will = mqtt::Topic{role_ == Role::client ? Channel::gone : Channel::down, options_.id}};
    say(Chunk::take(mqtt::encode(connect)));
    deadline_ = reactor().call_after(options_.handshake, [this] {
        lose({Errc::connection_reset, {}, "it does not answer; is it an MQTT broker?"});
    });
    dispatch();
}

void MqttLink::release() {
    const auto self = shared_from_this();
    needed_ = false;
    events_ = Events{};
    if (connections_.empty()) leave(!deserted_);
}

Result<Connection::Sent> MqttLink::send(const Sender& sender, std::span<const Chunk> chunks) {
    const auto outcome = outlet_.send(sender, sender->outgoing(), chunks);
    if (!outcome) return broken(outcome.error());
    if (outcome->poll) post(&MqttLink::serve);
    return outcome->sent;
}

Result<std::size_t> MqttLink::receive(const Sender& reader,
                                      std::span<const Connection::Target> targets) {
    const auto received = inlet_.receive(reader, reader->incoming(), targets);
    const bool inside = reactor().on_reactor_thread() && dispatching_;
    // After a failure too: the link has to learn of it.
    if (!inside && (!received || received->look_again)) post(&MqttLink::dispatch);
    if (!received) return broken(received.error());
    return received->size;
}

void MqttLink::part(const Sender& connection) {
    const auto task = [self = shared_from_this(), connection] {
        self->remove(connection);
        if (self->needed_ || !self->connections_.empty()) return;
        if (!connection->closed()) self->departing_ = connection;  // or forget was here
        self->leave(!self->deserted_);
    };
    if (reactor().on_reactor_thread()) return task();
    reactor().post(task);
}

void MqttLink::forget(const Sender& connection) {
    const auto self = shared_from_this();
    if (connections_.contains(connection) && connection->deserts()) deserted_ = true;
    remove(connection);
    outlet_.forget(connection);
    if (departing_ == connection) departing_.reset();
    if (role_ == Role::client) return leave(connection->finished());
    if (!needed_ && connections_.empty()) leave(!deserted_);
}

void MqttLink::add(const Sender& connection) {
    connections_.insert(connection);
    routes_.emplace(connection->client(), connection);
}

void MqttLink::remove(const Sender& connection) {
    connections_.erase(connection);
    end_route(connection);
}

void MqttLink::end_route(const Sender& connection) {
    const auto known = routes_.find(connection->client());
    if (known != routes_.end() && known->second == connection) routes_.erase(known);
    if (inlet_.forget(*connection)) post(&MqttLink::dispatch);
}

bool MqttLink::leaving() const {
    return leaving_.load(std::memory_order_acquire);  // acquire: pairs with leave and lose
}

void MqttLink::handle_readable() {
    inlet_.handle_readable();
    dispatch();
}

// What came before the end still counts.
void MqttLink::handle_lost(Failure failure) {
    const auto self = shared_from_this();
    inlet_.handle_readable();
    do {
        // There is no other round: a reader that waits for it would be in the way of the others.
        reactor().extend_round();
        while (dispatch_some()) {
        }
    } while (reactor().round_over());
    lose(std::move(failure));
}

void MqttLink::dispatch() {
    if (dispatch_some()) post(&MqttLink::dispatch);
}

// True: there is more, but others have their turn first.
bool MqttLink::dispatch_some() {
    if (dispatching_ || state_ == State::ended) return false;
    const auto self = shared_from_this();
    dispatching_ = true;
    bool more = true;
    for (int i = 0; more && i < k_packets_per_turn; ++i) more = dispatch_one();
    dispatching_ = false;
    return more;
}

// The next packet, or payload. False: it has to wait, or nothing is there.
bool MqttLink::dispatch_one() {
    if (state_ == State::ended) return false;
    const MqttInlet::Next next = inlet_.next();
    if (std::holds_alternative<MqttInlet::Nothing>(next)) return false;
    if (const auto* failure = std::get_if<Failure>(&next)) return lose(*failure), false;
    if (const auto* payload = std::get_if<MqttInlet::Payload>(&next)) {
        payload->reader->tell_readable();
        return !inlet_.holds(*payload->reader);
    }
    const auto& packet = std::get<mqtt::Packet>(next);
    if (const auto* publish = std::get_if<mqtt::Publish>(&packet)) return route(*publish);
    if (const auto* connack = std::get_if<mqtt::Connack>(&packet)) handle(*connack);
    if (const auto* suback = std::get_if<mqtt::Suback>(&packet)) handle(*suback);
    if (std::holds_alternative<mqtt::Pingresp>(packet)) pinged_ = false;
    if (std::holds_alternative<mqtt::Foreign>(packet)) ignore();
    if (const auto* malformed = std::get_if<mqtt::Malformed>(&packet)) {
        lose({Errc::connection_reset, {}, "it does not speak MQTT 3.1.1: " + malformed->text});
    }
    return true;
}

void MqttLink::handle(const mqtt::Connack& connack) {
    if (state_ != State::connecting) return;
    if (connack.code != 0) return lose(refused(connack.code));
    state_ = State::subscribing;
    const std::string own = mqtt::Topic{Channel::to_client, options_.id}.to_string();
    const std::array<std::string_view, 2> client{own, mqtt::k_all_down};
    const std::array<std::string_view, 2> server{mqtt::k_all_to_server, mqtt::k_all_gone};
    say(Chunk::take(
        mqtt::encode_subscribe(k_subscription, role_ == Role::client ? client : server)));
}

void MqttLink::handle(const mqtt::Suback& suback) {
    if (state_ != State::subscribing || suback.id != k_subscription) return;
    if (suback.codes[0] == k_refused) {
        return lose(
            {Errc::unknown_peer,
             {},
             "it refuses the subscription; its access list must let this user read " +
                 (role_ == Role::client ? mqtt::Topic{Channel::to_client, options_.id}.to_string()
                                        : std::string(mqtt::k_all_to_server))});
    }
    if (suback.codes[1] == k_refused && role_ == Role::server && events_.log) {
        events_.log(LogLevel::warning, "the MQTT broker at " + broker_.to_string() +
                                           " refuses to tell of clients that go (topic nq/gone/+)");
    }
    state_ = State::open;
    deadline_.cancel();
    heard_at_ = reactor().now();
    watch_health();
    Sender own;
    if (role_ == Role::client) {
        const std::size_t kept = options_.opening ? options_.opening(options_.id).size() : 0;
        own = std::make_shared<MqttConnection>(shared_from_this(), role_, options_.id,
                                               broker_.to_string(), std::vector<std::byte>(), kept);
        add(own);
    }
    if (const auto open = events_.open) open(own);
}

// False: more of the payload is needed first.
bool MqttLink::route(const mqtt::Publish& publish) {
    const auto& [channel, peer] = publish.topic;
    if (channel == Channel::gone && role_ == Role::server) {
        inlet_.skip_payload();
        handle_gone(peer);
        return true;
    }
    if (channel == Channel::down && role_ == Role::client) {
        inlet_.skip_payload();
        handle_down(peer);
        return true;
    }
    const auto known = routes_.find(peer);
    if (known != routes_.end() && known->second->incoming() == publish.topic) {
        inlet_.deliver_to(known->second);
        return true;
    }
    auto opening = options_.opening ? options_.opening(peer) : std::vector<std::byte>();
    const auto begins = begins_stream(publish, opening);
    if (!begins) return false;
    if (!*begins) {
        inlet_.skip_payload();
        ignore();
        return true;
    }
    const auto connection = std::make_shared<MqttConnection>(
        shared_from_this(), role_, peer, publish.topic.to_string() + " at " + broker_.to_string(),
        std::move(opening));
    add(connection);
    inlet_.deliver_to(connection);
    if (const auto came = events_.came) came(connection);
    return true;
}

// Nothing: more of the payload is needed to tell.
std::optional<bool> MqttLink::begins_stream(const mqtt::Publish& publish,
                                            std::span<const std::byte> opening) {
    const bool possible = role_ == Role::server && state_ != State::leaving && needed_ &&
                          publish.topic.channel == Channel::to_server && publish.payload_size > 0;
    if (!possible) return false;
    const std::size_t n = std::min(opening.size(), publish.payload_size);
    const auto first = inlet_.peek(n);
    if (!first) {
        lose(first.error());
        return std::nullopt;
    }
    if (first->size() < n) {
        inlet_.park(publish);
        return std::nullopt;
    }
    return std::equal(first->begin(), first->end(), opening.begin());
}

void MqttLink::handle_gone(const Uuid& client) {
    const auto known = routes_.find(client);
    if (known == routes_.end()) return;
    const Sender connection = known->second;
    end_stream(connection, {Errc::connection_reset, client,
                            "lost the connection with " + connection->peer_name() +
                                ": it has gone without a goodbye"});
}

// One that is gone for long may be told of late: only the server that speaks here counts.
void MqttLink::handle_down(const Uuid& server) {
    const auto known = routes_.find(options_.id);
    if (known == routes_.end() || !options_.opening) return;
    const Sender connection = known->second;
    if (!connection->began_with(options_.opening(server))) return;
    end_stream(connection, {Errc::stream_broken, server,
                            "the server " + server.to_string() + " at the MQTT broker " +
                                broker_.to_string() + " has gone without a goodbye"});
}

// All that came of it before was read.
void MqttLink::end_stream(const Sender& connection, Failure failure) {
    remove(connection);
    outlet_.forget(connection);
    connection->lose(std::move(failure), true);
}

void MqttLink::ignore() {
    ++ignored_;
    const TimePoint now = reactor().now();
    const bool first = ignored_told_ == 0;
    if (!events_.log || (!first && now - ignored_told_at_ < k_ignored_pause)) return;
    events_.log(LogLevel::warning, "ignored " + std::to_string(ignored_ - ignored_told_) +
                                       " messages at the MQTT broker " + broker_.to_string() +
                                       " that belong to no stream (" + std::to_string(ignored_) +
                                       " in all)");
    ignored_told_ = ignored_;
    ignored_told_at_ = now;
}

void MqttLink::say(Chunk packet) {
    if (outlet_.send_control(std::move(packet))) post(&MqttLink::serve);
}

// Lets senders send, one after the other, as far as there is room.
void MqttLink::serve() {
    const auto self = shared_from_this();
    for (int i = 0; i < k_packets_per_turn; ++i) {
        const MqttOutlet::Turn turn = outlet_.poll();
        for (const auto& [sender, octets] : turn.released) sender->tell_released(octets);
        if (turn.next == nullptr) return finish_leaving();
        turn.next->tell_writable();
    }
    post(&MqttLink::serve);
}

// Without a goodbye the broker publishes the will.
void MqttLink::leave(bool goodbye) {
    if (state_ == State::leaving || state_ == State::ended) return;
    state_ = State::leaving;
    leaving_.store(true, std::memory_order_release);  // release: pairs with leaving()
    health_.cancel();
    events_ = Events{};
    if (goodbye) say(Chunk(mqtt::k_disconnect, nullptr));
    deadline_ = reactor().call_after(limits::k_linger_timeout, [this] {
        lose({Errc::connection_reset, {}, "it did not let us go in time"});
    });
    finish_leaving();
}

// Read to the end before closing: unread input would reset the connection, and could destroy what
// was just sent.
void MqttLink::finish_leaving() {
    if (state_ != State::leaving || half_closed_ || !outlet_.idle()) return;
    half_closed_ = true;
    beneath_->finish_sending();
    post(&MqttLink::dispatch);
}

void MqttLink::lose(Failure failure) {
    if (state_ == State::ended) return;
    const auto self = shared_from_this();
    const bool told = state_ == State::open || state_ == State::leaving;
    state_ = State::ended;
    leaving_.store(false, std::memory_order_release);  // release: pairs with leaving()
    deadline_.cancel();
    health_.cancel();
    const Events events = std::exchange(events_, Events{});
    const auto connections = std::exchange(connections_, {});
    routes_.clear();
    for (const auto& connection : connections) {
        outlet_.forget(connection);
        connection->lose(broken(failure), false);
    }
    if (const Sender departing = std::exchange(departing_, nullptr)) departing->tell_readable();
    beneath_->close();
    if (events.lost) events.lost(told ? broken(failure) : failure);
}

// Asks for a sign of life every half of keep_alive; one and a half of silence is death.
void MqttLink::watch_health() {
    const auto keep_alive = options_.broker.keep_alive;
    if (keep_alive.count() == 0) return;
    const TimePoint now = reactor().now();
    if (inlet_.total() != heard_) {
        heard_ = inlet_.total();
        heard_at_ = now;
    }
    if (2 * (now - heard_at_) >= 3 * Duration(keep_alive) && inlet_.drained()) {
        return lose({Errc::connection_reset,
                     {},
                     "no sign of life for " +
                         std::to_string(keep_alive.count() + keep_alive.count() / 2) + " s"});
    }
    if (!std::exchange(pinged_, true)) say(Chunk(mqtt::k_pingreq, nullptr));
    health_ = reactor().call_after(Duration(keep_alive) / 2, [this] { watch_health(); });
}

void MqttLink::post(void (MqttLink::*what)()) {
    reactor().post([self = shared_from_this(), what] { (self.get()->*what)(); });
}

Failure MqttLink::broken(const Failure& failure) const {
    if (failure.code == Errc::stream_broken) return failure;
    return {
        Errc::stream_broken,
        {},
        "the MQTT broker at " + broker_.to_string() + " went away: " + failure.text +
            (role_ == Role::client ? " (it also ends whose id another client comes with)" : "")};
}

Failure MqttLink::refused(unsigned code) const {
    const std::string& user = options_.broker.user;
    const std::string who = user.empty() ? "clients without a user name" : "user " + user;
    switch (code) {
        case 1: return {Errc::unknown_peer, {}, "it does not speak MQTT 3.1.1"};
        case 2: return {Errc::unknown_peer, {}, "it refuses the client id " + options_.id.hex()};
        case 3: return {Errc::connection_reset, {}, "it is out of service"};
        case 4: return {Errc::unknown_peer, {}, "it refuses " + who + ": bad name or password"};
        case 5: return {Errc::unknown_peer, {}, "it refuses " + who + ": not authorised"};
        default: break;
    }
    return {Errc::unknown_peer, {}, "it refuses us with code " + std::to_string(code)};
}

}  // namespace nq::detail
