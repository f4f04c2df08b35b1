// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net_queue/error.hpp>
#include <string_view>

#include "gil.hpp"

namespace nq::python {

/// The exception that Python's own libraries would raise, not raised yet. What identifies who it
/// happened with is its argument (a uuid.UUID; where we closed, that is `own`, the communicator's),
/// the sentence for people a note.
py::object exception_of(const Failure& failure, const Uuid& own);
[[noreturn]] void raise_in_python(const Failure& failure, const Uuid& own);

/// Text that may hold what a peer, a broker or the system said, which need not be UTF-8.
py::object text_of(std::string_view text);

/// Errors of the library that reach the border become those exceptions.
void bind_errors();

}  // namespace nq::python
