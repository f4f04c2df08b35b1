// SPDX-License-Identifier: Apache-2.0
// A serializer of one's own: any type with dump and load.
#include <cstring>
#include <iostream>
#include <stdexcept>

#include <net_queue/net_queue.hpp>

namespace {

struct Reading {
    std::uint32_t sensor;
    double celsius;
};

// Host byte order: for programs on machines of one kind.
struct ReadingSerializer {
    using value_type = Reading;

    nq::Stream dump(const Reading& reading) const {
        return nq::Stream::from_bytes(std::as_bytes(std::span(&reading, 1)));
    }

    Reading load(nq::Stream stream) const {
        if (stream.size() != sizeof(Reading)) throw std::runtime_error("not a Reading");
        Reading reading;
        stream.read_into(std::as_writable_bytes(std::span(&reading, 1)));
        return reading;
    }
};

}  // namespace

int main() {
    auto server = nq::open<ReadingSerializer>(nq::Protocol::tcp, nq::Purpose::server,
                                              {.netloc = {.port = 0}});
    auto client = nq::open<ReadingSerializer>(nq::Protocol::tcp, nq::Purpose::client,
                                              {.netloc = server.options().netloc});
    client.put({.sensor = 7, .celsius = 21.5});

    const Reading reading = server.get().data;
    std::cout << "sensor " << reading.sensor << ": " << reading.celsius << " degrees\n";
    client.close();
    return reading.sensor == 7 && reading.celsius == 21.5 ? 0 : 1;
}
