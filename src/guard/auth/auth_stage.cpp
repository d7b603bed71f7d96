#include "guard/auth/auth_stage.hpp"

#include "base/strings.hpp"

#include <fmt/format.h>

namespace leeway::guard::auth {
namespace {

pipeline::Verdict refuse(std::string message, std::string reason) {
    return pipeline::Reject{
        Error{ErrorCode::kUnauthenticated, std::move(message), {}, {}, std::move(reason)}};
}

pipeline::Verdict forbid(std::string message, std::string reason) {
    return pipeline::Reject{Error{ErrorCode::kForbidden, std::move(message),
                                  "ask the operator for a key that may", "model",
                                  std::move(reason)}};
}

}  // namespace

std::optional<std::string_view> presented_secret(const pipeline::HeaderSource& headers) {
    if (const auto value = headers.header("authorization")) {
        constexpr std::string_view kBearer = "bearer ";
        if (value->size() > kBearer.size() &&
            equals_ignore_case(value->substr(0, kBearer.size()), kBearer)) {
            return trim(value->substr(kBearer.size()));
        }
    }
    for (const std::string_view name : {"x-api-key", "x-goog-api-key"}) {
        if (const auto value = headers.header(name)) return value;
    }
    return headers.query("key");  // Google's SDKs of old, and curl
}

pipeline::Verdict AuthStage::on_head(pipeline::RequestContext& context) {
    if (keys_->empty()) {
        // `serve` refuses to listen elsewhere without keys; this is the second lock on that door.
        if (context.loopback_only) return pipeline::Continue{};
        return refuse("the gateway has no keys and serves this machine only", "no_keys_configured");
    }
    const auto secret = presented_secret(*context.headers);
    if (!secret) {
        return refuse(
            "You didn't provide an API key. Send a Leeway key in an Authorization header: Bearer "
            "YOUR_KEY.",
            "missing_api_key");
    }
    const auto found = keys_->find(*secret, context.arrived_unix_us / 1'000'000);
    if (found.state == KeyState::kRevoked)
        return refuse("This API key has been revoked.", "key_revoked");
    if (found.state == KeyState::kExpired)
        return refuse("This API key has expired.", "key_expired");
    if (found.state != KeyState::kActive)
        return refuse("Incorrect API key provided.", "invalid_api_key");
    context.key_name = found.spec->name;
    context.key = found.spec;
    context.pins = keys_;
    return pipeline::Continue{};
}

Task<pipeline::Verdict> AuthStage::on_request(pipeline::RequestContext& context) {
    const auto* spec = static_cast<const KeySpec*>(context.key);
    if (spec != nullptr) {
        const std::string_view route =
            context.route == nullptr ? std::string_view() : context.route->name;
        if (!spec->may_use_route(route)) {
            co_return forbid(fmt::format("Key '{}' may not use route '{}'.", spec->name, route),
                             "route_not_allowed");
        }
        if (!spec->may_use_model(context.model->name)) {
            co_return forbid(
                fmt::format("Key '{}' may not use model '{}'.", spec->name, context.model->name),
                "model_not_allowed");
        }
    }
    co_return pipeline::Verdict(pipeline::Continue{});
}

}  // namespace leeway::guard::auth
