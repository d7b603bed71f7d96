#pragma once

#include "app/import/draft.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app::imports {

// Inside of import_litellm: what its sections share.

inline constexpr std::string_view kEnvironment = "os.environ/";
inline constexpr std::string_view kDefaults = "Leeway adds no fields to a request";
inline constexpr std::string_view kSendIt = "send it with the request";
inline constexpr std::string_view kDatabase =
    "it is about LiteLLM's database; Leeway's ledger needs none";
inline constexpr std::string_view kDescribes = "it only describes the model";
inline constexpr std::string_view kCallbacks = "Leeway calls no logging services";
inline constexpr std::string_view kLedger =
    "read /metrics, `leeway report` or `leeway ledger export`";

/// What is gathered while the sections are read.
struct LitellmState {
    Draft draft;
    Report report;
    // Read where they stand, used when all is read.
    std::vector<Item> deployments, aliases, credentials;
    std::optional<Item> max_budget, budget_duration, cache, cache_type, cache_off, cache_ttl;
    std::optional<Item> timeout, request_timeout;
    std::vector<Item> fallbacks;  ///< each: of the model that it is called like
    std::optional<Item> default_fallbacks;
    std::string retries, failures, open, balance;  ///< for all, as they stand in the new file
    std::vector<std::string> groups;               ///< model names that deployments share
    bool timeout_used = false;
    bool request_timeout_used = false;
    std::vector<std::uint32_t> used_credentials;  ///< lines of their names
};

/// The NAME of "os.environ/NAME"; empty when it is another text.
[[nodiscard]] std::string variable_of(const std::string& text);
/// Whether a model, a route or a budget may be called so.
[[nodiscard]] bool usable_name(const std::string& name);
/// Seconds, also with a fraction, as a duration; nullopt when it is none.
[[nodiscard]] std::optional<std::string> duration_of_seconds(const Item& item);
/// Reserves the variables that the file speaks of, so that no secret in it gets one of their names.
void reserve_variables(LitellmState& state, const std::string& text);
/// Settings of router_settings about retries, fallbacks, cooldowns and balancing.
[[nodiscard]] std::span<const Rule<LitellmState>> traffic_rules() noexcept;
/// Of models that have several deployments, and of all models: what those settings say.
void finish_traffic(LitellmState& state);
/// Adds what an entry of model_list makes: a model and its provider.
void add_deployment(LitellmState& state, const Item& entry);

}  // namespace leeway::app::imports
