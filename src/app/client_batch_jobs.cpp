#include "app/batch_input.hpp"
#include "app/batch_settlement.hpp"
#include "app/budget_policy.hpp"
#include "app/client_batches.hpp"
#include "json/node.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace leeway::app {

/// The batch that the address names, if it is the caller's; the link is then with its provider.
Result<StoredBatch> BatchRequest::own_batch() {
    auto batch = store().find_batch(id_, owner());
    if (!batch) return fail(no_batch_store(batch.error()));
    const auto none = [this] {
        return fail(not_found(fmt::format("No batch found with id '{}'.", id_), {}));
    };
    if (!*batch) return none();
    if (auto there = go_to((*batch)->provider); !there) return fail(std::move(there.error()));
    if (!speaks(link_.provider())) return none();  // it is asked for in another dialect
    return std::move(**batch);
}

/// What is known of a batch before it is asked for.
Result<StoredBatch> BatchRequest::plan(const BatchBound& bound) {
    Error why;
    const std::string& provider = link_.provider().name;
    const pipeline::Model* model = batch_model(bound, provider, why);
    if (model == nullptr) return fail(std::move(why));
    caller_.take_dimensions();
    StoredBatch out = planned_batch(caller_.context(), bound, *model);
    if (snapshot_->budgets() != nullptr) {
        if (auto error = reserve_batch(*snapshot_, caller_.context(), bound, *model, out))
            return fail(std::move(*error));
    }
    return out;
}

void BatchRequest::release(const StoredBatch& batch) {
    if (!batch.scopes.empty()) (void)snapshot_->budgets()->book->release(batch.record, 1);
}

/// OpenAI's batches name a file that was read when it came; Anthropic's bring their requests with them.
Task<void> BatchRequest::create() {
    auto body = co_await exchange_.read_body();
    if (!body) {
        co_await refuse(std::move(body.error()));
        co_return;
    }
    Result<BatchBound> bound;
    if (place_.dialect == wire::Dialect::kAnthropic) {
        auto chosen = choose_provider();
        if (!chosen) {
            co_await refuse(std::move(chosen.error()));
            co_return;
        }
        link_.go_to(**chosen);
        std::function<Result<BatchBound>()> job = [text = *body] {
            return read_message_batch(text);
        };
        bound = co_await read_requests(std::move(job));
    } else {
        bound = bound_of_file(*body);
    }
    if (!bound) {
        co_await refuse(std::move(bound.error()));
        co_return;
    }
    co_await create_from(std::move(*bound), *body);
}

Result<BatchBound> BatchRequest::bound_of_file(std::string_view body) {
    auto node = json::parse_node(body);
    if (!node) return fail(std::move(node.error()));
    auto file = own_file(node->text_of("input_file_id"), "input_file_id");
    if (!file) return fail(std::move(file.error()));
    const std::string_view endpoint = node->text_of("endpoint");
    if (!file->bound.endpoint.empty() && file->bound.endpoint == endpoint)
        return std::move(file->bound);
    return fail(Error{ErrorCode::kInvalidRequest,
                      file->bound.endpoint.empty()
                          ? "The file was not sent with the purpose 'batch'."
                          : fmt::format("The requests of the file are for {}, not for {}.",
                                        file->bound.endpoint, endpoint),
                      {},
                      "endpoint",
                      "invalid_value"});
}

Task<void> BatchRequest::create_from(BatchBound bound, std::string_view body) {
    if (worker_.ledger == nullptr || !worker_.ledger->healthy()) {
        Error error = ledger::no_paid_work();
        co_await refuse(std::move(error), 1);
        co_return;
    }
    auto batch = plan(bound);
    if (!batch) {
        co_await refuse(std::move(batch.error()));
        co_return;
    }
    // Before a byte goes upstream, so that nothing is bought that nobody remembers.
    if (auto begun = store().begin_batches(std::span(&*batch, 1)); !begun) {
        release(*batch);
        Error error = no_batch_store(begun.error());
        co_await refuse(std::move(error), 1);
        co_return;
    }
    watch();
    exchange_.unwatch();  // a caller that hangs up must not make us forget what was bought
    ProviderAsk wanted;
    wanted.method = "POST";
    wanted.path = link_.dialect().path;
    wanted.content_type = "application/json";
    wanted.body = body;
    auto answer = co_await ask(std::move(wanted));
    if (answer) {
        co_await take_created(std::move(*batch), std::move(*answer));
        co_return;
    }
    if (link_.sent()) {
        auto posted = link_.post(std::span(&*batch, 1), {lost_row_of(*batch)});
        if (!posted) spdlog::error("id={} {}", request_id_, posted.error().text());
    } else {
        release(*batch);
        (void)store().drop_batches(std::span(&*batch, 1));
    }
    co_await refuse(std::move(answer.error()));
}

