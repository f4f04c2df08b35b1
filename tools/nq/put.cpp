// SPDX-License-Identifier: Apache-2.0
#include "put.hpp"

#include <CLI/CLI.hpp>
#include <stdexcept>

#include "errors.hpp"
#include "payload.hpp"
#include "progress.hpp"

namespace nq::tool {

namespace {

using PutQueue = BasicQueue<StreamSerializer>;

/// One message, encoded once however often it is put.
Stream encode(Encoding encoding, Chunk octets, bool text) {
    if (encoding == Encoding::bytes) return Stream(std::move(octets));
    return PickleSerializer{}.dump(text ? Value::str(std::move(octets))
                                        : Value::bytes(std::move(octets)));
}

std::vector<Stream> encode_messages(const PutOptions& options) {
    const Encoding encoding = options.endpoint.encoding();
    std::vector<Stream> streams;
    for (const std::string& message : options.messages) {
        streams.push_back(encode(encoding, Chunk::copy_of(message), true));
    }
    for (const std::filesystem::path& file : options.files) {
        streams.push_back(encode(encoding, file_contents(file), false));
    }
    if (streams.empty()) streams.push_back(encode(encoding, stdin_contents(), false));
    return streams;
}

bool wait_for_receivers(const PutOptions& options, std::span<const Uuid> to, Arrivals& arrivals) {
    if (!options.endpoint.server) return true;
    if (to.empty()) return arrivals.wait_for_count(options.clients);
    for (const Uuid& peer : to) {
        if (!arrivals.wait_for_peer(peer)) return false;
    }
    return true;
}

std::uint64_t queued_bytes(const PutQueue& queue) {
    std::uint64_t octets = 0;
    for (const PeerStats& peer : queue.stats().peers) octets += peer.queued_bytes;
    return octets;
}

/// Puts everything; returns once the network has it.
void put_all(PutQueue& queue, const PutOptions& options, const std::vector<Stream>& messages,
             std::span<const Uuid> to) {
    std::vector<Future> futures;
    std::uint64_t total = 0;
    for (std::uint64_t round = 0; round < options.count; ++round) {
        for (const Stream& message : messages) {
            Future future = queue.put(message, to);
            total += message.size() * std::max<std::size_t>(future.peers().size(), 1);
            // FIFO per peer: the last future of each message's receivers covers those before it.
            // A failure in between can only be one of every message after it, too.
            if (round + 1 == options.count) futures.push_back(std::move(future));
        }
    }
    const Progress progress(
        "put", total, [&queue, total] { return total - std::min(total, queued_bytes(queue)); });
    for (const Future& future : futures) future.get();
}

/// Octets that a broker, or a kernel, took for a server that never came are lost.
void require_server(const PutQueue& queue) {
    for (const PeerStats& server : queue.stats().peers) {
        if (!server.peer.is_nil()) return;
    }
    throw std::runtime_error("no server answered at " + queue.options().netloc.to_string() +
                             "; -v shows what happened");
}

}  // namespace

void add_put_command(CLI::App& app, PutOptions& options) {
    CLI::App* const put = app.add_subcommand("put", "Put messages into a queue");
    put->add_option("message", options.messages,
                    "Messages, each a str; with neither messages nor files: stdin, as one");
    put->add_option("-f,--file", options.files, "A file as one message of bytes; may be repeated")
        ->allow_extra_args(false);
    put->add_option("-n,--count", options.count, "How often to put them all")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    put->add_option("--to", options.to, "UUID of the receiver; may be repeated; default: all")
        ->allow_extra_args(false);
    put->add_option("--clients", options.clients,
                    "Server without --to: clients to wait for before putting to all")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    add_endpoint_options(*put, options.endpoint);
}

int run_put(const PutOptions& options, Interrupt& interrupt) {
    std::vector<Uuid> to;
    for (const std::string& text : options.to) to.push_back(parse_id("--to", text));
    const std::vector<Stream> messages = encode_messages(options);

    Arrivals arrivals;
    PutQueue queue = open_endpoint(options.endpoint, arrivals);
    const Interrupt::Scope scope(interrupt, [&] {
        arrivals.stop();
        (void)queue.close_for(k_goodbye);
    });
    try {
        if (wait_for_receivers(options, to, arrivals)) put_all(queue, options, messages, to);
        if (!interrupt.happened()) {
            queue.close();
            if (!options.endpoint.server) require_server(queue);
        }
    } catch (const ConnectionAborted&) {
        if (!interrupt.happened()) throw;
    } catch (...) {
        // The destructor would not wait, and a peer that sees no fin may wait for ever.
        (void)queue.close_for(k_goodbye);
        throw;
    }
    return interrupt.happened() ? k_exit_interrupted : k_exit_done;
}

}  // namespace nq::tool
