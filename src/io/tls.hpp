// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "io/channel.hpp"

namespace nq::detail {

/// TLS 1.2 or newer over sockets (WIRE.md, TCP). A server shows its certificate, and demands one of
/// its clients if client_authority is set; a client verifies the server's chain and that it is made
/// out to the host it connected to. Reads the files at once: a Failure (invalid_certificate) names
/// the file, OpenSSL's reason and what to do.
[[nodiscard]] Result<std::shared_ptr<ChannelMaker>> make_tls(Purpose purpose,
                                                             const SecurityOptions& security);

}  // namespace nq::detail
