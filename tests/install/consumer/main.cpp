// SPDX-License-Identifier: Apache-2.0
// A server and a client in one program, as somebody else would write it.
#include <iostream>

#include <net_queue/net_queue.hpp>

int main() {
    nq::Stream stream;
    stream.write("hello\nworld");
    if (stream.read_line() != "hello\n" || stream.size() != 5) return 1;

    auto server = nq::open(nq::Protocol::tcp, nq::Purpose::server, {.netloc = {.port = 0}});
    const auto port = server.options().netloc.port;
    auto client = nq::open(nq::Protocol::tcp, nq::Purpose::client, {.netloc = {.port = port}});
    client.put("Hello, Server!");
    const auto question = server.get();
    server.put("Hello, Client!", question.peer);
    const auto answer = client.get();
    client.close();

    std::cout << "net_queue " << nq::k_version << ": " << answer.data.as_str() << '\n';
    const bool known = nq::Uuid::parse(client.id().to_string()) == question.peer;
    return known && question.data.as_str() == "Hello, Server!" ? 0 : 1;
}
