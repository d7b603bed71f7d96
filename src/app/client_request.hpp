#pragma once

#include "app/drain_slots.hpp"
#include "app/gateway.hpp"
#include "app/replay_store.hpp"
#include "guard/budget/spec.hpp"
#include "guard/limits/limit_book.hpp"
#include "lab/outcomes/stored_outcome.hpp"
#include "ledger/intent.hpp"
#include "ledger/record.hpp"
#include "methods/cascade/check/logprobs.hpp"
#include "net/deadline.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "pipeline/runner.hpp"
#include "providers/breaker.hpp"
#include "providers/provider.hpp"
#include "wire/canonical/answer.hpp"
#include "wire/canonical/codec.hpp"
#include "wire/canonical/embeddings.hpp"
#include "wire/openai/responses_items.hpp"
#include "wire/openai/sse.hpp"
#include "wire/openai/stream_observer.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

struct LineReply;
class RecordedExchange;
class TrialStream;

/// One request of the client API from its head to its ledger row. Worker-local; lives in the frame of
/// `Gateway::handle`.
class ClientRequest final : pipeline::HeaderSource, pipeline::Interruption, pipeline::ModelAsker {
public:
    ClientRequest(WorkerState& worker, net::Exchange& exchange, pipeline::Endpoint endpoint,
                  wire::Dialect dialect = wire::Dialect::kOpenAiChat);
    ~ClientRequest() override = default;
    ClientRequest(const ClientRequest&) = delete;
    ClientRequest& operator=(const ClientRequest&) = delete;

    /// Authenticates, reads, parses, runs the stages, gets the answer, settles, delivers.
    Task<void> run();
    /// Keeps the answer for callers that ask again with the same idempotency key. `recorder` is the exchange of this.
    void keep_answer(RecordedExchange& recorder) noexcept { recorder_ = &recorder; }
    /// For dialects that name the model and the form of the answer in the address, not in the body.
    void asked_in_address(std::string_view model, bool stream);
    /// Answers how many tokens the prompt of a request in the caller's dialect has.
    Task<void> count_tokens();
    /// Only authenticates and counts against the caller's rate. False: the refusal has been sent.
    Task<bool> authenticate();
    /// Takes for whom and for what the request is from its headers alone, where its body is not a model's.
    void take_dimensions();
    [[nodiscard]] const pipeline::RequestContext& context() const noexcept { return context_; }
    /// Adds the x-ratelimit headers of a caller that is limited. They view into this.
    void add_request_id(std::vector<net::Field>& fields) const;
    void add_limit_fields(std::vector<net::Field>& fields);

private:
    struct Relay;

    // pipeline::HeaderSource, pipeline::Interruption, pipeline::ModelAsker
    void draw_arm();
    std::optional<std::string_view> header(std::string_view name) const override;
    std::optional<std::string_view> query(std::string_view name) const override;
    bool interrupted() const noexcept override { return deadline_ && deadline_->interrupted(); }
    Duration remaining() const noexcept override {
        return deadline_ ? deadline_->remaining() : Duration::max();
    }
    void on_interrupt(void (*callback)(void*), void* context) override;
    Task<Result<std::string>> ask_model(pipeline::OwnCall call, Duration limit) override;
    bool may_answer(const pipeline::Model& model) const override;

    Task<Result<void>> read_request();
    Result<void> read_wait();
    Task<void> follow(pipeline::Verdict verdict);
    /// `status`: another than the error's own.
    Task<void> refuse(Error error, std::int64_t retry_after_s = 0, int status = 0);
    std::optional<std::chrono::milliseconds> wished_total() const;
    Task<void> deliver_stage_answer(pipeline::StageAnswer answer);
    Task<void> send_whole(const pipeline::StageAnswer& answer);

    // client_gather.cpp: requests that are gathered into a batch
    [[nodiscard]] bool gathers() const;
    [[nodiscard]] Result<std::string> batch_line() const;
    Task<void> gather();
    Task<void> deliver_line(Result<LineReply> reply);

    /// What is known of a stream when its first bytes are there; the head's views are gone by then.
    struct Opening {
        bool hide_usage = false;
        bool no_store = false;
        bool is_events = true;  // text/event-stream
        bool judged =
            false;  // of a model on trial: it has log-probabilities, perhaps of our own wish
        std::vector<std::pair<std::string, std::string>> fields;  ///< for the caller
        Result<std::span<const std::string_view>> first;
        std::string held;  ///< a first event that came in several reads, or what was judged
        std::array<std::string_view, 1> held_piece;  ///< what `first` is then
    };

