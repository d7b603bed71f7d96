#include "app/client_batches.hpp"

#include "app/batch_input.hpp"
#include "app/batch_reader.hpp"
#include "app/pass_through.hpp"
#include "base/strings.hpp"
#include "guard/auth/key_directory.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace leeway::app {

Error BatchRequest::not_found(std::string message, std::string param) {
    return Error{ErrorCode::kNotFound, std::move(message),
                 "a key sees its own files and batches only", std::move(param), "not_found"};
}

/// What may become a part of our requests as it is.
bool BatchRequest::is_plain(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
}

BatchRequest::BatchRequest(WorkerState& worker, net::Exchange& exchange, const Place& place,
                           std::string_view id)
    : worker_(worker),
      exchange_(exchange),
      place_(place),
      id_(id),
      caller_(worker, exchange, pipeline::Endpoint::kChatCompletions, place.dialect),
      snapshot_(worker.snapshot),
      link_(worker, *snapshot_, *caller_.context().headers) {}

BatchRequest::~BatchRequest() {
    if (watching_) exchange_.unwatch();
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
    } else if (place_.kind == kBatchResults) {
        co_await results();
    } else {
        co_await one_batch();
    }
}

/// Whether the provider's batches are of the kind that is asked for here.
bool BatchRequest::speaks(const providers::Provider& provider) const noexcept {
    return provider.batches &&
           &wire::batch_dialect_of(provider.dialect) == &wire::batch_dialect_of(place_.dialect);
}

/// The provider of what has no owner yet: the one that is named, or the only one that takes batches.
Result<const providers::Provider*> BatchRequest::choose_provider() const {
    const auto named = exchange_.head().fields.find("x-leeway-provider");
    const providers::Provider* found = nullptr;
    for (const providers::Provider& one : snapshot_->all_providers()) {
        if (!speaks(one) || (named && one.name != *named)) continue;
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
    if (link_.go_to(provider)) return {};
    return fail(Error{ErrorCode::kUnavailable,
                      "The provider '" + provider + "' takes no batches any more.",
                      {},
                      {},
                      "provider_not_found"});
}

/// A file of the caller; the link is then with its provider. `param`: where the caller named it.
Result<StoredFile> BatchRequest::own_file(std::string_view id, std::string param) {
    auto file = store().find_file(id, owner());
    if (!file) return fail(no_batch_store(file.error()));
    if (!*file)
        return fail(not_found(fmt::format("No such File object: '{}'.", id), std::move(param)));
    if (auto there = go_to((*file)->provider); !there) return fail(std::move(there.error()));
    return std::move(**file);
}

/// From now on the caller may hang up.
void BatchRequest::watch() {
    if (watching_) return;
    watching_ = true;
    exchange_.watch(link_.deadline());
}

Task<Result<ProviderReply>> BatchRequest::ask(ProviderAsk wanted) {
    watch();
    co_return co_await link_.ask(std::move(wanted));
}

/// Not on this thread: there may be very many of them, and other requests wait.
Task<Result<BatchBound>> BatchRequest::read_requests(std::function<Result<BatchBound>()> job) {
    auto reading = snapshot_->batch_reader()->read(worker_.loop, std::move(job));
    co_return co_await reading.receive();
}

std::vector<net::Field> BatchRequest::own_fields() {
    std::vector<net::Field> out;
    out.push_back({"x-leeway-id", request_id_});
    caller_.add_limit_fields(out);
    return out;
}

Task<void> BatchRequest::pass_on(const ProviderReply& answer) {
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

Task<void> BatchRequest::upload() {
    auto chosen = choose_provider();
    if (!chosen) {
        co_await refuse(std::move(chosen.error()));
        co_return;
    }
    link_.go_to(**chosen);
    auto body = co_await exchange_.read_body();
    if (!body) {
        co_await refuse(std::move(body.error()));
        co_return;
    }
    const std::string_view type = exchange_.head().fields.find("content-type").value_or("");
    std::function<Result<BatchBound>()> job = [type, text = *body] {
        return read_batch_upload(type, text);
    };
    auto bound = co_await read_requests(std::move(job));
    Error why;
    const bool is_input = bound && !bound->endpoint.empty();
    if (!bound) {
        why = std::move(bound.error());
    } else if (is_input) {
        (void)batch_model(*bound, link_.provider().name, why);
    }
    if (!why.message.empty()) {
        co_await refuse(std::move(why));
        co_return;
    }
    ProviderAsk wanted;
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
        StoredFile file{link_.provider().name, wire::read_object_id(answer->body), owner(),
                        std::move(*bound)};
        const bool named = !file.id.empty() && file.id.size() <= kLongestId && is_plain(file.id);
        if (!named || !store().add_file(file)) {
            Error error{ErrorCode::kUpstreamInvalid,
                        "the upstream's answer names no file, or its name could not be kept",
                        "send the file again",
                        {},
                        "upstream_invalid_answer"};
            co_await refuse(std::move(error));
            co_return;
        }
        if (is_input) store().counters().uploads.fetch_add(1, std::memory_order_relaxed);
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
    ProviderAsk wanted;
    wanted.method = deletes ? "DELETE" : "GET";
    wanted.path = "/files/" + id_;
    auto answer = co_await ask(std::move(wanted));
    if (!answer) {
        co_await refuse(std::move(answer.error()));
        co_return;
    }
    if (deletes && answer->status == 200) {
        if (auto removed = store().remove_file(*file); !removed)
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
    co_await stream_from("/files/" + id_ + "/content");
}

/// What the provider has at `path`, without holding all of it.
Task<void> BatchRequest::stream_from(std::string path) {
    watch();
    ProviderAsk wanted;
    wanted.path = std::move(path);
    const BatchLink::Sending sending(link_, std::move(wanted));
    net::UpstreamCall call(worker_.pool, link_.provider().origin, link_.deadline());
    auto started = co_await call.start(sending.request());
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
    co_await pass_through(exchange_, call, std::move(fields));
}

}  // namespace leeway::app
