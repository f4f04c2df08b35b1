// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/channel.hpp"

namespace nq::detail {

/// Frees whatever OpenSSL made.
template <auto release>
struct OpenSslDeleter {
    template <class T>
    void operator()(T* object) const {
        release(object);
    }
};
using SslHandle = std::unique_ptr<SSL, OpenSslDeleter<SSL_free>>;
using SslContext = std::unique_ptr<SSL_CTX, OpenSslDeleter<SSL_CTX_free>>;
using SharedSslContext = std::shared_ptr<SSL_CTX>;

/// The first reason on this thread's error queue of OpenSSL, which is emptied; "" if there is none.
[[nodiscard]] std::string openssl_reason();

/// A TLS connection over a socket.
///
/// OpenSSL never touches the socket for writing: its records go to `outgoing_`, at most
/// k_records_per_write of them at a time, and from there to the kernel in one call. So it never
/// waits for the socket in the midst of a record, and what `send` took is either in the kernel or
/// held here until `advance` has brought it there.
/// Thread safety: as Channel. Two locks, taken in this order: the SSL object is for one thread at a
/// time, and so is what goes out; the kernel is given octets without the first.
/// Invariants: open_ or nothing was sent or received; outgoing_.size() <= k_tls_outgoing_max;
/// sent_ < outgoing_.size(), or both are 0.
class TlsChannel final : public Channel {
  public:
    /// REQUIRES: ssl has its role (client, server) and what it verifies.
    TlsChannel(Socket socket, SslHandle ssl);

    Io send(std::span<const Chunk> chunks) override;
    Io receive(std::span<const std::span<std::byte>> targets) override;
    Io advance() override;
    [[nodiscard]] bool holding() const override;
    void finish_sending() override;
    [[nodiscard]] Socket& socket() override { return socket_; }
    [[nodiscard]] std::string explain(int error) const override;
    [[nodiscard]] bool mistrusted() const override;
    [[nodiscard]] std::optional<Certificate> peer_certificate() const override;

    // For OpenSSL, which reads and writes through these (a BIO).
    /// Keeps octets of records for the kernel. False: the peer reads nothing of what it makes us
    /// say.
    [[nodiscard]] bool keep(std::span<const std::byte> octets);
    /// As read(2): -1 and errno.
    ssize_t read(std::span<std::byte> target);
    [[nodiscard]] bool at_end() const { return at_end_; }

  private:
    class Cursor;
    Io hear_out(Io broken);
    Io encrypt(Cursor& cursor);
    Io decrypt(std::span<const std::span<std::byte>>& targets, std::size_t& offset);
    Io fail(int result);
    Io failed() const;
    Io flush();
    [[nodiscard]] bool overrun() const;

    Socket socket_;
    const SslHandle ssl_;

    mutable std::mutex ssl_mutex_;  // guards the use of ssl_, and:
    bool open_ = false;             // the handshake is done
    bool at_end_ = false;           // of the socket
    int socket_error_ = 0;          // what the last read of the socket failed with
    int error_ = 0;                 // what this channel failed with; the SSL object is unusable
    std::string reason_;            // why, if error_ is EPROTO
    bool turned_away_ = false;      // and it was the peer who said so: an alert
    bool mistrusted_ = false;

    mutable std::mutex out_mutex_;     // guards what follows; after ssl_mutex_
    std::vector<std::byte> outgoing_;  // records for the kernel
    std::size_t sent_ = 0;             // octets of it that the kernel has
    bool finishing_ = false;           // the end of the stream goes behind them
    bool overrun_ = false;             // more was to be kept than there is room for
};

}  // namespace nq::detail
