// SPDX-License-Identifier: Apache-2.0
#include <net_queue/error.hpp>

namespace nq {

namespace {

class Category final : public std::error_category {
  public:
    [[nodiscard]] const char* name() const noexcept override { return "net_queue"; }

    [[nodiscard]] std::string message(int code) const override {
        switch (static_cast<Errc>(code)) {
            case Errc::connection_aborted: return "connection aborted: closed here";
            case Errc::connection_reset: return "connection reset: the peer went";
            case Errc::unknown_peer: return "unknown peer";
            case Errc::timed_out: return "timed out";
            case Errc::cancelled: return "cancelled";
            case Errc::protocol_error: return "protocol error";
            case Errc::serialization_error: return "serialization error";
            case Errc::stream_broken: return "stream broken";
            case Errc::queue_full: return "queue full";
            case Errc::unsupported: return "unsupported";
            case Errc::invalid_certificate: return "invalid key or certificate";
            case Errc::would_block: return "nothing there";
            case Errc::untrusted: return "untrusted: the server can't prove who it is";
        }
        return "error " + std::to_string(code);
    }
};

}  // namespace

const std::error_category& error_category() noexcept {
    static const Category category;
    return category;
}

std::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

void raise(Failure failure) {
    if (failure.code.category() != error_category()) throw Error(std::move(failure));
    switch (static_cast<Errc>(failure.code.value())) {
        case Errc::connection_aborted: throw ConnectionAborted(std::move(failure));
        case Errc::connection_reset: throw ConnectionReset(std::move(failure));
        case Errc::untrusted: throw Untrusted(std::move(failure));
        case Errc::unknown_peer:
        case Errc::queue_full: throw ConnectionError(std::move(failure));
        case Errc::protocol_error: throw ProtocolError(std::move(failure));
        case Errc::serialization_error: throw SerializationError(std::move(failure));
        case Errc::stream_broken: throw StreamBroken(std::move(failure));
        case Errc::cancelled: throw Cancelled(std::move(failure));
        case Errc::timed_out:
        case Errc::unsupported:
        case Errc::invalid_certificate:
        case Errc::would_block: break;
    }
    throw Error(std::move(failure));
}

}  // namespace nq
