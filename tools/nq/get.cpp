// SPDX-License-Identifier: Apache-2.0
#include "get.hpp"

#include <CLI/CLI.hpp>

#include "errors.hpp"
#include "payload.hpp"
#include "progress.hpp"

namespace nq::tool {

namespace {

using GetQueue = BasicQueue<StreamSerializer>;

/// Octets as they are; a pickled str, or what is no string at all, as a line.
void write_message(Output& output, Encoding encoding, Stream message) {
    if (encoding == Encoding::bytes) {
        for (const Chunk& chunk : message.read_chunks()) output.write(chunk.octets());
        return;
    }
    const Value value = PickleSerializer{}.load(std::move(message));
    if (value.is_bytes() || value.is(ValueType::bytearray)) {
        output.write(value.as_bytes().octets());
    } else {
        output.write(value.is_str() ? std::string(value.as_str()) : value.repr());
        output.write("\n");
    }
}

/// Waits for the next message; nothing: there will be none, and that is as it should be.
std::optional<Message<Stream>> next_message(GetQueue& queue, const GetOptions& options,
                                            std::span<const Uuid> from) {
    try {
        if (options.timeout == 0) return queue.get(from);
        auto result = queue.get_for(
            std::chrono::nanoseconds{static_cast<std::int64_t>(options.timeout * 1e9)}, from);
        if (!result) raise(result.error());
        return *std::move(result);
    } catch (const ConnectionReset&) {
        if (options.count == 0 && !queue.peers().empty()) return std::nullopt;
        throw;
    }
}

std::uint64_t received_bytes(const GetQueue& queue) {
    std::uint64_t octets = 0;
    for (const PeerStats& peer : queue.stats().peers) octets += peer.received_bytes;
    return octets;
}

void get_all(GetQueue& queue, const GetOptions& options, std::span<const Uuid> from) {
    Output output(options.output);
    const Progress progress("get", std::nullopt, [&queue] { return received_bytes(queue); });
    for (std::uint64_t number = 0; options.count == 0 || number < options.count; ++number) {
        auto message = next_message(queue, options, from);
        if (!message) break;
        if (options.show_peer) output.write(message->peer.to_string() + ": ");
        write_message(output, options.endpoint.encoding(), std::move(message->data));
    }
    output.close();
}

bool wait_for_senders(const GetOptions& options, std::span<const Uuid> from, Arrivals& arrivals) {
    // A server does not know a client that has not come yet; to a client there is only one peer.
    if (!options.endpoint.server) return true;
    for (const Uuid& peer : from) {
        if (!arrivals.wait_for_peer(peer)) return false;
    }
    return true;
}

}  // namespace

void add_get_command(CLI::App& app, GetOptions& options) {
    CLI::App* const get = app.add_subcommand("get", "Get messages from a queue and write them out");
    get->add_option("-o,--output", options.output, "Write to this file instead of stdout");
    get->add_option("-n,--count", options.count,
                    "Messages to get; 0: until the server is gone, or Ctrl-C")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    get->add_option("--timeout", options.timeout, "Seconds to wait for each message; 0: no limit")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    get->add_option("--from", options.from, "UUID of the sender; may be repeated; default: anyone")
        ->allow_extra_args(false);
    get->add_flag("--show-peer", options.show_peer, "Write the sender's UUID before each message");
    add_endpoint_options(*get, options.endpoint);
}

int run_get(const GetOptions& options, Interrupt& interrupt) {
    std::vector<Uuid> from;
    for (const std::string& text : options.from) from.push_back(parse_id("--from", text));

    Arrivals arrivals;
    GetQueue queue = open_endpoint(options.endpoint, arrivals);
    const Interrupt::Scope scope(interrupt, [&] {
        arrivals.stop();
        (void)queue.close_for(k_goodbye);
    });
    try {
        if (wait_for_senders(options, from, arrivals)) get_all(queue, options, from);
        if (!interrupt.happened()) queue.close();
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
