// SPDX-License-Identifier: Apache-2.0
#include "io/tls_channel.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/limits.hpp"

namespace nq::detail {

namespace {

using BioHandle = std::unique_ptr<BIO, OpenSslDeleter<BIO_free>>;
using X509Handle = std::unique_ptr<X509, OpenSslDeleter<X509_free>>;
using GeneralNames = std::unique_ptr<GENERAL_NAMES, OpenSslDeleter<GENERAL_NAMES_free>>;

// OpenSSL's view of the socket: a BIO, its word for a stream, over a TlsChannel.

TlsChannel& channel_of(BIO* bio) { return *static_cast<TlsChannel*>(BIO_get_data(bio)); }

int bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
    BIO_clear_retry_flags(bio);
    const bool kept = channel_of(bio).keep(std::as_bytes(std::span(data, size)));
    *written = kept ? size : 0;
    return kept ? 1 : -1;
}

int bio_read(BIO* bio, char* data, std::size_t size, std::size_t* got) {
    BIO_clear_retry_flags(bio);
    const ssize_t moved = channel_of(bio).read(std::as_writable_bytes(std::span(data, size)));
    if (moved < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
    *got = moved > 0 ? static_cast<std::size_t>(moved) : 0;
    return moved > 0 ? 1 : static_cast<int>(moved);
}

long bio_control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return channel_of(bio).at_end() ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* bio_method() {
    static const std::unique_ptr<BIO_METHOD, OpenSslDeleter<BIO_meth_free>> method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "net_queue");
        BIO_meth_set_write_ex(made, bio_write);
        BIO_meth_set_read_ex(made, bio_read);
        BIO_meth_set_ctrl(made, bio_control);
        return std::unique_ptr<BIO_METHOD, OpenSslDeleter<BIO_meth_free>>(made);
    }();
    return method.get();
}

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::vector<std::string> names_of(X509* certificate) {
    std::vector<std::string> names;
    const GeneralNames general(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; i < sk_GENERAL_NAME_num(general.get()); ++i) {
        const BioHandle text(BIO_new(BIO_s_mem()));
        GENERAL_NAME_print(text.get(), sk_GENERAL_NAME_value(general.get(), i));
        // "DNS:localhost", "IP Address:127.0.0.1"
        const std::string name = text_of(text.get());
        names.push_back(name.substr(name.find(':') + 1));
    }
    return names;
}

}  // namespace

std::string openssl_reason() {
    const unsigned long first = ERR_get_error();
    ERR_clear_error();
    if (first == 0) return "";
    if (ERR_SYSTEM_ERROR(first)) return error_text(ERR_GET_REASON(first));
    const char* const reason = ERR_reason_error_string(first);
    return reason != nullptr ? reason : "OpenSSL error " + std::to_string(first);
}

/// Where in a list of chunks the next octet to encrypt stands.
class TlsChannel::Cursor {
  public:
    explicit Cursor(std::span<const Chunk> chunks) : chunks_(chunks) { settle(); }

    [[nodiscard]] bool at_end() const { return chunks_.empty(); }

    /// The next octets, of one record at most: where they are, if one chunk has enough of them or
    /// nothing follows it; otherwise gathered, so that small chunks share a record.
    std::span<const std::byte> next_record(std::span<std::byte> room) {
        const auto here = chunks_.front().octets().subspan(offset_);
        if (here.size() >= room.size() || chunks_.size() == 1) {
            return take(std::min(here.size(), room.size()));
        }
        std::size_t gathered = 0;
        while (!at_end() && gathered < room.size()) {
            const auto rest = chunks_.front().octets().subspan(offset_);
            const auto part = take(std::min(rest.size(), room.size() - gathered));
            std::memcpy(room.data() + gathered, part.data(), part.size());
            gathered += part.size();
        }
        return room.first(gathered);
    }

  private:
    std::span<const std::byte> take(std::size_t n) {
        const auto part = chunks_.front().octets().subspan(offset_, n);
        offset_ += n;
        settle();
        return part;
    }
    void settle() {
        while (!chunks_.empty() && offset_ == chunks_.front().size()) {
            chunks_ = chunks_.subspan(1);
            offset_ = 0;
        }
    }

    std::span<const Chunk> chunks_;
    std::size_t offset_ = 0;
};

TlsChannel::TlsChannel(Socket socket, SslHandle ssl)
    : socket_(std::move(socket)), ssl_(std::move(ssl)) {
    if (BIO* bio = BIO_new(bio_method())) {
        BIO_set_data(bio, this);
        BIO_set_init(bio, 1);
        SSL_set_bio(ssl_.get(), bio, bio);
    } else {
        error_ = ENOMEM;
    }
}

