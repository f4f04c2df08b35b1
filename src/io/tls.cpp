// SPDX-License-Identifier: Apache-2.0
#include "io/tls.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <array>
#include <mutex>
#include <utility>

#include "io/limits.hpp"
#include "io/tls_channel.hpp"

namespace nq::detail {

namespace {

Failure file_failure(const char* what, const std::filesystem::path& path, std::string reason,
                     const char* advice) {
    std::string text = std::string(what) + " " + path.string() + ": " + std::move(reason);
    if (*advice != '\0') text += std::string("; ") + advice;
    return {Errc::invalid_certificate, {}, std::move(text)};
}

// Nobody is there to ask: an encrypted key is an error, not a prompt on the user's terminal.
int no_pass_phrase(char*, int, int, void*) { return -1; }

Result<void> load_own(SSL_CTX* context, const std::filesystem::path& key,
                      const std::filesystem::path& certificate, const char* whose) {
    if (key.empty() || certificate.empty()) {
        return Failure{
            Errc::invalid_certificate,
            {},
            std::string("security: ") + whose + " needs both, the file of its " +
                (key.empty() ? "key (and none was given)" : "certificate (and none was given)")};
    }
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
        return file_failure("certificate", certificate, openssl_reason(),
                            "it should be PEM: BEGIN CERTIFICATE, the own one first");
    }
    // OpenSSL checks it against the certificate as well: "key values mismatch".
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return file_failure(
            "key", key, openssl_reason(),
            "it should be PEM without a pass phrase, and belong to the certificate");
    }
    return {};
}

Result<void> load_trust(SSL_CTX* context, const std::filesystem::path& trusted) {
    ERR_clear_error();
    if (trusted.empty()) {
        (void)SSL_CTX_set_default_verify_paths(context);
    } else if (SSL_CTX_load_verify_file(context, trusted.c_str()) != 1) {
        return file_failure("trusted certificates", trusted, openssl_reason(),
                            "it should be PEM: BEGIN CERTIFICATE");
    }
    // Whoever trusts a certificate by name need not trust who issued it.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    return {};
}

Result<void> set_up_server(SSL_CTX* context, const SecurityOptions& security) {
    if (auto own = load_own(context, security.key, security.certificate, "a server"); !own) {
        return own;
    }
    if (security.client_authority.empty()) return {};
    if (auto trust = load_trust(context, security.client_authority); !trust) return trust;
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(security.client_authority.c_str()));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    return {};
}

Result<void> set_up_client(SSL_CTX* context, const SecurityOptions& security) {
    if (auto trust = load_trust(context, security.certificate); !trust) return trust;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (security.client_key.empty() && security.client_certificate.empty()) return {};
    return load_own(context, security.client_key, security.client_certificate,
                    "a client that shows a certificate");
}

Result<SharedSslContext> make_context(Purpose purpose, const SecurityOptions& security) {
    const bool server = purpose == Purpose::server;
    const SharedSslContext context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()),
                                   SSL_CTX_free);
    if (context == nullptr) return Failure{Errc::invalid_certificate, {}, openssl_reason()};
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    // Sessions outlive connections here by themselves; tickets would cost memory for each.
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_default_read_buffer_len(context.get(), limits::k_tls_read_ahead);
    SSL_CTX_set_default_passwd_cb(context.get(), no_pass_phrase);
    const auto done =
        server ? set_up_server(context.get(), security) : set_up_client(context.get(), security);
    if (!done) return done.error();
    return context;
}

/// Tells OpenSSL whom to expect: an address, or a name, which the server also gets to hear (SNI).
bool expect_host(SSL* ssl, const std::string& host) {
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    const std::string bare = bracketed ? host.substr(1, host.size() - 2) : host;
    std::array<unsigned char, sizeof(in6_addr)> address{};
    if (::inet_pton(AF_INET, bare.c_str(), address.data()) == 1 ||
        ::inet_pton(AF_INET6, bare.c_str(), address.data()) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), bare.c_str()) == 1;
    }
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, bare.c_str()) == 1 &&
           SSL_set_tlsext_host_name(ssl, bare.c_str()) == 1;
}

class TlsMaker final : public ChannelMaker {
  public:
    TlsMaker(Purpose purpose, SecurityOptions security, SharedSslContext context)
        : purpose_(purpose), security_(std::move(security)), context_(std::move(context)) {}

    [[nodiscard]] std::unique_ptr<Channel> connect(Socket socket,
                                                   const std::string& host) const override {
        SslHandle ssl(SSL_new(context().get()));
        if (ssl == nullptr || !expect_host(ssl.get(), host)) return nullptr;
        SSL_set_connect_state(ssl.get());
        return std::make_unique<TlsChannel>(std::move(socket), std::move(ssl));
    }

    [[nodiscard]] std::unique_ptr<Channel> accept(Socket socket) const override {
        SslHandle ssl(SSL_new(context().get()));
        if (ssl == nullptr) return nullptr;
        SSL_set_accept_state(ssl.get());
        return std::make_unique<TlsChannel>(std::move(socket), std::move(ssl));
    }

    Result<void> reload() override {
        auto fresh = make_context(purpose_, security_);
        if (!fresh) return fresh.error();
        const std::lock_guard lock(mutex_);
        context_ = *std::move(fresh);
        return {};
    }

  private:
    [[nodiscard]] SharedSslContext context() const {
        const std::lock_guard lock(mutex_);
        return context_;
    }

    const Purpose purpose_;
    const SecurityOptions security_;
    mutable std::mutex mutex_;
    SharedSslContext context_;  // guarded by mutex_
};

}  // namespace

Result<std::shared_ptr<ChannelMaker>> make_tls(Purpose purpose, const SecurityOptions& security) {
    auto context = make_context(purpose, security);
    if (!context) return context.error();
    return std::shared_ptr<ChannelMaker>(
        std::make_shared<TlsMaker>(purpose, security, *std::move(context)));
}

}  // namespace nq::detail
