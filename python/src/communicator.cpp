// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

#include <pybind11/stl.h>

#include <system_error>
#include <utility>

#include "errors.hpp"
#include "hook.hpp"
#include "octets.hpp"
#include "options.hpp"
#include "waiting.hpp"

namespace nq::python {

namespace {

/// Put without the interpreter's lock from this size on: the calling thread may send it itself.
constexpr std::size_t k_unlocked_min = std::size_t{64} << 10;
/// What is queued goes out within this, once nobody refers to a communicator any more.
constexpr std::chrono::seconds k_forgotten_timeout{5};

Protocol protocol_of(const std::string& name) {
    for (const Protocol protocol : {Protocol::tcp, Protocol::mqtt, Protocol::grpc}) {
        if (to_string(protocol) == name) return protocol;
    }
    throw py::value_error("protocol: \"tcp\", \"mqtt\" or \"grpc\", not \"" + name + "\"");
}

Purpose purpose_of(const std::string& name) {
    for (const Purpose purpose : {Purpose::server, Purpose::client}) {
        if (to_string(purpose) == name) return purpose;
    }
    throw py::value_error("purpose: \"server\" or \"client\", not \"" + name + "\"");
}

const Serializer* serializer_of(const py::object& object) {
    return py::isinstance<Serializer>(object) ? object.cast<const Serializer*>() : nullptr;
}

const char* name_of(PeerStats::State state) {
    switch (state) {
        case PeerStats::State::connecting: return "connecting";
        case PeerStats::State::open: return "open";
        case PeerStats::State::lost: return "lost";
        case PeerStats::State::ended: return "ended";
    }
    return "ended";
}

// The error that is about to leave get is about a message of this peer.
void add_origin(py::error_already_set& error, const Uuid& peer) {
    error.value().attr("add_note")("in a message from " + peer.to_string());
}

}  // namespace

Communicator::Communicator(const std::string& protocol, const std::string& purpose,
                           const py::object& options, py::object dump, py::object load)
    : dump_(std::move(dump)),
      load_(std::move(load)),
      stream_type_(py::module_::import("net_queue.utils.stream").attr("Stream")),
      dumper_(serializer_of(dump_)),
      loader_(serializer_of(load_)) {
    // A server's waits for its broker.
    closing_ = without_gil([protocol = protocol_of(protocol), purpose = purpose_of(purpose),
                            native = options_of(options)]() mutable {
        return Closing::of(nq::Communicator(protocol, purpose, std::move(native)));
    });
}

Communicator::~Communicator() {
    if (closing_ == nullptr) return;
    if (fork_.forked()) {
        // Left alone: it is the parent's, whose threads are not here.
        new std::shared_ptr<Closing>(std::move(closing_));
        return;
    }
    try {
        closing_->begin(k_forgotten_timeout);
    } catch (const std::system_error&) {
        // No thread to be had for its close, which must not hold up this one.
        new std::shared_ptr<Closing>(std::move(closing_));
    }
}

Stream Communicator::dump(const py::object& data) const {
    if (dumper_ != nullptr) return dumper_->dump(data);
    const py::object dumped = call(dump_, data);
    if (py::hasattr(dumped, "_chunks")) return stream_of(dumped);
    return Stream(lend(dumped));
}

py::object Communicator::load(const Uuid& peer, Stream message) const {
    try {
        if (loader_ != nullptr) return loader_->load(std::move(message), Serializer::Memory::ours);
        return call(load_, call(stream_type_, views_of(std::move(message))));
    } catch (py::error_already_set& error) {
        add_origin(error, peer);
        throw;
    }
}

Put Communicator::put(const py::object& data, const py::tuple& peers) {
    fork_.require_parent();
    collect_returned();
    const std::vector<Uuid> ids = ids_of(peers);
    Stream message = dump(data);
    const auto keep = closing_;
    if (message.size() < k_unlocked_min)
        return {keep->core().put(std::move(message), ids), keep->core().id()};
    return {without_gil([&] { return keep->core().put(std::move(message), ids); }),
            keep->core().id()};
}

py::object Communicator::get(const py::tuple& peers, const std::optional<double>& timeout) {
    fork_.require_parent();
    collect_returned();
    const std::vector<Uuid> ids = ids_of(peers);
    const Deadline deadline = deadline_after(timeout);
    const auto keep = closing_;
    auto result = keep->core().try_get(ids);
    if (!result && result.error().code == Errc::would_block) {
        (void)wait_until(deadline, [&](std::chrono::nanoseconds slice) {
            result = keep->core().get_for(slice, ids);
            return result || result.error().code != Errc::timed_out;
        });
    }
    // The end of the program, which closed this, is no error of the threads that are still there.
    if (!result && exiting()) without_gil([] {});
    if (!result) raise_in_python(result.error(), keep->core().id());
    return py::make_tuple(ids_.of(result->peer), load(result->peer, std::move(result->data)));
}

void Communicator::when_readable(py::object callback, const py::tuple& peers) {
    fork_.require_parent();
    closing_->core().when_readable(
        [hook = Hook(std::move(callback))] {
            hook.call([](const py::object& function) { call(function); });
        },
        ids_of(peers));
}

py::tuple Communicator::close(const std::optional<double>& timeout) {
    fork_.require_parent();
    const auto keep = closing_;
    std::optional<std::chrono::nanoseconds> limit;
    if (const Deadline deadline = deadline_after(timeout)) limit = *deadline - Clock::now();
    if (in_callback()) {
        // A callback that waited for a close that waits for callbacks: the library sees to that.
        return report_of(without_gil([&] {
            if (!limit) keep->core().close();
            return keep->core().close_for(limit.value_or(std::chrono::nanoseconds(0)));
        }));
    }
    without_gil([&] { keep->begin(limit); });
    (void)wait_until(std::nullopt,
                     [&](std::chrono::nanoseconds slice) { return keep->wait_for(slice); });
    return report_of(keep->report());
}

py::tuple Communicator::report_of(const CloseReport& report) {
    py::list undelivered;
    for (const PeerStats& peer : report.undelivered) undelivered.append(stats_of(peer));
    return py::make_tuple(report.clean, undelivered);
}

py::list Communicator::peers() {
    fork_.require_parent();
    py::list peers;
    for (const Uuid& peer : closing_->core().peers()) peers.append(ids_.of(peer));
    return peers;
}

py::dict Communicator::stats() {
    fork_.require_parent();
    using namespace py::literals;
    const Stats stats = closing_->core().stats();
    py::list peers;
    for (const PeerStats& peer : stats.peers) peers.append(stats_of(peer));
    return py::dict("peers"_a = peers, "strangers"_a = stats.strangers,
                    "strangers_dropped"_a = stats.strangers_dropped,
                    "identities_refused"_a = stats.identities_refused,
                    "sessions_expired"_a = stats.sessions_expired);
}

py::dict Communicator::stats_of(const PeerStats& peer) {
    using namespace py::literals;
    return py::dict(
        "peer"_a = ids_.of(peer.peer), "state"_a = name_of(peer.state),
        "queued_messages"_a = peer.queued_messages, "queued_bytes"_a = peer.queued_bytes,
        "unread_messages"_a = peer.unread_messages, "unread_bytes"_a = peer.unread_bytes,
        "sent_messages"_a = peer.sent_messages, "received_messages"_a = peer.received_messages,
        "received_bytes"_a = peer.received_bytes, "dropped_messages"_a = peer.dropped_messages);
}

py::tuple Communicator::location() const {
    const NetworkLocation& netloc = closing_->core().options().netloc;
    return py::make_tuple(netloc.host, netloc.port);
}

void Communicator::reload_certificates() {
    fork_.require_parent();
    without_gil([this] { closing_->core().reload_certificates(); });
}

void bind_communicator(py::module_& module) {
    py::class_<Communicator>(module, "Communicator")
        .def(py::init<const std::string&, const std::string&, const py::object&, py::object,
                      py::object>())
        .def("put", &Communicator::put)
        .def("get", &Communicator::get)
        .def("when_readable", &Communicator::when_readable)
        .def("close", &Communicator::close)
        .def("peers", &Communicator::peers)
        .def("stats", &Communicator::stats)
        .def("location", &Communicator::location)
        .def("reload_certificates", &Communicator::reload_certificates);
}

}  // namespace nq::python