Io TlsChannel::send(std::span<const Chunk> chunks) {
    const auto with_size = [](Io broken, std::size_t size) {
        broken.size = size;
        return broken;
    };
    Cursor cursor(chunks);
    std::size_t taken = 0;
    std::size_t flushed = 0;
    while (true) {
        const Io out = flush();
        if (out.status == Io::Status::failed) {
            // What has left this end, if only in part, may have arrived.
            return with_size(hear_out(out), out.size > 0 ? taken : flushed);
        }
        if (!out.complete) break;
        flushed = taken;
        if (cursor.at_end()) return {.size = taken, .complete = true};
        const Io io = encrypt(cursor);
        if (io.status == Io::Status::failed) return with_size(io, flushed);
        taken += io.size;
        if (io.size == 0) break;
    }
    // All is taken even if some of it still stands here: advance goes on with that.
    return {.size = taken, .complete = cursor.at_end()};
}

/// The socket takes nothing more. A peer that turned us away said why, and its alert may still
/// wait to be read: then that is what failed.
Io TlsChannel::hear_out(Io broken) {
    const std::lock_guard lock(ssl_mutex_);
    if (error_ != 0) return failed();
    if (!open_) return broken;  // advance reads on
    ERR_clear_error();
    std::byte octet;
    std::size_t seen = 0;
    const int result = SSL_peek_ex(ssl_.get(), &octet, sizeof octet, &seen);
    if (result != 1) (void)fail(result);
    return turned_away_ ? failed() : broken;
}

/// Turns octets into as many records as go to the kernel in one call. 0: the handshake goes on.
Io TlsChannel::encrypt(Cursor& cursor) {
    std::array<std::byte, limits::k_tls_record> room;
    std::size_t taken = 0;
    const std::lock_guard lock(ssl_mutex_);
    if (error_ != 0) return failed();
    if (!open_) return {};
    for (int i = 0; i < limits::k_records_per_write && !cursor.at_end(); ++i) {
        const auto record = cursor.next_record(room);
        ERR_clear_error();
        std::size_t written = 0;
        const int result = SSL_write_ex(ssl_.get(), record.data(), record.size(), &written);
        if (result != 1) return fail(result);
        assert(written == record.size());  // a record is kept whole
        taken += written;
    }
    return {.size = taken, .complete = true};
}

Io TlsChannel::receive(std::span<const std::span<std::byte>> targets) {
    std::size_t received = 0;
    std::size_t offset = 0;
    Io io{.complete = true};
    while (io.complete && !targets.empty()) {
        io = decrypt(targets, offset);
        received += io.size;
    }
    // What OpenSSL had to answer to what it read. If that fails, so will the next send.
    (void)flush();
    if (io.status != Io::Status::done) {
        if (received == 0) return io;
        return {.size = received, .again = true};  // the next call tells
    }
    return {.size = received, .complete = targets.empty()};
}

/// Fills what it can of the targets with a few records, so that a thread that sends gets its turn.
Io TlsChannel::decrypt(std::span<const std::span<std::byte>>& targets, std::size_t& offset) {
    std::size_t received = 0;
    const std::lock_guard lock(ssl_mutex_);
    if (error_ != 0) return failed();
    if (!open_) return {};
    for (int i = 0; i < limits::k_records_per_write; ++i) {
        while (!targets.empty() && targets.front().size() == offset) {
            targets = targets.subspan(1);
            offset = 0;
        }
        if (targets.empty()) break;
        const auto room = targets.front().subspan(offset);
        ERR_clear_error();
        std::size_t got = 0;
        const int result = SSL_read_ex(ssl_.get(), room.data(), room.size(), &got);
        if (result != 1) {
            Io io = fail(result);
            io.size = received;
            return io;
        }
        offset += got;
        received += got;
    }
    return {.size = received, .complete = true};
}

Io TlsChannel::advance() {
    Io io{.complete = true};
    {
        const std::lock_guard lock(ssl_mutex_);
        if (error_ != 0) return failed();
        if (!open_) {
            ERR_clear_error();
            const int result = SSL_do_handshake(ssl_.get());
            open_ = result == 1;
            if (!open_) io = fail(result);
        }
    }
    const Io out = flush();  // after a failure too: the peer is told why
    if (io.status == Io::Status::failed || !io.complete) return io;
    return out;
}

bool TlsChannel::holding() const {
    const std::lock_guard lock(out_mutex_);
    return sent_ < outgoing_.size();
}

void TlsChannel::finish_sending() {
    {
        const std::lock_guard lock(ssl_mutex_);
        ERR_clear_error();
        // What it returns tells whether the peer has finished as well, which receive will see.
        if (error_ == 0 && open_) (void)SSL_shutdown(ssl_.get());
    }
    {
        const std::lock_guard lock(out_mutex_);
        finishing_ = true;
    }
    (void)flush();
}