    // client_targets.cpp: who can be asked
    struct Failure;
    using Pass = std::optional<providers::Breaker::Pass>;
    struct Course {
        const pipeline::Model* chosen;
        std::vector<const pipeline::Model*> targets;  ///< empty: not looked for yet
        std::size_t next = 0;
    };
    const pipeline::Model* next_target(Course& course) const;
    std::vector<const pipeline::Model*> targets(const pipeline::Model& chosen) const;
    std::vector<const pipeline::Model*> places_and_fallbacks(const pipeline::Model& chosen) const;
    std::vector<const pipeline::Model*> places(const pipeline::Model& model) const;
    bool available(Pass& pass, std::optional<Failure>& failure);
    Task<bool> wait_for_limit(const Course& course, Pass& pass, std::optional<Failure>& failure);
    void cannot_be_asked(std::optional<Failure>& failure, Error error,
                         std::int64_t retry_after_s) const;
    bool needs_readiness(const pipeline::Model& model) const;
    Task<bool> wait_ready(std::optional<Failure>& failure);
    void learn_limits(const pipeline::Model& model, const net::ResponseHead& head) const;

    // client_attempts.cpp: how often an upstream is asked, and what is told when none answers
    Task<void> forward();
    enum class Next : std::uint8_t {
        kAgain,  ///< the same target, after a wait
        kElsewhere,  ///< the next target
        kLeave,  ///< the next target, and what came of this one is not told
        kTell,  ///< none: the caller gets what came
    };
    Next next_after(Failure& came, std::uint32_t retry, bool stands_in, Duration& wait);
    bool stand_in(const Failure& failure);
    enum class Reserved : std::uint8_t {
        kYes,
        kNo,  ///< no budget has room for a model that stands in
        kOver,  ///< the request is over
    };
    Task<Reserved> reserve_first(Pass& pass, bool stands_in);
    void limit_attempt(const providers::Provider& provider);
    struct Leg;
    Task<bool> attempt(Course& course, Pass& pass, bool stands_in, std::optional<Failure>& failure);
    Task<void> ask(Leg& leg, net::Deadline& deadline);
    Task<bool> hear(Leg& leg, Pass& pass, std::optional<Failure>& failure);
    void came_of(Leg& leg, Pass& pass, const Failure& failure);
    std::vector<std::pair<std::string, std::string>> fields_of(const net::ResponseHead& head) const;
    static bool is_stream(const net::ResponseHead& head, const providers::Provider& provider,
                          bool wanted);
    void no_answer(bool sent, Error error, Failure& failure);
    void came_to_nothing(net::Deadline::Reason reason, Error error, Failure& failure) const;
    Task<void> take_refusal(net::UpstreamCall& call, Failure& failure);
    Opening open(const net::ResponseHead& head, bool hide_usage) const;
    static Task<void> read_opening(net::UpstreamCall& call, Opening& opening);
    bool begins(Opening& opening, const providers::Provider& provider,
                std::optional<Failure>& failure);
    void refused_in_stream(std::string body, Failure& failure);
    bool answers(const Leg& leg) const;
    wire::usage::UsageReading count_input();
    void ended_unheard(Error error, Failure& failure);
    std::optional<Duration> wait_before(std::uint32_t retry, const Failure& failure);
    Task<bool> pause(Duration wait);
    Task<void> deliver_failure(Failure failure);

    // client_cascade.cpp: a cheap model answers first, where its answer convinces
    /// An answer that did not convince, kept in case that the strong model gives none.
    struct RefusedAnswer {
        wire::ChatAnswer answer;
        const pipeline::Model* model;
        std::uint32_t attempt;
        std::string losses;
    };
    struct Tried;
    /// How a model on trial is asked.
    struct TrialForm {
        bool streams = false;
        bool logprobs = true;
    };
    bool on_trial() const noexcept;
    void check_trial();
    const pipeline::Model* end_trial(Course& course);
    std::unique_ptr<Tried> begin_trial(const providers::Provider& provider);
    Result<void> prepare_trial(const providers::Provider& provider, TrialForm form,
                               providers::PreparedRequest& out);
    Task<void> read_trial(Leg& leg);
    bool judge_trial(Leg& leg);
    void judge_whole(Leg& leg, std::string_view body);
    void judge_stream(Leg& leg);
    void tell_verdict(bool accepted, std::string_view word, const std::string& why);
    wire::usage::UsageReading usage_of(TrialStream& stream);
    Task<bool> hear_trial(Leg& leg, std::optional<Failure>& failure);
    Task<void> deliver_whole(wire::ChatAnswer& answer);
    Task<bool> deliver_refused();

