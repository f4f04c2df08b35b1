// SPDX-License-Identifier: Apache-2.0
#include "handoff/inbox.hpp"

#include <algorithm>
#include <utility>

namespace nq::detail {

Inbox::Lock Inbox::hold() {
    Lock lock(mutex_);
    bias_.revoke();
    return lock;
}

bool Inbox::pause(const std::shared_ptr<Lane>& lane, std::uint64_t messages_max,
                  std::uint64_t bytes_max, std::function<void()> resume) {
    const Lock lock = hold();  // every getter that makes room later sees the pause
    lane->messages_low_ = messages_max / 2;
    lane->bytes_low_ = bytes_max / 2;
    if (lane->has_room()) return false;
    lane->resume_ = std::move(resume);
    return true;
}

void Inbox::unpause(const std::shared_ptr<Lane>& lane) {
    const Lock lock = hold();
    lane->resume_ = nullptr;
}

std::shared_ptr<Inbox::Lane> Inbox::open_lane(const Uuid& peer) {
    const Lock lock = hold();
    std::shared_ptr<Lane>& lane = lanes_[peer];
    if (lane == nullptr) lane = std::make_shared<Lane>(peer);
    if (!lane->open_) {
        lane->open_ = true;
        std::erase(departed_, peer);
    }
    return lane;
}

void Inbox::close_lane(const std::shared_ptr<Lane>& lane, Failure failure) {
    Lock lock = hold();
    if (!lane->open_) return;
    lane->open_ = false;
    lane->failure_ = std::move(failure);
    departed_.push_back(lane->peer);
    forget_departed();
    dispatch();
    call_out(lock);
}

// Lanes with unread messages stay however many there are: the messages are what costs.
void Inbox::forget_departed() {
    while (departed_.size() > departed_max_) {
        const auto lane = lanes_.find(departed_.front());
        departed_.pop_front();
        if (lane != lanes_.end() && lane->second->unread_messages() == 0) lanes_.erase(lane);
    }
}

void Inbox::deliver(const std::shared_ptr<Lane>& lane, Batch messages) {
    if (messages.empty()) return;
    const std::uint64_t count = messages.size();
    const std::uint64_t octets = messages.octets();
    arrivals_.push(Arrival{lane, std::move(messages)});
    // Counted once they are there: who is told that something is unread finds it.
    lane->messages_.arrive(count);
    lane->bytes_.arrive(octets);
    // seq_cst, with the push before it: either this thread sees the sleeper, or the sleeper, who
    // looks at the arrivals once more after it said so, sees the batch.
    if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
    Lock lock = hold();
    dispatch();
    call_out(lock);
}

bool Inbox::drop_oldest(const std::shared_ptr<Lane>& lane) {
    const Lock lock = hold();
    sort();
    if (lane->unread_.empty()) return false;
    (void)take_front(*lane);  // a lane that drops its oldest never pauses: nobody to resume
    return true;
}

void Inbox::close(Failure failure) {
    Lock lock = hold();
    closed_ = std::move(failure);
    dispatch();
    call_out(lock);
}

Result<Message<Stream>> Inbox::get(Peers peers, std::optional<Clock::time_point> deadline,
                                   Role* role) {
    if (Bias::Visit visit(bias_); visit) {
        sort();
        if (Lane* const lane = find_lane(peers)) {
            Outcome outcome(std::in_place, [&] { return take_front(*lane); });
            if (calls_.empty()) return outcome;
            visit.end();
            Lock lock = hold();
            call_out(lock);
            return outcome;
        }
    }
    Lock lock = hold();
    sort();
    const Found found = find(peers);
    if (!found) return get_later(peers, deadline, role, lock);
    if (waiters_.empty()) (void)bias_.favour();
    return get_found(found, lock);
}

Message<Stream> Inbox::get_or_raise(Peers peers, Role* role) {
    if (const Bias::Visit visit(bias_); visit) {
        sort();
        // Who makes room for a receiver that waits has somebody to call.
        if (Lane* const lane = find_lane(peers); lane != nullptr && !lane->resume_) {
            return take_front(*lane);
        }
    }
    Outcome outcome = get(peers, std::nullopt, role);
    if (!outcome) raise(outcome.error());
    return *std::move(outcome);
}

Inbox::Outcome Inbox::get_found(Found found, Lock& lock) {
    Outcome outcome = take(found);
    call_out(lock);
    return outcome;
}

Inbox::Outcome Inbox::get_later(Peers peers, std::optional<Clock::time_point> deadline, Role* role,
                                Lock& lock) {
    std::optional<Outcome> outcome;
    if (deadline != Clock::time_point::min()) {
        Waiter waiter{.peers = peers, .wait = Role::Waiter(role), .outcome = outcome};
        waiters_.push_back(&waiter);
        // seq_cst: before the second look at the arrivals; see deliver.
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        struct Leave {
            Inbox& inbox;
            Waiter& waiter;
            ~Leave() {
                if (waiter.outcome) return;
                inbox.waiters_.remove(&waiter);
                // relaxed: as in dispatch.
                inbox.sleepers_.fetch_sub(1, std::memory_order_relaxed);
            }
        };
        const Leave leave{*this, waiter};
        dispatch();
        waiter.wait.wait(lock, deadline);
        bias_.revoke();  // of who got something since this one was served
    }
    call_out(lock);
    if (outcome) return *std::move(outcome);
    return Failure{make_error_code(Errc::timed_out), Uuid(), "get: no message in time"};
}

void Inbox::when_readable(Peers peers, std::function<void()> tell) {
    Lock lock = hold();
    watchers_.push_back(Watcher{{peers.begin(), peers.end()}, std::move(tell)});
    // seq_cst: as for those who sleep in get; see deliver.
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    dispatch();
    call_out(lock);
}

// Takes what arrived into the lanes and into the order over all.
void Inbox::sort() {
    if (arrivals_.empty()) return;
    auto arrived = arrivals_.take_all();
    while (!arrived.empty()) {
        Arrival arrival = arrived.pop();
        const std::uint64_t first = next_sequence_;
        const std::uint64_t count = arrival.messages.size();
        arrival.lane->unread_.push_back({first, std::move(arrival.messages)});
        next_sequence_ += count;
        unread_ += count;
        order_.push_back(Run{std::move(arrival.lane), first, count});
    }
}

// Serves those who wait, in the order they came.
void Inbox::dispatch() {
    sort();
    for (auto it = waiters_.begin(); it != waiters_.end();) {
        Waiter& waiter = **it;
        const Found found = find(waiter.peers);
        if (!found) {
            ++it;
            continue;
        }
        waiter.outcome.emplace(take(found));
        it = waiters_.erase(it);
        // Here and not by the waiter, which may run much later. relaxed: one look too many does no
        // harm.
        sleepers_.fetch_sub(1, std::memory_order_relaxed);
        waiter.wait.serve();
    }
    std::erase_if(watchers_, [this](Watcher& watcher) {
        if (!readable(watcher.peers)) return false;
        calls_.push_back(std::move(watcher.tell));
        sleepers_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as above
        return true;
    });
}

Inbox::Found Inbox::find(Peers peers) {
    Found found = peers.empty() ? Found{.lane = find_first()} : find_among(peers);
    if (!found && closed_) found.failure = &*closed_;
    return found;
}

// Null: there is no message, and maybe never will be.
Inbox::Lane* Inbox::find_lane(Peers peers) {
    return peers.empty() ? find_first() : find_among(peers).lane;
}

// The lane of the message that came before all others; null: there is none.
inline Inbox::Lane* Inbox::find_first() {
    while (!order_.empty()) {
        if (order_.front().left()) return order_.front().lane.get();
        order_.pop_front();
    }
    order_.trim();
    return nullptr;
}

Inbox::Found Inbox::find_among(Peers peers) const {
    Lane* first = nullptr;
    const Failure* gone = nullptr;
    bool all_gone = true;
    for (const Uuid& peer : peers) {
        const auto found = lanes_.find(peer);
        if (found == lanes_.end()) {
            all_gone = false;  // nobody we know: it may come yet
            continue;
        }
        Lane& lane = *found->second;
        if (lane.unread_.empty()) {
            if (lane.open_) {
                all_gone = false;
            } else if (gone == nullptr) {
                gone = &lane.failure_;
            }
        } else if (first == nullptr || lane.front() < first->front()) {
            first = &lane;
        }
    }
    if (first != nullptr) return {.lane = first};
    return {.failure = all_gone ? gone : nullptr};
}

// REQUIRES: something was found.
Inbox::Outcome Inbox::take(Found found) {
    if (found.lane == nullptr) return *found.failure;
    return Outcome(std::in_place, [&] { return take_front(*found.lane); });
}

// Is there anything to find, a failure included?
bool Inbox::readable(Peers peers) const {
    if (closed_) return true;
    if (peers.empty()) return unread_ > 0;
    bool all_gone = true;
    for (const Uuid& peer : peers) {
        const auto found = lanes_.find(peer);
        if (found != lanes_.end() && !found->second->unread_.empty()) return true;
        if (found == lanes_.end() || found->second->open_) all_gone = false;
    }
    return all_gone;
}

// REQUIRES: the lane has an unread one.
inline Message<Stream> Inbox::take_front(Lane& lane) {
    if (lane.resume_) calls_.reserve(calls_.size() + 1);  // nothing is lost for want of memory
    Batch& messages = lane.unread_.front().messages;
    Message<Stream> message{lane.peer, messages.pop()};
    --unread_;
    lane.messages_.take(1);
    lane.bytes_.take(message.data.size());
    if (messages.empty() || lane.resume_) note_taken(lane);
    return message;
}

// A batch was taken to its end, or the lane's receiver waits for room.
void Inbox::note_taken(Lane& lane) {
    if (lane.unread_.front().messages.empty()) {
        lane.unread_.pop_front();
        lane.unread_.trim();
    }
    if (lane.resume_ && lane.has_room()) {
        calls_.push_back(std::exchange(lane.resume_, nullptr));
    }
    // Runs whose messages were all taken by name would pile up if nobody ever gets from anybody.
    if (order_.size() > 64 && order_.size() > 2 * unread_) forget_taken();
}

// Takes the runs out of the order of which nothing is left.
void Inbox::forget_taken() {
    for (std::size_t i = order_.size(); i > 0; --i) {
        Run run = std::move(order_.front());
        order_.pop_front();
        if (run.left()) order_.push_back(std::move(run));
    }
}

// Without the lock: a receiver that was paused may deliver at once.
void Inbox::call_out(Lock& lock) {
    if (calls_.empty()) return;
    const auto calls = std::exchange(calls_, {});
    lock.unlock();
    for (const auto& call : calls) call();
}

}  // namespace nq::detail