/// What a call of OpenSSL that did not succeed means. REQUIRES: ssl_mutex_ is held.
Io TlsChannel::fail(int result) {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: return {};
        case SSL_ERROR_ZERO_RETURN: return {.status = Io::Status::end};
        case SSL_ERROR_SYSCALL: error_ = socket_error_ != 0 ? socket_error_ : EPROTO; break;
        default: error_ = EPROTO; break;
    }
    const unsigned long cause = ERR_peek_error();
    const bool cut = ERR_GET_LIB(cause) == ERR_LIB_SSL &&
                     ERR_GET_REASON(cause) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    turned_away_ =
        ERR_GET_LIB(cause) == ERR_LIB_SSL && ERR_GET_REASON(cause) >= SSL_AD_REASON_OFFSET;
    reason_ = openssl_reason();
    const long verdict = SSL_get_verify_result(ssl_.get());
    if (overrun()) {
        reason_ = "the peer makes us answer and reads no answer";
    } else if (cut && open_) {
        reason_ = "the stream was cut off: the connection ended without TLS's own end";
    } else if (cut) {
        reason_ = "the peer ended the connection during the TLS handshake; does it speak TLS?";
    } else if (!open_ && verdict != X509_V_OK) {
        mistrusted_ = true;
        reason_ += std::string(": ") + X509_verify_cert_error_string(verdict);
    } else if (!open_ && (reason_ == "wrong version number" || reason_ == "http request" ||
                          reason_ == "packet length too long" || reason_ == "unexpected message")) {
        reason_ += "; the peer does not speak TLS";
    }
    return failed();
}

Io TlsChannel::failed() const { return {.status = Io::Status::failed, .error = error_}; }

/// Hands over what is held. With a failure: how much of it has left, by whoever's call.
Io TlsChannel::flush() {
    const std::lock_guard lock(out_mutex_);
    if (sent_ < outgoing_.size()) {
        const auto rest = std::span(outgoing_).subspan(sent_);
        Io io = socket_.send(rest);
        sent_ += io.size;
        if (io.status == Io::Status::failed) {
            io.size = sent_;
            return io;
        }
        if (!io.complete) return {};
        sent_ = 0;
        outgoing_ = std::vector<std::byte>();  // an idle connection holds nothing
    }
    if (std::exchange(finishing_, false)) socket_.finish_sending();
    return {.complete = true};
}

bool TlsChannel::overrun() const {
    const std::lock_guard lock(out_mutex_);
    return overrun_;
}

bool TlsChannel::keep(std::span<const std::byte> octets) {
    const std::lock_guard lock(out_mutex_);
    overrun_ = overrun_ || octets.size() > limits::k_tls_outgoing_max - outgoing_.size();
    if (overrun_) return false;
    if (outgoing_.empty() && octets.size() > limits::k_tls_record / 2) {
        outgoing_.reserve(limits::k_records_per_write * limits::k_tls_record_encrypted);
    }
    outgoing_.insert(outgoing_.end(), octets.begin(), octets.end());
    return true;
}

ssize_t TlsChannel::read(std::span<std::byte> target) {
    const std::array<std::span<std::byte>, 1> targets{target};
    const Io io = socket_.receive(targets);
    at_end_ = io.status == Io::Status::end;
    if (at_end_) return 0;
    if (io.status == Io::Status::failed) {
        errno = socket_error_ = io.error;
        return -1;
    }
    if (io.size > 0) return static_cast<ssize_t>(io.size);
    errno = EAGAIN;
    return -1;
}

std::string TlsChannel::explain(int error) const {
    const std::lock_guard lock(ssl_mutex_);
    const bool known = (error == EPROTO && !reason_.empty()) || turned_away_;
    return known ? "TLS: " + reason_ : error_text(error);
}

bool TlsChannel::mistrusted() const {
    const std::lock_guard lock(ssl_mutex_);
    return mistrusted_;
}

std::optional<Certificate> TlsChannel::peer_certificate() const {
    const std::lock_guard lock(ssl_mutex_);
    const X509Handle shown(SSL_get1_peer_certificate(ssl_.get()));
    if (!open_ || shown == nullptr || SSL_get_verify_result(ssl_.get()) != X509_V_OK) {
        return std::nullopt;
    }
    const BioHandle subject(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(subject.get(), X509_get_subject_name(shown.get()), 0, XN_FLAG_RFC2253);
    const BioHandle pem(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(pem.get(), shown.get());
    return Certificate{text_of(subject.get()), names_of(shown.get()), text_of(pem.get())};
}

}  // namespace nq::detail
