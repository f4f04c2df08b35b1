// SPDX-License-Identifier: Apache-2.0
#include "ids.hpp"

#include <string>

namespace nq::python {

namespace {

/// Beyond so many the cache begins anew: more peers than a server of one machine has at once.
constexpr std::size_t k_known_max = 65'536;

PyObject* uuid_type() {
    static PyObject* const type =
        py::object(py::module_::import("uuid").attr("UUID")).release().ptr();
    return type;
}

}  // namespace

Uuid id_of(py::handle uuid) {
    if (PyObject_IsInstance(uuid.ptr(), uuid_type()) != 1) {
        PyErr_Clear();
        throw py::type_error(std::string("a peer is a uuid.UUID, not ") +
                             Py_TYPE(uuid.ptr())->tp_name);
    }
    const py::bytes bytes = uuid.attr("bytes");
    if (PyBytes_GET_SIZE(bytes.ptr()) != Uuid::k_size) {  // a class of the caller's
        throw py::value_error("the octets of a peer's uuid.UUID: 16");
    }
    return Uuid::from_octets(
        {reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(bytes.ptr())), Uuid::k_size});
}

std::vector<Uuid> ids_of(const py::tuple& uuids) {
    std::vector<Uuid> ids;
    ids.reserve(uuids.size());
    for (const py::handle uuid : uuids) ids.push_back(id_of(uuid));
    return ids;
}

py::object uuid_of(const Uuid& id) {
    using namespace py::literals;
    const py::bytes bytes(reinterpret_cast<const char*>(id.octets().data()), Uuid::k_size);
    return py::handle(uuid_type())("bytes"_a = bytes);
}

py::object Ids::of(const Uuid& id) {
    const auto found = known_.find(id);
    if (found != known_.end()) return found->second;
    if (known_.size() >= k_known_max) known_.clear();
    return known_[id] = uuid_of(id);
}

}  // namespace nq::python
