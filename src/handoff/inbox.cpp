// SPDX-License-Identifier: Apache-2.0
#include "handoff/inbox.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace nq::detail {

bool Inbox::Lane::pause(std::uint64_t messages_max, std::uint64_t bytes_max,
                        std::function<void()> resume) {
    {
        const std::lock_guard lock(pause_mutex_);
        messages_low_ = messages_max / 2;
        bytes_low_ = bytes_max / 2;
        resume_ = std::move(resume);
    }
    // seq_cst, with the counters: either the getter that makes room sees the pause, or this thread
    // sees the room.
    paused_.store(true, std::memory_order_seq_cst);
    if (!has_room()) return true;
    return take_resume() == nullptr;  // a getter was faster: its call is on its way
}

void Inbox::Lane::unpause() { (void)take_resume(); }

bool Inbox::Lane::has_room() const {
    return messages_.load() <= messages_low_ && bytes_.load() <= bytes_low_;
}

// Ends the pause and returns what to call; empty if there was no pause, or another was faster.
std::function<void()> Inbox::Lane::take_resume() {
    const std::lock_guard lock(pause_mutex_);
    if (!paused_.exchange(false)) return nullptr;
    return std::exchange(resume_, nullptr);
}

std::function<void()> Inbox::Lane::account_taken(std::uint64_t bytes) {
    messages_.fetch_sub(1);
    bytes_.fetch_sub(bytes);
    if (!paused_.load()) return nullptr;
    {
        const std::lock_guard lock(pause_mutex_);
        if (!has_room()) return nullptr;
    }
    return take_resume();
}

std::shared_ptr<Inbox::Lane> Inbox::open_lane(const Uuid& peer) {
    const Lock lock(mutex_);
    std::shared_ptr<Lane>& lane = lanes_[peer];
    if (lane == nullptr) lane = std::make_shared<Lane>(peer);
    if (!lane->open_) {
        lane->open_ = true;
        std::erase(departed_, peer);
    }
    return lane;
}

void Inbox::close_lane(const std::shared_ptr<Lane>& lane, Failure failure) {
    Lock lock(mutex_);
    if (!lane->open_) return;
    lane->open_ = false;
    lane->failure_ = std::move(failure);
    departed_.push_back(lane->peer);
    forget_departed();
    dispatch();
    call_out(std::move(lock));
}

// Lanes with unread messages stay however many there are: the messages are what costs.
void Inbox::forget_departed() {
    while (departed_.size() > departed_max_) {
        const auto lane = lanes_.find(departed_.front());
        departed_.pop_front();
        if (lane != lanes_.end() && lane->second->unread_messages() == 0) lanes_.erase(lane);
    }
}

void Inbox::deliver(const std::shared_ptr<Lane>& lane, std::vector<Stream> messages) {
    if (messages.empty()) return;
    std::uint64_t bytes = 0;
    for (const Stream& message : messages) bytes += message.size();
    lane->messages_.fetch_add(messages.size());
    lane->bytes_.fetch_add(bytes);
    arrivals_.push(Batch{lane, std::move(messages)});
    // seq_cst, with the push before it: either this thread sees the sleeper, or the sleeper, who
    // looks at the arrivals once more after it said so, sees the batch.
    if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
    Lock lock(mutex_);
    dispatch();
    call_out(std::move(lock));
}

bool Inbox::drop_oldest(const std::shared_ptr<Lane>& lane) {
    const Lock lock(mutex_);
    sort();
    if (lane->unread_.empty()) return false;
    (void)take_front(*lane);  // a lane that drops its oldest never pauses: nobody to resume
    return true;
}

void Inbox::close(Failure failure) {
    Lock lock(mutex_);
    closed_ = std::move(failure);
    dispatch();
    call_out(std::move(lock));
}

