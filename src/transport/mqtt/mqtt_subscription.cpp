// SPDX-License-Identifier: Apache-2.0
#include "transport/mqtt/mqtt_subscription.hpp"

#include <algorithm>
#include <future>
#include <optional>
#include <string>
#include <utility>

#include "buffer/limits.hpp"
#include "transport/mqtt/mqtt_link.hpp"

namespace nq::detail {

namespace {

/// Brings a link with the broker about: dials, then introduces itself. Its end is told either by
/// `open` or by `failed`, with the broker's name and what to do in the text.
/// Thread safety: belongs to the reactor thread; make it there or before the reactor runs.
class Approach {
  public:
    struct Events {
        MqttLink::Events link;
        std::function<void(Failure)> failed;  ///< or was lost
    };

    Approach(Transport& beneath, Reactor& reactor, MqttConnection::Role role,
             const NetworkLocation& broker, const MqttOptions& options, Events events)
        : events_(std::move(events)), broker_(broker) {
        dial_ = beneath.dial(reactor, broker,
                             [this, role, options](Result<std::shared_ptr<Connection>> result) {
                                 handle_dialed(role, options, std::move(result));
                             });
    }
    ~Approach() {
        if (link_ != nullptr) link_->release();
    }
    Approach(const Approach&) = delete;
    Approach& operator=(const Approach&) = delete;

  private:
    void handle_dialed(MqttConnection::Role role, const MqttOptions& options,
                       Result<std::shared_ptr<Connection>> result) {
        const auto dial = std::exchange(dial_, nullptr);
        if (!result) {
            const std::string port = std::to_string(broker_.port);
            const bool final = is_final(result.error());
            const auto failed = events_.failed;  // the handler may destroy this
            return failed({result.error().code,
                           {},
                           "no MQTT broker answers at " + broker_.to_string() + ": " +
                               result.error().text +
                               (final ? "" : "; start one with `mosquitto -p " + port + "`")});
        }
        MqttLink::Events events = events_.link;
        events.lost = [this](Failure failure) { handle_lost(std::move(failure)); };
        link_ = std::make_shared<MqttLink>(*std::move(result), role, options, broker_,
                                           std::move(events));
        link_->start();
    }

    void handle_lost(Failure failure) {
        if (failure.code != Errc::stream_broken) {
            failure.text = "the MQTT broker at " + broker_.to_string() + ": " + failure.text;
        }
        const auto failed = events_.failed;  // the handler may destroy this
        failed(std::move(failure));
    }

    const Events events_;
    const NetworkLocation broker_;
    std::unique_ptr<Dial> dial_;
    std::shared_ptr<MqttLink> link_;
};

/// The server's side: one approach after the other, for as long as it lives.
class MqttListener final : public Listener {
  public:
    MqttListener(std::shared_ptr<Transport> beneath, Reactor& reactor,
                 const NetworkLocation& broker, const MqttOptions& options, AcceptHandler accept,
                 TransportLog log)
        : beneath_(std::move(beneath)),
          reactor_(reactor),
          broker_(broker),
          options_(options),
          accept_(std::move(accept)),
          log_(log ? std::move(log) : [](LogLevel, const std::string&) {}) {
        approach();
    }

    [[nodiscard]] NetworkLocation location() const override { return broker_; }
    [[nodiscard]] bool wait_listening(std::chrono::milliseconds patience) const override {
        return listening_.wait_for(patience) == std::future_status::ready && listening_.get();
    }

  private:
    void approach() {
        approach_.emplace(
            *beneath_, reactor_, MqttConnection::Role::server, broker_, options_,
            Approach::Events{{.open = [this](const auto&) { handle_open(); },
                              .came = accept_,
                              .lost = {},
                              .log = log_},
                             [this](Failure failure) { handle_failed(std::move(failure)); }});
    }

    void handle_open() {
        log_(LogLevel::info, "subscribed at the MQTT broker " + broker_.to_string());
        complaint_.clear();
        opened_at_ = reactor_.now();
        tell(true);
    }

    /// The approach that failed is still at work here: it goes with the next one.
    void handle_failed(Failure failure) {
        const bool refused = is_final(failure);
        // Once for each reason, not for each attempt.
        if (std::exchange(complaint_, failure.text) != failure.text) {
            log_(refused ? LogLevel::error : LogLevel::warning, failure.text + "; trying again");
        }
        tell(false);
        // A link that breaks as soon as it stands, as with two servers of one id, is no success.
        const auto opened = std::exchange(opened_at_, std::nullopt);
        if (opened && reactor_.now() - *opened >= limits::k_backoff_max) {
            pause_ = limits::k_backoff_min;
        }
        retry_ = reactor_.call_after(pause_, [this] { approach(); });
        pause_ = std::min<Duration>(pause_ * 2, limits::k_backoff_max);
    }

    void tell(bool listening) {
        if (!std::exchange(told_, true)) first_.set_value(listening);
    }

    // Constant after construction.
    const std::shared_ptr<Transport> beneath_;
    Reactor& reactor_;
    const NetworkLocation broker_;
    const MqttOptions options_;
    const AcceptHandler accept_;
    const TransportLog log_;

    // Belong to the reactor thread.
    std::promise<bool> first_;  ///< what became of the first approach
    bool told_ = false;
    std::string complaint_;  ///< the last one in the log
    Duration pause_ = limits::k_backoff_min;
    std::optional<TimePoint> opened_at_;  ///< the link that stands
    Reactor::Timer retry_;
    std::optional<Approach> approach_;

    // Any thread.
    const std::shared_future<bool> listening_ = first_.get_future().share();
};

/// The client's side: one approach.
class MqttDial final : public Dial {
  public:
    MqttDial(std::shared_ptr<Transport> beneath, Reactor& reactor, const NetworkLocation& broker,
             const MqttOptions& options, DialHandler done)
        : beneath_(std::move(beneath)), done_(std::move(done)) {
        approach_.emplace(*beneath_, reactor, MqttConnection::Role::client, broker, options,
                          Approach::Events{{.open = [this](const auto& link) { tell(link); },
                                            .came = {},
                                            .lost = {},
                                            .log = {}},
                                           [this](const Failure& failure) { tell(failure); }});
    }

  private:
    template <class T>
    void tell(const T& outcome) {
        // Out of the object first: the handler may destroy the dial. And once: a link that was open
        // may be lost later.
        if (const DialHandler done = std::exchange(done_, nullptr)) done(outcome);
    }

    const std::shared_ptr<Transport> beneath_;
    DialHandler done_;
    std::optional<Approach> approach_;
};

}  // namespace

std::unique_ptr<Listener> mqtt_listen(std::shared_ptr<Transport> beneath, Reactor& reactor,
                                      const NetworkLocation& broker, const MqttOptions& options,
                                      AcceptHandler accept, TransportLog log) {
    return std::make_unique<MqttListener>(std::move(beneath), reactor, broker, options,
                                          std::move(accept), std::move(log));
}

std::unique_ptr<Dial> mqtt_dial(std::shared_ptr<Transport> beneath, Reactor& reactor,
                                const NetworkLocation& broker, const MqttOptions& options,
                                DialHandler done) {
    return std::make_unique<MqttDial>(std::move(beneath), reactor, broker, options,
                                      std::move(done));
}

}  // namespace nq::detail
