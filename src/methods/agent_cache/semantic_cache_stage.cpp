#include "methods/agent_cache/semantic_cache_stage.hpp"

#include "base/random.hpp"
#include "base/strings.hpp"
#include "json/write.hpp"
#include "methods/agent_cache/answer_form.hpp"
#include "methods/agent_cache/answer_judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string>
#include <utility>

namespace leeway::agent_cache {
namespace {

using pipeline::LaterAnswer;
using pipeline::LaterCall;
using pipeline::RequestContext;
using pipeline::SemanticCache;
using pipeline::Verdict;
using semantic::Action;
using semantic::RiskController;

std::string judge_name(const SemanticCache& policy) {
    switch (policy.judge) {
        case SemanticCache::Judge::kNone: return "none";
        case SemanticCache::Judge::kExact: return "exact";
        case SemanticCache::Judge::kModel: return policy.judge_model->name;
    }
    return "none";
}

/// One look at what was kept, and all that a verdict on it needs. Shared with calls that go on when the request is
/// over, so it holds nothing of the request, and of the configuration only what those calls keep alive.
struct Look {
    SemanticStore* store = nullptr;
    SemanticPlace place;
    std::string question;
    VectorPtr vector;
    std::int64_t expires_unix_ms = 0;  // of an answer that is kept now
    std::int64_t oldest_unix_ms = INT64_MIN;  // an answer from before is too old for this question
    SemanticCache policy;
    std::shared_ptr<RiskController> controller;
    // What was found; entry 0: nothing.
    std::uint64_t near = 0;
    std::uint64_t entry = 0;
    std::string near_text;
    AnswerPtr kept;
    float cosine = 0;
    semantic::Candidate candidate;
    semantic::Decision decision;
    std::uint64_t same = 0;  // a kept question with the same text; 0: none
    std::uint64_t same_entry = 0;
    bool may_keep = true;