Result<Message<Stream>> Inbox::get(Peers peers, std::optional<Clock::time_point> deadline,
                                   Role* role) {
    Lock lock(mutex_);
    sort();
    auto result = take(peers);
    const bool may_wait = deadline != Clock::time_point::min();
    if (!result && may_wait) {
        Waiter waiter{.peers = peers, .wait = Role::Waiter(role), .result = {}};
        waiters_.push_back(&waiter);
        // seq_cst: before the second look at the arrivals; see deliver.
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        dispatch();
        waiter.wait.wait(lock, deadline);
        // relaxed: one look too many does no harm.
        sleepers_.fetch_sub(1, std::memory_order_relaxed);
        if (!waiter.result) waiters_.remove(&waiter);
        result = std::move(waiter.result);
    }
    call_out(std::move(lock));
    if (result) return *std::move(result);
    return Failure{make_error_code(Errc::timed_out), Uuid(), "get: no message in time"};
}

void Inbox::when_readable(Peers peers, std::function<void()> tell) {
    Lock lock(mutex_);
    watchers_.push_back(Watcher{{peers.begin(), peers.end()}, std::move(tell)});
    // seq_cst: as for those who sleep in get; see deliver.
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    dispatch();
    call_out(std::move(lock));
}

// Takes what arrived into the lanes and into the order over all.
void Inbox::sort() {
    auto arrived = arrivals_.take_all();
    while (!arrived.empty()) {
        Batch batch = arrived.pop();
        const std::uint64_t first = next_sequence_;
        const std::uint64_t count = batch.messages.size();
        batch.lane->unread_.push_back({first, std::move(batch.messages), 0});
        next_sequence_ += count;
        unread_ += count;
        order_.push_back(Run{std::move(batch.lane), first, count});
    }
}

// Serves those who wait, in the order they came.
void Inbox::dispatch() {
    sort();
    for (auto it = waiters_.begin(); it != waiters_.end();) {
        Waiter& waiter = **it;
        waiter.result = take(waiter.peers);
        if (!waiter.result) {
            ++it;
            continue;
        }
        it = waiters_.erase(it);
        waiter.wait.serve();
    }
    std::erase_if(watchers_, [this](Watcher& watcher) {
        if (!readable(watcher.peers)) return false;
        calls_.push_back(std::move(watcher.tell));
        sleepers_.fetch_sub(1, std::memory_order_relaxed);  // as in get
        return true;
    });
}

std::optional<Result<Message<Stream>>> Inbox::take(Peers peers) {
    auto result = peers.empty() ? take_any() : take_from(peers);
    if (!result && closed_) return Result<Message<Stream>>(*closed_);
    return result;
}

std::optional<Result<Message<Stream>>> Inbox::take_any() {
    while (!order_.empty()) {
        if (order_.front().left()) return take_front(*order_.front().lane);
        order_.pop_front();
    }
    order_.trim();
    return std::nullopt;
}

std::optional<Result<Message<Stream>>> Inbox::take_from(Peers peers) {
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
    if (first != nullptr) return take_front(*first);
    if (all_gone && gone != nullptr) return Result<Message<Stream>>(*gone);
    return std::nullopt;
}

// Would take find anything, a failure included?
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

Message<Stream> Inbox::take_front(Lane& lane) {
    Lane::Arrived& arrived = lane.unread_.front();
    Message<Stream> message{lane.peer, std::move(arrived.messages[arrived.taken++])};
    if (arrived.taken == arrived.messages.size()) {
        lane.unread_.pop_front();
        lane.unread_.trim();
    }
    --unread_;
    if (auto resume = lane.account_taken(message.data.size())) {
        calls_.push_back(std::move(resume));
    }
    // Runs whose messages were all taken by name would pile up if nobody ever gets from anybody.
    if (order_.size() > 64 && order_.size() > 2 * unread_) forget_taken();
    return message;
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
void Inbox::call_out(Lock lock) {
    const auto calls = std::exchange(calls_, {});
    lock.unlock();
    for (const auto& call : calls) call();
}

}  // namespace nq::detail
