// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include <net_queue/stream.hpp>

namespace nq::tool {

/// The octets of a regular file, mapped, not read; the file must not shrink while they are in use.
/// Other files (pipes, devices) are read to their end. Throws std::system_error naming the file.
[[nodiscard]] Chunk file_contents(const std::filesystem::path& path);

/// Everything that stdin holds: mapped where it is a regular file, else read to its end.
[[nodiscard]] Chunk stdin_contents();

/// A file, or stdout, that messages are written to. Throws std::system_error naming it.
class Output {
  public:
    /// Empty: stdout. A file is created or emptied at once, so that what can't be written fails
    /// before a message is got.
    explicit Output(const std::filesystem::path& path);
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    ~Output();

    void write(std::span<const std::byte> octets);
    void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
    /// Ends the output, so that errors the system kept for the end are seen.
    void close();

  private:
    std::filesystem::path path_;
    int descriptor_;
};

}  // namespace nq::tool
