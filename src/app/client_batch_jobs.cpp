#include "app/batch_settlement.hpp"
#include "app/batch_tally.hpp"
#include "app/budget_policy.hpp"
#include "app/client_batches.hpp"
#include "app/worst_case.hpp"
#include "base/strings.hpp"
#include "json/node.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace leeway::app {
namespace {

using wire::openai::BatchState;

/// How the lines of a batch for `endpoint` tell their usage.
wire::usage::Flavour flavour_of(const providers::Provider& provider, std::string_view endpoint) {
    if (endpoint == "/v1/responses") return wire::usage::Flavour::kOpenAiResponses;
    return provider.dialect == wire::Dialect::kOpenAiResponses ? wire::usage::Flavour::kOpenAiChat
                                                               : provider.flavour;
}

}  // namespace

/// A parameter of the address; empty: it is not there, or holds what none of ours does.
std::string BatchRequest::plain_query(std::string_view name) const {
    const std::string_view value = caller_.context().headers->query(name).value_or("");
    return is_plain(value) ? std::string(value) : std::string();
}

/// What is known of a batch before it is asked for.
Result<StoredBatch> BatchRequest::plan(const StoredFile& file, std::string_view endpoint) {
    if (file.bound.endpoint.empty() || file.bound.endpoint != endpoint) {
        return fail(Error{ErrorCode::kInvalidRequest,
                          file.bound.endpoint.empty()
                              ? "The file was not sent with the purpose 'batch'."
                              : fmt::format("The requests of the file are for {}, not for {}.",
                                            file.bound.endpoint, endpoint),
                          {},
                          "endpoint",
                          "invalid_value"});
    }
    Error why;
    const pipeline::Model* model = batch_model(file.bound, file.provider, why);
    if (model == nullptr) return fail(std::move(why));
    caller_.take_dimensions();
    const pipeline::RequestContext& context = caller_.context();
    StoredBatch out;
    out.provider = file.provider;
    out.key = owner();
    out.record = context.id;
    out.ts_us = context.arrived_unix_us;
    out.endpoint = file.bound.endpoint;
    out.model = model->name;
    out.asked = file.bound.model;
    out.user = context.dimensions.user;
    out.tags = context.dimensions.tags;
    out.session = context.dimensions.session;
    out.agent = context.dimensions.agent;
    if (snapshot_->budgets() != nullptr) {
        if (auto error = reserve(out, file.bound, *model)) return fail(std::move(*error));
    }
    return out;
}

/// Reserves the most that the batch can cost, in all budgets that apply.
std::optional<Error> BatchRequest::reserve(StoredBatch& batch, const BatchBound& bound,
                                           const pipeline::Model& model) {
    budget::Book& book = *snapshot_->budgets()->book;
    const auto scopes = scopes_of(caller_.context());
    const bool hard_usd = book.limits(scopes, budget::Unit::kUsd, true);
    const bool hard = hard_usd || book.limits(scopes, budget::Unit::kTokens, true);
    if (book.waiting()) {
        return Error{ErrorCode::kUnavailable,
                     "the ledger's database has not answered yet, and budgets need it",
                     {},
                     {},
                     "ledger_unavailable"};
    }
    if (hard && book.shared()) {
        return Error{ErrorCode::kForbidden,
                     "A hard budget that several gateways share applies to this key: it takes no "
                     "batches.",
                     "use a key without one",
                     {},
                     "budget_shared"};
    }
    if (hard && bound.unbounded > 0) {
        return Error{ErrorCode::kInvalidRequest,
                     fmt::format("A hard budget applies to this key, and the cost of line {} of "
                                 "the file has no bound.",
                                 bound.unbounded),
                     "give each line a limit on its answer, and no input by reference", "file",
                     "budget_batch_unbounded"};
    }
    const auto longest = snapshot_->provider(model).origin.timeouts.total * bound.lines;
    const auto cost = worst_cost(*model.price, batch.ts_us / 1'000'000, longest, bound.input_tokens,
                                 bound.output_tokens);
    if (!cost && hard_usd) return price_unknown(model.name);
    budget::Reservation wanted;
    wanted.operation = batch.record;
    wanted.scopes = scopes;
    wanted.worst.pico_usd = cost.value_or(0);
    wanted.worst.tokens = capped(Int128{bound.input_tokens} + bound.output_tokens);
    wanted.floor = wanted.worst;
    wanted.now_s = batch.ts_us / 1'000'000;
    if (const auto refusal = book.reserve(wanted)) return budget_exceeded(*refusal);
    batch.worst_pico_usd = wanted.worst.pico_usd;
    batch.worst_tokens = wanted.worst.tokens;
    for (const budget::Scope& scope : scopes) batch.scopes.push_back(to_string(scope));
    return std::nullopt;
}

