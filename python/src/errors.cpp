// SPDX-License-Identifier: Apache-2.0
#include "errors.hpp"

#include "ids.hpp"

namespace nq::python {

namespace {

/// ssl.SSL_ERROR_SSL. An SSLError of a text alone shows it as a tuple.
constexpr int k_ssl_error = 1;

py::object imported(const char* module, const char* name) {
    return py::module_::import(module).attr(name);
}

py::object with_id(PyObject* type, const Uuid& id, const Failure& failure) {
    py::object exception = py::handle(type)(uuid_of(id));
    exception.attr("add_note")(text_of(failure.text));
    return exception;
}

// What is thrown: by what opens, mostly. An address that nobody knows, a broker that refuses us,
// has no name: there the sentence is all there is to tell.
py::object exception_of_thrown(const Failure& failure) {
    const bool nobody = failure.peer == Uuid();
    if (nobody && (failure.code == Errc::unknown_peer || failure.code == Errc::connection_reset)) {
        return py::handle(PyExc_ConnectionError)(text_of(failure.text));
    }
    return exception_of(failure, failure.peer);
}

}  // namespace

py::object exception_of(const Failure& failure, const Uuid& own) {
    const py::object text = text_of(failure.text);
    if (failure.code.category() != error_category()) {
        return py::handle(PyExc_OSError)(failure.code.value(), text);
    }
    switch (static_cast<Errc>(failure.code.value())) {
        case Errc::connection_aborted: return with_id(PyExc_ConnectionAbortedError, own, failure);
        case Errc::connection_reset:
        case Errc::unknown_peer:
        case Errc::queue_full:
        case Errc::stream_broken: return with_id(PyExc_ConnectionResetError, failure.peer, failure);
        case Errc::timed_out:
        case Errc::would_block: return imported("queue", "Empty")();
        case Errc::cancelled: return imported("concurrent.futures", "CancelledError")();
        case Errc::protocol_error: return py::handle(PyExc_ValueError)(text);
        case Errc::serialization_error: return imported("pickle", "PickleError")(text);
        case Errc::unsupported: return py::handle(PyExc_NotImplementedError)(text);
        case Errc::untrusted: return imported("ssl", "SSLCertVerificationError")(k_ssl_error, text);
        case Errc::invalid_certificate: return imported("ssl", "SSLError")(k_ssl_error, text);
    }
    return py::handle(PyExc_RuntimeError)(text);
}

py::object text_of(std::string_view text) {
    PyObject* const decoded =
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace");
    if (decoded == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(decoded);
}

void raise_in_python(const Failure& failure, const Uuid& own) {
    const py::object exception = exception_of(failure, own);
    PyErr_SetObject(py::type::handle_of(exception).ptr(), exception.ptr());
    throw py::error_already_set();
}

void bind_errors() {
    py::register_local_exception_translator([](std::exception_ptr thrown) {
        try {
            if (thrown) std::rethrow_exception(thrown);
        } catch (const Error& error) {
            const py::object exception = exception_of_thrown(error.failure());
            PyErr_SetObject(py::type::handle_of(exception).ptr(), exception.ptr());
        } catch (const std::system_error& error) {
            const py::object exception =
                py::handle(PyExc_OSError)(error.code().value(), text_of(error.what()));
            PyErr_SetObject(py::type::handle_of(exception).ptr(), exception.ptr());
        }
    });
}

}  // namespace nq::python
