#include "app/batch_link.hpp"

#include "app/batch_settlement.hpp"
#include "app/batch_tally.hpp"
#include "app/budget_policy.hpp"

#include <fmt/format.h>

namespace leeway::app {
namespace {

constexpr std::size_t kLongestAnswer = 64ULL * 1024 * 1024;

/// How the answers of a batch for `endpoint` tell their usage.
wire::usage::Flavour flavour_of(const providers::Provider& provider, std::string_view endpoint) {
    if (endpoint == "/v1/responses") return wire::usage::Flavour::kOpenAiResponses;
    return provider.dialect == wire::Dialect::kOpenAiResponses ? wire::usage::Flavour::kOpenAiChat
                                                               : provider.flavour;
}

}  // namespace

Error no_batch_store(const Error& why) {
    return Error{ErrorCode::kUnavailable,
                 "the store of batches cannot be used: " + why.message,
                 why.hint,
                 {},
                 "batches_unavailable"};
}

BatchLink::Sending::Sending(const BatchLink& link, ProviderAsk wanted)
    : wanted_(std::move(wanted)),
      target_(link.provider_->origin.url.path + wanted_.path),
      fields_(providers::passed_fields(*link.provider_, link.headers_, wanted_.content_type)) {
    request_.method = wanted_.method;
    request_.target = target_;
    request_.fields = fields_;
    if (!wanted_.body.empty()) request_.body = std::span(&wanted_.body, 1);
}

bool BatchLink::go_to(std::string_view provider) {
    for (const providers::Provider& one : snapshot_.all_providers()) {
        if (one.name != provider || !one.batches) continue;
        provider_ = &one;
        return true;
    }
    return false;
}

net::Deadline& BatchLink::deadline() {
    if (!deadline_) deadline_.emplace(worker_.loop, provider_->origin.timeouts);
    return *deadline_;
}

Task<Result<ProviderReply>> BatchLink::ask(ProviderAsk wanted) {
    const Sending sending(*this, std::move(wanted));
    net::UpstreamCall call(worker_.pool, provider_->origin, deadline());
    auto started = co_await call.start(sending.request());
    sent_ = call.sent();
    worker_.metrics.upstream_connection(call.reused());
    if (!started) co_return fail(std::move(started.error()));
    ProviderReply out;
    out.status = call.head().status;
    for (const net::Field& field : call.head().fields) {
        if (providers::passes_to_client(field.name))
            out.fields.emplace_back(field.name, field.value);
    }
    auto body = co_await call.read_all(kLongestAnswer);
    if (!body) co_return fail(std::move(body.error()));
    out.body.assign(*body);
    co_return out;
}

Result<void> BatchLink::post(std::span<const StoredBatch> batches,
                             std::vector<ledger::RequestRecord> rows) {
    return post_batches(batches, std::move(rows), *worker_.ledger,
                        snapshot_.budgets() ? snapshot_.budgets()->book : nullptr,
                        *snapshot_.batches());
}

/// Keeps what the provider says where it says something new.
Result<void> BatchLink::note(std::span<const StoredBatch> batches, const wire::BatchState& state) {
    const StoredBatch& one = batches.front();
    if (one.settled || (state.status == one.state && state.expires_unix_s == one.expires_unix_s))
        return {};
    auto noted = snapshot_.batches()->note_state(batches, state.status, state.expires_unix_s);
    if (!noted) return fail(no_batch_store(noted.error()));
    return {};
}

Task<Result<void>> BatchLink::see(StoredBatch batch, wire::BatchState state) {
    if (batch.id != state.id) co_return Result<void>();
    BatchStore& store = *snapshot_.batches();
    auto noted = note(std::span(&batch, 1), state);
    if (!noted || !state.ended()) co_return noted;
    if (!batch.settled) {
        auto settled = co_await settle(batch, state);
        if (!settled) co_return settled;
    }
    for (const std::string& id : state.files) {
        auto kept = store.add_file({batch.provider, id, batch.key, {}});
        if (!kept) co_return fail(no_batch_store(kept.error()));
    }
    co_return Result<void>();
}

Task<Result<void>> BatchLink::settle(const StoredBatch& batch, const wire::BatchState& state) {
    // Of a model that the configuration does not have any more.
    static const prices::ModelPrices kNone;
    const pipeline::Model* model = snapshot_.model_at(batch.provider, batch.asked);
    BatchTally tally(model == nullptr ? kNone : *model->price, dialect(),
                     flavour_of(*provider_, batch.endpoint), batch.ts_us / 1'000'000);
    if (!state.answers_path.empty()) {
        ProviderAsk wanted;
        wanted.path = state.answers_path;
        const Sending sending(*this, std::move(wanted));
        net::UpstreamCall call(worker_.pool, provider_->origin, deadline());
        auto started = co_await call.start(sending.request());
        if (!started) co_return fail(std::move(started.error()));
        const int status = call.head().status;
        if (status == 404 || status == 410) {
            tally.give_up();
        } else if (status != 200) {
            co_return fail(Error{ErrorCode::kUpstreamInvalid,
                                 fmt::format("the batch's output cannot be read: the upstream "
                                             "answered with status {}",
                                             status),
                                 "ask again",
                                 {},
                                 "upstream_invalid_answer"});
        }
        while (status == 200) {
            const auto pieces = co_await call.read_some();
            if (!pieces) co_return fail(pieces.error());
            if (pieces->empty()) break;
            for (const std::string_view piece : *pieces) tally.feed(piece);
        }
        tally.finish();
    }
    ledger::RequestRecord row = row_of(batch);
    tally.fill(row);
    if (state.end != "completed") {
        row.end = row.attempts.front().end = ledger::EndState::kError;
        row.error = "batch_" + state.end;
    }
    std::vector<ledger::RequestRecord> rows;
    rows.push_back(std::move(row));
    co_return post(std::span(&batch, 1), std::move(rows));
}

}  // namespace leeway::app
