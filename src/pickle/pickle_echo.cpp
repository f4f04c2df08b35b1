// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include <net_queue/serializer.hpp>

// The C++ side of tests/pickle/differential.py. On stdin frames, on stdout one frame for each:
//
//     frame  = size(u64, native order) octets
//     answer = "V" pickle | "E" text          loaded and dumped again | what load or dump threw

namespace {

bool read_all(void* target, std::size_t size) { return std::fread(target, 1, size, stdin) == size; }

void write_frame(char kind, std::span<const std::byte> octets) {
    const std::uint64_t size = octets.size() + 1;
    std::fwrite(&size, sizeof size, 1, stdout);
    std::fputc(kind, stdout);
    std::fwrite(octets.data(), 1, octets.size(), stdout);
    std::fflush(stdout);
}

void echo(std::vector<std::byte> octets) {
    const nq::PickleSerializer serializer;
    try {
        const nq::Value value = serializer.load(nq::Chunk::take(std::move(octets)));
        const nq::Stream dumped = serializer.dump(value);
        const nq::Value again = serializer.load(dumped);
        if (!(again == value)) throw std::runtime_error("not equal after dump and load");
        write_frame('V', dumped.to_bytes());
    } catch (const std::exception& error) {
        const std::string text = error.what();
        write_frame('E', std::as_bytes(std::span(text)));
    }
}

}  // namespace

int main() {
    for (std::uint64_t size = 0; read_all(&size, sizeof size);) {
        std::vector<std::byte> octets(size);
        if (!read_all(octets.data(), octets.size())) return 1;
        echo(std::move(octets));
    }
    return 0;
}
