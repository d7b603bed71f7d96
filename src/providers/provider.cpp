#include "providers/provider.hpp"

#include "base/strings.hpp"
#include "wire/openai/request_edit.hpp"

#include <array>

namespace leeway::providers {
namespace {

/// Request headers that mean something to a provider. Credentials are never among them.
constexpr std::array<std::string_view, 7> kToProvider = {
    "openai-organization", "openai-project", "openai-beta", "idempotency-key",
    "x-request-id",        "traceparent",    "tracestate"};

}  // namespace

Result<void> PreparedRequest::prepare(const Provider& provider,
                                      const pipeline::RequestContext& context,
                                      PreparedRequest& out) {
    out.splice_ = json::Splice(context.body);
    for (const auto& edit : context.edits()) {
        if (auto added = out.splice_.add(edit.change); !added) return added;
    }
    if (auto edit = wire::openai::replace_model(context.view, context.model->upstream_name)) {
        if (auto added = out.splice_.add(std::move(*edit)); !added) return added;
    }
    if (context.view.stream && !context.view.include_usage) {
        if (auto edit = wire::openai::ask_for_usage(context.view)) {
            out.hides_usage_ = true;
            if (auto added = out.splice_.add(std::move(*edit)); !added) return added;
        }
    }
    if (out.splice_.empty()) {
        out.pieces_.push_back(context.body);  // byte for byte
    } else {
        out.pieces_ = out.splice_.pieces();
    }
    if (out.pieces_.size() > net::UpstreamCall::kMaxPieces) {
        out.joined_ = out.splice_.str();
        out.pieces_.assign(1, out.joined_);
    }
    const bool chat = context.endpoint == pipeline::Endpoint::kChatCompletions;
    out.target_ = provider.origin.url.path + (chat ? "/chat/completions" : "/embeddings");
    out.fields_.reserve(8);
    out.fields_.push_back({"content-type", "application/json"});
    if (context.view.stream) out.fields_.push_back({"accept", "text/event-stream"});
    if (!provider.authorization.empty())
        out.fields_.push_back({"authorization", provider.authorization.expose()});
    for (const std::string_view name : kToProvider) {
        if (const auto value = context.headers->header(name)) out.fields_.push_back({name, *value});
    }
    return {};
}

net::UpstreamRequest PreparedRequest::request() const noexcept {
    net::UpstreamRequest request;
    request.target = target_;
    request.fields = fields_;
    request.body = pieces_;
    return request;
}

bool passes_to_client(std::string_view name) noexcept {
    switch (ascii_lower(name.front())) {
        case 'c': return equals_ignore_case(name, "content-type");
        case 'o': return name.size() > 7 && equals_ignore_case(name.substr(0, 7), "openai-");
        case 'r': return equals_ignore_case(name, "retry-after");
        case 'x':
            return equals_ignore_case(name, "x-request-id") ||
                   (name.size() > 12 && equals_ignore_case(name.substr(0, 12), "x-ratelimit-"));
        default: return false;
    }
}

}  // namespace leeway::providers