    [[nodiscard]] bool found() const noexcept { return kept != nullptr; }
    /// Whether a fresh answer is to be compared with the one that was kept.
    [[nodiscard]] bool wants_verdict() const noexcept {
        return found() && decision.action != Action::kMiss && decision.action != Action::kServe;
    }
};
using LookPtr = std::shared_ptr<Look>;

/// Between a request and its outcome.
struct Pending final : pipeline::StageState {
    LookPtr look;
    SingleFlight::Lease lease;
};

/// One question has one answer: two would only make each other doubtful.
void forget_same(const Look& look) {
    if (look.same != 0) look.store->forget(look.place, look.same);
}

void keep(const Look& look, const AnswerPtr& fresh) {
    if (!look.may_keep) return;
    forget_same(look);
    look.store->keep(look.place, look.vector, look.question, fresh);
}

/// `fresh`: what is kept where the old answer was wrong; null: nothing is, the next one who asks that gets it anew.
void conclude(const Look& look, bool right, const AnswerPtr& fresh) {
    look.controller->record(look.decision, right);
    // With a veto it is by chance that one answer does for both.
    if (!look.decision.vetoed)
        look.store->learn(look.place, look.entry, right, look.decision.probability);
    if (!right) return fresh ? keep(look, fresh) : forget_same(look);
    if (!look.may_keep || look.same_entry == look.entry) return;
    forget_same(look);
    look.store->add_question(look.place, look.vector, look.question, look.entry,
                             std::min(look.kept->expires_unix_ms, look.expires_unix_ms));
}

/// Compares a fresh answer with the one that was kept: at once, or by the call that is returned.
std::optional<LaterCall> verify(const LookPtr& look, std::string_view fresh_text,
                                const AnswerPtr& fresh) {
    const auto completion = as_completion(look->kept);
    const auto kept_text = completion ? answer_text(**completion) : std::nullopt;
    if (!kept_text) return std::nullopt;
    switch (compare_answers(*kept_text, fresh_text)) {
        case Comparison::kSame: conclude(*look, true, fresh); return std::nullopt;
        case Comparison::kDifferent: conclude(*look, false, fresh); return std::nullopt;
        case Comparison::kUnclear: break;
    }
    if (look->policy.judge == SemanticCache::Judge::kExact) {
        conclude(*look, false, fresh);
        return std::nullopt;
    }
    if (look->policy.judge == SemanticCache::Judge::kNone || look->decision.vetoed) {
        // Nobody tells whether it was right, or nobody would learn from it; a likely one is not kept twice.
        if (fresh && look->decision.probability < 0.5) keep(*look, fresh);
        return std::nullopt;
    }
    return judge_call(*look->policy.judge_model, look->question, *kept_text, fresh_text,
                      [look, fresh](std::optional<bool> same) {
                          if (same) return conclude(*look, *same, fresh);
                          look->controller->missed(look->decision);
                      });
}

/// For `leeway cache explain`.
std::string explain(const Look& look, std::string_view outcome) {
    std::string out;
    json::Writer json(out);
    json.object().key("outcome").string(outcome).key("judge").string(judge_name(look.policy));
    json.key("max_error").number(look.policy.max_error);
    if (look.entry != 0) {
        json.key("nearest").string(look.near_text).key("cosine").number(look.cosine);
        json.key("margin").number(look.candidate.margin);
        json.key("veto").string(semantic::veto_name(look.candidate.veto));
        json.key("features").array();
        for (const float one : look.candidate.inputs) json.number(one);
        json.close_array();
        json.key("probability").number(look.decision.probability);
        json.key("threshold").number(look.decision.threshold);
        json.key("verify_probability").number(look.decision.verify_probability);
    }
    if (look.controller) {
        const semantic::RiskState state = look.controller->state();
        json.key("evidence").object().key("phase").string(semantic::phase_name(state.phase));
        json.key("why").string(state.why);
        json.key("verified").integer(static_cast<std::int64_t>(state.verified));
        json.key("audited").integer(static_cast<std::int64_t>(state.audited));
        json.key("audited_wrong").integer(static_cast<std::int64_t>(state.audited_wrong));
        json.key("error").number(state.error_estimate);
        json.key("error_low").number(state.error_low);
        json.key("error_high").number(state.error_high).close_object();
    }
    json.close_object();
    return out;
}

void tell_miss(RequestContext& context, const Look& look, std::string_view why) {
    context.cache_status = "miss; type=semantic";
    if (look.entry != 0)
        context.cache_status += fmt::format("; p={:.3f}", look.decision.probability);
    context.cache_status += fmt::format("; why={}", why);
    look.store->note_decision(context.id, look.place, explain(look, fmt::format("miss: {}", why)));
}

std::string_view why_missed(const Look& look) {
    if (look.entry == 0) return "nothing_near";
    if (look.candidate.veto != semantic::Veto::kNone) return "veto";
    switch (look.decision.action) {
        case Action::kShadow: return "shadow";
        case Action::kExplore: return "unsure";
        default: return "unlikely";
    }
}

/// What lies near; notes a question with the same text.
Task<Result<std::vector<NearQuestion>>> look_around(Look& look, RequestContext& context) {
    auto found = co_await look.store->near(look.place, look.vector, context);
    look.same = look.same_entry = 0;
    if (!found) co_return found;
    const std::string text = normalised(look.question);
    for (const NearQuestion& one : *found) {
        if (look.same != 0 || normalised(one.text) != text) continue;
        look.same = one.id;
        look.same_entry = one.entry;
    }
    co_return found;
}

/// Looks for a kept question near this one, and decides.
Task<Result<void>> find(Look& look, const semantic::Question& asked, RequestContext& context) {
    look.entry = 0;
    look.kept = nullptr;
    auto found = co_await look_around(look, context);
    if (!found) co_return fail(std::move(found.error()));
    std::vector<semantic::Question> questions;
    questions.reserve(found->size());
    for (const NearQuestion& one : *found) questions.push_back(semantic::read_question(one.text));
    std::vector<semantic::Neighbour> neighbours;
    for (std::size_t i = 0; i < found->size(); ++i) {
        const NearQuestion& one = (*found)[i];
        neighbours.push_back({&questions[i], one.entry, one.cosine, one.record});
    }
    const auto candidate = semantic::HitModel::built_in().judge(asked, neighbours);
    if (!candidate) co_return Result<void>();
    const NearQuestion& near = (*found)[candidate->neighbour];
    look.candidate = *candidate;
    look.near = near.id;
    look.near_text = near.text;
    look.cosine = near.cosine;
    look.kept = co_await look.store->answer(look.place, near.entry, context);
    if (!look.kept) {
        // Its time is over, or there was no room for it.
        look.store->forget(look.place, near.id);
        co_return Result<void>();
    }
    if (look.kept->created_unix_ms < look.oldest_unix_ms) {
        // Young enough for the question that it was kept for, not for one of what changes sooner.
        look.kept = nullptr;
        co_return Result<void>();
    }
    look.entry = near.entry;
    look.decision = look.controller->decide(look.candidate, fast_uniform());
    co_return Result<void>();
}

bool serves(const Look& look) {
    return look.found() && (look.decision.action == Action::kServe ||
                            look.decision.action == Action::kServeAndAudit);
}

Verdict respond(RequestContext& context, const LookPtr& look) {
    auto given = stage_answer(look->kept, context);
    if (!given) return pipeline::Failed{std::move(given.error())};
    given->origin = pipeline::AnswerOrigin::kSemanticCache;
    look->store->used(look->place, look->near);
    const bool audited = look->decision.action == Action::kServeAndAudit;
    context.cache_status = fmt::format("hit; type=semantic; p={:.3f}; bound={}",
                                       look->decision.probability, look->policy.max_error);
    context.note(SemanticCacheStage::kInfo.name,
                 fmt::format("hit:p={:.3f}:bound={}{}", look->decision.probability,
                             look->policy.max_error, audited ? ":audited" : ""));
    look->store->note_decision(context.id, look->place,
                               explain(*look, audited ? "hit, audited" : "hit"));
    if (audited) {
        context.later.push_back(
            ask_again(context, *context.model, false,
                      [look](const LaterAnswer& answer) -> std::optional<LaterCall> {
                          if (!answer.complete) {
                              look->controller->missed(look->decision);
                              return std::nullopt;
                          }
                          return verify(look, answer.text, nullptr);
                      }));
    }
    return pipeline::Respond{std::move(*given)};
}

Sha256 flight_key(const Look& look) {
    std::string bytes = "leeway-semantic-flight-1";
    append_field(bytes, look.place.partition.key);
    append_field(bytes, look.place.partition.fingerprint);
    append_field(bytes, normalised(look.question));
    return sha256(bytes);
}

Verdict passed_by(std::string reason) {
    return pipeline::Failed{Error{ErrorCode::kUnavailable,
                                  "the semantic cache passes this request by",
                                  {},
                                  {},
                                  std::move(reason)}};
}

}  // namespace

Result<double> promised_error(double of_route, std::optional<std::string_view> header) {
    if (!header) return of_route;
    const std::string_view text = trim(*header);
    double wanted = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wanted);
    if (error != std::errc() || end != text.data() + text.size() || !(wanted >= 0 && wanted <= 1)) {
        return fail(Error{ErrorCode::kInvalidRequest,
                          "the header x-leeway-cache-max-error is no number between 0 and 1",
                          "such as 0.005",
                          {},
                          "bad_max_error"});
    }
    if (wanted >= of_route) return of_route;
    for (const double level : {0.05, 0.02, 0.01, 0.005, 0.002, 0.001}) {
        if (level <= wanted) return level;
    }
    return 0.0;
}

