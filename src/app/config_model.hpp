#pragma once

#include "app/config.hpp"
#include "app/config_reader.hpp"

#include <string>
#include <vector>

namespace leeway::app {

// Inside of the configuration loader: what was read with the places of what can still be wrong.

struct ProviderMarks {
    YAML::Mark name;
    YAML::Mark ca_file;
    YAML::Mark service_account;
    std::vector<PlacedText> commitments;  ///< their names, in order
    std::vector<PlacedText> committed_models;  ///< the patterns of all of them
};

struct ModelMarks {
    YAML::Mark name;
    YAML::Mark provider;
    std::vector<YAML::Mark> targets;  ///< of their providers
    YAML::Mark file;
    std::vector<PlacedText> fallbacks;
};

struct TokenizerMarks {
    YAML::Mark match;
    YAML::Mark vocabulary;
};

struct RouteMarks {
    YAML::Mark name;
    YAML::Mark model;
    YAML::Mark baseline;
    YAML::Mark cache;
    YAML::Mark tier;
    YAML::Mark shadow;
    YAML::Mark outcomes;
    YAML::Mark audit;
    YAML::Mark audit_judge;
    YAML::Mark semantic_routes;
    YAML::Mark guard;
    YAML::Mark cascade;
    std::vector<PlacedText> cascade_models;
    YAML::Mark router;
    std::vector<PlacedText> router_models;
    std::vector<PlacedText> fallbacks;
    YAML::Mark semantic;
    YAML::Mark judge;
};

struct KeyMarks {
    YAML::Mark key;
    YAML::Mark secret;
    std::vector<PlacedText> models;
    std::vector<PlacedText> routes;
};

/// A configuration before the checks between its parts. Each `…_marks` runs parallel to its list.
struct Draft {
    Config config;
    std::vector<ProviderMarks> provider_marks;
    std::vector<ModelMarks> model_marks;
    std::vector<TokenizerMarks> tokenizer_marks;
    std::vector<RouteMarks> route_marks;
    std::vector<bool> route_has_cache;
    std::vector<KeyMarks> key_marks;
    YAML::Mark embeddings_model;
};

/// The names that `stages:` may hold, besides "cache", which means the caches that the route has options of.
[[nodiscard]] const std::vector<std::string>& known_stages();
/// Reads one entry of `providers:` into the draft.
void read_provider(ConfigSource& source, const PlacedText& name, Section& section, Draft& draft);
/// Reads "12.5%" into units of 0.01 %, where it is there.
void read_percentage(ConfigSource& source, Section& section, std::string_view key,
                     std::uint32_t& out);
/// Reads one entry of the `discounts:` of a provider.
void read_discount(ConfigSource& source, Section section, ProviderConfig& out);
/// Reads one entry of the `commitments:` of a provider.
void read_commitment(ConfigSource& source, Section section, ProviderConfig& out,
                     ProviderMarks& marks);
/// Reads the `tier:` and the `flex_wait:` of a model or a route. `gather`: of a route; null: of a model.
void read_tier(ConfigSource& source, Section& section, prices::Tier& out,
               std::chrono::milliseconds& flex_wait, GatherConfig* gather);
/// Reads one entry of `models:` into the draft.
void read_model(ConfigSource& source, const PlacedText& name, Section& section, Draft& draft);
/// Reads `tokenizers:` into the draft.
void read_tokenizers(ConfigSource& source, Section& top, Draft& draft);
/// Whether their vocabularies are there; after `fill_paths`.
void check_tokenizers(ConfigSource& source, const Draft& draft);
/// Reads a share of requests into units of a millionth, where it is there. `most`: `most_ppm` in words.
void read_share(ConfigSource& source, Section& section, std::string_view key, std::string_view most,
                std::uint32_t most_ppm, std::uint32_t& ppm);
/// Reads the `cache:` of a route.
void read_route_cache(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks);
/// Reads the `stages:` of a route, after its `cache:`.
void read_stages(ConfigSource& source, Section& section, RouteConfig& out);
/// Reads `budgets:` into the draft.
void read_budgets(ConfigSource& source, Section& top, Draft& draft);
/// Reads `limits:` into the draft.
void read_rate_limits(ConfigSource& source, Section& top, Draft& draft);
/// Reads `webhook:` into the draft.
void read_webhook(ConfigSource& source, Section& top, Draft& draft);
/// Reads the `budget:` of the key `name` into the draft.
void read_key_budget(ConfigSource& source, Section& key, const std::string& name, Draft& draft);
/// Reads `embeddings:` into the draft.
void read_embeddings(ConfigSource& source, Section& top, Draft& draft);
/// Whether its model can be had, and whether there is one for the stages that need it.
void check_embeddings(ConfigSource& source, const Draft& draft);
/// Fills in paths that depend on the environment and makes all paths absolute.
void fill_paths(Config& config);
/// References between the parts, names used twice, and combinations that make no sense.
void check_draft(ConfigSource& source, const Draft& draft);

}  // namespace leeway::app
