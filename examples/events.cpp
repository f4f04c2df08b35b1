// SPDX-License-Identifier: Apache-2.0
// Who comes and who goes: the events, and the log hook that says what a library should not print.
#include <iostream>
#include <mutex>
#include <string>
#include <vector>

#include <net_queue/net_queue.hpp>

int main() {
    std::mutex mutex;  // the callbacks run on a thread of the queue's
    std::vector<std::string> diary;
    const auto note = [&mutex, &diary](std::string text) {
        const std::lock_guard lock(mutex);
        diary.push_back(std::move(text));
    };

    nq::Options options{.netloc = {.port = 0}};
    options.events.ini = [&note](const nq::Uuid& peer) { note("hello " + peer.to_string()); };
    options.events.fin = [&note](const nq::Uuid& peer) { note("goodbye " + peer.to_string()); };
    options.log = [&note](nq::LogLevel, std::string_view category, std::string_view text) {
        note(std::string(category) + ": " + std::string(text));
    };

    auto server = nq::open(nq::Protocol::tcp, nq::Purpose::server, options);
    auto client =
        nq::open(nq::Protocol::tcp, nq::Purpose::client, {.netloc = server.options().netloc});
    const nq::Uuid id = client.id();
    client.put("I was here");
    server.get();
    client.close();
    server.close();  // when it returns, every callback has run

    bool hello = false;
    bool goodbye = false;
    for (const auto& line : diary) {
        std::cout << line << '\n';
        hello |= line == "hello " + id.to_string();
        goodbye |= line == "goodbye " + id.to_string();
    }
    return hello && goodbye ? 0 : 1;
}
