#pragma once

#include "guard/auth/key_directory.hpp"
#include "pipeline/stage.hpp"

#include <memory>
#include <optional>
#include <string_view>

namespace leeway::guard::auth {

/// The secret that a caller presents, from wherever its SDK puts it: `Authorization: Bearer`, `x-api-key`,
/// `x-goog-api-key`, or `key` in the address. The one place that reads credentials. nullopt: none.
[[nodiscard]] std::optional<std::string_view> presented_secret(
    const pipeline::HeaderSource& headers);

/// Lets in who has a valid key, within its rate and to what it may use. Fails closed. Thread-safe.
class AuthStage final : public pipeline::Stage {
public:
    static constexpr pipeline::StageInfo kInfo{.name = "auth",
                                               .on_error = pipeline::OnError::kReject};

    explicit AuthStage(std::shared_ptr<const KeyDirectory> keys) : keys_(std::move(keys)) {}

    const pipeline::StageInfo& info() const noexcept override { return kInfo; }
    pipeline::Verdict on_head(pipeline::RequestContext& context) override;
    Task<pipeline::Verdict> on_request(pipeline::RequestContext& context) override;

private:
    const std::shared_ptr<const KeyDirectory> keys_;
};

}  // namespace leeway::guard::auth
