// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <net_queue/error.hpp>
#include <net_queue/serializer.hpp>

namespace {

// Besides all known types a class of nobody's, so that refusals and Objects both occur.
nq::PickleSerializer restricting() {
    const nq::AllowList allow = nq::AllowList::known_types().with({"collections.OrderedDict"});
    return nq::PickleSerializer(nq::PickleOptions{.allow = allow});
}

// What loads must dump, load again and be equal. Budgets differ with the message's length, so the
// second time there is none.
void check_round_trip(const nq::Value& value) {
    nq::Stream dumped;
    try {
        dumped = nq::PickleSerializer().dump(value);
    } catch (const nq::Error&) {
        std::abort();
    }
    const nq::PickleSerializer unbounded(nq::PickleOptions{.object_budget = SIZE_MAX / 2});
    if (!(unbounded.load(dumped) == value)) std::abort();
}

void check(const nq::PickleSerializer& serializer, std::span<const std::byte> message) {
    try {
        const nq::Value value = serializer.load(nq::Stream::from_bytes(message));
        (void)value.repr(1000);
        check_round_trip(value);
    } catch (const nq::SerializationError&) {
        // Refused: as good an end as any.
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const nq::PickleSerializer allowing;
    static const nq::PickleSerializer restricted = restricting();
    const auto message = std::as_bytes(std::span(data, size));
    check(allowing, message);
    check(restricted, message);
    return 0;
}
