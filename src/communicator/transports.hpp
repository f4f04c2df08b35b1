// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <net_queue/options.hpp>

#include "transport/transport.hpp"

namespace nq::detail {

/// The transport of a protocol, set up as the options say. Throws Error: `unsupported` if this
/// build lacks it, otherwise what is wrong with a key or certificate.
/// REQUIRES: options.id is set.
std::shared_ptr<Transport> make_transport(Protocol protocol, Purpose purpose,
                                          const Options& options);

}  // namespace nq::detail
