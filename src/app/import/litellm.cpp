#include "app/import/litellm.hpp"

#include "app/config_values.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app::imports {
namespace {

bool is_on(const Item& item) { return parse_switch(item.text()).value_or(false); }

using Window = std::pair<std::string, std::string>;  // "per" and "day"

/// When a budget of LiteLLM begins anew, as ours says it: a day, a week from Monday and a month are the
/// calendar's in both; what has no calendar rolls.
std::optional<Window> window_of(std::string_view duration) {
    const std::size_t at = duration.find_first_not_of("0123456789");
    const auto count = parse_u64(duration.substr(0, at));
    if (!count || *count == 0 || *count > 1'000'000 || at == std::string_view::npos)
        return std::nullopt;
    const std::string_view unit = duration.substr(at);
    std::uint64_t minutes = 0;
    if (unit == "mo") minutes = *count == 1 ? 43'200 : 0;
    if (unit == "m") minutes = *count;
    if (unit == "h") minutes = *count * 60;
    if (unit == "d") minutes = *count * 1440;
    if (unit == "w") minutes = *count * 10'080;
    if (unit == "s" && *count % 60 == 0) minutes = *count / 60;
    if (minutes == 60) return Window("per", "hour");
    if (minutes == 1440) return Window("per", "day");
    if (minutes == 10'080) return Window("per", "week");
    if (minutes == 43'200) return Window("per", "month");
    if (minutes == 0 || minutes % 15 != 0 || minutes > 44'640) return std::nullopt;
    return Window("rolling", fmt::format("{}m", minutes));
}

bool add_budget(LitellmState& state, const Item& amount, const std::optional<Item>& duration,
                Draft::Budget budget) {
    constexpr std::string_view kHint =
        "write it under budgets: with `per` or `rolling` (15m to 31d)";
    const auto usd = scaled(amount.text(), 0, 12);
    if (!usd) {
        state.report.dropped(amount, "it is no amount of USD with at most 12 decimals", kHint);
        return false;
    }
    if (!duration) {
        state.report.dropped(amount, "a budget without budget_duration never begins anew", kHint);
        return false;
    }
    const auto window = window_of(duration->text());
    if (!window) {
        state.report.dropped(amount, "its budget_duration is no window that a budget can have",
                             kHint);
        return false;
    }
    const std::string to = fmt::format("budgets.{}", budget.name);
    state.report.carried(
        amount, to,
        window->first == "rolling"
            ? "counts the last such span at any moment; LiteLLM begins anew at fixed times"
            : "");
    budget.usd = *usd;
    budget.window_key = window->first;
    budget.window = window->second;
    state.draft.budgets.push_back(std::move(budget));
    return true;
}

void carry_log_level(LitellmState& state, const Item& item) {
    if (is_on(item)) state.draft.log_level = "debug";
    state.report.carried(item, "log.level");
}

constexpr Rule<LitellmState> kRouter[] = {
    {"timeout", [](LitellmState& s, const Item& item) { s.timeout = item; }, {}, {}},
    {"model_group_alias",
     [](LitellmState& s, const Item& item) {
         for (const Item& alias : s.report.members_of(item)) s.aliases.push_back(alias);
     },
     {},
     {}},
    {"provider_budget_config", nullptr, "budgets have no scope for a provider",
     "budgets: with scope global, or a key's budget"},
    {"default_max_parallel_requests", nullptr, "limits count callers, not deployments",
     "limits: with parallel"},
    {"default_litellm_params", nullptr, kDefaults, kSendIt},
    {"stream_timeout", nullptr, "streams and whole answers have the same timeouts",
     "timeouts of the providers"},
    {"enable_tag_filtering", nullptr, "routing by tags is not in the configuration",
     "a model name for each"},
    {"tag_*", nullptr, "routing by tags is not in the configuration", "a model name for each"},
    {"enable_pre_call_check*", nullptr, "Leeway leaves the context window to the provider", {}},
    {"redis_*", nullptr, "Leeway shares its state in its own folder, not in Redis", "server.state"},
    {"cache_*", nullptr, "the cache is configured in cache_params", "cache: and routes:"},
    {"set_verbose", carry_log_level, {}, {}},
    {"debug_level", nullptr, "the log has levels of its own", "log.level"},
    {"client_ttl", nullptr, "Leeway keeps its connections itself", {}},
};

constexpr std::string_view kCachePlace = "Leeway's cache lies in memory and in the state folder";

constexpr Rule<LitellmState> kCacheParams[] = {
    {"type", [](LitellmState& s, const Item& item) { s.cache_type = item; }, {}, {}},
    {"mode", [](LitellmState& s, const Item& item) { s.cache_off = item; }, {}, {}},
    {"ttl", [](LitellmState& s, const Item& item) { s.cache_ttl = item; }, {}, {}},
    {"supported_call_types", nullptr, "the exact cache serves chat and embeddings alike",
     "routes: with and without the stage exact_cache"},
    {"similarity_threshold", nullptr, "the exact cache answers equal requests only", {}},
};

void carry_tag_budgets(LitellmState& state, const Item& tags) {
    for (const Item& tag : state.report.members_of(tags)) {
        const auto amount = tag.member("max_budget");
        const std::string name = "tag:" + tag.key;
        if (!amount || !usable_name(name)) {
            state.report.dropped(tag, "it has no max_budget, or its tag cannot be a name here",
                                 "budgets: with scope tag");
            continue;
        }
        const auto duration = tag.member("budget_duration");
        const bool added = add_budget(state, *amount, duration, {name, "tag", tag.key, {}, {}, {}});
        for (const Item& item : tag.members()) {
            if (item.word == "max_budget") continue;
            if (added && item.word == "budget_duration") {
                state.report.carried(item, "budgets." + name);
            } else {
                state.report.dropped(item,
                                     added ? kUnknownKey : "its max_budget is not carried over");
            }
        }
    }
}

constexpr Rule<LitellmState> kLitellm[] = {
    {"request_timeout",
     [](LitellmState& s, const Item& item) { s.request_timeout = item; },
     {},
     {}},
    {"max_budget", [](LitellmState& s, const Item& item) { s.max_budget = item; }, {}, {}},
    {"budget_duration",
     [](LitellmState& s, const Item& item) { s.budget_duration = item; },
     {},
     {}},
    {"tag_budget_config", carry_tag_budgets, {}, {}},
    {"max_end_user_budget*", nullptr, "it names no span of time",
     "budgets: - {name: each-user, scope: user, usd: …, per: …}"},
    {"max_user_budget", nullptr, "it names no span of time",
     "budgets: - {name: each-user, scope: user, usd: …, per: …}"},
    {"max_internal_user_budget", nullptr, "users of LiteLLM are in its database",
     "keys: with a budget"},
    {"internal_user_budget_duration", nullptr, "users of LiteLLM are in its database",
     "keys: with a budget"},
    {"default_internal_user_params", nullptr, "users of LiteLLM are in its database",
     "keys: with a budget"},
    {"default_team_*", nullptr, "teams of LiteLLM are in its database", "keys: with a team"},
    {"cache", [](LitellmState& s, const Item& item) { s.cache = item; }, {}, {}},
    {"cache_params",
     [](LitellmState& s, const Item& item) {
         apply<LitellmState>(item, {kCacheParams}, s, kCachePlace);
     },
     {},
     {}},
    {"telemetry", nullptr, "Leeway tells nobody anything", {}},
    {"json_logs",
     [](LitellmState& s, const Item& item) {
         if (is_on(item)) s.draft.log_format = "json";
         s.report.carried(item, "log.format");
     },
     {},
     {}},
    {"success_callback", nullptr, kCallbacks, kLedger},
    {"failure_callback", nullptr, kCallbacks, kLedger},
    {"callbacks", nullptr, kCallbacks, kLedger},
    {"service_callbacks", nullptr, kCallbacks, kLedger},
    {"langfuse_*", nullptr, kCallbacks, kLedger},
    {"callback_settings", nullptr, kCallbacks, kLedger},
    {"turn_off_message_logging", nullptr, "Leeway never logs prompts or answers", {}},
    {"redact_*", nullptr, "Leeway never logs prompts or answers", {}},
    {"drop_params",
     nullptr,
     "fields are passed on as they are; between dialects what cannot be told is dropped and said "
     "so in "
     "a header",
     {}},
    {"modify_params", nullptr, "fields are passed on as they are", {}},
    {"guardrails", nullptr, "Leeway has no guardrails", {}},
    {"key_generation_settings", nullptr, kDatabase, "`leeway keys create`"},
    {"upperbound_key_generate_params", nullptr, kDatabase, "`leeway keys create`"},
    {"force_ipv4", nullptr, "Leeway takes the address that answers", {}},
};

constexpr Rule<LitellmState> kGeneral[] = {
    {"master_key",
     [](LitellmState& s, const Item& item) {
         if (item.text().empty()) {
             s.report.dropped(item, "it is no text", "keys: or `leeway keys create`");
             return;
         }
         const std::string name = variable_of(item.text());
         s.draft.key_name = "litellm-master";
         s.draft.key_secret = name.empty()
                                  ? s.draft.secret_variable("LITELLM_MASTER_KEY", item.text())
                                  : s.draft.variable(name);
         const std::string used = s.draft.key_secret.substr(2, s.draft.key_secret.size() - 3);
         s.report.carried(
             item, "keys.litellm-master",
             fmt::format("{}{} needs at least 16 characters; it is a key like any other here, "
                         "with no rights over others",
                         name.empty() ? "the key stands in the file; put it into the "
                                        "environment as " +
                                            used + "; "
                                      : std::string(),
                         used));
     },
     {},
     {}},
    {"max_budget", [](LitellmState& s, const Item& item) { s.max_budget = item; }, {}, {}},
    {"budget_duration",
     [](LitellmState& s, const Item& item) { s.budget_duration = item; },
     {},
     {}},
    {"global_max_parallel_requests",
     [](LitellmState& s, const Item& item) {
         const auto count = parse_u64(item.text());
         if (count && *count > 0 && *count <= 1'000'000) {
             s.draft.parallel = static_cast<std::uint32_t>(*count);
             s.report.carried(item, "limits.all.parallel");
         } else {
             s.report.dropped(item, "it is no whole number from 1 to 1000000",
                              "limits: with parallel");
         }
     },
     {},
     {}},
    {"max_request_size_mb",
     [](LitellmState& s, const Item& item) {
         const auto mib = parse_u64(item.text());
         if (mib && *mib > 0 && *mib <= 4096) {
             s.draft.body_bytes = fmt::format("{}MiB", *mib);
             s.report.carried(item, "server.limits.body_bytes");
         } else {
             s.report.dropped(item, "it is no whole number from 1 to 4096",
                              "server.limits.body_bytes");
         }
     },
     {},
     {}},
    {"maximum_spend_logs_retention_period",
     [](LitellmState& s, const Item& item) {
         const auto span = parse_duration(item.text());
         constexpr std::int64_t kDay = 86'400'000;
         if (span && span->count() >= kDay && span->count() % kDay == 0) {
             s.draft.retention_days = fmt::format("{}", span->count() / kDay);
             s.report.carried(item, "ledger.retention_days");
         } else {
             s.report.dropped(item, "the ledger keeps whole days", "ledger.retention_days");
         }
     },
     {},
     {}},
    {"maximum_spend_logs_*", nullptr, "the ledger clears itself", "ledger.retention_days"},
    {"database_*", nullptr,
     "virtual keys, teams, users and their budgets are in LiteLLM's database, not in this file",
     "`leeway keys create` for each, or keys: and budgets:"},
    {"store_model_in_db", nullptr, "models in LiteLLM's database are not in this file",
     "add them under models:"},
    {"store_prompts_in_spend_logs", nullptr, "Leeway stores no prompts", {}},
    {"disable_*", nullptr, kDatabase, {}},
    {"proxy_*", nullptr, kDatabase, {}},
    {"allow_requests_on_db_unavailable", nullptr, kDatabase, {}},
    {"supported_db_objects", nullptr, kDatabase, {}},
    {"max_parallel_requests", nullptr, "limits count callers, not deployments",
     "limits: with parallel"},
    {"use_redis_*", nullptr, "Leeway shares its state in its own folder, not in Redis",
     "server.state"},
    {"completion_model", nullptr, "requests name their model", "a route"},
    {"embedding_model", nullptr, "requests name their model", "a route"},
    {"custom_auth", nullptr, "callers are known by their key", "keys: or `leeway keys create`"},
    {"enable_jwt_auth", nullptr, "callers are known by their key", "keys: or `leeway keys create`"},
    {"enable_oauth2*", nullptr, "callers are known by their key", "keys: or `leeway keys create`"},
    {"litellm_jwtauth", nullptr, "callers are known by their key", "keys: or `leeway keys create`"},
    {"litellm_key_header_name", nullptr, "keys are taken from the headers that the SDKs use", {}},
    {"key_management_*", nullptr, "secrets come from the environment", "${NAME}"},
    {"use_azure_key_vault", nullptr, "secrets come from the environment", "${NAME}"},
    {"use_google_kms", nullptr, "secrets come from the environment", "${NAME}"},
    {"alerting", nullptr, "alerts of budgets go to a webhook", "webhook: and alerts: of a budget"},
    {"alert*", nullptr, "alerts of budgets go to a webhook", "webhook: and alerts: of a budget"},
    {"background_health_checks", nullptr, "Leeway asks no model on its own", "GET /readyz"},
    {"health_check_*", nullptr, "Leeway asks no model on its own", "GET /readyz"},
    {"pass_through_endpoints", nullptr, "Leeway serves models only", {}},
    {"allowed_ips", nullptr, "Leeway does not look at addresses", "listen on a private one"},
    {"allowed_routes", nullptr, "a key may use all paths", "a key's models and routes"},
};

constexpr Rule<LitellmState> kTop[] = {
    {"model_list",
     [](LitellmState& s, const Item& item) { s.deployments = s.report.elements_of(item); },
     {},
     {}},
    {"credential_list",
     [](LitellmState& s, const Item& item) { s.credentials = s.report.elements_of(item); },
     {},
     {}},
    {"router_settings",
     [](LitellmState& s, const Item& item) {
         apply<LitellmState>(item, {kRouter, traffic_rules()}, s);
     },
     {},
     {}},
    // Most of router_settings may stand in litellm_settings too.
    {"litellm_settings",
     [](LitellmState& s, const Item& item) {
         apply<LitellmState>(item, {kLitellm, kRouter, traffic_rules()}, s);
     },
     {},
     {}},
    {"general_settings",
     [](LitellmState& s, const Item& item) { apply<LitellmState>(item, {kGeneral}, s); },
     {},
     {}},
    {"environment_variables",
     [](LitellmState& s, const Item& item) {
         for (const Item& one : s.report.members_of(item)) {
             s.report.dropped(one, "Leeway sets no variables of its environment",
                              usable_name(one.key)
                                  ? fmt::format("export {} before it starts", one.key)
                                  : std::string("export it before it starts"));
         }
     },
     {},
     {}},
    {"include", nullptr, "other files are not read", "import each of them"},
    {"guardrails", nullptr, "Leeway has no guardrails", {}},
    {"mcp_servers", nullptr, "Leeway serves models only", {}},
    {"vector_store_registry", nullptr, "Leeway serves models only", {}},
    {"search_tools", nullptr, "Leeway serves models only", {}},
    {"prompts", nullptr, "Leeway stores no prompts", {}},
    {"files_settings", nullptr, "Leeway serves models only", {}},
    {"finetune_settings", nullptr, "Leeway serves models only", {}},
    {"callback_settings", nullptr, kCallbacks, kLedger},
};

void finish_cache(LitellmState& state) {
    Draft& draft = state.draft;
    Report& report = state.report;
    const bool on = state.cache && is_on(*state.cache);
    const bool by_request = state.cache_off && state.cache_off->text() == "default_off";
    const bool name_taken = draft.has_model("default");
    draft.cache = on && !by_request && !name_taken;
    if (state.cache) {
        if (on && !draft.cache) {
            report.dropped(*state.cache,
                           by_request
                               ? "a request cannot ask for the cache"
                               : "a model is called `default`, which is the name of the route that "
                                 "has the cache",
                           "a route with stages: [exact_cache], and that name as `model`");
        } else if (!parse_switch(state.cache->text())) {
            report.dropped(*state.cache, "it is neither true nor false", "routes: and cache:");
        } else {
            report.carried(*state.cache, "routes.default.stages");
        }
    }
    const std::string_view no_cache = "the cache is not on";
    if (state.cache_type) {
        const std::string type = state.cache_type->text();
        if (!draft.cache) {
            report.dropped(*state.cache_type, no_cache);
        } else if (type == "local" || type == "disk") {
            report.carried(*state.cache_type, "routes.default.stages");
        } else {
            report.carried(
                *state.cache_type, "routes.default.stages",
                type.find("semantic") != std::string::npos
                    ? "only equal requests are answered from the cache, not similar ones"
                    : "the cache lies in memory and in the state folder of each gateway");
        }
    }
    if (state.cache_off) {
        if (by_request || !draft.cache) {
            report.dropped(*state.cache_off,
                           by_request ? "a request cannot ask for the cache" : no_cache,
                           "a route with stages: [exact_cache], and that name as `model`");
        } else {
            report.carried(*state.cache_off, "routes.default.stages");
        }
    }
    if (state.cache_ttl) {
        const auto seconds = scaled(state.cache_ttl->text(), 0, 0);
        if (draft.cache && seconds && seconds->size() <= 8 && *seconds != "0") {
            draft.cache_ttl = *seconds + "s";
            report.carried(*state.cache_ttl, "routes.default.cache.ttl");
        } else {
            report.dropped(*state.cache_ttl,
                           draft.cache ? "it is no whole number of seconds" : no_cache,
                           "cache.ttl");
        }
    }
}

void finish_aliases(LitellmState& state) {
    for (const Item& alias : state.aliases) {
        const auto inner = alias.member("model");
        const std::string target = inner ? inner->text() : alias.text();
        const bool same = state.draft.free_name(alias.key) != alias.key || alias.key == "default";
        if (!usable_name(alias.key) || same || !state.draft.has_model(target)) {
            state.report.dropped(
                alias, "its name cannot be that of a route, or there is no model that it means",
                "routes: with that model");
            continue;
        }
        state.draft.routes.push_back({alias.key, target, {}});
        state.report.carried(alias, fmt::format("routes.{}", alias.key));
    }
}

void finish_budget(LitellmState& state) {
    if (state.max_budget && scaled(state.max_budget->text(), 0, 12) == "0") {
        state.report.carried(*state.max_budget, "budgets", "0 means that there is no such budget");
        if (state.budget_duration) state.report.carried(*state.budget_duration, "budgets");
        return;
    }
    const bool added =
        state.max_budget && add_budget(state, *state.max_budget, state.budget_duration,
                                       {"litellm", "global", {}, {}, {}, {}});
    if (!state.budget_duration) return;
    if (added) {
        state.report.carried(*state.budget_duration, "budgets.litellm");
    } else {
        state.report.dropped(*state.budget_duration, "there is no max_budget that it is of");
    }
}

/// Timeouts for all that no deployment took.
void finish_timeouts(LitellmState& state) {
    if (state.timeout && !state.timeout_used) {
        state.report.dropped(*state.timeout, "every deployment has a timeout of its own");
    }
    if (state.request_timeout && !state.request_timeout_used) {
        state.report.dropped(*state.request_timeout,
                             "every deployment has a timeout of its own, or `timeout` comes first");
    }
}

void finish_credentials(LitellmState& state) {
    for (const Item& credential : state.credentials) {
        const auto name = credential.member("credential_name");
        const auto& used = state.used_credentials;
        const bool is_used = name && std::find(used.begin(), used.end(), name->line) != used.end();
        if (!is_used) {
            state.report.dropped(credential, "no deployment of model_list uses it");
            continue;
        }
        state.report.carried(*name, "providers");
        for (const Item& item : credential.members()) {
            if (item.word == "credential_values") {
                for (const Item& value : state.report.members_of(item)) {
                    const bool known = value.word == "api_key" || value.word == "api_base" ||
                                       value.word == "base_url";
                    if (!known) state.report.dropped(value, kUnknownKey);
                }
            } else if (item.word != "credential_name") {
                state.report.dropped(item, "it only describes the credential");
            }
        }
    }
}

}  // namespace

Result<Imported> import_litellm(const std::string& text) {
    const auto root = read_source(text, false);
    if (!root) return fail(root.error());
    LitellmState state;
    const auto members = root->members();
    const bool known = std::any_of(members.begin(), members.end(), [](const Item& item) {
        return item.key == "model_list" || item.key.ends_with("_settings");
    });
    if (!known) {
        return fail(ErrorCode::kConfig, "the file has no model_list and no settings of LiteLLM",
                    "give the config.yaml of a LiteLLM proxy");
    }
    apply<LitellmState>(*root, {kTop}, state);
    reserve_variables(state, text);
    for (const Item& entry : state.deployments) add_deployment(state, entry);
    finish_aliases(state);
    finish_traffic(state);
    finish_cache(state);
    finish_budget(state);
    finish_timeouts(state);
    finish_credentials(state);
    Imported out;
    auto config = render(state.draft, "litellm");
    if (!config) return fail(config.error());
    out.config = std::move(*config);
    out.variables = state.draft.variables;
    state.report.finish(out);
    return out;
}

}  // namespace leeway::app::imports
