// SPDX-License-Identifier: Apache-2.0
// Futures in a coroutine: co_await goes on, on the callback thread, when the message was sent.
#include <coroutine>
#include <exception>
#include <future>
#include <iostream>

#include <net_queue/net_queue.hpp>

namespace {

// The smallest coroutine type that can be waited for from outside.
struct Task {
    struct promise_type {
        std::promise<int> result;
        Task get_return_object() { return {result.get_future()}; }
        std::suspend_never initial_suspend() { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_value(int value) { result.set_value(value); }
        void unhandled_exception() { result.set_exception(std::current_exception()); }
    };
    std::future<int> result;
};

Task send_all(nq::Queue& queue, int count) {
    int sent = 0;
    for (int i = 0; i < count; ++i) {
        co_await queue.put(i);
        ++sent;
    }
    co_return sent;
}

}  // namespace

int main() {
    auto server = nq::open(nq::Protocol::tcp, nq::Purpose::server, {.netloc = {.port = 0}});
    auto client =
        nq::open(nq::Protocol::tcp, nq::Purpose::client, {.netloc = server.options().netloc});
    constexpr int k_count = 100;
    Task task = send_all(client, k_count);

    std::int64_t sum = 0;
    for (int i = 0; i < k_count; ++i) sum += server.get().data.as_int();
    const int sent = task.result.get();
    std::cout << sent << " messages sent, their sum is " << sum << '\n';
    client.close();
    return sent == k_count && sum == 4950 ? 0 : 1;
}
