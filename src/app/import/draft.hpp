#pragma once

#include "app/import/source.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::app::imports {

/// A provider that other gateways know by a name of theirs.
struct Preset {
    std::string_view litellm;  ///< before the slash of `model`; empty: LiteLLM has no such provider
    std::string_view portkey;  ///< value of `provider`; empty likewise
    std::string_view name;  ///< in the new file
    std::string_view dialect;
    std::string_view base_url;  ///< empty: the source must name one
    std::string_view path;  ///< what a base URL of the source lacks at its end
    std::string_view variable;  ///< the environment variable of its key; empty: it needs none
    std::string_view model_prefix;  ///< of upstream names that have no slash
};
[[nodiscard]] const Preset* preset_of_litellm(std::string_view provider);
[[nodiscard]] const Preset* preset_of_portkey(std::string_view provider);

/// The configuration that is being made. Values are texts of the new file: `literal` and `variable`
/// make them.
struct Draft {
    struct Provider {
        std::string name, dialect, base_url, api_key;
        std::string first_byte, between_chunks, total;  ///< durations; empty: the defaults
        std::string retries;  ///< attempts besides the first; empty: the default
        std::string failures;  ///< that open the circuit breaker; empty: the default
        std::string open;  ///< how long it stays so; empty: the default
    };
    struct Target {
        std::string provider, upstream;
        std::uint64_t weight = 1;
    };
    struct Model {
        std::string name, provider, upstream;
        std::vector<std::pair<std::string, std::string>> price;  ///< key and USD per million
        bool embedding = false;
        std::uint64_t weight = 1;  ///< of this place, when it runs in others too
        std::vector<Target> targets;  ///< where it runs, when that is more than one place
        std::string balance;  ///< among them; empty: the default
        std::vector<std::string> fallbacks;
    };
    struct Route {
        std::string name, model;
        std::vector<std::string> fallbacks;
    };
    struct Budget {
        std::string name, scope, match, usd;
        std::string window_key, window;  ///< "per" and "day", or "rolling" and "300m"
    };

    std::vector<Provider> providers;
    std::vector<Model> models;
    std::vector<Route> routes;
    std::vector<Budget> budgets;
    bool cache = false;  ///< every route has the stage exact_cache
    std::string cache_ttl;  ///< "600s"; empty: the default
    std::string key_name, key_secret;
    std::uint32_t parallel = 0;  ///< of all requests; 0: no limit
    std::string body_bytes, log_level, log_format, retention_days;
    std::vector<std::string> variables;
    std::vector<std::string> reserved;  ///< names of variables that mean something in the source

    /// The name of the provider that is like `wanted`, which is added when there is none.
    const std::string& provider(Provider wanted);
    [[nodiscard]] bool has_model(std::string_view name) const;
    /// Null: there is none. Valid until one is added.
    [[nodiscard]] Model* find_model(std::string_view name);
    /// `wanted`, or `wanted-2` …, which no model or route has.
    [[nodiscard]] std::string free_name(const std::string& wanted) const;
    /// "${NAME}".
    std::string variable(const std::string& name);
    /// "${NAME}" for a secret that is written in the source; NAME is `wanted` or `wanted_2` …, the same
    /// for the same secret.
    std::string secret_variable(const std::string& wanted, const std::string& secret);
    /// Text as it stands, also when it holds "${".
    [[nodiscard]] static std::string literal(std::string_view text);

private:
    std::vector<std::pair<std::string, std::string>> secrets_;  ///< secret, variable
};

/// USD per million tokens from USD per token, exactly; nullopt when Leeway's configuration cannot hold
/// it (more than nine decimals, more than any model costs).
[[nodiscard]] std::optional<std::string> usd_per_million(std::string_view usd_per_token,
                                                         bool output);

/// "https://host/path" without a slash at the end; nullopt when it cannot be used as it is: it holds a
/// query, credentials, or is no URL.
[[nodiscard]] std::optional<std::string> plain_url(std::string_view text);

/// How often is asked again, as it stands in the new file; nullopt when that is no number that Leeway takes.
[[nodiscard]] std::optional<std::string> retry_count(const Item& item);

/// The text of the file, and whether Leeway accepts it with all its variables set. The error is ours.
[[nodiscard]] Result<std::string> render(const Draft& draft, std::string_view command);

}  // namespace leeway::app::imports