Task<Verdict> SemanticCacheStage::on_request(RequestContext& context) {
    const bool chat = context.endpoint == pipeline::Endpoint::kChatCompletions;
    if (!chat || context.route == nullptr || context.route->semantic.max_error <= 0 ||
        says(context, "no-store")) {
        co_return Verdict(pipeline::Continue{});
    }
    auto look = std::make_shared<Look>();
    look->policy = context.route->semantic;
    auto promised =
        promised_error(look->policy.max_error, context.headers->header("x-leeway-cache-max-error"));
    if (!promised) co_return Verdict(pipeline::Reject{std::move(promised.error())});
    if (*promised <= 0) co_return Verdict(pipeline::Continue{});
    look->policy.max_error = *promised;
    if (context.local_only && look->policy.judge == SemanticCache::Judge::kModel &&
        !look->policy.judge_model->local)
        co_return passed_by("local_only");

    auto question = asked_question(context, look->policy.shared);
    if (!question) co_return Verdict(pipeline::Failed{std::move(question.error())});
    const semantic::Question asked = semantic::read_question(question->text);
    const auto life = semantic::longest_life(asked.volatility);
    if (life && life->count() == 0) co_return passed_by("volatile");
    if (services_.embedder == nullptr) co_return passed_by("no_embeddings");
    if (context.local_only && !services_.embedder->is_local()) co_return passed_by("local_only");
    Duration patience = kPatience;
    if (context.interruption != nullptr)
        patience = std::min(patience, context.interruption->remaining());
    auto embedded = co_await services_.embedder->embed_within(context.key_name, question->text,
                                                              *context.executor, patience);
    if (!embedded) {
        const bool late = embedded.error().code == ErrorCode::kUpstreamTimeout;
        co_return passed_by(late ? "embedding_late" : "embedding_unavailable");
    }
    context.asked_vector = {question->text, embedded->vector, models::fingerprint_of(*embedded)};
    part_by_vectors(*question, embedded->model->fingerprint);
    look->store = services_.semantic;
    look->place = SemanticPlace::of(*question, context, embedded->model->fingerprint,
                                    embedded->vector->size());
    look->vector = embedded->vector;
    look->question = std::move(question->text);
    std::chrono::seconds ttl = look->policy.ttl;
    if (life) {
        ttl = std::min(ttl, *life);
        look->oldest_unix_ms = arrival_ms(context) - std::chrono::milliseconds(*life).count();
    }
    look->expires_unix_ms = arrival_ms(context) + std::chrono::milliseconds(ttl).count();
    semantic::RiskSettings settings;
    settings.max_error = look->policy.max_error;
    settings.advisory = look->policy.judge == SemanticCache::Judge::kNone;
    look->controller = look->store->controller(look->place, judge_name(look->policy), settings);

    auto pending = std::make_unique<Pending>();
    pending->look = look;
    if (says(context, "no-cache")) {
        // The answer that comes takes the place of the one that was kept.
        auto found = co_await look_around(*look, context);
        if (!found) co_return passed_by("store");
        tell_miss(context, *look, "no_cache");
    } else {
        auto done = co_await find(*look, asked, context);
        if (!done) co_return passed_by("store");
        if (serves(*look)) co_return respond(context, look);
        SingleFlight::Ticket ticket = services_.flights->join(flight_key(*look), *context.executor);
        // Where nothing can be served yet nobody gains by waiting, but one answer to a question is enough.
        look->may_keep = ticket.role == SingleFlight::Role::kLeader;
        const bool serving =
            look->controller->state().phase == semantic::RiskState::Phase::kServing;
        if (ticket.role == SingleFlight::Role::kFollower && serving) {
            SingleFlight::Outcome outcome = co_await follow(ticket.follower, context);
            look->may_keep = outcome.ending == SingleFlight::Ending::kLead;
            ticket.lease = std::move(outcome.lease);
            if (outcome.ending == SingleFlight::Ending::kAnswer) {
                done = co_await find(*look, asked, context);
                if (!done) co_return passed_by("store");
                if (serves(*look)) co_return respond(context, look);
            }
        }
        pending->lease = std::move(ticket.lease);
        tell_miss(context, *look, why_missed(*look));
    }
    context.capture_bytes = std::max(context.capture_bytes, kCaptureBytes);
    context.keep(this, std::move(pending));
    co_return Verdict(pipeline::Continue{});
}

void SemanticCacheStage::on_outcome(RequestContext& context,
                                    const pipeline::Outcome& outcome) noexcept {
    auto* pending = static_cast<Pending*>(context.kept(this));
    if (pending == nullptr) return;
    if (!is_storable(outcome)) {
        if (outcome.status == 200 && !outcome.complete) return pending->lease.hand_over();
        return pending->lease.finish(nullptr);
    }
    Look& look = *pending->look;
    const auto ttl = std::chrono::milliseconds(look.expires_unix_ms - arrival_ms(context));
    const AnswerPtr fresh =
        answer_from(context, outcome, std::chrono::duration_cast<std::chrono::seconds>(ttl));
    const auto completion = as_completion(fresh);
    const auto text = completion ? answer_text(**completion) : std::nullopt;
    if (!text) return pending->lease.finish(nullptr);
    // What an answer tells of its asker is for nobody else.
    if (look.place.tenant == SemanticPlace::kShared && is_personal(*text)) look.may_keep = false;
    if (!look.wants_verdict()) {
        keep(look, fresh);
    } else if (auto call = verify(pending->look, *text, fresh)) {
        context.later.push_back(std::move(*call));
    }
    pending->lease.finish(fresh);
}

}  // namespace leeway::agent_cache