void BatchRequest::release(const StoredBatch& batch) {
    if (!batch.scopes.empty()) (void)snapshot_->budgets()->book->release(batch.record, 1);
}

Task<void> BatchRequest::create() {
    auto body = co_await exchange_.read_body();
    if (!body) {
        co_await refuse(std::move(body.error()));
        co_return;
    }
    auto node = json::parse_node(*body);
    if (!node) {
        co_await refuse(std::move(node.error()));
        co_return;
    }
    auto file = own_file(node->text_of("input_file_id"), "input_file_id");
    if (!file) {
        co_await refuse(std::move(file.error()));
        co_return;
    }
    if (worker_.ledger == nullptr || !worker_.ledger->healthy()) {
        Error error = ledger::no_paid_work();
        co_await refuse(std::move(error), 1);
        co_return;
    }
    auto batch = plan(*file, node->text_of("endpoint"));
    if (!batch) {
        co_await refuse(std::move(batch.error()));
        co_return;
    }
    // Before a byte goes upstream, so that nothing is bought that nobody remembers.
    if (auto begun = snapshot_->batches()->begin_batch(*batch); !begun) {
        release(*batch);
        Error error = no_store(begun.error());
        co_await refuse(std::move(error), 1);
        co_return;
    }
    start_deadline();
    exchange_.unwatch();  // a caller that hangs up must not make us forget what was bought
    Ask wanted;
    wanted.method = "POST";
    wanted.path = "/batches";
    wanted.content_type = "application/json";
    wanted.body = *body;
    auto answer = co_await ask(std::move(wanted));
    if (answer) {
        co_await take_created(std::move(*batch), std::move(*answer));
        co_return;
    }
    if (sent_) {
        auto posted = post(*batch, lost_row_of(*batch));
        if (!posted) spdlog::error("id={} {}", request_id_, posted.error().text());
    } else {
        release(*batch);
        (void)snapshot_->batches()->drop_batch(batch->record);
    }
    co_await refuse(std::move(answer.error()));
}

/// The provider has answered the request for a batch.
Task<void> BatchRequest::take_created(StoredBatch batch, Answer answer) {
    BatchStore& store = *snapshot_->batches();
    // A proxy in between may say these of a request that the provider has taken.
    const bool told_by_proxy = answer.status == 502 || answer.status == 504;
    if (answer.status >= 400 && !told_by_proxy) {
        release(batch);
        (void)store.drop_batch(batch.record);
        co_await pass_on(answer);
        co_return;
    }
    const auto state = wire::openai::read_batch_state(answer.body);
    const bool named = answer.status == 200 && state.has_value();
    Result<void> kept;
    if (named) kept = store.name_batch(batch.record, state->id);
    if (named && kept) {
        co_await pass_on(answer);
        co_return;
    }
    // It may run, and we will never know.
    auto posted = post(batch, lost_row_of(batch));
    if (!posted) spdlog::error("id={} {}", request_id_, posted.error().text());
    co_await pass_on(answer);
}

Task<void> BatchRequest::one_batch() {
    auto batch = own_batch();
    if (!batch) {
        co_await refuse(std::move(batch.error()));
        co_return;
    }
    const bool cancels = place_.kind == Place::Kind::kBatchCancel;
    Ask wanted;
    wanted.method = cancels ? "POST" : "GET";
    wanted.path = "/batches/" + id_;
    if (cancels) wanted.path += "/cancel";
    auto answer = co_await ask(std::move(wanted));
    if (!answer) {
        co_await refuse(std::move(answer.error()));
        co_return;
    }
    const auto state = wire::openai::read_batch_state(answer->body);
    if (answer->status == 200 && state) {
        auto seen = co_await see(std::move(*batch), *state);
        if (!seen) {
            co_await refuse(std::move(seen.error()), 1);
            co_return;
        }
    }
    co_await pass_on(*answer);
}

/// Nobody sees the end of a batch before its cost lies in the journal; then its files are its owner's.
Task<Result<void>> BatchRequest::see(StoredBatch batch, BatchState state) {
    if (!state.ended() || batch.id != state.id) co_return Result<void>();
    if (!batch.settled) {
        auto settled = co_await settle(batch, state);
        if (!settled) co_return settled;
    }
    for (const std::string& id : {state.output_file, state.error_file}) {
        if (id.empty()) continue;
        auto kept = snapshot_->batches()->add_file({batch.provider, id, batch.key, {}});
        if (!kept) co_return fail(no_store(kept.error()));
    }
    co_return Result<void>();
}

