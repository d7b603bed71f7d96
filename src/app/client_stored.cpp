#include "app/client_stored.hpp"

#include "app/pass_through.hpp"
#include "base/clock.hpp"
#include "base/strings.hpp"
#include "wire/canonical/codec.hpp"
#include "wire/openai/batch.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace leeway::app {

ResponseRequest::ResponseRequest(WorkerState& worker, net::Exchange& exchange, const Place& place,
                                 std::string_view id)
    : worker_(worker),
      exchange_(exchange),
      place_(place),
      id_(id),
      caller_(worker, exchange, pipeline::Endpoint::kChatCompletions, place.dialect),
      snapshot_(worker.snapshot) {}

ResponseRequest::~ResponseRequest() {
    if (deadline_) exchange_.unwatch();
}

Task<void> ResponseRequest::run() {
    const bool let_in = co_await caller_.authenticate();
    if (!let_in) co_return;
    request_id_ = caller_.context().id.text();
    auto found = find();
    if (!found) {
        co_await refuse(std::move(found.error()));
        co_return;
    }
    if (!found->provider.empty()) {
        co_await pass_on(*found);
        co_return;
    }
    auto body = answer(*found);
    if (!body) {
        co_await refuse(std::move(body.error()));
        co_return;
    }
    std::vector<net::Field> fields = own_fields();
    fields.push_back({"content-type", "application/json"});
    co_await exchange_.respond(200, fields, *body);
}

/// To all but its owner it is as if it were not there.
Result<FoundResponse> ResponseRequest::find() {
    ResponseStore* store = snapshot_->responses();
    Error none{
        ErrorCode::kNotFound, fmt::format("Response with id '{}' not found.", id_), {}, {}, {}};
    if (store == nullptr) {
        none.hint = "this gateway keeps no responses: `responses.store` is off";
        return fail(std::move(none));
    }
    auto found = store->find(id_, caller_.context().key_name, unix_now_s());
    if (!found) return fail(responses_unavailable(found.error()));
    if (!*found) return fail(std::move(none));
    return std::move(**found);
}

/// The body of the answer, for what is kept here.
Result<std::string> ResponseRequest::answer(const FoundResponse& found) {
    ResponseStore& store = *snapshot_->responses();
    if (place_.kind == Place::Kind::kResponseCancel) {
        // Ours are over when their caller hears of them.
        return fail(ErrorCode::kInvalidRequest, "Cannot cancel a synchronous response.");
    }
    if (place_.kind == Place::Kind::kResponseInput) return input_page(found);
    if (exchange_.head().method == "DELETE") {
        if (auto removed = store.remove(found.number); !removed)
            return fail(responses_unavailable(removed.error()));
        return wire::openai::render_deleted(id_);
    }
    if (caller_.context().headers->query("stream").value_or("false") == "true") {
        return fail(Error{ErrorCode::kInvalidRequest,
                          "Only a response that was made in the background can be streamed again.",
                          "ask for it without `stream`",
                          "stream",
                          {}});
    }
    auto told = store.read(found.number);
    if (!told) return fail(responses_unavailable(told.error()));
    return told;
}

Result<std::string> ResponseRequest::input_page(const FoundResponse& found) {
    constexpr std::uint64_t kUsual = 20;
    constexpr std::uint64_t kMost = 100;
    const pipeline::HeaderSource& source = *caller_.context().headers;
    const auto limit = source.query("limit");
    const auto number = limit ? parse_u64(*limit) : kUsual;
    if (!number || *number < 1 || *number > kMost) {
        return fail(Error{ErrorCode::kInvalidRequest,
                          fmt::format("'limit' must be a number from 1 to {}.", kMost),
                          {},
                          "limit",
                          "invalid_value"});
    }
    const std::string_view order = source.query("order").value_or("desc");
    if (order != "asc" && order != "desc") {
        return fail(Error{ErrorCode::kInvalidRequest,
                          "'order' must be 'asc' or 'desc'.",
                          {},
                          "order",
                          "invalid_value"});
    }
    const std::string_view after = source.query("after").value_or("");
    auto page = snapshot_->responses()->input_page(found.number, after, order == "desc", *number);
    if (!page && page.error().reason == "previous_gone") {
        return fail(Error{ErrorCode::kNotFound,
                          "A part of the conversation before this response has been deleted.",
                          {},
                          {},
                          {}});
    }
    if (!page) return fail(responses_unavailable(page.error()));
    if (!*page) {
        return fail(Error{ErrorCode::kNotFound,
                          fmt::format("Item with id '{}' not found.", after),
                          {},
                          "after",
                          {}});
    }
    return wire::openai::render_list((*page)->items, (*page)->ids, (*page)->has_more);
}

/// The caller's query without its key for us.
std::string ResponseRequest::passed_query() const {
    std::string out;
    for (std::string_view rest = exchange_.head().query; !rest.empty();) {
        const std::string_view one = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(one.size() + 1, rest.size()));
        if (one.empty() || one.substr(0, one.find('=')) == "key") continue;
        out += out.empty() ? '?' : '&';
        out += one;
    }
    return out;
}

Task<void> ResponseRequest::pass_on(const FoundResponse& found) {
    const providers::Provider* provider = nullptr;
    for (const providers::Provider& one : snapshot_->all_providers()) {
        if (one.name == found.provider && one.dialect == wire::Dialect::kOpenAiResponses)
            provider = &one;
    }
    if (provider == nullptr) {
        Error error{
            ErrorCode::kUnavailable,
            "The provider '" + found.provider + "', which keeps the response, is not there.",
            {},
            {},
            "provider_not_found"};
        co_await refuse(std::move(error));
        co_return;
    }
    deadline_.emplace(worker_.loop, provider->origin.timeouts);
    exchange_.watch(*deadline_);
    std::string target = provider->origin.url.path + "/responses/" + id_;
    if (place_.kind == Place::Kind::kResponseInput) target += "/input_items";
    if (place_.kind == Place::Kind::kResponseCancel) target += "/cancel";
    target += passed_query();
    const std::vector<net::Field> sent =
        providers::passed_fields(*provider, *caller_.context().headers, {});
    net::UpstreamRequest request;
    const std::string_view method = exchange_.head().method;
    request.method = method == "HEAD" ? "GET" : method;
    request.target = target;
    request.fields = sent;
    net::UpstreamCall call(worker_.pool, provider->origin, *deadline_);
    auto started = co_await call.start(request);
    worker_.metrics.upstream_connection(call.reused());
    if (!started) {
        co_await refuse(std::move(started.error()));
        co_return;
    }
    const int status = call.head().status;
    if (method == "DELETE" && (status == 200 || status == 404)) {
        if (auto removed = snapshot_->responses()->remove(found.number); !removed)
            spdlog::warn("a response that was deleted stays known: {}", removed.error().text());
    }
    std::vector<net::Field> fields = own_fields();
    for (const net::Field& field : call.head().fields) {
        if (providers::passes_to_client(field.name)) fields.push_back(field);
    }
    co_await pass_through(exchange_, call, std::move(fields));
}

std::vector<net::Field> ResponseRequest::own_fields() {
    std::vector<net::Field> out;
    out.push_back({"x-leeway-id", request_id_});
    caller_.add_limit_fields(out);
    return out;
}

Task<void> ResponseRequest::refuse(Error error) {
    std::vector<net::Field> fields = own_fields();
    fields.push_back({"content-type", "application/json"});
    const std::string body = wire::codec_of(place_.dialect).write_error(error);
    co_await exchange_.respond(http_status(error.code), fields, body);
}

}  // namespace leeway::app
