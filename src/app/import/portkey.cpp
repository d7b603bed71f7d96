#include "app/config_values.hpp"
#include "app/import/draft.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app::imports {
namespace {

constexpr std::string_view kTraffic =
    "retries, fallbacks and load balancing are not in the configuration";
constexpr std::string_view kOneModel = "let the client ask for another model";
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
    std::string model;  ///< the name in the new file of the model that its requests go to
};

/// What a target has from the groups around it, where it does not say it itself.
struct Inherited {
    std::optional<Item> model, timeout, host;
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
         } else {
             level.report.dropped(item,
                                  fmt::format("{}; the first target, or the one with the largest "
                                              "weight, is used",
                                              kTraffic),
                                  kOneModel);
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
    {"on_status_codes", nullptr, kTraffic, kOneModel},
};

constexpr Rule<Level> kLevel[] = {
    {"strategy",
     [](Level& level, const Item& item) { apply<Level>(item, {kStrategy}, level, kTraffic); },
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
    {"weight", nullptr, kTraffic, kOneModel},
    {"retry", nullptr, kTraffic, "let the client's SDK retry"},
    {"on_status_codes", nullptr, kTraffic, kOneModel},
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

std::uint64_t weight_of(const Item& target) {
    const auto item = target.member("weight");
    const auto weight = item ? scaled(item->text(), 6, 0) : std::optional<std::string>("1000000");
    return weight ? parse_u64(*weight).value_or(0) : 0;
}

/// Of the targets of a group the one that requests go to here.
std::string chosen_model(const Item& group,
                         const std::vector<std::pair<Item, std::string>>& models) {
    const auto strategy = group.member("strategy");
    const auto mode = strategy ? strategy->member("mode") : std::nullopt;
    const auto fallback = strategy ? strategy->member("default") : std::nullopt;
    std::string out;
    std::uint64_t heaviest = 0;
    for (const auto& [target, model] : models) {
        if (model.empty()) continue;
        const auto name = target.member("name");
        const bool is_default = fallback && name && name->text() == fallback->text();
        const bool balances = mode && mode->text() == "loadbalance";
        const std::uint64_t weight = is_default ? UINT64_MAX : balances ? weight_of(target) : 1;
        if (!out.empty() && weight <= heaviest) continue;
        out = model;
        heaviest = weight;
    }
    return out;
}

std::string add_level(PortkeyState& state, const Item& item, Inherited around, int depth) {
    Level level{state, state.report, item.path.empty(), false, {}};
    const auto targets = item.member("targets");
    level.group = targets.has_value();
    if (const auto params = item.member("override_params")) {
        if (auto model = params->member("model")) around.model = std::move(model);
    }
    if (auto timeout = item.member("request_timeout")) around.timeout = std::move(timeout);
    if (auto host = item.member("custom_host")) around.host = std::move(host);
    if (depth > kDeepest) {
        state.report.dropped(item, "targets lie too deep in each other");
        return {};
    }
    std::string model;
    bool usable = true;
    if (level.group) {
        std::vector<std::pair<Item, std::string>> models;
        for (const Item& target : state.report.elements_of(*targets)) {
            models.emplace_back(target, add_level(state, target, around, depth + 1));
        }
        model = chosen_model(item, models);
    } else {
        model = add_target(level, item, around);
        usable = !model.empty();  // else it was told as a whole
    }
    if (usable || level.top) apply<Level>(item, {kLevel}, level);
    return model;
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
    const std::string model = add_level(state, *root, {}, 0);
    if (!model.empty()) {
        state.draft.routes.push_back({state.draft.free_name(std::string(kRoute)), model});
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
