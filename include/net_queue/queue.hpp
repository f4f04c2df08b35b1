// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <concepts>
#include <functional>
#include <span>
#include <utility>

#include <net_queue/communicator.hpp>
#include <net_queue/serializer.hpp>

namespace nq {

namespace detail {

/// A message as the user's type; what load throws becomes a SerializationError with the peer.
template <Serializer S>
Message<typename S::value_type> load_message(const S& serializer, Message<Stream> message) {
    try {
        return {message.peer, serializer.load(std::move(message.data))};
    } catch (const std::exception& error) {
        raise({make_error_code(Errc::serialization_error), message.peer,
               "message from " + message.peer.to_string() + ": " + error.what()});
    }
}

template <Serializer S>
Result<Message<typename S::value_type>> load_result(const S& serializer,
                                                    Result<Message<Stream>> result) {
    if (!result) return result.error();
    try {
        return load_message(serializer, *std::move(result));
    } catch (const Error& error) {
        return error.failure();
    }
}

}  // namespace detail

/// A queue between this program and others: put objects, get objects, close. A thin skin over a
/// Communicator, which it owns; see there for what each call promises.
///
/// Thread safety: all methods, from any thread; only move and destruction need the object alone.
template <Serializer S = PickleSerializer>
class BasicQueue {
  public:
    using value_type = typename S::value_type;
    using Peers = Communicator::Peers;

    explicit BasicQueue(Communicator communicator, S serializer = {})
        : communicator_(std::move(communicator)), serializer_(std::move(serializer)) {}

    /// Dumps once, however many peers. Throws what dump throws, and nothing is sent then.
    Future put(const value_type& data, Peers peers) {
        return communicator_.put(serializer_.dump(data), peers);
    }
    template <std::convertible_to<Uuid>... Ids>
    Future put(const value_type& data, const Ids&... peers) {
        const std::array<Uuid, sizeof...(Ids)> ids{peers...};
        return put(data, Peers(ids));
    }

    /// Throws SerializationError, with the peer, for a message that can't be loaded: that message
    /// is gone, the session goes on.
    Message<value_type> get(Peers peers) {
        return detail::load_message(serializer_, communicator_.get(peers));
    }
    template <std::convertible_to<Uuid>... Ids>
    Message<value_type> get(const Ids&... peers) {
        const std::array<Uuid, sizeof...(Ids)> ids{peers...};
        return get(Peers(ids));
    }
    Result<Message<value_type>> try_get(Peers peers = {}) {
        return detail::load_result(serializer_, communicator_.try_get(peers));
    }
    Result<Message<value_type>> get_for(std::chrono::nanoseconds timeout, Peers peers = {}) {
        return detail::load_result(serializer_, communicator_.get_for(timeout, peers));
    }

    void when_readable(std::function<void()> callback, Peers peers = {}) {
        communicator_.when_readable(std::move(callback), peers);
    }

    [[nodiscard]] std::vector<Uuid> peers() const { return communicator_.peers(); }
    [[nodiscard]] Stats stats() const { return communicator_.stats(); }
    [[nodiscard]] const Uuid& id() const { return communicator_.id(); }
    [[nodiscard]] const Options& options() const { return communicator_.options(); }
    void close() { communicator_.close(); }
    CloseReport close_for(std::chrono::nanoseconds timeout) {
        return communicator_.close_for(timeout);
    }
    [[nodiscard]] Communicator& communicator() { return communicator_; }

  private:
    Communicator communicator_;
    S serializer_;
};

/// The queue of the default serializer: pickle, data is a Value.
using Queue = BasicQueue<>;

/// Opens a server or a client. Never waits for a peer; throws as the Communicator's constructor.
template <Serializer S = PickleSerializer>
[[nodiscard]] BasicQueue<S> open(Protocol protocol = Protocol::tcp,
                                 Purpose purpose = Purpose::client, Options options = {},
                                 S serializer = {}) {
    return BasicQueue<S>(Communicator(protocol, purpose, std::move(options)),
                         std::move(serializer));
}

}  // namespace nq
