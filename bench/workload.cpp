// SPDX-License-Identifier: Apache-2.0
#include "workload.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <thread>

namespace nq::bench {

namespace {

constexpr std::size_t k_cache_line = 64;
constexpr std::size_t k_page = 4096;
/// Up to this size every cache line is looked at.
constexpr std::size_t k_small = k_page;
/// Content repeats after so many octets: a prime, so that no two pages are alike for a long time.
constexpr std::size_t k_period = 1'048'583;

/// Knuth's linear congruential generator: the same numbers everywhere, in Python too.
class Random {
  public:
    std::uint64_t next() { return (state_ = state_ * 6364136223846793005 + 1442695040888963407); }

  private:
    std::uint64_t state_ = 1;
};

std::uint64_t word_at(std::span<const std::byte> octets, std::size_t offset) {
    std::uint64_t word = 0;
    const auto rest = octets.subspan(offset);
    std::memcpy(&word, rest.data(), std::min(sizeof word, rest.size()));
    return word;
}

std::uint64_t look_at(std::span<const std::byte> message) {
    const std::size_t stride = message.size() <= k_small ? k_cache_line : k_page;
    std::uint64_t mixed = message.size();
    for (std::size_t at = 0; at < message.size(); at += stride) {
        mixed = mixed * 31 + word_at(message, at);
    }
    return mixed;
}

}  // namespace

Messages Messages::mix(unsigned exponent) {
    constexpr unsigned k_least = 8;
    constexpr unsigned k_step = 2;
    std::vector<std::size_t> sizes;
    for (unsigned i = k_least; i < exponent; i += k_step) {
        sizes.insert(sizes.end(), std::size_t{1} << ((exponent - i) / 2), std::size_t{1} << i);
    }
    sizes.push_back(std::size_t{1} << exponent);
    Random random;
    for (std::size_t i = sizes.size(); i > 1; --i) {
        std::swap(sizes[i - 1], sizes[(random.next() >> 33) % i]);
    }
    return Messages(std::move(sizes));
}

std::size_t Messages::largest() const { return std::ranges::max(sizes_); }

std::uint64_t Messages::octets() const {
    if (sizes_.size() == 1) return sizes_.front() * count_;
    return std::accumulate(sizes_.begin(), sizes_.end(), std::uint64_t{0});
}

Messages Messages::word() const { return {std::ranges::min(sizes_), 1}; }

Content::Content(const Messages& messages) : octets_(messages.largest()) {
    Random random;
    const std::size_t drawn = std::min(octets_.size(), k_period);
    for (std::byte& octet : std::span(octets_).first(drawn)) {
        octet = static_cast<std::byte>(random.next() >> 56);
    }
    for (std::size_t at = drawn; at < octets_.size(); at += drawn) {
        std::memcpy(octets_.data() + at, octets_.data(), std::min(drawn, octets_.size() - at));
    }
    for (const std::size_t size : messages.sizes()) {
        if (!expected_.contains(size)) expected_[size] = look_at(octets(size));
    }
}

void Content::touch(std::span<const std::byte> message) const {
    const auto expected = expected_.find(message.size());
    if (expected != expected_.end() && look_at(message) == expected->second) return;
    std::fputs("a message arrived with other contents\n", stderr);
    _exit(1);
}

void End::put_and_get(const Messages& messages) {
    std::thread putting([this, &messages] { put(messages); });
    get(messages);
    putting.join();
}

void serve(const Workload& workload, End& end) {
    const Messages& messages = workload.messages;
    const Messages word = messages.word();
    end.get(word);
    end.put(word);
    if (workload.name == "sync") {
        end.get(messages);
        end.put(messages);
    } else if (workload.name == "async") {
        end.put_and_get(messages);
        end.put(word);
    } else if (workload.name == "oneway") {
        end.get(messages);
        end.put(word);
    } else {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            end.get(word);
            end.put(word);
        }
    }
}

double measure(const Workload& workload, End& end) {
    const Messages& messages = workload.messages;
    const Messages word = messages.word();
    end.put(word);
    end.get(word);
    const Stopwatch watch;
    if (workload.name == "sync") {
        end.put(messages);
        end.get(messages);
    } else if (workload.name == "async") {
        end.put_and_get(messages);
        end.get(word);
    } else if (workload.name == "oneway") {
        end.put(messages);
        end.get(word);
    } else {
        for (std::uint64_t i = 0; i < messages.count(); ++i) {
            end.put(word);
            end.get(word);
        }
    }
    return watch.seconds();
}

Stopwatch::Stopwatch()
    : begun_ns_(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds{1}) {
}

double Stopwatch::seconds() const {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<double>(now / std::chrono::nanoseconds{1} - begun_ns_) / 1e9;
}

}  // namespace nq::bench
