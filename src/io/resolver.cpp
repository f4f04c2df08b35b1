// SPDX-License-Identifier: Apache-2.0
#include "io/resolver.hpp"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "io/limits.hpp"
#include "io/socket.hpp"

namespace nq::detail {

namespace {

/// Threads of this process that look a name up: a bound, not a service, so one for all.
std::atomic<int> lookups{0};

struct FreeAddresses {
    void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

Failure look_up_failure(const NetworkLocation& location, int code, int error) {
    const bool permanent =
        code == EAI_NONAME || code == EAI_NODATA || code == EAI_ADDRFAMILY || code == EAI_FAMILY;
    std::string text = "cannot look up the address of \"" + location.host + "\": ";
    text += code == EAI_SYSTEM ? error_text(error) : ::gai_strerror(code);
    text += permanent ? "; check the name" : "; check the name server, or try again later";
    return {permanent ? Errc::unknown_peer : Errc::connection_reset, {}, std::move(text)};
}

Result<Addresses> ask_system(const NetworkLocation& location, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    const char* const host = location.host.empty() ? nullptr : location.host.c_str();
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(host, std::to_string(location.port).c_str(), &hints, &found);
    const int error = errno;
    if (code != 0) return look_up_failure(location, code, error);
    const std::unique_ptr<addrinfo, FreeAddresses> list(found);
    Addresses addresses;
    for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
        if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
        addresses.emplace_back(entry->ai_addr, entry->ai_addrlen);
    }
    if (addresses.empty()) return look_up_failure(location, EAI_NODATA, 0);
    return addresses;
}

/// Starts a thread that takes no signals: those are for the user's threads.
void start_thread(std::function<void()> body) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread(std::move(body)).detach();
    } catch (...) {
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

Result<Addresses> look_up(const NetworkLocation& location) {
    // The system would read "no host" as this machine.
    if (location.host.empty()) return look_up_failure(location, EAI_NONAME, 0);
    return ask_system(location, 0);
}

Result<Addresses> look_up_local(const NetworkLocation& location) {
    return ask_system(location, AI_PASSIVE);
}

/// Shared by the Resolution, the thread and the task that brings the result.
/// Invariant: reactor == nullptr once nobody wants to know, and then it is not touched again.
struct Resolution::Request : std::enable_shared_from_this<Request> {
    Request(Reactor& on, Done what) : reactor(&on), done(std::move(what)) {}

    /// From any thread. The lock is held while posting, so the reactor can't go meanwhile: whoever
    /// gives up must get the lock first.
    void post(Result<Addresses> result) {
        const std::lock_guard lock(mutex);
        if (reactor == nullptr) return;
        reactor->post([self = shared_from_this(), result = std::move(result)]() mutable {
            self->deliver(std::move(result));
        });
    }

    void deliver(Result<Addresses> result) {
        if (const Done tell = give_up()) tell(std::move(result));
    }

    Done give_up() {
        const std::lock_guard lock(mutex);
        reactor = nullptr;
        return std::exchange(done, nullptr);
    }

    std::mutex mutex;
    Reactor* reactor;
    Done done;
};

Resolution::Resolution(Reactor& reactor, const NetworkLocation& location, Done done,
                       LookUp look_up_name)
    : request_(std::make_shared<Request>(reactor, std::move(done))) {
    if (!location.host.empty()) {
        Result<Addresses> numeric = ask_system(location, AI_NUMERICHOST);
        if (numeric) {
            request_->post(std::move(numeric));
            return;
        }
    }
    // relaxed, here and below: a count and nothing else.
    if (lookups.fetch_add(1, std::memory_order_relaxed) >= limits::k_lookups) {
        lookups.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as above
        request_->post(look_up_failure(location, EAI_AGAIN, 0));
        return;
    }
    try {
        start_thread([request = request_, location, look_up_name] {
            request->post(look_up_name(location));
            lookups.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as above
        });
    } catch (const std::system_error& error) {
        lookups.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as above
        request_->post(look_up_failure(location, EAI_SYSTEM, error.code().value()));
    }
}

Resolution::~Resolution() { (void)request_->give_up(); }

}  // namespace nq::detail
