#include "providers/provider.hpp"

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/strings.hpp"
#include "json/write.hpp"
#include "wire/openai/request_edit.hpp"

#include <fmt/format.h>

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

/// What is asked of a model of Google's.
std::string_view gemini_method(const Provider& provider, const pipeline::RequestContext& context) {
    if (context.endpoint == pipeline::Endpoint::kEmbeddings) {
        if (provider.tokens != nullptr) return ":predict";  // Vertex
        const bool list = context.view.input.in(context.body).starts_with('[');
        return list ? ":batchEmbedContents" : ":embedContent";
    }
    return context.view.stream ? ":streamGenerateContent?alt=sse" : ":generateContent";
}

/// What is asked of Cohere.
std::string_view cohere_method(pipeline::Endpoint endpoint) noexcept {
    if (endpoint == pipeline::Endpoint::kEmbeddings) return "/embed";
    return endpoint == pipeline::Endpoint::kRerank ? "/rerank" : "/chat";
}

std::string target_of(const Provider& provider, const pipeline::RequestContext& context) {
    const std::string& base = provider.origin.url.path;
    const std::string& model = context.model->upstream_name;
    switch (provider.dialect) {
        case wire::Dialect::kOpenAiChat: break;
        case wire::Dialect::kOpenAiResponses: return base + "/responses";
        case wire::Dialect::kAnthropic: return base + "/messages";
        case wire::Dialect::kGemini:
            return fmt::format("{}/models/{}{}", base, model, gemini_method(provider, context));
        case wire::Dialect::kCohere: return base + std::string(cohere_method(context.endpoint));
        case wire::Dialect::kBedrock:
            return base + "/model/" + uri_encode(model) +
                   (context.view.stream ? "/converse-stream" : "/converse");
    }
    std::string_view method = "/chat/completions";
    if (context.endpoint == pipeline::Endpoint::kEmbeddings) method = "/embeddings";
    if (context.endpoint == pipeline::Endpoint::kCompletions) method = "/completions";
    if (context.endpoint == pipeline::Endpoint::kRerank) method = "/rerank";
    if (provider.deployments_version.empty()) return base + std::string(method);
    return fmt::format("{}/openai/deployments/{}{}?api-version={}", base, uri_encode(model), method,
                       provider.deployments_version);
}

/// The credential, and what of a caller's fields is meant for the vendor.
void add_own_fields(const Provider& provider, const pipeline::HeaderSource& headers,
                    std::vector<net::Field>& fields) {
    if (!provider.authorization.empty())
        fields.push_back({provider.credential_header, provider.authorization.expose()});
    bool versioned = false;
    for (const std::string_view name : kToProvider) {
        if (!passes_to_provider(name, provider.dialect)) continue;
        const auto value = headers.header(name);
        if (!value) continue;
        versioned = versioned || name == "anthropic-version";
        fields.push_back({name, *value});
    }
    if (provider.dialect == wire::Dialect::kAnthropic && !versioned)
        fields.push_back({"anthropic-version", "2023-06-01"});
}

/// The caller's idempotency key as one provider sees it: the same for each attempt at a model, another for other
/// models, since their bodies differ, and for other callers, who share our account and may choose the same key.
std::string own_key(const pipeline::RequestContext& context, std::string_view key) {
    std::string bytes;
    for (const std::string_view part :
         {std::string_view(context.key_name), std::string_view(context.model->provider_name),
          std::string_view(context.model->upstream_name), key})
        bytes.append(std::to_string(part.size())).append(":").append(part);
    constexpr std::size_t kDigits = 40;
    return "lw-" + to_hex(sha256(bytes)).substr(0, kDigits);
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
    if (context.view.stream && !context.view.include_usage && provider.quirks.stream_options) {
        if (auto edit = wire::openai::ask_for_usage(context.view)) {
            out.hides_usage_ = true;
            if (auto added = out.splice_.add(std::move(*edit)); !added) return added;
        }
    }
    if (!context.tier_word.empty()) {
        auto edit = wire::openai::insert_member(context.view, "service_tier",
                                                json::quoted(context.tier_word));
        if (auto added = out.splice_.add(std::move(edit)); !added) return added;
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
    out.add_fields(provider, context);
    out.add_credentials(provider);
    return {};
}

void PreparedRequest::prepare_body(const Provider& provider,
                                   const pipeline::RequestContext& context, std::string body,
                                   PreparedRequest& out) {
    out.joined_ = std::move(body);
    out.pieces_.assign(1, out.joined_);
    out.target_ = target_of(provider, context);
    out.add_fields(provider, context);
    out.add_credentials(provider);
}

void PreparedRequest::add_fields(const Provider& provider,
                                 const pipeline::RequestContext& context) {
    fields_.reserve(8);
    fields_.push_back({"content-type", "application/json"});
    if (context.view.stream) {
        fields_.push_back({"accept", provider.dialect == wire::Dialect::kBedrock
                                         ? "application/vnd.amazon.eventstream"
                                         : "text/event-stream"});
    }
    add_own_fields(provider, *context.headers, fields_);
    for (net::Field& field : fields_) {
        if (field.name != "idempotency-key") continue;
        idempotency_key_ = own_key(context, field.value);
        field.value = idempotency_key_;
    }
}

/// Those that are not the same for every request.
void PreparedRequest::add_credentials(const Provider& provider) {
    if (provider.tokens != nullptr) token_ = provider.tokens->bearer();
    if (token_ != nullptr) fields_.push_back({"authorization", token_->expose()});
    if (!provider.aws) return;
    SigningInput input;
    input.unix_s = unix_now_s();
    time_ = aws_time(input.unix_s);
    std::vector<net::Field> signed_fields{{"content-type", "application/json"},
                                          {"host", provider.origin.url.host_header},
                                          {"x-amz-date", time_}};
    fields_.push_back(signed_fields.back());
    if (!provider.aws->session_token.empty()) {
        signed_fields.push_back({"x-amz-security-token", provider.aws->session_token.expose()});
        fields_.push_back(signed_fields.back());
    }
    input.path = target_;
    input.headers = signed_fields;
    input.body = joined_;  // Bedrock's bodies are never passed on as they came
    input.service = "bedrock";
    signature_ = aws_authorization(*provider.aws, input);
    fields_.push_back({"authorization", signature_});
}

net::UpstreamRequest PreparedRequest::request() const noexcept {
    net::UpstreamRequest request;
    request.target = target_;
    request.fields = fields_;
    request.body = pieces_;
    return request;
}

std::vector<net::Field> passed_fields(const Provider& provider,
                                      const pipeline::HeaderSource& headers,
                                      std::string_view content_type) {
    std::vector<net::Field> out;
    if (!content_type.empty()) out.push_back({"content-type", content_type});
    add_own_fields(provider, headers, out);
    return out;
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
                   equals_ignore_case(name, "retry-after-ms") ||
                   equals_ignore_case(name, "request-id");
        case 'x':
            return equals_ignore_case(name, "x-request-id") ||
                   equals_ignore_case(name, "x-should-retry") ||
                   (name.size() > 12 && equals_ignore_case(name.substr(0, 12), "x-ratelimit-"));
        default: return false;
    }
}

void hide_credential(const Provider& provider, std::string& text) {
    constexpr std::string_view kBearer = "Bearer ";
    constexpr std::size_t kShortest = 8;  // what is shorter stands in ordinary words
    std::string_view secret = provider.authorization.expose();
    if (secret.starts_with(kBearer)) secret.remove_prefix(kBearer.size());
    if (secret.size() < kShortest) return;
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at))
        text.replace(at, secret.size(), "***");
}

}  // namespace leeway::providers
