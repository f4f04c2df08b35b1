// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace nq::detail {

/// An unbounded queue from many threads to one. Producers push onto a list with one
/// compare-and-swap; the consumer takes the whole list with one exchange and turns it round. So no
/// node is freed while a producer may look at it (no ABA), and a burst costs the consumer one
/// atomic operation.
///
/// Order: of one producer, as pushed; of several, the order in which their pushes took effect.
/// Thread safety: push and empty from any thread; take_all by one thread at a time.
template <class T>
class Queue {
  public:
    struct Node {
        T value;
        Node* next;
    };

    /// What take_all returns: a list to walk front to back with pop.
    class Batch {
      public:
        Batch() = default;
        explicit Batch(Node* head) : head_(head) {}
        Batch(Batch&& other) noexcept : head_(std::exchange(other.head_, nullptr)) {}
        Batch& operator=(Batch&& other) noexcept {
            std::swap(head_, other.head_);
            return *this;
        }
        ~Batch() {
            while (!empty()) (void)pop();
        }

        [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
        /// REQUIRES: !empty().
        T pop() {
            const std::unique_ptr<Node> node(head_);
            head_ = node->next;
            return std::move(node->value);
        }

      private:
        Node* head_ = nullptr;
    };

    Queue() = default;
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    ~Queue() { (void)take_all(); }

    static std::unique_ptr<Node> make_node(T value) {
        return std::make_unique<Node>(Node{std::move(value), nullptr});
    }
    /// Returns whether the queue was empty: who pushes first is the one to wake the consumer.
    /// Throws std::bad_alloc, and nothing is pushed then.
    bool push(T value) { return push_node(make_node(std::move(value))); }
    /// The same, for who has to be sure of the memory beforehand. Does not throw.
    bool push_node(std::unique_ptr<Node> made) {
        Node* const node = made.release();
        Node* head = head_.load(std::memory_order_relaxed);  // a guess; the swap below checks it
        do {
            node->next = head;
            // release: the value is written before the node can be seen. seq_cst: a consumer that
            // says "asleep" and then finds the queue empty must be seen asleep by this producer
            // (see wakeup.hpp).
        } while (!head_.compare_exchange_weak(head, node, std::memory_order_seq_cst,
                                              std::memory_order_relaxed));
        return head == nullptr;
    }

    /// Everything pushed so far, oldest first.
    Batch take_all() {
        // acquire: pairs with the release of each push, so the values are whole.
        Node* newest = head_.exchange(nullptr, std::memory_order_acquire);
        Node* oldest = nullptr;
        while (newest != nullptr) {
            Node* const next = newest->next;
            newest->next = oldest;
            oldest = newest;
            newest = next;
        }
        return Batch(oldest);
    }

    [[nodiscard]] bool empty() const noexcept {
        // seq_cst: the other half of the argument in push.
        return head_.load(std::memory_order_seq_cst) == nullptr;
    }

  private:
    std::atomic<Node*> head_{nullptr};
};

}  // namespace nq::detail
