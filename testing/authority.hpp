// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include <net_queue/options.hpp>

namespace nq::testing {

/// The files of scripts/test-authority, made for one process and gone with it.
/// Thread safety: all functions, from any thread.
class Authority {
  public:
    /// Throws std::runtime_error if the script fails.
    static const Authority& shared();

    [[nodiscard]] std::filesystem::path file(std::string_view name) const;
    /// A server that shows NAME.pem.
    [[nodiscard]] SecurityOptions server(std::string_view name = "server") const;
    /// A server that shows own.pem of `folder`, which is a copy of NAME.pem from now on.
    SecurityOptions install(std::string_view name, std::string_view folder) const;
    /// A client that trusts this authority.
    [[nodiscard]] SecurityOptions client() const;
    /// A client that trusts it and shows NAME.pem.
    [[nodiscard]] SecurityOptions client_as(std::string_view name) const;

    ~Authority();

  private:
    Authority();
    std::filesystem::path folder_;
};

}  // namespace nq::testing
