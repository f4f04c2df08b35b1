// SPDX-License-Identifier: Apache-2.0
// Runs each file of the given files and directories through the fuzzer it is linked with, so that
// a stored corpus is a regression test under every compiler. An empty corpus is an error: a test
// that runs nothing must not pass.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fs = std::filesystem;

namespace {

void run_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    // A vector of exactly the right size, so that AddressSanitizer sees a read past its end.
    const std::vector<char> content{std::istreambuf_iterator<char>(file), {}};
    const std::vector<std::uint8_t> octets(content.begin(), content.end());
    LLVMFuzzerTestOneInput(octets.data(), octets.size());
}

std::size_t run_all(const fs::path& path) {
    if (!fs::is_directory(path)) return run_file(path), 1;
    std::size_t count = 0;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
        if (!entry.is_regular_file()) continue;
        run_file(entry.path());
        ++count;
    }
    return count;
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t count = 0;
    for (int i = 1; i < argc; ++i) {
        if (!fs::exists(argv[i])) {
            std::cerr << argv[i] << ": no such file or directory\n";
            return 2;
        }
        count += run_all(argv[i]);
    }
    std::cout << "replayed " << count << " inputs\n";
    return count > 0 ? 0 : 1;
}