/// The provider has answered the request for a batch.
Task<void> BatchRequest::take_created(StoredBatch batch, ProviderReply answer) {
    // A proxy in between may say these of a request that the provider has taken.
    const bool told_by_proxy = answer.status == 502 || answer.status == 504;
    if (answer.status >= 400 && !told_by_proxy) {
        release(batch);
        (void)store().drop_batches(std::span(&batch, 1));
        co_await pass_on(answer);
        co_return;
    }
    const auto state = link_.dialect().read_state(answer.body);
    const bool named = answer.status == 200 && state && is_plain(state->id);
    Result<void> kept;
    if (named) {
        batch.id = state->id;
        batch.state = state->status;
        batch.expires_unix_s = state->expires_unix_s;
        kept = store().name_batches(std::span(&batch, 1));
    }
    if (named && kept) {
        store().counters().made.fetch_add(1, std::memory_order_relaxed);
        answer.body = link_.dialect().for_caller(answer.body);
        co_await pass_on(answer);
        co_return;
    }
    // It may run, and we will never know.
    auto posted = link_.post(std::span(&batch, 1), {lost_row_of(batch)});
    if (!posted) spdlog::error("id={} {}", request_id_, posted.error().text());
    co_await pass_on(answer);
}

Task<void> BatchRequest::one_batch() {
    auto batch = own_batch();
    if (!batch) {
        co_await refuse(std::move(batch.error()));
        co_return;
    }
    const bool deletes = exchange_.head().method == "DELETE";
    if (deletes) {
        // What it cost can be read only as long as it is there.
        const bool goes_on = co_await settle_first(*batch);
        if (!goes_on) co_return;
    }
    const bool cancels = place_.kind == Place::Kind::kBatchCancel;
    ProviderAsk wanted;
    wanted.method = deletes ? "DELETE" : cancels ? "POST" : "GET";
    wanted.path = fmt::format("{}/{}{}", link_.dialect().path, id_, cancels ? "/cancel" : "");
    auto answer = co_await ask(std::move(wanted));
    if (!answer) {
        co_await refuse(std::move(answer.error()));
        co_return;
    }
    const auto state = link_.dialect().read_state(answer->body);
    if (answer->status == 200 && state) {
        auto seen = co_await link_.see(std::move(*batch), *state);
        if (!seen) {
            co_await refuse(std::move(seen.error()), 1);
            co_return;
        }
        answer->body = link_.dialect().for_caller(answer->body);
    }
    co_await pass_on(*answer);
}

/// The answers of a batch, where the provider has them in no file.
Task<void> BatchRequest::results() {
    auto batch = own_batch();
    if (!batch) {
        co_await refuse(std::move(batch.error()));
        co_return;
    }
    const bool goes_on = co_await settle_first(std::move(*batch));
    if (goes_on) co_await stream_from(fmt::format("{}/{}/results", link_.dialect().path, id_));
}

/// Sees to it that the batch is settled if it is over. False: that failed, and the caller has been told.
Task<bool> BatchRequest::settle_first(StoredBatch batch) {
    if (batch.settled) co_return true;
    ProviderAsk wanted;
    wanted.path = fmt::format("{}/{}", link_.dialect().path, id_);
    auto answer = co_await ask(std::move(wanted));
    if (!answer) {
        co_await refuse(std::move(answer.error()));
        co_return false;
    }
    const auto state = link_.dialect().read_state(answer->body);
    if (answer->status != 200 || !state) {
        co_await pass_on(*answer);
        co_return false;
    }
    auto seen = co_await link_.see(std::move(batch), *state);
    if (!seen) co_await refuse(std::move(seen.error()), 1);
    co_return seen.has_value();
}

}  // namespace leeway::app
