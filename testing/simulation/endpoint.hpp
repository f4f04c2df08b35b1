// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "session/receive_half.hpp"
#include "session/send_half.hpp"
#include "session/session.hpp"
#include "testing/simulation/message.hpp"
#include "testing/simulation/pipe.hpp"
#include "testing/simulation/receive_model.hpp"
#include "testing/simulation/send_model.hpp"

namespace nq::testing {

/// What one side is told when it opens.
struct EndpointOptions {
    detail::SendOptions send;
    detail::ReceiveOptions receive;
    detail::Session::Timeouts timeouts;
};

/// One side of one simulated session: a Session and its halves, driven as the communicator drives
/// them, each beside its model. After every method all invariants have been checked; Violated says
/// which one does not hold.
///
/// The pipes and the messages belong to the world and outlive the endpoint.
/// Thread safety: none.
class Endpoint {
  public:
    using Role = detail::Session::Role;
    using State = detail::Session::State;
    using Reason = detail::Session::Reason;
    using TimePoint = detail::Session::TimePoint;

    /// For the log, `id`; `peer` is who will be found at the other end.
    Endpoint(std::uint64_t id, Role role, const Uuid& self, const Uuid& peer,
             const EndpointOptions& options, TimePoint now);

    // What the user does.
    void put(std::string text, std::optional<Uuid> target, std::size_t cuts, TimePoint now);
    /// Whether it could be cancelled.
    bool cancel(std::uint64_t number, TimePoint now);
    void close(TimePoint now);
    void end(TimePoint now);

    // What the network does.
    void connected(Pipe& out, Pipe& in, TimePoint now);
    void unreachable(TimePoint now);
    /// The connection takes up to n of the octets offered; returns how many.
    std::size_t transmit(std::size_t n, TimePoint now);
    /// It releases up to n of those taken; returns how many.
    std::size_t release(std::size_t n, TimePoint now);
    /// Reads up to n octets and polls up to `events` events. What is not polled then is polled
    /// before the next octets are read. Returns the octets read and the events told.
    std::size_t receive(std::size_t n, std::size_t events, TimePoint now);
    void idle(TimePoint now);
    void lost(TimePoint now);
    void timeout(TimePoint now);

    [[nodiscard]] std::uint64_t id() const { return id_; }
    [[nodiscard]] const detail::Session& session() const { return session_; }
    [[nodiscard]] bool ended() const { return session_.ended(); }
    /// A connection carries it.
    [[nodiscard]] bool on_line() const { return out_ != nullptr; }
    [[nodiscard]] bool violated() const { return violated_; }
    [[nodiscard]] Pipe* in() const { return in_; }
    [[nodiscard]] Pipe* out() const { return out_; }
    [[nodiscard]] bool may_put() const { return !send_.closing() && !ended(); }
    [[nodiscard]] std::uint64_t accepted() const { return messages_.size(); }
    /// Nothing is queued, and every future of what was is done.
    [[nodiscard]] bool drained() const { return sent_.drained(); }
    [[nodiscard]] const std::vector<std::unique_ptr<Message>>& messages() const {
        return messages_;
    }

  private:
    void poll(std::size_t events, TimePoint now);
    void handle(const detail::ReceiveEvent& event, TimePoint now);
    /// What every call ends with: orders, futures, invariants.
    void settle(TimePoint now);
    void obey(detail::Session::Order order);
    void complete_futures();
    void hang_up(TimePoint now);
    void check_session() const;
    void check_reason(TimePoint now) const;

    const std::uint64_t id_;
    const Role role_;
    const EndpointOptions options_;
    detail::Session session_;
    detail::SendHalf send_;
    detail::ReceiveHalf receive_;
    SendModel sent_;
    ReceiveModel heard_;
    Pipe* out_ = nullptr;
    Pipe* in_ = nullptr;
    std::vector<std::unique_ptr<Message>> messages_;
    std::uint64_t completed_ = 0;
    bool unpolled_ = false;
    // What happened to the session, as far as its state must follow from it.
    bool fin_told_ = false;
    bool violated_ = false;  ///< the peer broke the protocol: the connection is of no use
    bool close_called_ = false;
    bool ended_seen_ = false;
    bool unasked_fin_ = false;
    unsigned orders_ = 0;
    std::optional<TimePoint> end_at_;
    std::optional<TimePoint> lost_at_;
};

}  // namespace nq::testing
