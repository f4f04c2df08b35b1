// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net_queue/uuid.hpp>
#include <unordered_map>
#include <vector>

#include "gil.hpp"

namespace nq::python {

/// uuid.UUID to Uuid. Throws TypeError for what is none.
Uuid id_of(py::handle uuid);
std::vector<Uuid> ids_of(const py::tuple& uuids);
/// A new uuid.UUID.
py::object uuid_of(const Uuid& id);

/// The uuid.UUIDs of a communicator's peers, made once each. Needs the interpreter's lock.
class Ids {
  public:
    py::object of(const Uuid& id);

  private:
    std::unordered_map<Uuid, py::object> known_;
};

}  // namespace nq::python
