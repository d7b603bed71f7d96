#include "wire/openai/error.hpp"

#include "json/write.hpp"

namespace leeway::wire::openai {

namespace {

/// What OpenAI puts into `code` when there is nothing more exact; empty: null.
std::string_view usual_code(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::kUnauthenticated: return "invalid_api_key";
        case ErrorCode::kMethodNotAllowed: return "method_not_supported";
        case ErrorCode::kRequestTimeout: return "request_timeout";
        case ErrorCode::kPayloadTooLarge: return "request_too_large";
        case ErrorCode::kHeaderTooLarge: return "header_too_large";
        case ErrorCode::kRateLimited: return "rate_limit_exceeded";
        case ErrorCode::kUpstreamInvalid: return "bad_gateway";
        case ErrorCode::kUnavailable: return "service_unavailable";
        case ErrorCode::kUpstreamTimeout: return "upstream_timeout";
        case ErrorCode::kInternal:
        case ErrorCode::kConfig: return "internal_error";
        case ErrorCode::kInvalidRequest:
        case ErrorCode::kForbidden:
        case ErrorCode::kNotFound:
        case ErrorCode::kClientGone: return {};
    }
    return {};
}

void append_text_or_null(json::Writer& writer, std::string_view text) {
    if (text.empty()) {
        writer.null();
    } else {
        writer.string(text);
    }
}

}  // namespace

std::string_view error_type(const Error& error) noexcept {
    switch (error.code) {
        case ErrorCode::kInvalidRequest:
        case ErrorCode::kUnauthenticated:
        case ErrorCode::kNotFound:
        case ErrorCode::kMethodNotAllowed:
        case ErrorCode::kPayloadTooLarge:
        case ErrorCode::kHeaderTooLarge:
        case ErrorCode::kClientGone: return "invalid_request_error";
        case ErrorCode::kForbidden: return "permission_error";
        case ErrorCode::kRateLimited:
            return error.reason == "insufficient_quota" || error.reason == "budget_exceeded"
                       ? "insufficient_quota"
                       : "rate_limit_error";
        case ErrorCode::kRequestTimeout:
        case ErrorCode::kUpstreamTimeout: return "timeout";
        case ErrorCode::kInternal:
        case ErrorCode::kUpstreamInvalid:
        case ErrorCode::kUnavailable:
        case ErrorCode::kConfig: return "server_error";
    }
    return "server_error";
}

std::string render_error(const Error& error) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("error").object();
    writer.key("message").string(error.text());
    writer.key("type").string(error_type(error));
    writer.key("param");
    append_text_or_null(writer, error.param);
    writer.key("code");
    append_text_or_null(writer, error.reason.empty() ? usual_code(error.code) : error.reason);
    writer.close_object().close_object();
    return out;
}

std::string render_stream_error(const Error& error) {
    return "data: " + render_error(error) + "\n\n";
}

}  // namespace leeway::wire::openai
