#include "app/config_values.hpp"
#include "app/import/draft.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace leeway::app::imports {
namespace {

constexpr std::string_view kStatuses = "which answers are tried again, and elsewhere, is fixed";
constexpr std::string_view kStatusesAre = "docs/formats/traffic.md lists them";
constexpr std::string_view kDefaults = "Leeway adds no fields to a request";
constexpr std::string_view kSendIt = "send it with the request";
constexpr std::string_view kHooks = "Leeway has no guardrails";
constexpr std::string_view kRoute = "portkey";
constexpr int kDeepest = 16;  // of targets in targets

struct PortkeyState {
    Draft draft;
    Report report;
    std::optional<Item> cache;
};

/// The config itself, or a target in it: with `targets` it is a group, without it takes requests.
struct Level {
    PortkeyState& all;
    Report& report;
    bool top = false;
    bool group = false;
    bool weighs = false;  ///< the group that it is in balances
    std::string model;  ///< the name in the new file of the model that its requests go to
};

/// Models that are asked one after the other; empty: none could be carried over.
using Chain = std::vector<std::string>;

/// What a target has from the groups around it, where it does not say it itself.
struct Inherited {
    std::optional<Item> model, timeout, host, retry;
    bool weighs = false;  ///< of the group directly around it
};

bool usable_name(const std::string& name) {
    return check_name(name).has_value() && name.find('$') == std::string::npos;
}

std::optional<std::string> duration_of_ms(const Item& item) {
    const auto ms = scaled(item.text(), 0, 0);
    const bool good = ms && *ms != "0" && ms->size() <= 10;
    return good ? std::optional(*ms + "ms") : std::nullopt;
}

/// Members that the target's provider is made from; a group has none.
void of_provider(Level& level, const Item& item) {
    if (level.group) level.report.dropped(item, "a group of targets has no provider of its own");
}

constexpr Rule<Level> kParams[] = {
    {"model",
     [](Level& level, const Item& item) {
         level.report.carried(
             item, level.model.empty() ? "models" : fmt::format("models.{}", level.model));
     },
     {},
     {}},
};

constexpr Rule<Level> kStrategy[] = {
    {"mode",
     [](Level& level, const Item& item) {
         if (item.text() == "single" || !level.group) {
             level.report.carried(item, fmt::format("routes.{}.model", kRoute));
         } else if (item.text() == "conditional") {
             level.report.dropped(item,
                                  "routes do not look into requests; the default target is used",
                                  "a route for each target, and its name as `model`");
         } else if (item.text() == "fallback") {
             level.report.carried(item, fmt::format("routes.{}.fallbacks", kRoute));
         } else if (item.text() == "loadbalance") {
             level.report.carried(
                 item,
                 level.model.empty() ? "models" : fmt::format("models.{}.targets", level.model),
                 "to callers, keys, the cache and the report its targets are one model");
         } else {
             level.report.dropped(
                 item, "it is no mode that the importer knows; the first target is used");
         }
     },
     {},
     {}},
    {"conditions", nullptr, "routes do not look into requests",
     "a route for each target, and its name as `model`"},
    {"default",
     [](Level& level, const Item& item) {
         level.report.carried(item, fmt::format("routes.{}.model", kRoute));
     },
     {},
     {}},
    {"on_status_codes", nullptr, kStatuses, kStatusesAre},
};

constexpr Rule<Level> kRetry[] = {
    {"attempts",
     [](Level& level, const Item& item) {
         if (retry_count(item)) {
             level.report.carried(item, "providers");
         } else {
             level.report.dropped(item, "it is no whole number from 0 to 10",
                                  "retries: of the provider");
         }
     },
     {},
     {}},
    {"on_status_codes", nullptr, kStatuses, kStatusesAre},
    {"use_retry_after_headers",
     [](Level& level, const Item& item) {
         level.report.carried(item, "-",
                              "Retry-After is obeyed up to retries.cap, else elsewhere is tried");
     },
     {},
     {}},
};

constexpr Rule<Level> kLevel[] = {
    {"strategy",
     [](Level& level, const Item& item) { apply<Level>(item, {kStrategy}, level); },
     {},
     {}},
    {"targets", [](Level& /*level*/, const Item& /*item*/) {}, {}, {}},
    {"name",
     [](Level& level, const Item& item) {
         level.report.carried(
             item, level.model.empty() ? "routes" : fmt::format("models.{}", level.model));
     },
     {},
     {}},
    {"override_params",
     [](Level& level, const Item& item) { apply<Level>(item, {kParams}, level, kDefaults); },
     {},
     {}},
    {"request_timeout",
     [](Level& level, const Item& item) {
         if (duration_of_ms(item)) {
             level.report.carried(item, "providers");
         } else {
             level.report.dropped(item, "it is no number of milliseconds",
                                  "timeouts of the provider");
         }
     },
     {},
     {}},
    {"custom_host",
     [](Level& level, const Item& item) { level.report.carried(item, "providers"); },
     {},
     {}},
    {"cache",
     [](Level& level, const Item& item) {
         if (level.top) {
             level.all.cache = item;
         } else {
             level.report.dropped(item, "the cache belongs to routes, not to targets",
                                  "routes: with stages: [exact_cache]");
         }
     },
     {},
     {}},
    {"provider", of_provider, {}, {}},
    {"api_key", of_provider, {}, {}},
    {"virtual_key", of_provider, {}, {}},
    {"resource_name", of_provider, {}, {}},
    {"deployment_id", of_provider, {}, {}},
    {"api_version",
     [](Level& level, const Item& item) {
         level.report.carried(item, "-",
                              "the v1 API of Azure OpenAI, which Leeway uses, has no api-version");
     },
     {},
     {}},
    {"weight",
     [](Level& level, const Item& item) {
         if (level.weighs) {
             level.report.carried(item, "models");
         } else {
             level.report.dropped(item, "only targets of a group that balances have weights");
         }
     },
     {},
     {}},
    {"retry", [](Level& level, const Item& item) { apply<Level>(item, {kRetry}, level); }, {}, {}},
    {"on_status_codes", nullptr, kStatuses, kStatusesAre},
    {"input_guardrails", nullptr, kHooks, {}},
    {"output_guardrails", nullptr, kHooks, {}},
    {"default_input_guardrails", nullptr, kHooks, {}},
    {"default_output_guardrails", nullptr, kHooks, {}},
    {"before_request_hooks", nullptr, kHooks, {}},
    {"after_request_hooks", nullptr, kHooks, {}},
    {"metadata", nullptr, kDefaults, "x-leeway-user, x-leeway-tag and the like in each request"},
    {"forward_headers", nullptr, "which headers reach a provider is fixed", {}},
    {"openai_organization", nullptr, "Leeway sends no OpenAI-Organization header",
     "a key of that organization"},
    {"openai_project", nullptr, "Leeway sends no OpenAI-Project header", "a key of that project"},
    {"anthropic_version", nullptr, "Leeway sends the version that it speaks", {}},
    {"anthropic_beta", nullptr, "Leeway adds no headers to a request", kSendIt},
    {"strict_open_ai_compliance", nullptr, "answers are passed on as they are", {}},
    {"azure_*", nullptr, "Leeway knows an Azure deployment by its address and an API key",
     "api_key"},
};

/// What a target's `provider` and keys say together.
struct Identity {
    const Preset* preset = nullptr;
    std::string provider;  ///< Portkey's name; empty: a key that only Portkey knows
    std::string slug;      ///< of a key in Portkey's vault; empty: none
    std::string model;
    bool guessed = false;
};

/// "openai-main" is a name that people give to a key of OpenAI.
const Preset* preset_in_slug(std::string_view slug) {
    for (std::size_t end = slug.size(); end != std::string_view::npos && end > 0;
         end = slug.find_last_of("-_", end - 1)) {
        const std::string_view begin = slug.substr(0, end);
        if (const Preset* preset = preset_of_portkey(begin)) return preset;
        if (const Preset* preset = preset_of_litellm(begin)) return preset;
    }
    return nullptr;
}

Identity identity_of(const Item& target, const std::optional<Item>& model) {
    Identity out;
    const auto text = [&](std::string_view key) {
        const auto item = target.member(key);
        return item ? item->text() : std::string();
    };
    out.provider = text("provider");
    out.slug = text("virtual_key");
    out.model = model ? model->text() : text("deployment_id");
    if (out.model.starts_with('@') && out.model.find('/') != std::string::npos) {
        const std::size_t slash = out.model.find('/');
        if (out.slug.empty()) out.slug = out.model.substr(1, slash - 1);
        out.model.erase(0, slash + 1);
    }
    if (out.provider.starts_with('@')) {
        out.slug = out.provider.substr(1);
        out.provider.clear();
    }
    out.preset = preset_of_portkey(out.provider);
    if (out.provider.empty()) {
        out.preset = preset_in_slug(out.slug);
        out.guessed = true;
    }
    return out;
}

std::optional<std::string> address_of(const Item& target, const Preset& preset,
                                      const std::optional<Item>& host) {
    if (host) {
        auto url = plain_url(host->text());
        if (url && !preset.path.empty() && !url->ends_with(preset.path)) *url += preset.path;
        return url;
    }
    if (preset.portkey != "azure-openai") return std::string(preset.base_url);
    const auto resource = target.member("resource_name");
    if (!resource) return std::nullopt;
    return plain_url(fmt::format("https://{}.openai.azure.com{}", resource->text(), preset.path));
}

/// The key of a target as a value of ours; empty: it needs none.
std::string api_key_of(Draft& draft, const Item& target, const Identity& identity) {
    std::string wanted(identity.preset->variable);
    if (wanted.empty()) wanted = "PROVIDER_API_KEY";
    if (const auto key = target.member("api_key"))
        return draft.secret_variable(wanted, key->text());
    if (!identity.slug.empty()) {
        return draft.secret_variable(wanted, "in Portkey's vault: " + identity.slug);
    }
    return identity.preset->variable.empty() ? std::string() : draft.variable(wanted);
}

void report_api_key(Report& report, const Item& target, const Identity& identity,
                    const std::string& place, const std::string& value) {
    const std::string name = value.empty() ? value : value.substr(2, value.size() - 3);
    if (const auto key = target.member("api_key")) {
        report.carried(
            *key, place,
            fmt::format("the key stands in the file; put it into the environment as {}", name));
    }
    const std::string guess =
        identity.guessed ? fmt::format(" (taken for one of {} by its name)", identity.preset->name)
                         : "";
    for (const std::string_view key : {"virtual_key", "provider"}) {
        const auto item = target.member(key);
        if (!item || (key == "provider" && !item->text().starts_with('@'))) continue;
        report.carried(
            *item, place,
            fmt::format("the key is in Portkey's vault; put it into the environment as {}{}", name,
                        guess));
    }
}

/// A target that takes requests. Returns the name of its model here; empty: it has none.
std::string add_target(Level& level, const Item& target, const Inherited& around) {
    Report& report = level.report;
    const Identity identity = identity_of(target, around.model);
    if (identity.preset == nullptr) {
        const bool hidden = identity.provider.empty();
        report.dropped(
            target,
            hidden ? "which provider it is for is known to Portkey only"
                   : fmt::format("Leeway does not speak with the provider '{}'",
                                 usable_name(identity.provider) ? identity.provider : "…"),
            hidden ? "write `provider` beside its virtual_key and import again"
                   : "when it has an OpenAI-compatible address, write provider openai with that "
                     "custom_host and import again");
        return {};
    }
    const auto url = address_of(target, *identity.preset, around.host);
    if (!url || url->empty()) {
        report.dropped(
            target,
            "it has no address that can be used: a plain http or https custom_host without "
            "query and credentials, or a resource_name of Azure",
            "correct it and import again");
        return {};
    }
    Draft& draft = level.all.draft;
    Draft::Provider provider;
    provider.name = identity.preset->name;
    provider.dialect = identity.preset->dialect;
    provider.base_url = *url;
    provider.api_key = api_key_of(draft, target, identity);
    const std::string api_key = provider.api_key;
    if (around.timeout) provider.first_byte = duration_of_ms(*around.timeout).value_or("");
    const auto attempts = around.retry ? around.retry->member("attempts") : std::nullopt;
    if (attempts) provider.retries = retry_count(*attempts).value_or("");
    const std::string provider_name = draft.provider(std::move(provider));
    report_api_key(report, target, identity, fmt::format("providers.{}.api_key", provider_name),
                   api_key);
    if (identity.model.empty() || !usable_name(identity.model)) {
        report.dropped(
            target,
            identity.model.empty() ? "it leaves the model to the request"
                                   : "the name of its model cannot be a name here",
            fmt::format("add each model that is asked for under models: with provider: {}",
                        provider_name));
        return {};
    }
    Draft::Model model;
    model.name = draft.free_name(identity.model);
    model.provider = provider_name;
    model.upstream = identity.model;
    level.model = model.name;
    draft.models.push_back(std::move(model));
    for (const std::string_view key : {"provider", "resource_name", "deployment_id"}) {
        const auto item = target.member(key);
        const bool told = item && item->text().starts_with('@');
        if (item && !told) report.carried(*item, fmt::format("models.{}", level.model));
    }
    return level.model;
}

/// In millionths; it may be a fraction.
std::uint64_t weight_of(const Item& target) {
    constexpr std::uint64_t kMost = 1'000'000'000'000;
    const auto item = target.member("weight");
    const auto weight = item ? scaled(item->text(), 6, 0) : std::optional<std::string>("1000000");
    return weight ? std::min(parse_u64(*weight).value_or(0), kMost) : 0;
}

std::string mode_of(const Item& group) {
    const auto strategy = group.member("strategy");
    const auto mode = strategy ? strategy->member("mode") : std::nullopt;
    return mode ? mode->text() : std::string();
}

/// Weights from 1 to 1000, as alike as they can be.
void make_whole(std::vector<Draft::Target>& targets) {
    constexpr std::uint64_t kMost = 1'000;
    std::uint64_t common = 0;
    std::uint64_t largest = 0;
    for (const Draft::Target& one : targets) {
        common = std::gcd(common, one.weight);
        largest = std::max(largest, one.weight);
    }
    for (Draft::Target& one : targets) {
        one.weight = largest / common <= kMost
                         ? one.weight / common
                         : std::max<std::uint64_t>(one.weight / (largest / kMost), 1);
        one.weight = std::min(one.weight, kMost);
    }
}

/// The places of one model that takes the requests of a group that balances; a group in it has its share.
std::vector<Draft::Target> places_of(Draft& draft, const std::string& name, std::uint64_t weight) {
    const Draft::Model& model = *draft.find_model(name);
    if (model.targets.empty()) return {{model.provider, model.upstream, weight}};
    std::uint64_t sum = 0;
    for (const Draft::Target& one : model.targets) sum += one.weight;
    std::vector<Draft::Target> out = model.targets;
    for (Draft::Target& one : out)
        one.weight = std::max<std::uint64_t>(weight / sum * one.weight, 1);
    return out;
}

using Members = std::vector<std::pair<Item, Chain>>;

/// What stands in for the targets' first models stands in for the one that is made of them.
Chain balanced(Draft& draft, const Item& group, const Members& members) {
    Draft::Model model;
    Chain rest;
    std::string only;
    for (const auto& [target, chain] : members) {
        const std::uint64_t weight = weight_of(target);
        if (chain.empty() || weight == 0) continue;
        only = chain.front();
        for (Draft::Target& place : places_of(draft, only, weight)) {
            model.targets.push_back(std::move(place));
        }
        rest.insert(rest.end(), chain.begin() + 1, chain.end());
    }
    if (model.targets.empty()) return {};
    if (model.targets.size() > 1) {
        make_whole(model.targets);
        const auto name = group.member("name");
        const bool usable = name && usable_name(name->text());
        model.name = draft.free_name(usable ? name->text() : "balanced");
        only = model.name;
        draft.models.push_back(std::move(model));
    }
    rest.insert(rest.begin(), only);
    return rest;
}

/// Where the requests of a group go.
Chain chain_of(Draft& draft, const Item& group, const Members& members) {
    const std::string mode = mode_of(group);
    if (mode == "loadbalance") return balanced(draft, group, members);
    Chain out;
    const auto strategy = group.member("strategy");
    const auto chosen = strategy ? strategy->member("default") : std::nullopt;
    for (const auto& [target, chain] : members) {
        const auto name = target.member("name");
        const bool is_default = chosen && name && name->text() == chosen->text();
        if (mode == "fallback") {
            out.insert(out.end(), chain.begin(), chain.end());
        } else if (!chain.empty() && (out.empty() || is_default)) {
            out = chain;
        }
    }
    return out;
}

Chain add_level(PortkeyState& state, const Item& item, Inherited around, int depth) {
    Level level{state, state.report, item.path.empty(), false, around.weighs, {}};
    const auto targets = item.member("targets");
    level.group = targets.has_value();
    if (const auto params = item.member("override_params")) {
        if (auto model = params->member("model")) around.model = std::move(model);
    }
    if (auto timeout = item.member("request_timeout")) around.timeout = std::move(timeout);
    if (auto host = item.member("custom_host")) around.host = std::move(host);
    if (auto retry = item.member("retry")) around.retry = std::move(retry);
    if (depth > kDeepest) {
        state.report.dropped(item, "targets lie too deep in each other");
        return {};
    }
    Chain chain;
    bool usable = true;
    if (level.group) {
        around.weighs = mode_of(item) == "loadbalance";
        Members members;
        for (const Item& target : state.report.elements_of(*targets)) {
            members.emplace_back(target, add_level(state, target, around, depth + 1));
        }
        chain = chain_of(state.draft, item, members);
        if (!chain.empty()) level.model = chain.front();
    } else {
        const std::string model = add_target(level, item, around);
        usable = !model.empty();  // else it was told as a whole
        if (usable) chain.push_back(model);
    }
    if (usable || level.top) apply<Level>(item, {kLevel}, level);
    return chain;
}

void finish_cache(PortkeyState& state) {
    if (!state.cache) return;
    const Item& cache = *state.cache;
    Draft& draft = state.draft;
    if (draft.has_model("default")) {
        state.report.dropped(cache, "a model is called `default`, which is the name of a route");
        return;
    }
    if (!cache.is_map() && !cache.is_scalar()) {
        state.report.dropped(cache, "it is neither a mode nor a map", "routes: and cache:");
        return;
    }
    draft.cache = true;
    const auto mode = cache.is_map() ? cache.member("mode") : std::optional(cache);
    if (mode) {
        state.report.carried(
            *mode, "routes.default.stages",
            mode->text() == "semantic"
                ? "only equal requests are answered from the cache, not similar ones"
                : "");
    }
    for (const Item& item : cache.members()) {
        if (item.word == "mode") continue;
        const auto seconds = item.word == "max_age" ? scaled(item.text(), 0, 0) : std::nullopt;
        if (seconds && *seconds != "0" && seconds->size() <= 8) {
            draft.cache_ttl = *seconds + "s";
            state.report.carried(item, "routes.default.cache.ttl");
        } else {
            state.report.dropped(
                item, item.word == "max_age" ? "it is no whole number of seconds" : kUnknownKey);
        }
    }
}

}  // namespace

Result<Imported> import_portkey(const std::string& text) {
    const auto root = read_source(text, true);
    if (!root) return fail(root.error());
    const bool known = root->member("targets") || root->member("provider") ||
                       root->member("virtual_key") || root->member("cache") ||
                       root->member("retry");
    if (!known) {
        return fail(ErrorCode::kConfig, "the file has neither targets nor a provider",
                    "give a Portkey config: the JSON object, not its id");
    }
    PortkeyState state;
    const Chain chain = add_level(state, *root, {}, 0);
    if (!chain.empty()) {
        state.draft.routes.push_back({state.draft.free_name(std::string(kRoute)),
                                      chain.front(),
                                      {chain.begin() + 1, chain.end()}});
    }
    finish_cache(state);
    Imported out;
    auto config = render(state.draft, "portkey");
    if (!config) return fail(config.error());
    out.config = std::move(*config);
    out.variables = state.draft.variables;
    state.report.finish(out);
    return out;
}

}  // namespace leeway::app::imports
