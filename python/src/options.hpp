// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net_queue/options.hpp>

#include "gil.hpp"

namespace nq::python {

/// A net_queue.CommunicatorOptions as the library's. Its serialization is not among them.
Options options_of(const py::object& options);

}  // namespace nq::python
