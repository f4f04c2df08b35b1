// SPDX-License-Identifier: Apache-2.0
#include "payload.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

namespace nq::tool {

namespace {

constexpr std::size_t k_first_read = std::size_t{64} << 10;

[[noreturn]] void fail(const std::filesystem::path& path) {
    throw std::system_error(errno, std::generic_category(), path.string());
}

Chunk map_file(int descriptor, std::size_t size, const std::filesystem::path& path) {
    void* const address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED) fail(path);
    madvise(address, size, MADV_SEQUENTIAL);
    return Chunk::borrow({static_cast<const std::byte*>(address), size},
                         [address, size] { munmap(address, size); });
}

Chunk read_to_end(int descriptor, const std::filesystem::path& path) {
    std::vector<std::byte> octets(k_first_read);
    std::size_t filled = 0;
    while (true) {
        const ssize_t count = read(descriptor, octets.data() + filled, octets.size() - filled);
        if (count == 0) break;
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail(path);
        filled += static_cast<std::size_t>(count);
        if (filled == octets.size()) octets.resize(2 * filled);
    }
    octets.resize(filled);
    return Chunk::take(std::move(octets));
}

Chunk contents(int descriptor, const std::filesystem::path& path) {
    struct stat status {};
    if (fstat(descriptor, &status) != 0) fail(path);
    // Files of /proc say 0 and hold more: those are read.
    if (S_ISREG(status.st_mode) && status.st_size > 0 && lseek(descriptor, 0, SEEK_CUR) == 0) {
        return map_file(descriptor, static_cast<std::size_t>(status.st_size), path);
    }
    return read_to_end(descriptor, path);
}

}  // namespace

Chunk file_contents(const std::filesystem::path& path) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail(path);
    const std::unique_ptr<const int, void (*)(const int*)> closer(
        &descriptor, [](const int* opened) { ::close(*opened); });
    return contents(descriptor, path);
}

Chunk stdin_contents() { return contents(STDIN_FILENO, "stdin"); }

Output::Output(const std::filesystem::path& path)
    : path_(path.empty() ? "stdout" : path), descriptor_(STDOUT_FILENO) {
    if (path.empty()) return;
    descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail(path_);
}

Output::~Output() {
    if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
}

void Output::write(std::span<const std::byte> octets) {
    while (!octets.empty()) {
        const ssize_t count = ::write(descriptor_, octets.data(), octets.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail(path_);
        octets = octets.subspan(static_cast<std::size_t>(count));
    }
}

void Output::close() {
    if (::close(std::exchange(descriptor_, -1)) != 0) fail(path_);
}

}  // namespace nq::tool
