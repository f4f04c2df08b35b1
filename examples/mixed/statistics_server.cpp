// SPDX-License-Identifier: Apache-2.0
// Takes numpy arrays of Python programs, answers with a dict of what it found: no Python here, and
// no copy of the numbers. Serves one client, then ends. See statistics_client.py.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <net_queue/net_queue.hpp>
#include <numeric>

int main(int argc, char** argv) {
    nq::Options options;
    options.netloc.port = argc > 1 ? static_cast<std::uint16_t>(std::atoi(argv[1])) : 51966;
    auto queue = nq::open(nq::Protocol::tcp, nq::Purpose::server, options);
    std::printf("listening on %s\n", queue.options().netloc.to_string().c_str());
    std::fflush(stdout);
    for (;;) {
        auto [peer, data] = queue.get();
        if (!data.is_array()) break;
        const std::span<const double> numbers = data.as_span<double>();  // where they arrived
        const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
        const double sum = std::accumulate(numbers.begin(), numbers.end(), 0.0);
        queue.put(nq::Value::dict({{"sum", sum}, {"min", *least}, {"max", *most}}), peer);
    }
}