    // client_hedge.cpp: a second target is asked where the first is slow to begin
    struct Race;
    /// What belongs to one attempt, while another one is under way.
    struct BudgetHold {
        bool open = false;  ///< reserved and not settled
        std::uint32_t attempt = 0;  ///< that the reservation is for; 0: none was made
        budget::Amount worst;
    };
    struct AttemptState {
        const pipeline::Model* model = nullptr;
        ledger::AttemptRow row;
        TimePoint start{};
        bool open = false;
        BudgetHold hold;
        std::string losses;
        std::string_view tier_word;
    };
    AttemptState put_aside();
    void take_up(AttemptState state);
    std::optional<Duration> hedge_after(const Course& course, bool stands_in) const;
    Task<void> ask_hedged(Leg& first, Duration patience, Course& course, Pass& pass,
                          std::unique_ptr<Leg>& second);
    void begin_race(Leg& first, Race& race);
    Task<void> run_side(Leg& leg, Race& race, std::size_t side);
    bool prepare_hedge(Course& course, Race& race);
    bool prepare_second(const pipeline::Model& model, bool is_retry, Race& race);
    Task<void> await_first(Race& race, TimePoint late);
    Task<void> await_race(Race& race, TimePoint until);
    Task<void> stop_race(Race& race);
    void first_lost(Leg& first, Race& race, Pass& pass);
    void second_lost(Race& race);
    void settle_loser(Leg& leg);
    void go_on_with(Leg& leg, Race& race, std::size_t side);

    // client_beside.cpp: the strong model is asked beside a weak one that is slow
    Task<void> ask_beside(Leg& weak, Course& course, Pass& pass, std::optional<Failure>& failure,
                          std::unique_ptr<Leg>& strong);
    Task<void> race_beside(Leg& weak, Race& race, Course& course, Pass& pass,
                           std::optional<Failure>& failure, std::unique_ptr<Leg>& strong);
    bool prepare_strong(Course& course, Race& race);
    Task<bool> leave_weak(Leg& weak, Race& race, Pass& pass, std::optional<Failure>& failure);

    // client_drain.cpp: the caller has left, and its answer goes on
    bool stays();
    static Duration grace(void* self);
    void note_left(pipeline::Outcome& outcome, ledger::EndState& end);

    // client_replay.cpp: the same idempotency key again
    Task<bool> replay();
    std::optional<ReplayStore::Question> question_of() const;
    Task<void> deliver_replay(ReplayStore::Answer answer);
    void keep_for_replay();

    // client_shadow.cpp: a copy of an answered request, for nobody
    void start_shadow();
    bool casts_shadow() const;
    bool send_shadow();
    bool reserve_shadow(Shadow& shadow);
    void compare_later(Shadow& shadow) const;

    // client_forward.cpp: an answer on its way back
    static constexpr std::size_t kMaxBufferedAnswer = 64ULL * 1024 * 1024;
    Result<void> prepare(const providers::Provider& provider, providers::PreparedRequest& out);
    Task<std::optional<std::string_view>> whole_answer(net::UpstreamCall& call,
                                                       pipeline::Outcome& outcome);
    Task<void> deliver_buffered(net::UpstreamCall& call);
    Task<void> deliver_stream(net::UpstreamCall& call, Opening& opening);
    static Error not_an_answer(int status, std::string_view body);
    static bool forbids_storing(const net::ResponseHead& head);
    Task<bool> relay_pieces(Relay& relay, std::span<const std::string_view> pieces);
    Task<void> finish_relay(Relay& relay, std::optional<Error> broken);
    void watch_events(Relay& relay, std::string_view bytes);
    void settle_relay(Relay& relay, ledger::EndState end);
    void count_own(Relay& relay, wire::openai::UsageReading& usage);
    void keep_upstream_fields(const net::ResponseHead& head) { upstream_fields_ = fields_of(head); }
    void begin_attempt(const providers::Provider& provider);
    void end_attempt(int status, ledger::EndState end,
                     const wire::usage::UsageReading& reading = {});
    ledger::EndState end_of(const Error& error) const;
    void broke_off(int status, const Error& error, const wire::usage::UsageReading& reading = {});

