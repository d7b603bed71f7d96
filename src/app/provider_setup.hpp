#pragma once

#include "app/config.hpp"
#include "base/result.hpp"
#include "providers/provider.hpp"
#include "providers/token_source.hpp"

#include <string>

namespace leeway::app {

/// A provider as the data plane knows it. `host_url`: where embedded models run. `tokens` outlives it. Errors are
/// kConfig in words for the operator.
[[nodiscard]] Result<providers::Provider> make_provider(const ProviderConfig& from,
                                                        const std::string& host_url,
                                                        providers::TokenSources* tokens);

}  // namespace leeway::app
