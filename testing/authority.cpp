// SPDX-License-Identifier: Apache-2.0
#include "testing/authority.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

namespace nq::testing {

const Authority& Authority::shared() {
    static const Authority authority;
    return authority;
}

Authority::Authority() {
    std::string folder = (std::filesystem::temp_directory_path() / "nq-authority-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("cannot make " + folder);
    folder_ = folder;
    const std::string command = std::string(NQ_TEST_AUTHORITY) + " " + folder;
    if (std::system(command.c_str()) != 0) throw std::runtime_error(command + " failed");
}

Authority::~Authority() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

std::filesystem::path Authority::file(std::string_view name) const { return folder_ / name; }

SecurityOptions Authority::server(std::string_view name) const {
    SecurityOptions security;
    security.key = file(std::string(name) + ".key");
    security.certificate = file(std::string(name) + ".pem");
    return security;
}

SecurityOptions Authority::install(std::string_view name, std::string_view folder) const {
    const auto place = file(folder);
    std::filesystem::create_directory(place);
    for (const char* const kind : {".key", ".pem"}) {
        std::filesystem::copy_file(file(std::string(name) + kind),
                                   place / (std::string("own") + kind),
                                   std::filesystem::copy_options::overwrite_existing);
    }
    return server((std::filesystem::path(folder) / "own").string());
}

SecurityOptions Authority::client() const {
    SecurityOptions security;
    security.certificate = file("authority.pem");
    return security;
}

SecurityOptions Authority::client_as(std::string_view name) const {
    SecurityOptions security = client();
    security.client_key = file(std::string(name) + ".key");
    security.client_certificate = file(std::string(name) + ".pem");
    return security;
}

}  // namespace nq::testing