    // client_dialect.cpp: callers that speak another dialect than OpenAI's chat
    Result<std::string_view> take_in(std::string_view body);
    std::string opaque_body(std::string_view body) const;
    bool translates(const providers::Provider& provider) const;
    std::string_view stream_type() const;
    void tell_content_type(std::string_view type);
    Result<pipeline::StageAnswer> in_callers_form(std::string completion);
    Result<pipeline::StageAnswer> in_callers_dialect(pipeline::StageAnswer answer);
    wire::AnswerFor answer_for() const;
    std::string_view endpoint_name() const;

    // client_responses.cpp: what callers of Responses let us, or a provider, keep
    Result<std::string_view> recall(std::string_view body);
    Result<bool> recall_previous(std::vector<std::string>& earlier);
    Result<void> recall_items(const std::vector<std::string>& ids);
    Error out_of_reach() const;
    std::optional<pipeline::Reject> no_holder() const;
    void keep_response(std::string& told, pipeline::AnswerForm form);
    void remember_held(std::string_view id, const wire::usage::UsageReading& usage);

    // client_embed.cpp: embeddings where the caller's or the provider's dialect is not OpenAI's
    Result<std::string_view> take_in_embedding(std::string_view body);
    Result<std::string> embedding_body(const providers::Provider& provider);
    Task<void> deliver_embedded(net::UpstreamCall& call, const providers::Provider& provider);
    void count_embedded(wire::usage::UsageReading& usage);

    // client_translate.cpp: callers and providers whose dialects differ
    struct Translation;
    std::string body_as_it_came() const;
    Result<std::string> edited_body() const;
    Result<void> read_chat();
    Result<std::string> in_words_of(const providers::Provider& provider, wire::ChatRequest& chat);
    Result<std::string> upstream_body(const providers::Provider& provider);
    void tell_losses(const wire::Losses& losses);
    void choose_tier(const providers::Provider& provider);
    prices::Tier tier_asked(const providers::Provider& provider) const;
    void end_with(int status, const wire::ChatAnswer& answer);
    static void describe(const wire::ChatAnswer& answer, pipeline::Outcome& outcome);
    Task<void> deliver_translated(net::UpstreamCall& call, const providers::Provider& provider);
    Task<void> stream_translated(net::UpstreamCall& call, const providers::Provider& provider,
                                 Opening& opening);
    void translate(Translation& work, std::string_view bytes);
    static void frame(Translation& work);
    void follow_event(Translation& work, const wire::StreamEvent& event);
    void settle_translation(Translation& work, ledger::EndState end);
    Task<void> finish_translation(Translation& work, std::optional<Error> broken);

    // client_added.cpp: messages that stages add
    bool adds_messages() const;
    Result<void> take_added_messages(wire::ChatRequest& edited);
    std::string with_added_input(std::string body) const;

    // client_lease.cpp
    Task<std::optional<pipeline::Reject>> pass_budgets();

    // client_budget.cpp: nothing of it runs where no budget is configured
    std::optional<pipeline::Reject> reserve_budget();
    std::optional<Error> reserve_again();
    std::optional<Error> keep_intent(const budget::Reservation& wanted);
    ledger::Intent intent_of(const budget::Reservation& wanted) const;
    Result<budget::Amount> worst_case(std::int64_t answer, bool needs_price) const;
    Result<std::int64_t> answer_bound(const budget::Amount& room, bool needs_price);
    Result<std::int64_t> longest_answer(const budget::Amount& room, bool needs_price,
                                        std::int64_t most) const;
    void limit_answer(std::int64_t tokens);
    void degrade_to(const pipeline::Model* cheaper);
    void release_budget();
    void settle_budget();
    Error passed_reservation() const;

    // client_limits.cpp: nothing of it runs where nothing is limited
    std::optional<pipeline::Reject> limit_caller();
    std::optional<pipeline::Reject> limit_request();
    void settle_limits();

    // client_settle.cpp: money, ledger, metrics, headers
    void settle(pipeline::Outcome outcome, ledger::EndState end);
    void price(const pipeline::Outcome& outcome);
    void compare(const pipeline::Outcome& outcome);
    void teach(const pipeline::Outcome& outcome) const;
    std::span<const net::Field> answer_fields(std::string_view content_type, bool final_figures);

