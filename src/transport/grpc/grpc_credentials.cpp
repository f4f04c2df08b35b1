// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_credentials.hpp"

#include <grpc/grpc_security_constants.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

namespace nq::detail {

namespace {

Failure invalid(const std::string& what, const std::filesystem::path& path,
                const std::string& why) {
    return {make_error_code(Errc::invalid_certificate),
            {},
            "cannot use the " + what + " " + path.string() + ": " + why};
}

/// The text of a PEM file with at least one `kind` of block in it; gRPC would only find out with
/// the first connection, and say so to nobody.
Result<std::string> read_pem(const std::string& what, const std::filesystem::path& path,
                             const std::string& kind) {
    if (path.empty()) return invalid(what, path, "none was given");
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file.is_open() || file.bad() || std::filesystem::is_directory(path)) {
        return invalid(what, path,
                       errno != 0 ? std::system_category().message(errno) : "it is no file");
    }
    if (text.find("-----BEGIN ") == std::string::npos ||
        text.find(kind + "-----") == std::string::npos) {
        return invalid(what, path, "there is no " + kind + " in it (PEM)");
    }
    return text;
}

constexpr char k_certificate[] = "CERTIFICATE";
constexpr char k_key[] = "PRIVATE KEY";

std::string first_of(const grpc::AuthContext& context, const char* property) {
    const auto values = context.FindPropertyValues(property);
    return values.empty() ? "" : std::string(values.front().data(), values.front().size());
}

}  // namespace

Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(
    const std::optional<SecurityOptions>& security) {
    if (!security) return grpc::InsecureServerCredentials();
    auto key = read_pem("key", security->key, k_key);
    if (!key) return key.error();
    auto chain = read_pem("certificate", security->certificate, k_certificate);
    if (!chain) return chain.error();
    grpc::SslServerCredentialsOptions options(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    options.pem_key_cert_pairs.push_back({*std::move(key), *std::move(chain)});
    if (!security->client_authority.empty()) {
        auto authority = read_pem("client authority", security->client_authority, k_certificate);
        if (!authority) return authority.error();
        options.pem_root_certs = *std::move(authority);
        options.client_certificate_request =
            GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
    }
    return grpc::SslServerCredentials(options);
}

Result<std::shared_ptr<grpc::ChannelCredentials>> client_credentials(
    const std::optional<SecurityOptions>& security) {
    if (!security) return grpc::InsecureChannelCredentials();
    grpc::SslCredentialsOptions options;
    if (!security->certificate.empty()) {
        auto trusted = read_pem("trusted certificate", security->certificate, k_certificate);
        if (!trusted) return trusted.error();
        options.pem_root_certs = *std::move(trusted);
    }
    if (!security->client_key.empty() || !security->client_certificate.empty()) {
        auto key = read_pem("client key", security->client_key, k_key);
        if (!key) return key.error();
        auto chain = read_pem("client certificate", security->client_certificate, k_certificate);
        if (!chain) return chain.error();
        options.pem_private_key = *std::move(key);
        options.pem_cert_chain = *std::move(chain);
    }
    return grpc::SslCredentials(options);
}

std::optional<Certificate> certificate_of(const grpc::AuthContext* context) {
    if (context == nullptr) return std::nullopt;
    Certificate certificate;
    certificate.pem = first_of(*context, GRPC_X509_PEM_CERT_PROPERTY_NAME);
    if (certificate.pem.empty()) return std::nullopt;
    certificate.subject = first_of(*context, GRPC_X509_SUBJECT_PROPERTY_NAME);
    if (certificate.subject.empty()) {
        certificate.subject = "CN=" + first_of(*context, GRPC_X509_CN_PROPERTY_NAME);
    }
    for (const auto& name : context->FindPropertyValues(GRPC_X509_SAN_PROPERTY_NAME)) {
        certificate.names.emplace_back(name.data(), name.size());
    }
    return certificate;
}

}  // namespace nq::detail
