#include "providers/provider.hpp"

#include "base/strings.hpp"
#include "wire/openai/request_edit.hpp"

#include <array>

namespace leeway::providers {
namespace {

/// Request headers that mean something to a provider. Credentials are never among them.
constexpr std::array<std::string_view, 9> kToProvider = {
    "openai-organization", "openai-project", "openai-beta",       "idempotency-key", "x-request-id",
    "traceparent",         "tracestate",     "anthropic-version", "anthropic-beta"};

/// Whether a header that a caller sent is of the vendor whose dialect `provider` speaks.
bool passes_to_provider(std::string_view name, wire::Dialect dialect) {
    if (name.starts_with("anthropic-")) return dialect == wire::Dialect::kAnthropic;
    if (name.starts_with("openai-"))
        return dialect == wire::Dialect::kOpenAiChat || dialect == wire::Dialect::kOpenAiResponses;
    return true;
}

std::string target_of(const Provider& provider, const pipeline::RequestContext& context) {
    const std::string& base = provider.origin.url.path;
    switch (provider.dialect) {
        case wire::Dialect::kOpenAiChat: break;
        case wire::Dialect::kOpenAiResponses: return base + "/responses";
        case wire::Dialect::kAnthropic: return base + "/messages";
        case wire::Dialect::kGemini:
            return base + "/models/" + context.model->upstream_name +
                   (context.view.stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
    }
    const bool chat = context.endpoint == pipeline::Endpoint::kChatCompletions;
    return base + (chat ? "/chat/completions" : "/embeddings");
}

void add_fields(const Provider& provider, const pipeline::RequestContext& context,
                std::vector<net::Field>& fields) {
    fields.reserve(8);
    fields.push_back({"content-type", "application/json"});
    if (context.view.stream) fields.push_back({"accept", "text/event-stream"});
    if (!provider.authorization.empty())
        fields.push_back({provider.credential_header, provider.authorization.expose()});
    bool versioned = false;
    for (const std::string_view name : kToProvider) {
        if (!passes_to_provider(name, provider.dialect)) continue;
        const auto value = context.headers->header(name);
        if (!value) continue;
        versioned = versioned || name == "anthropic-version";
        fields.push_back({name, *value});
    }
    if (provider.dialect == wire::Dialect::kAnthropic && !versioned)
        fields.push_back({"anthropic-version", "2023-06-01"});
}

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
    out.target_ = target_of(provider, context);
    add_fields(provider, context, out.fields_);
    return {};
}

void PreparedRequest::prepare_body(const Provider& provider,
                                   const pipeline::RequestContext& context, std::string body,
                                   PreparedRequest& out) {
    out.joined_ = std::move(body);
    out.pieces_.assign(1, out.joined_);
    out.target_ = target_of(provider, context);
    add_fields(provider, context, out.fields_);
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
        case 'a':
            return name.size() > 20 &&
                   equals_ignore_case(name.substr(0, 20), "anthropic-ratelimit-");
        case 'c': return equals_ignore_case(name, "content-type");
        case 'o': return name.size() > 7 && equals_ignore_case(name.substr(0, 7), "openai-");
        case 'r':
            return equals_ignore_case(name, "retry-after") ||
                   equals_ignore_case(name, "request-id");
        case 'x':
            return equals_ignore_case(name, "x-request-id") ||
                   (name.size() > 12 && equals_ignore_case(name.substr(0, 12), "x-ratelimit-"));
        default: return false;
    }
}

}  // namespace leeway::providers