    // client_outcome.cpp: what is kept of an answered request
    bool keeps_outcome() const;
    bool compares() const;
    void note_outcome(const pipeline::Outcome& outcome);
    Task<void> keep_vector();

    WorkerState& worker_;
    net::Exchange& exchange_;
    const wire::Dialect dialect_;  // the caller's
    std::string_view original_;  // the body as it came; empty: context_.body is it
    std::string chat_body_;  // what stages see of a request in another dialect
    bool chat_is_whole_ = false;  // it is all of the request, as OpenAI would be asked
    std::optional<wire::ChatRequest> request_;  // the same in no dialect
    std::optional<wire::EmbedRequest> embed_;  // the same of a request for embeddings
    std::optional<Error> unreadable_;  // why it cannot be translated
    std::string address_model_;
    bool address_stream_ = false;
    bool array_stream_ = false;  // the caller takes the stream as one JSON array
    bool message_added_ = false;  // what stages add to the messages is in `request_`
    std::string added_input_;  // the same as items of Responses, with a comma before each
    std::string losses_;  // value of x-leeway-dropped
    // Of callers of Responses:
    bool keeps_ = false;  // the answer is to be kept
    std::string response_id_;  // ours
    std::string_view told_;  // the body as it came
    std::string recalled_;  // the same with what it continues
    std::string previous_;  // what it continues; empty: nothing
    std::string holder_;  // the provider that keeps `previous_`; empty: we do
    std::int64_t held_tokens_ = 0;  // of what it continues there; −1: nobody told
    wire::openai::ItemsById items_;  // that it refers to, of ours
    std::string missing_item_;  // the first that it refers to and we do not have
    const std::shared_ptr<const Snapshot> snapshot_;  // pinned
    pipeline::RequestContext context_;
    pipeline::Runner runner_;
    std::optional<net::Deadline> deadline_;
    std::optional<net::Deadline::Guard> stage_guard_;
    ledger::RequestRecord record_;
    ledger::AttemptRow attempt_;  // the one under way
    TimePoint attempt_start_{};
    bool attempt_open_ = false;
    std::uint32_t attempts_made_ = 0;  // the number of the last one
    std::uint32_t ended_last_ = 0;  // the number of the attempt that ended last; 0: none has
    bool resolved_ = false;  // has a model: worth a ledger row
    bool settled_ = false;
    bool row_is_written_ = false;  // or will be, by others
    std::chrono::milliseconds total_{
        0};  // the deadline that the first target set; 0: none was asked yet
    std::chrono::milliseconds caller_wait_{
        0};  // that its caller says it can wait; 0: it says nothing
    Duration waited_{};  // between attempts, less what two of them waited at the same time
    bool fell_back_ = false;  // another model than the one chosen is asked
    bool tried_ = false;  // the answer is that of a model on trial
    bool wants_logprobs_ = false;  // the caller of a request on trial
    std::unique_ptr<RefusedAnswer> refused_;  // null: none
    cascade::LogprobSum logprobs_;  // of the attempt under way
    std::optional<std::string> told_text_;  // of an answer that a shadow's is compared with
    std::optional<lab::StoredCall> told_call_;  // likewise
    std::string unembedded_;  // what was asked, where its vector is still to be made
    bool answered_ = false;  // with a whole answer of an upstream or a stage
    const net::UpstreamCall* call_ = nullptr;  // the one whose answer goes on without its caller
    std::optional<DrainSlots::Slot> drain_slot_;
    RecordedExchange* recorder_ = nullptr;  // null: the answer need not be kept
    ReplayStore::Lease replay_lease_;
    bool replayed_ = false;
    BudgetHold hold_;  // of the attempt under way
    bool budget_short_ = false;  // refused, but the pool may have more
    std::int64_t budget_answer_ = 0;  // output tokens per choice that were reserved
    std::int64_t budget_output_ = 0;  // output tokens that were reserved; 0: no limit
    std::string budget_note_;  // value of x-leeway-budget; empty: none
    std::vector<std::pair<std::string, std::string>> upstream_fields_;
    std::array<std::string, 6> header_texts_;
    std::array<std::string, 6> limit_texts_;
    limits::LimitView limit_view_;
    limits::LimitTicket caller_ticket_, told_ticket_, tokens_ticket_;
    std::vector<net::Field> fields_;
};

}  // namespace leeway::app
