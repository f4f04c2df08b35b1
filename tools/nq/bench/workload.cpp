// SPDX-License-Identifier: Apache-2.0
#include "bench/workload.hpp"

#include <cmath>
#include <cstring>
#include <stdexcept>

#include <net_queue/serializer.hpp>

namespace nq::tool {

namespace {

/// splitmix64 (public domain, S. Vigna): the same numbers everywhere, unlike std::shuffle's.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

  private:
    std::uint64_t state_;
};

constexpr std::uint64_t k_shuffle_seed = 1;
constexpr std::uint64_t k_content_seed = 2;

std::uint64_t power(unsigned exponent) { return std::uint64_t{1} << exponent; }

}  // namespace

Workload::Workload(const BenchOptions& options) {
    std::vector<std::uint64_t> list;
    for (unsigned i = options.min_size; options.step_size > 0 && i < options.max_size;
         i += options.step_size) {
        const double ratio = std::exp2(static_cast<double>(options.max_size - i));
        const auto count =
            static_cast<std::size_t>(std::llround(std::pow(ratio, options.step_expo)));
        list.insert(list.end(), count, power(i));
    }
    list.push_back(power(options.max_size));

    sizes_.reserve(list.size() * options.reps);
    for (unsigned rep = 0; rep < options.reps; ++rep) {
        sizes_.insert(sizes_.end(), list.begin(), list.end());
    }
    Random random(k_shuffle_seed);
    for (std::size_t i = sizes_.size(); i > 1; --i) {
        std::swap(sizes_[i - 1], sizes_[random.next() % i]);
    }
    for (const std::uint64_t size : sizes_) octets_ += size;
}

void Tally::require(const Workload& workload, std::uint64_t times) const {
    std::map<std::uint64_t, std::uint64_t> expected;
    for (const std::uint64_t size : workload.sizes()) expected[size] += times;
    if (counts_ == expected) return;
    for (const auto& [size, count] : counts_) {
        const auto wanted = expected.find(size);
        if (wanted == expected.end() || wanted->second != count) {
            throw std::runtime_error("wrong messages: " + std::to_string(count) + " of " +
                                     std::to_string(size) + " octets");
        }
    }
    throw std::runtime_error("wrong messages: some sizes are missing");
}

Buffer::Buffer(std::size_t size, bool pickle) : pickle_(pickle) {
    const auto memory = std::make_shared_for_overwrite<std::byte[]>(size);
    Random random(k_content_seed);
    for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
        const std::uint64_t word = random.next();
        std::memcpy(memory.get() + at, &word, std::min(sizeof word, size - at));
    }
    octets_ = Chunk({memory.get(), size}, memory);
}

Stream Buffer::message(std::size_t size) const {
    Chunk view = octets_.slice(0, size);
    if (pickle_) return PickleSerializer{}.dump(Value::bytes(std::move(view)));
    return Stream(std::move(view));
}

Stream Buffer::carried(Stream message) const {
    if (!pickle_) return message;
    const Value value = PickleSerializer{}.load(std::move(message));
    // A Python peer puts views of an array.
    return Stream(value.is_array() ? value.as_array().octets : value.as_bytes());
}

std::uint64_t Buffer::size_of(const Stream& message) const { return carried(message).size(); }

void Buffer::require(Stream message) const {
    std::size_t at = 0;
    for (const Chunk& chunk : carried(std::move(message)).read_chunks()) {
        if (chunk.size() > octets_.size() - at ||
            std::memcmp(chunk.data(), octets_.data() + at, chunk.size()) != 0) {
            throw std::runtime_error("wrong content in a message, chunk at octet " +
                                     std::to_string(at));
        }
        at += chunk.size();
    }
}

}  // namespace nq::tool
