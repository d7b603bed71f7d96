#include "app/client_batches.hpp"

#include "app/batch_input.hpp"
#include "app/batch_settlement.hpp"
#include "app/budget_policy.hpp"
#include "app/worst_case.hpp"
#include "base/clock.hpp"
#include "base/strings.hpp"
#include "guard/auth/key_directory.hpp"
#include "json/node.hpp"
#include "wire/openai/multipart.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

namespace leeway::app {
namespace {

Error not_found(std::string message, std::string param) {
    return Error{ErrorCode::kNotFound, std::move(message),
                 "a key sees its own files and batches only", std::move(param), "not_found"};
}

}  // namespace

/// What may become a part of our requests as it is.
bool BatchRequest::is_plain(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
}

Error BatchRequest::no_store(const Error& why) {
    return Error{ErrorCode::kUnavailable,
                 "the store of batches cannot be used: " + why.message,
                 why.hint,
                 {},
                 "batches_unavailable"};
}

BatchRequest::BatchRequest(WorkerState& worker, net::Exchange& exchange, const Place& place,
                           std::string_view id)
    : worker_(worker),
      exchange_(exchange),
      place_(place),
      id_(id),
      caller_(worker, exchange, pipeline::Endpoint::kChatCompletions, place.dialect),
      snapshot_(worker.snapshot) {}

BatchRequest::~BatchRequest() {
    if (deadline_) exchange_.unwatch();
}

Task<void> BatchRequest::run() {
    using enum Place::Kind;
    const bool let_in = co_await caller_.authenticate();
    if (!let_in) co_return;
    request_id_ = caller_.context().id.text();
    if (snapshot_->batches() == nullptr) {
        Error error{ErrorCode::kNotFound,
                    "No provider takes files and batches.",
                    "the operator says `batches: true` at one",
                    {},
                    "batches_not_configured"};
        co_await refuse(std::move(error));
        co_return;
    }
    const bool posts = exchange_.head().method == "POST";
    if (place_.kind == kFiles && posts) {
        co_await upload();
    } else if (place_.kind == kBatches && posts) {
        co_await create();
    } else if (place_.kind == kFiles || place_.kind == kBatches) {
        co_await list();
    } else if (place_.kind == kFile) {
        co_await one_file();
    } else if (place_.kind == kFileContent) {
        co_await file_content();
    } else {
        co_await one_batch();
    }
}

/// The provider of what has no owner yet: the one that is named, or the only one that takes batches.
Result<const providers::Provider*> BatchRequest::choose_provider() const {
    const auto named = exchange_.head().fields.find("x-leeway-provider");
    const providers::Provider* found = nullptr;
    for (const providers::Provider& one : snapshot_->all_providers()) {
        if (!one.batches || (named && one.name != *named)) continue;
        if (found != nullptr) {
            return fail(Error{ErrorCode::kInvalidRequest,
                              "Several providers take batches.",
                              "name one in the header x-leeway-provider",
                              {},
                              "provider_not_named"});
        }
        found = &one;
    }
    if (found != nullptr) return found;
    return fail(Error{ErrorCode::kNotFound,
                      named ? fmt::format("No provider '{}' takes batches.", *named)
                            : std::string("No provider takes files and batches."),
                      {},
                      {},
                      "provider_not_found"});
}

Result<void> BatchRequest::go_to(const std::string& provider) {
    for (const providers::Provider& one : snapshot_->all_providers()) {
        if (one.name != provider || !one.batches) continue;
        provider_ = &one;
        return {};
    }
    return fail(Error{ErrorCode::kUnavailable,
                      "The provider '" + provider + "' takes no batches any more.",
                      {},
                      {},
                      "provider_not_found"});
}

/// A file of the caller; `provider_` is then where it lies. `param`: where the caller named it.
Result<StoredFile> BatchRequest::own_file(std::string_view id, std::string param) {
    auto file = snapshot_->batches()->find_file(id, owner());
    if (!file) return fail(no_store(file.error()));
    if (!*file)
        return fail(not_found(fmt::format("No such File object: '{}'.", id), std::move(param)));
    if (auto there = go_to((*file)->provider); !there) return fail(std::move(there.error()));
    return std::move(**file);
}

/// The same of the batch that the address names.
Result<StoredBatch> BatchRequest::own_batch() {
    auto batch = snapshot_->batches()->find_batch(id_, owner());
    if (!batch) return fail(no_store(batch.error()));
    if (!*batch) return fail(not_found(fmt::format("No batch found with id '{}'.", id_), {}));
    if (auto there = go_to((*batch)->provider); !there) return fail(std::move(there.error()));
    return std::move(**batch);
}

Result<void> BatchRequest::post(const StoredBatch& batch, ledger::RequestRecord row) {
    return post_batch(batch, std::move(row), *worker_.ledger,
                      snapshot_->budgets() ? snapshot_->budgets()->book : nullptr,
                      *snapshot_->batches());
}

void BatchRequest::start_deadline() {
    if (deadline_) return;
    deadline_.emplace(worker_.loop, provider_->origin.timeouts);
    exchange_.watch(*deadline_);
}

/// Views into `wanted`.
net::UpstreamRequest BatchRequest::request_of(Ask& wanted) const {
    wanted.target = provider_->origin.url.path + wanted.path;
    wanted.fields =
        providers::passed_fields(*provider_, *caller_.context().headers, wanted.content_type);
    net::UpstreamRequest request;
    request.method = wanted.method;
    request.target = wanted.target;
    request.fields = wanted.fields;
    if (!wanted.body.empty()) request.body = std::span(&wanted.body, 1);
    return request;
}

Task<Result<BatchRequest::Answer>> BatchRequest::ask(Ask wanted) {
    constexpr std::size_t kLongestAnswer = 64ULL * 1024 * 1024;
    start_deadline();
    const net::UpstreamRequest request = request_of(wanted);
    net::UpstreamCall call(worker_.pool, provider_->origin, *deadline_);
    auto started = co_await call.start(request);
    sent_ = call.sent();
    worker_.metrics.upstream_connection(call.reused());
    if (!started) co_return fail(std::move(started.error()));
    Answer out;
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

std::vector<net::Field> BatchRequest::own_fields() {
    std::vector<net::Field> out;
    out.push_back({"x-leeway-id", request_id_});
    caller_.add_limit_fields(out);
    return out;
}

Task<void> BatchRequest::pass_on(const Answer& answer) {
    std::vector<net::Field> fields = own_fields();
    for (const auto& [name, value] : answer.fields) fields.push_back({name, value});
    co_await exchange_.respond(answer.status, fields, answer.body);
}

Task<void> BatchRequest::refuse(Error error, std::int64_t retry_after_s) {
    std::vector<net::Field> fields = own_fields();
    fields.push_back({"content-type", "application/json"});
    const std::string retry_after = std::to_string(retry_after_s);
    if (retry_after_s > 0) fields.push_back({"retry-after", retry_after});
    const std::string body = wire::codec_of(place_.dialect).write_error(error);
    co_await exchange_.respond(http_status(error.code), fields, body);
}

/// The model of an input file, when the caller may use it there; null: `why` says why not.
const pipeline::Model* BatchRequest::batch_model(const BatchBound& bound, std::string_view provider,
                                                 Error& why) const {
    const pipeline::Model* model = snapshot_->model_at(provider, bound.model);
    const auto* key = static_cast<const guard::auth::KeySpec*>(caller_.context().key);
    if (model == nullptr) {
        why = Error{
            ErrorCode::kNotFound,
            fmt::format("The model '{}' does not exist at provider '{}'.", bound.model, provider),
            "lines of a batch name models as the provider does", "model", "model_not_found"};
        return nullptr;
    }
    if (key != nullptr && !(key->may_use_route({}) && key->may_use_model(model->name))) {
        why = Error{
            ErrorCode::kForbidden,
            fmt::format("Key '{}' may not use model '{}' in batches.", key->name, model->name),
            "ask the operator for a key that may", "model", "model_not_allowed"};
        return nullptr;
    }
    if (!model->disabled.empty()) {
        why = Error{ErrorCode::kUnavailable,
                    fmt::format("The model '{}' cannot be used: {}", model->name, model->disabled),
                    {},
                    "model",
                    "provider_disabled"};
        return nullptr;
    }
    return model;
}

/// What the lines of an upload can cost, where it is the input of a batch.
Result<BatchBound> BatchRequest::read_upload(std::string_view body,
                                             std::string_view content_type) const {
    auto form = wire::openai::read_form(content_type, body);
    if (!form) return fail(std::move(form.error()));
    std::string_view purpose;
    const wire::openai::FormPart* file = nullptr;
    for (const wire::openai::FormPart& part : *form) {
        if (part.name == "purpose") purpose = part.content;
        if (part.name == "file") file = &part;
    }
    if (file == nullptr || purpose.empty()) {
        return fail(Error{ErrorCode::kInvalidRequest,
                          "The form needs a 'file' and a 'purpose'.",
                          {},
                          file == nullptr ? "file" : "purpose",
                          "missing_required_parameter"});
    }
    if (purpose != "batch") return BatchBound();
    auto bound = read_batch_input(file->content);
    if (!bound) return bound;
    Error why;
    if (batch_model(*bound, provider_->name, why) == nullptr) return fail(std::move(why));
    return bound;
}

Task<void> BatchRequest::upload() {
    auto chosen = choose_provider();
    if (!chosen) {
        co_await refuse(std::move(chosen.error()));
        co_return;
    }
    provider_ = *chosen;
    auto body = co_await exchange_.read_body();
    if (!body) {
        co_await refuse(std::move(body.error()));
        co_return;
    }
    const std::string_view type = exchange_.head().fields.find("content-type").value_or("");
    auto bound = read_upload(*body, type);
    if (!bound) {
        co_await refuse(std::move(bound.error()));
        co_return;
    }
    Ask wanted;
    wanted.method = "POST";
    wanted.path = "/files";
    wanted.content_type = type;
    wanted.body = *body;
    auto answer = co_await ask(std::move(wanted));
    if (!answer) {
        co_await refuse(std::move(answer.error()));
        co_return;
    }
    if (answer->status == 200) {
        constexpr std::size_t kLongestId = 256;
        StoredFile file{provider_->name, wire::openai::read_object_id(answer->body), owner(),
                        std::move(*bound)};
        const bool named = !file.id.empty() && file.id.size() <= kLongestId && is_plain(file.id);
        if (!named || !snapshot_->batches()->add_file(file)) {
            Error error{ErrorCode::kUpstreamInvalid,
                        "the upstream's answer names no file, or its name could not be kept",
                        "send the file again",
                        {},
                        "upstream_invalid_answer"};
            co_await refuse(std::move(error));
            co_return;
        }
    }
    co_await pass_on(*answer);
}

Task<void> BatchRequest::one_file() {
    auto file = own_file(id_, {});
    if (!file) {
        co_await refuse(std::move(file.error()));
        co_return;
    }
    const bool deletes = exchange_.head().method == "DELETE";
    Ask wanted;
    wanted.method = deletes ? "DELETE" : "GET";
    wanted.path = "/files/" + id_;
    auto answer = co_await ask(std::move(wanted));
    if (!answer) {
        co_await refuse(std::move(answer.error()));
        co_return;
    }
    if (deletes && answer->status == 200) {
        if (auto removed = snapshot_->batches()->remove_file(*file); !removed)
            spdlog::warn("a file that was deleted stays known: {}", removed.error().text());
    }
    co_await pass_on(*answer);
}

Task<void> BatchRequest::file_content() {
    auto file = own_file(id_, {});
    if (!file) {
        co_await refuse(std::move(file.error()));
        co_return;
    }
    start_deadline();
    Ask wanted;
    wanted.path = "/files/" + id_ + "/content";
    const net::UpstreamRequest request = request_of(wanted);
    net::UpstreamCall call(worker_.pool, provider_->origin, *deadline_);
    auto started = co_await call.start(request);
    if (!started) {
        co_await refuse(std::move(started.error()));
        co_return;
    }
    std::vector<net::Field> fields = own_fields();
    for (const net::Field& field : call.head().fields) {
        if (providers::passes_to_client(field.name) ||
            equals_ignore_case(field.name, "content-disposition"))
            fields.push_back(field);
    }
    bool sent = co_await exchange_.begin_stream(call.head().status, fields);
    while (sent) {
        const auto pieces = co_await call.read_some();
        if (!pieces) {
            exchange_.break_off();  // never let a cut look like an end
            co_return;
        }
        if (pieces->empty()) break;
        sent = co_await exchange_.send(*pieces);
    }
    if (sent) co_await exchange_.end_stream();
}

}  // namespace leeway::app