Task<Result<void>> BatchRequest::settle(const StoredBatch& batch, const BatchState& state) {
    // Of a model that the configuration does not have any more.
    static const prices::ModelPrices kNone;
    const pipeline::Model* model = snapshot_->model_at(batch.provider, batch.asked);
    BatchTally tally(model == nullptr ? kNone : *model->price,
                     flavour_of(*provider_, batch.endpoint), batch.ts_us / 1'000'000);
    if (!state.output_file.empty()) {
        Ask wanted;
        wanted.path = "/files/" + state.output_file + "/content";
        const net::UpstreamRequest request = request_of(wanted);
        net::UpstreamCall call(worker_.pool, provider_->origin, *deadline_);
        auto started = co_await call.start(request);
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
    if (state.status != "completed") {
        row.end = row.attempts.front().end = ledger::EndState::kError;
        row.error = "batch_" + state.status;
    }
    co_return post(batch, std::move(row));
}

/// Pages of the provider's list, until there are as many of the caller's as it wants: the list has those of all keys.
Task<void> BatchRequest::list() {
    auto chosen = choose_provider();
    if (!chosen) {
        co_await refuse(std::move(chosen.error()));
        co_return;
    }
    provider_ = *chosen;
    const bool files = place_.kind == Place::Kind::kFiles;
    const pipeline::HeaderSource& source = *caller_.context().headers;
    const std::size_t most = files ? 10'000 : 100;
    const std::uint64_t wish =
        parse_u64(source.query("limit").value_or("")).value_or(files ? most : 20);
    const std::size_t limit = std::clamp<std::uint64_t>(wish, 1, most);
    std::string target = files ? "/files?limit=1000" : "/batches?limit=100";
    for (const std::string_view name : {"order", "purpose"}) {
        const std::string value = files ? plain_query(name) : std::string();
        if (!value.empty()) target += fmt::format("&{}={}", name, value);
    }
    bool has_more = false;
    auto collected = co_await collect(target, limit, has_more);
    if (!collected) {
        co_await refuse(std::move(collected.error()));
        co_return;
    }
    const std::string body = wire::openai::render_list(items_, ids_, has_more);
    std::vector<net::Field> fields = own_fields();
    fields.push_back({"content-type", "application/json"});
    co_await exchange_.respond(200, fields, body);
}

Task<Result<void>> BatchRequest::collect(const std::string& target, std::size_t limit,
                                         bool& has_more) {
    // Of keys that have none among very many, so that one request has an end.
    constexpr int kMostPages = 100;
    const bool files = place_.kind == Place::Kind::kFiles;
    std::string after = plain_query("after");
    for (int page = 0; page < kMostPages; ++page) {
        Ask wanted;
        wanted.path = target;
        if (!after.empty()) wanted.path += "&after=" + after;
        auto answer = co_await ask(std::move(wanted));
        if (!answer) co_return fail(std::move(answer.error()));
        const auto list = wire::openai::read_list(answer->body);
        if (answer->status != 200) {
            co_return fail(wire::codec_of(place_.dialect).read_error(answer->status, answer->body));
        }
        if (!list) {
            co_return fail(Error{ErrorCode::kUpstreamInvalid,
                                 "the upstream's answer is no list",
                                 {},
                                 {},
                                 "upstream_invalid_answer"});
        }
        for (const std::string_view item : list->items) {
            after = wire::openai::read_object_id(item);
            bool ours = false;
            if (files) {
                auto file = snapshot_->batches()->find_file(after, owner());
                if (!file) co_return fail(no_store(file.error()));
                ours = file->has_value() && (*file)->provider == provider_->name;
            } else {
                auto batch = snapshot_->batches()->find_batch(after, owner());
                if (!batch) co_return fail(no_store(batch.error()));
                ours = batch->has_value() && (*batch)->provider == provider_->name;
                const auto state = wire::openai::read_batch_state(item);
                if (ours && state) {
                    auto seen = co_await see(std::move(**batch), *state);
                    if (!seen) co_return seen;
                }
            }
            if (!ours) continue;
            if (items_.size() == limit) {
                has_more = true;
                co_return Result<void>();
            }
            items_.emplace_back(item);
            ids_.push_back(after);
        }
        has_more = list->has_more && !list->items.empty();
        if (!has_more) break;
    }
    co_return Result<void>();
}

}  // namespace leeway::app
