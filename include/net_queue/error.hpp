// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include <net_queue/uuid.hpp>

namespace nq {

/// What went wrong, as a code of `error_category()`.
enum class Errc {
    connection_aborted = 1,  ///< we closed
    connection_reset,        ///< the peer went, or never came
    unknown_peer,            ///< no such peer is identified here
    timed_out,               ///< get_for: nothing arrived in time
    cancelled,               ///< the put was cancelled before it was sent
    protocol_error,          ///< octets that WIRE.md does not allow
    serialization_error,     ///< an object can't be dumped, or a message can't be loaded
    stream_broken,           ///< a hole in the byte stream: the session can't go on
    queue_full,              ///< a bound on what may wait for a lost peer was reached
    unsupported,             ///< this build lacks the protocol or option asked for
    invalid_certificate,     ///< a key or certificate file that can't be read or used
    would_block,             ///< try_get: nothing there now; a Stream: nothing to read
    untrusted,               ///< a server that can't prove (TLS) that it is the one meant
};

const std::error_category& error_category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

}  // namespace nq

template <>
struct std::is_error_code_enum<nq::Errc> : std::true_type {};

namespace nq {

/// An error as a value: what (code), who (peer, nil if nobody in particular), and a sentence for
/// people. What throws in the public API has a twin that returns one of these in a Result.
struct Failure {
    std::error_code code;
    Uuid peer;
    std::string text;

    friend bool operator==(const Failure&, const Failure&) = default;
};

/// A value of T or a Failure. Never empty.
template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    /// What `make` returns, made where it stays.
    template <class Make>
    Result(std::in_place_t, Make&& make) : content_(std::in_place_index<0>, Made<Make>{make}) {}
    Result(Failure failure) : content_(std::in_place_index<1>, std::move(failure)) {}

    [[nodiscard]] bool has_value() const noexcept { return content_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    /// REQUIRES: has_value().
    T& value() & { return assert(has_value()), *std::get_if<0>(&content_); }
    const T& value() const& { return assert(has_value()), *std::get_if<0>(&content_); }
    T&& value() && { return assert(has_value()), std::move(*std::get_if<0>(&content_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    /// REQUIRES: !has_value().
    [[nodiscard]] const Failure& error() const {
        return assert(!has_value()), *std::get_if<1>(&content_);
    }

  private:
    template <class Make>
    struct Made {
        Make& make;
        operator T() const { return make(); }
    };

    std::variant<T, Failure> content_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Failure failure) : failure_(std::move(failure)), failed_(true) {}

    [[nodiscard]] bool has_value() const noexcept { return !failed_; }
    explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] const Failure& error() const { return assert(failed_), failure_; }

  private:
    Failure failure_;
    bool failed_ = false;
};

/// Base of every exception of this library; `code()` is of `error_category()`, or the system's
/// where the system refused something (a port in use).
class Error : public std::system_error {
  public:
    explicit Error(Failure failure)
        : std::system_error(failure.code, failure.text), failure_(std::move(failure)) {}

    [[nodiscard]] const Failure& failure() const noexcept { return failure_; }
    /// The peer it happened with; nil if nobody in particular.
    [[nodiscard]] const Uuid& peer() const noexcept { return failure_.peer; }

  private:
    Failure failure_;
};

/// The connection to a peer is of no use: aborted, reset, unknown peer, queue full.
class ConnectionError : public Error {
    using Error::Error;
};
/// We closed: nothing goes out and nothing comes in any more.
class ConnectionAborted : public ConnectionError {
    using ConnectionError::ConnectionError;
};
/// The peer went (or, for a client, the server never answered).
class ConnectionReset : public ConnectionError {
    using ConnectionError::ConnectionError;
};
/// A client's server can't prove that it is the one meant: another name, out of date, certified by
/// nobody who is trusted. It was told nothing.
class Untrusted : public ConnectionReset {
    using ConnectionReset::ConnectionReset;
};
/// Octets that the wire protocol does not allow.
class ProtocolError : public Error {
    using Error::Error;
};
/// An object that can't be dumped (put) or a message that can't be loaded (get).
class SerializationError : public Error {
    using Error::Error;
};
/// A hole in the byte stream of a peer: its session has ended.
class StreamBroken : public Error {
    using Error::Error;
};
/// The put was cancelled before an octet of it was sent.
class Cancelled : public Error {
    using Error::Error;
};

/// Throws the exception that belongs to failure.code: the one place where values become exceptions.
[[noreturn]] void raise(Failure failure);

}  // namespace nq
