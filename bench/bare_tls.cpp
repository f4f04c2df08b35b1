// SPDX-License-Identifier: Apache-2.0
// What OpenSSL can do: the workloads over blocking sockets with SSL_write and SSL_read, no
// other library, one thread each end. The frames are net-queue's: 8 octets of size, payload.
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "socket.hpp"

namespace {

using nq::bench::Content;
using nq::bench::End;
using nq::bench::Ends;
using nq::bench::header_of;
using nq::bench::Messages;
using nq::bench::Outcome;
using nq::bench::ServerProcess;
using nq::bench::Socket;
using nq::bench::Workload;

void require(bool holds, const char* what) {
    if (!holds) throw std::runtime_error(what);
}

/// One end of a connection, from its handshake on.
class Tls {
  public:
    Tls(Socket socket, const std::string& authority, bool server) : socket_(std::move(socket)) {
        context_.reset(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
        SSL_CTX_set_read_ahead(context_.get(), 1);
        if (server) {
            const std::string own = authority + "/server";
            require(SSL_CTX_use_certificate_chain_file(context_.get(), (own + ".pem").c_str()) == 1,
                    "server.pem");
            require(SSL_CTX_use_PrivateKey_file(context_.get(), (own + ".key").c_str(),
                                                SSL_FILETYPE_PEM) == 1,
                    "server.key");
        } else {
            const std::string trusted = authority + "/authority.pem";
            require(SSL_CTX_load_verify_file(context_.get(), trusted.c_str()) == 1, "authority");
            SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
        }
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), socket_.descriptor());
        require((server ? SSL_accept(ssl_.get()) : SSL_connect(ssl_.get())) == 1, "handshake");
    }

    void write(const void* data, std::size_t size) const {
        std::size_t written = 0;
        require(SSL_write_ex(ssl_.get(), data, size, &written) == 1, "write");
    }

    void read(void* data, std::size_t size) const {
        auto* const octets = static_cast<std::byte*>(data);
        for (std::size_t filled = 0, got = 0; filled < size; filled += got) {
            require(SSL_read_ex(ssl_.get(), octets + filled, size - filled, &got) == 1, "read");
        }
    }

    /// Until the peer leaves.
    void wait_for_end() const {
        char octet = 0;
        (void)SSL_read(ssl_.get(), &octet, 1);
    }

  private:
    struct Free {
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };
    const Socket socket_;
    std::unique_ptr<SSL_CTX, Free> context_;
    std::unique_ptr<SSL, Free> ssl_;
};

class TlsEnd final : public End {
  public:
    TlsEnd(const Tls& tls, const Content& content)
        : tls_(tls), content_(content), buffer_(content.octets().size()) {}

    void put(const Messages& messages) override {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            const auto octets = content_.octets(messages.size(i));
            const std::uint64_t header = header_of(octets.size());
            tls_.write(&header, sizeof header);
            tls_.write(octets.data(), octets.size());
        }
    }
    void get(const Messages& messages) override {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            const auto message = std::span(buffer_).first(messages.size(i));
            std::uint64_t header = 0;
            tls_.read(&header, sizeof header);
            require(be64toh(header) == message.size(), "wrong size");
            tls_.read(message.data(), message.size());
            content_.touch(message);
        }
    }
    /// An SSL belongs to one thread.
    void put_and_get(const Messages&) override { throw std::runtime_error("not at once"); }

  private:
    const Tls& tls_;
    const Content& content_;
    std::vector<std::byte> buffer_;
};

Ends make_ends(const Workload& workload) {
    require(!workload.is_star() && !workload.authority.empty(), "two processes, --authority");
    const auto server = [workload](const std::function<void(std::uint16_t)>& listening) {
        const Socket listener = Socket::listener();
        listening(listener.port());
        const Tls tls(listener.accept(), workload.authority, true);
        const Content content(workload.messages);
        TlsEnd end(tls, content);
        serve(workload, end);
        tls.wait_for_end();
    };
    const auto client = [workload](const ServerProcess& process) -> Outcome {
        const Tls tls(Socket::connected(process.port), workload.authority, false);
        const Content content(workload.messages);
        TlsEnd end(tls, content);
        return {.seconds = measure(workload, end)};
    };
    return {server, client};
}

}  // namespace

int main(int argc, char** argv) {
    return nq::bench::run_program(argc, argv, "OpenSSL " OPENSSL_VERSION_STR, make_ends);
}
