#include "app/commands/replay_ledger.hpp"

#include "app/config.hpp"
#include "app/shadow.hpp"
#include "base/clock.hpp"
#include "lab/outcomes/outcome_store.hpp"
#include "ledger/reader.hpp"
#include "ledger/recorded_calls.hpp"
#include "ledger/time_text.hpp"
#include "methods/cascade/cascade_stage.hpp"
#include "methods/router/predict/route_policy.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace leeway::app {
namespace {

/// By model.
using KnownAnswers = std::map<std::string, lab::StoredOutcome, std::less<>>;
/// By the text of a request's id.
using KnownRequests = std::map<std::string, KnownAnswers, std::less<>>;

/// What is kept of live traffic; nullopt where nobody keeps that.
Result<std::optional<lab::OutcomeStore>> open_outcomes(const std::string& state_dir) {
    const std::string path = lab::outcome_store_path(state_dir);
    std::error_code none;
    if (!std::filesystem::exists(path, none)) return std::optional<lab::OutcomeStore>();
    auto store = lab::OutcomeStore::open(path);
    if (!store) return fail(std::move(store.error()));
    return std::optional(std::move(*store));
}

/// What callers, shadows and audits said of the answers of live traffic.
Result<KnownRequests> known_requests(lab::OutcomeStore& store) {
    KnownRequests out;
    const auto read =
        store.each_live_outcome([&](const RequestId& id, const lab::StoredOutcome& outcome) {
            out[id.text()].insert_or_assign(outcome.model, outcome);
        });
    if (!read) return fail(read.error());
    return out;
}

/// The mean log-probability that stands behind "cascade=kept:0.981" in a request's notes; nullopt: none does.
std::optional<double> logprob_of(std::string_view notes) {
    constexpr std::string_view kKept = "cascade=kept:";
    constexpr std::string_view kRefused = "cascade=refused:";
    for (const std::string_view word : {kKept, kRefused}) {
        const std::size_t at = notes.find(word);
        if (at == std::string_view::npos) continue;
        const char* const begin = notes.data() + at + word.size();
        double probability = 0;
        const auto read = std::from_chars(begin, notes.data() + notes.size(), probability);
        if (read.ec != std::errc{} || probability <= 0 || probability > 1) return std::nullopt;
        return std::log(probability);
    }
    return std::nullopt;
}

/// A shadow, an audit or a judge: no caller's request.
bool is_own_call(const ledger::RecordedCalls& calls) {
    return calls.key.empty() &&
           (calls.tags == kShadowTag || calls.tags == cascade::kCascadeAuditTag ||
            calls.tags == cascade::kCascadeJudgeTag);
}

/// Adds what the outcome store knows: how good an answer was, and what another call of the same query told.
void add_known(const lab::StoredOutcome& known, lab::RecordedAnswer& to) {
    to.asked = true;
    to.quality = known.quality;
    if (known.mean_logprob) to.mean_logprob = known.mean_logprob;
    if (!to.cost_usd && known.cost) to.cost_usd = router::in_usd(*known.cost);
}

/// What is told of the models: the calls that were made, what the reference would have cost, and what is known of the
/// query besides.
lab::RecordedRequest recorded(const ledger::RecordedCalls& calls, const KnownAnswers& known,
                              const LedgerModels& models) {
    lab::RecordedRequest out;
    out.id = calls.id;
    for (const std::string& name : models.names) {
        lab::RecordedAnswer& answer = out.answers.emplace_back();
        for (const auto& call : calls.calls) {
            if (call.model != name || !call.complete) continue;
            answer.asked = true;
            if (call.cost) answer.cost_usd = router::in_usd(*call.cost);
            if (out.tokens_in == 0) out.tokens_in = call.input_tokens;
        }
    }
    // What was taken by its beginning did not tell what the policy decides by: the whole answer's tokens.
    constexpr std::string_view kEarly = "cascade=early:";
    if (calls.notes.find(kEarly) != std::string::npos) out.answers.front().asked = false;
    if (out.answers.front().asked) out.answers.front().mean_logprob = logprob_of(calls.notes);
    lab::RecordedAnswer& reference = out.answers[models.reference];
    if (!reference.asked && calls.baseline) reference.cost_usd = router::in_usd(*calls.baseline);
    for (std::size_t m = 0; m < models.names.size(); ++m) {
        if (const auto found = known.find(models.names[m]); found != known.end())
            add_known(found->second, out.answers[m]);
    }
    return out;
}

/// The vector of what each of them asked, as far as the store has it.
Result<void> add_vectors(lab::OutcomeStore& store, const std::string& fingerprint,
                         LedgerRecording& out) {
    for (lab::RecordedRequest& request : out.requests) {
        auto found = store.find_vector(request.id, fingerprint);
        if (!found) return fail(std::move(found.error()));
        if (!*found) continue;
        const lab::StoredVector& kept = out.vectors.emplace_back(std::move(**found));
        request.vector = kept.vector;
        request.cues = kept.cues;
    }
    const auto all = store.statistics();
    if (!all) return fail(all.error());
    out.has_other_vectors = std::ranges::any_of(
        all->embeddings, [&](const auto& one) { return one.first != fingerprint; });
    return {};
}

}  // namespace

Result<LedgerRecording> recorded_requests_of_ledger(const ReplayOptions& options,
                                                    const LedgerModels& models) {
    const auto place = ledger_place_of(options.place);
    if (!place) return fail(place.error());
    ledger::RecordedCallFilter filter;
    filter.route = options.route;
    const std::int64_t now = unix_now_us();
    for (const auto& [text, to] : {std::pair{&options.since, &filter.since_us},
                                   std::pair{&options.until, &filter.until_us}}) {
        if (text->empty()) continue;
        const auto time = ledger::parse_time(*text, now);
        if (!time) return fail(time.error());
        *to = *time;
    }
    ledger::replay_for_reader(place->state_dir, place->database, stderr);
    auto db = ledger::open_or_empty(place->state_dir, place->database);
    if (!db) return fail(std::move(db.error()));
    auto store = open_outcomes(place->state_dir);
    if (!store) return fail(std::move(store.error()));
    const auto known = *store ? known_requests(**store) : KnownRequests();
    if (!known) return fail(known.error());
    const KnownAnswers nothing;
    LedgerRecording out;
    const auto read = ledger::each_recorded(*db, filter, [&](const ledger::RecordedCalls& calls) {
        if (is_own_call(calls)) return;
        const auto found = known->find(calls.id.text());
        out.requests.push_back(
            recorded(calls, found == known->end() ? nothing : found->second, models));
    });
    if (!read) return fail(read.error());
    if (models.fingerprint.empty()) return out;
    if (*store) {
        if (auto done = add_vectors(**store, models.fingerprint, out); !done)
            return fail(std::move(done.error()));
    }
    out.without_vector = out.requests.size() - out.vectors.size();
    return out;
}

}  // namespace leeway::app
