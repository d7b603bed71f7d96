#pragma once

#include "app/gateway.hpp"
#include "guard/budget/spec.hpp"
#include "ledger/record.hpp"
#include "net/deadline.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "pipeline/runner.hpp"
#include "providers/provider.hpp"
#include "wire/openai/sse.hpp"
#include "wire/openai/stream_observer.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

/// One request of the client API from its head to its ledger row. Worker-local; lives in the frame of
/// `Gateway::handle`.
class ClientRequest final : pipeline::HeaderSource, pipeline::Interruption {
public:
    ClientRequest(WorkerState& worker, net::Exchange& exchange, pipeline::Endpoint endpoint);
    ~ClientRequest() override = default;
    ClientRequest(const ClientRequest&) = delete;
    ClientRequest& operator=(const ClientRequest&) = delete;

    /// Authenticates, reads, parses, runs the stages, gets the answer, settles, delivers.
    Task<void> run();
    /// Only authenticates. False: the refusal has been sent.
    Task<bool> authenticate();

private:
    struct Relay;

    // pipeline::HeaderSource, pipeline::Interruption
    void draw_arm();
    std::optional<std::string_view> header(std::string_view name) const override;
    bool interrupted() const noexcept override { return deadline_ && deadline_->interrupted(); }
    Duration remaining() const noexcept override {
        return deadline_ ? deadline_->remaining() : Duration::max();
    }
    void on_interrupt(void (*callback)(void*), void* context) override;

    Task<Result<void>> read_request();
    Task<void> follow(pipeline::Verdict verdict);
    Task<void> refuse(Error error, std::int64_t retry_after_s = 0);
    Task<void> deliver_stage_answer(pipeline::StageAnswer answer);

    // client_forward.cpp: the way to an upstream and back
    Task<void> forward();
    Task<Result<void>> admit(const providers::Provider& provider);
    Task<void> deliver_buffered(net::UpstreamCall& call);
    Task<void> deliver_stream(net::UpstreamCall& call, bool hide_usage);
    Task<bool> relay_pieces(Relay& relay, std::span<const std::string_view> pieces);
    Task<void> finish_relay(Relay& relay, std::optional<Error> broken);
    void watch_events(Relay& relay, std::string_view bytes);
    void settle_relay(Relay& relay, ledger::EndState end);
    void keep_upstream_fields(const net::ResponseHead& head);
    void begin_attempt(const providers::Provider& provider);
    void end_attempt(int status, ledger::EndState end,
                     const wire::usage::UsageReading& reading = {});
    ledger::EndState end_of(const Error& error) const;

    // client_lease.cpp
    Task<std::optional<pipeline::Reject>> pass_budgets();

    // client_budget.cpp: nothing of it runs where no budget is configured
    std::optional<pipeline::Reject> reserve_budget();
    Result<budget::Amount> worst_case(std::int64_t answer, bool needs_price) const;
    Result<std::int64_t> answer_bound(const budget::Amount& room, bool needs_price);
    Result<void> limit_answer(std::int64_t tokens);
    void release_budget();
    void settle_budget();
    Error passed_reservation() const;

    // client_settle.cpp: money, ledger, metrics, headers
    void settle(const pipeline::Outcome& outcome, ledger::EndState end);
    void price(const pipeline::Outcome& outcome);
    void compare(const pipeline::Outcome& outcome);
    std::span<const net::Field> answer_fields(std::string_view content_type, bool final_figures);

    WorkerState& worker_;
    net::Exchange& exchange_;
    const std::shared_ptr<const Snapshot> snapshot_;  // pinned
    pipeline::RequestContext context_;
    pipeline::Runner runner_;
    std::optional<net::Deadline> deadline_;
    std::optional<net::Deadline::Guard> stage_guard_;
    ledger::RequestRecord record_;
    ledger::AttemptRow attempt_;  // the one under way
    TimePoint attempt_start_{};
    bool attempt_open_ = false;
    bool resolved_ = false;  // has a model: worth a ledger row
    bool settled_ = false;
    bool budget_open_ = false;  // reserved and not settled
    bool budget_short_ = false;  // refused, but the pool may have more
    std::int64_t budget_events_ = 0;  // more events than tokens reserved: over; 0: no limit
    budget::Amount budget_worst_;
    std::string budget_note_;  // value of x-leeway-budget; empty: none
    std::vector<std::pair<std::string, std::string>> upstream_fields_;
    std::array<std::string, 6> header_texts_;
    std::vector<net::Field> fields_;
};

}  // namespace leeway::app
