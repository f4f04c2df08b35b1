// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <chrono>
#include <filesystem>
#include <string>

#include "errors.hpp"
#include "hook.hpp"
#include "ids.hpp"

namespace nq::python {

namespace {

/// Longer than any program runs, and short enough to be added to a clock.
constexpr double k_seconds_max = 1e9;

template <class T>
T attribute(const py::object& object, const char* name) {
    return object.attr(name).cast<T>();
}

std::chrono::milliseconds milliseconds_of(const py::object& object, const char* name) {
    const std::chrono::duration<double> seconds(
        std::min(attribute<double>(object, name), k_seconds_max));
    return std::chrono::ceil<std::chrono::milliseconds>(seconds);
}

std::chrono::microseconds microseconds_of(const py::object& object, const char* name) {
    const std::chrono::duration<double> seconds(attribute<double>(object, name));
    return std::chrono::ceil<std::chrono::microseconds>(seconds);
}

std::filesystem::path path_of(const py::object& object, const char* name) {
    const py::object path = object.attr(name);
    if (path.is_none()) return {};
    PyObject* encoded = nullptr;  // as the file system has it, which need not be UTF-8
    if (PyUnicode_FSConverter(path.ptr(), &encoded) == 0) throw py::error_already_set();
    return static_cast<std::string>(py::reinterpret_steal<py::bytes>(encoded));
}

OnOversize on_oversize_of(const std::string& text) {
    return text == "refuse" ? OnOversize::refuse : OnOversize::split;
}

OnFull on_full_of(const std::string& text) {
    if (text == "drop_newest") return OnFull::drop_newest;
    if (text == "drop_oldest") return OnFull::drop_oldest;
    return OnFull::block;
}

ConnectionOptions connection_of(const py::object& options) {
    return {
        .get_merge = attribute<bool>(options, "get_merge"),
        .put_merge = attribute<bool>(options, "put_merge"),
        .efficient_size = attribute<std::size_t>(options, "efficient_size"),
        .transport_size = attribute<std::size_t>(options, "transport_size"),
        .queue_size = attribute<std::size_t>(options, "queue_size"),
        .message_size = attribute<std::size_t>(options, "message_size"),
        .on_oversize = on_oversize_of(attribute<std::string>(options, "on_oversize")),
        .on_full = on_full_of(attribute<std::string>(options, "on_full")),
        .receive_bytes = attribute<std::size_t>(options, "receive_bytes"),
    };
}

SecurityOptions security_of(const py::object& options) {
    return {
        .key = path_of(options, "key"),
        .certificate = path_of(options, "certificate"),
        .client_authority = path_of(options, "client_authority"),
        .client_key = path_of(options, "client_key"),
        .client_certificate = path_of(options, "client_certificate"),
    };
}

BrokerOptions broker_of(const py::object& options) {
    return {
        .user = attribute<std::string>(options, "user"),
        .password = attribute<std::string>(options, "password"),
        .payload_size = attribute<std::size_t>(options, "payload_size"),
        .keep_alive =
            std::chrono::ceil<std::chrono::seconds>(milliseconds_of(options, "keep_alive")),
    };
}

std::function<void(const Uuid&)> event_of(const py::object& function) {
    if (function.is_none()) return {};
    return [hook = Hook(function)](const Uuid& peer) {
        hook.call([&peer](const py::object& event) { call(event, uuid_of(peer)); });
    };
}

py::object certificate_of(const std::optional<Certificate>& shown) {
    if (!shown) return py::none();
    const auto type = py::module_::import("net_queue.core.options").attr("Certificate");
    py::list names;
    for (const std::string& name : shown->names) names.append(text_of(name));
    return type(text_of(shown->subject), py::tuple(names), text_of(shown->pem));
}

AuthorizeHook authorize_of(const py::object& function) {
    if (function.is_none()) return {};
    return [hook = Hook(function)](const Uuid& id, const std::optional<Certificate>& shown,
                                   std::string_view address) {
        bool allowed = false;  // an exception refuses
        hook.call([&](const py::object& authorize) {
            allowed =
                py::bool_(call(authorize, uuid_of(id), certificate_of(shown), text_of(address)));
        });
        return allowed;
    };
}

const char* name_of(LogLevel level) {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: return "error";
    }
    return "error";
}

LogHook log_of(const py::object& function) {
    if (function.is_none()) return {};
    return
        [hook = Hook(function)](LogLevel level, std::string_view category, std::string_view text) {
            hook.call([&](const py::object& log) {
                call(log, name_of(level), text_of(category), text_of(text));
            });
        };
}

}  // namespace

Options options_of(const py::object& options) {
    Options native;
    native.id = id_of(options.attr("id"));
    const py::object netloc = options.attr("netloc");
    native.netloc = {attribute<std::string>(netloc, "host"),
                     attribute<std::uint16_t>(netloc, "port")};
    native.connection = connection_of(options.attr("connection"));
    const py::object security = options.attr("security");
    if (!security.is_none()) native.security = security_of(security);
    native.workers = attribute<unsigned>(options, "workers");
    native.busy_poll = microseconds_of(options, "busy_poll");
    native.connect_timeout = milliseconds_of(options, "connect_timeout");
    native.session_expiry = milliseconds_of(options, "session_expiry");
    native.lost_sessions = attribute<std::size_t>(options, "lost_sessions");
    native.lost_bytes = attribute<std::size_t>(options, "lost_bytes");
    native.handshake_timeout = milliseconds_of(options, "handshake_timeout");
    if (!options.attr("close_timeout").is_none()) {
        native.close_timeout = milliseconds_of(options, "close_timeout");
    }
    native.broker = broker_of(options.attr("broker"));
    native.authorize = authorize_of(options.attr("authorize"));
    const py::object events = options.attr("events");
    native.events = {event_of(events.attr("ini")), event_of(events.attr("fin"))};
    native.log = log_of(options.attr("log"));
    return native;
}

}  // namespace nq::python
