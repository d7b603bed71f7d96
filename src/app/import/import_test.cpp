#include "app/import/import.hpp"

#include "app/config.hpp"
#include "app/import/draft.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace leeway::app::imports {
namespace {

Imported imported(const std::string& text) {
    const auto out = import_litellm(text);
    EXPECT_TRUE(out) << out.error().text();
    return out.value_or(Imported());
}

/// The configuration as Leeway reads it, with stand-ins for its variables.
Config read(const Imported& from) {
    std::string text = from.config;
    for (const std::string& name : from.variables) {
        const std::string reference = "${" + name + "}";
        for (auto at = text.find(reference); at != std::string::npos; at = text.find(reference)) {
            text.replace(at, reference.size(), "value-of-" + name + "-long");
        }
    }
    const auto out = parse_config(text, "leeway.yaml");
    EXPECT_TRUE(out) << out.error().text() << "\n" << from.config;
    return out.value_or(Config());
}

std::string why(const Imported& from, const std::string& path) {
    for (const NotCarried& one : from.not_carried) {
        if (one.from == path) return one.why;
    }
    return {};
}

std::string model(const std::string& params) {
    return "model_list:\n- model_name: m\n  litellm_params: {model: openai/gpt-4o, " + params +
           "}\n";
}

void add_leaves(const Item& item, std::vector<Item>& out) {
    const auto members = item.members();
    const auto elements = item.elements();
    for (const Item& inner : members) add_leaves(inner, out);
    for (const Item& inner : elements) add_leaves(inner, out);
    if (members.empty() && elements.empty()) out.push_back(item);
}

bool covers(const std::string& path, const std::string& leaf) {
    if (path == kWhole) return true;
    return leaf.starts_with(path) &&
           (leaf.size() == path.size() || leaf[path.size()] == '.' || leaf[path.size()] == '[');
}

/// Each setting of the source must be carried over or listed, itself or with the entry that it is in.
void expect_all_told(const std::string& text, bool portkey, const Imported& out) {
    std::vector<std::string> places;
    for (const Carried& one : out.carried) places.push_back(one.from);
    for (const NotCarried& one : out.not_carried) places.push_back(one.from);
    std::vector<Item> leaves;
    add_leaves(*read_source(text, portkey), leaves);
    for (const Item& leaf : leaves) {
        if (!leaf.is_scalar()) continue;  // an empty map or list
        const bool listed = std::any_of(places.begin(), places.end(), [&](const auto& place) {
            return covers(place, leaf.path);
        });
        EXPECT_TRUE(listed) << leaf.path << " of " << text << " is neither carried over nor listed";
    }
}

TEST(Import, ScalesDecimalsExactly) {
    EXPECT_EQ(scaled("1.5e-07", 6, 9), "0.15");
    EXPECT_EQ(scaled("0.00000015", 6, 9), "0.15");
    EXPECT_EQ(scaled(".0000006", 6, 9), "0.6");
    EXPECT_EQ(scaled("3E-6", 6, 9), "3");
    EXPECT_EQ(scaled("+0.000010", 6, 9), "10");
    EXPECT_EQ(scaled("0.000000083333333", 6, 9), "0.083333333");
    EXPECT_EQ(scaled("0.0000000833333334", 6, 9), std::nullopt) << "ten decimals are not rounded";
    EXPECT_EQ(scaled("0.000", 6, 9), "0");
    EXPECT_EQ(scaled("30.5", 3, 0), "30500");
    EXPECT_EQ(scaled("1e60", 0, 0).value_or("").size(), 61u);
    for (const char* bad : {"", ".", "-1", "1e", "1e-", "1e99", "0x10", ".inf", "nan", "1_000",
                            "1 ", "1.2.3", "e5"}) {
        EXPECT_EQ(scaled(bad, 6, 9), std::nullopt) << bad;
    }
}

TEST(Import, PricesAreExactAndNeverRounded) {
    const auto out =
        imported(model("input_cost_per_token: 1.5e-07, output_cost_per_token: 0.0000006, "
                       "cache_read_input_token_cost: 7.5e-8"));
    const Config config = read(out);
    ASSERT_EQ(config.models.size(), 1u);
    EXPECT_EQ(config.models[0].price[prices::Bucket::kInput]->value(), 150'000'000);
    EXPECT_EQ(config.models[0].price[prices::Bucket::kCachedInput]->value(), 75'000'000);
    EXPECT_EQ(config.models[0].price[prices::Bucket::kOutput]->value(), 600'000'000);
    const auto odd = imported(model("input_cost_per_token: 1e-16, output_cost_per_token: 0.01"));
    EXPECT_NE(why(odd, "model_list[0].litellm_params.input_cost_per_token"), "");
    EXPECT_NE(why(odd, "model_list[0].litellm_params.output_cost_per_token"), "") << "10,000 USD";
    EXPECT_TRUE(read(odd).models[0].price.empty());
}

TEST(Import, SecretsBecomeVariables) {
    const auto out = imported(
        "model_list:\n"
        "- {model_name: a, litellm_params: {model: openai/x, api_key: sk-one}}\n"
        "- {model_name: b, litellm_params: {model: openai/x, api_key: sk-two}}\n"
        "- {model_name: c, litellm_params: {model: openai/x, api_key: sk-one}}\n"
        "- {model_name: d, litellm_params: {model: openai/x, api_key: os.environ/OPENAI_API_KEY}}\n"
        "- {model_name: e, litellm_params: {model: anthropic/x}}\n"
        "- {model_name: f, litellm_params: {model: anthropic/x, api_key: sk-three}}\n");
    const Config config = read(out);
    std::vector<std::string> keys;
    for (const ModelConfig& m : config.models) {
        for (const ProviderConfig& p : config.providers) {
            if (p.name == m.provider) keys.push_back(p.api_key.expose());
        }
    }
    EXPECT_EQ(keys, (std::vector<std::string>{
                        "value-of-OPENAI_API_KEY_2-long", "value-of-OPENAI_API_KEY_3-long",
                        "value-of-OPENAI_API_KEY_2-long", "value-of-OPENAI_API_KEY-long",
                        "value-of-ANTHROPIC_API_KEY-long", "value-of-ANTHROPIC_API_KEY_2-long"}));
    EXPECT_EQ(out.config.find("sk-"), std::string::npos);
}

TEST(Import, BudgetsLimitsAndTimeouts) {
    const auto out = imported(
        "model_list:\n- {model_name: a, litellm_params: {model: openai/x, timeout: 900}}\n"
        "litellm_settings:\n  max_budget: 250.5\n  budget_duration: 30d\n"
        "  tag_budget_config:\n    chat: {max_budget: 1e-3, budget_duration: 7d}\n"
        "    fast: {max_budget: 2, budget_duration: 5h}\n    odd: {max_budget: 2, budget_duration: "
        "7m}\n"
        "    endless: {max_budget: 2}\n"
        "general_settings: {global_max_parallel_requests: 20}\n");
    const Config config = read(out);
    ASSERT_EQ(config.budgets.size(), 3u);
    EXPECT_EQ(config.budgets[0].spec.match, "chat");
    EXPECT_EQ(config.budgets[0].spec.limit, 1'000'000'000);
    EXPECT_EQ(config.budgets[0].spec.window.per, budget::Per::kWeek);
    EXPECT_EQ(config.budgets[1].spec.window.rolling_s, 5 * 3600);
    EXPECT_EQ(config.budgets[2].spec.limit, 250'500'000'000'000);
    EXPECT_EQ(config.budgets[2].spec.window.per, budget::Per::kMonth);
    EXPECT_NE(why(out, "litellm_settings.tag_budget_config.odd.max_budget"), "");
    EXPECT_NE(why(out, "litellm_settings.tag_budget_config.endless.max_budget"), "");
    ASSERT_EQ(config.limits.size(), 1u);
    EXPECT_EQ(config.limits[0].parallel, 20u);
    EXPECT_EQ(config.providers[0].timeouts.first_byte, std::chrono::seconds(900));
    EXPECT_EQ(config.providers[0].timeouts.total, std::chrono::seconds(900));
}

const ModelConfig& model_of(const Config& config, const std::string& name) {
    for (const ModelConfig& one : config.models) {
        if (one.name == name) return one;
    }
    ADD_FAILURE() << "no model " << name;
    return config.models.front();
}

const ProviderConfig& provider_of(const Config& config, const std::string& name) {
    for (const ProviderConfig& one : config.providers) {
        if (one.name == name) return one;
    }
    ADD_FAILURE() << "no provider " << name;
    return config.providers.front();
}

/// "provider/name*weight" of each.
std::vector<std::string> places_of(const ModelConfig& model) {
    std::vector<std::string> out;
    for (const TargetConfig& one : model.targets) {
        out.push_back(one.provider + "/" + one.upstream_name + "*" + std::to_string(one.weight));
    }
    return out;
}

using Names = std::vector<std::string>;

TEST(Import, LitellmsRetriesFallbacksAndBalancing) {
    const auto out = imported(
        "model_list:\n"
        "- {model_name: big, litellm_params: {model: openai/x, weight: 3}}\n"
        "- {model_name: big, litellm_params: {model: groq/y, num_retries: 4, cooldown_time: 2.5}}\n"
        "- {model_name: big, litellm_params: {model: xai/z, input_cost_per_token: 1e-6}}\n"
        "- {model_name: small, litellm_params: {model: openai/s}}\n"
        "- {model_name: other, litellm_params: {model: openai/o, weight: 0.5}}\n"
        "router_settings:\n"
        "  routing_strategy: latency-based-routing\n"
        "  num_retries: 3\n  allowed_fails: 2\n  cooldown_time: 30\n"
        "  fallbacks: [{big: [small, nobody, big]}, {chat: [small]}, {nobody: [small]}]\n"
        "  default_fallbacks: [other]\n  model_group_alias: {chat: big}\n"
        "  context_window_fallbacks: [{small: [big]}]\n"
        "litellm_settings: {num_retries: 5}\n");
    const Config config = read(out);
    const ModelConfig& big = model_of(config, "big");
    EXPECT_EQ(places_of(big), (Names{"openai/x*3", "groq/y*1"}));
    EXPECT_EQ(big.balance, providers::Balance::kPeakEwma);
    EXPECT_EQ(big.fallbacks, Names{"small"});
    EXPECT_EQ(model_of(config, "small").fallbacks, Names{"other"});
    EXPECT_EQ(model_of(config, "other").fallbacks, Names{});
    EXPECT_EQ(model_of(config, "big-2").provider, "xai") << "a model has one price";
    EXPECT_NE(why(out, "model_list[2]"), "");
    EXPECT_EQ(config.routes.at(0).fallbacks, Names{"small"});
    EXPECT_EQ(provider_of(config, "openai").retries.attempts, 3u);
    EXPECT_EQ(provider_of(config, "openai").breaker.failures, 3u);
    EXPECT_EQ(provider_of(config, "openai").breaker.open, std::chrono::seconds(30));
    EXPECT_EQ(provider_of(config, "groq").retries.attempts, 4u);
    EXPECT_EQ(provider_of(config, "groq").breaker.open, std::chrono::milliseconds(2500));
    for (const char* place :
         {"router_settings.fallbacks[0].big[1]", "router_settings.fallbacks[0].big[2]",
          "router_settings.fallbacks[2].nobody", "router_settings.context_window_fallbacks",
          "litellm_settings.num_retries", "model_list[4].litellm_params.weight"}) {
        EXPECT_NE(why(out, place), "") << place;
    }
    const auto never = imported(model("num_retries: 99") +
                                "router_settings: {disable_cooldowns: true, num_retries: 0, "
                                "routing_strategy: cost-based-routing}\n");
    EXPECT_EQ(read(never).providers[0].breaker.failures, 0u);
    EXPECT_EQ(read(never).providers[0].retries.attempts, 0u);
    EXPECT_NE(why(never, "model_list[0].litellm_params.num_retries"), "");
    EXPECT_NE(why(never, "router_settings.routing_strategy"), "");
}

Imported from_portkey(const std::string& text) {
    const auto out = import_portkey(text);
    EXPECT_TRUE(out) << out.error().text();
    if (out) expect_all_told(text, true, *out);
    return out.value_or(Imported());
}

TEST(Import, PortkeysGroupsBecomeTargetsAndFallbacks) {
    const std::string a =
        R"({"provider": "openai", "override_params": {"model": "a"}, "weight": 0.75})";
    const std::string b =
        R"({"provider": "anthropic", "override_params": {"model": "b"}, "weight": 0.25})";
    const std::string c = R"({"provider": "groq", "override_params": {"model": "c"}})";
    const auto one = from_portkey(R"({"strategy": {"mode": "fallback", "on_status_codes": [429]},
        "retry": {"attempts": 4, "on_status_codes": [500], "use_retry_after_headers": true},
        "targets": [{"name": "both", "strategy": {"mode": "loadbalance"}, "targets": [)" +
                                  a + "," + b + R"(]}, )" + c + "]}");
    const Config config = read(one);
    ASSERT_EQ(config.routes.size(), 1u);
    EXPECT_EQ(config.routes[0].model, "both");
    EXPECT_EQ(config.routes[0].fallbacks, Names{"c"});
    EXPECT_EQ(places_of(model_of(config, "both")), (Names{"openai/a*3", "anthropic/b*1"}));
    EXPECT_EQ(provider_of(config, "groq").retries.attempts, 4u);
    EXPECT_NE(why(one, "strategy.on_status_codes"), "");
    EXPECT_NE(why(one, "retry.on_status_codes"), "");
    EXPECT_EQ(why(one, "strategy.mode"), "");
    // What a target says itself counts, and of what is around it nothing is lost.
    const auto own =
        read(from_portkey(R"({"strategy": {"mode": "fallback"}, "retry": {"attempts": 1},
        "request_timeout": 7000, "targets": [{"provider": "groq", "retry": {"attempts": 3},
        "request_timeout": 900, "override_params": {"model": "c"}}, {"provider": "openai",
        "override_params": {"model": "a"}}]})"));
    EXPECT_EQ(provider_of(own, "groq").retries.attempts, 3u);
    EXPECT_EQ(provider_of(own, "groq").timeouts.first_byte, std::chrono::milliseconds(900));
    EXPECT_EQ(provider_of(own, "openai").retries.attempts, 1u);
    EXPECT_EQ(provider_of(own, "openai").timeouts.first_byte, std::chrono::seconds(7));
    // A group in a group that balances has its share; what stands in for one of them does so for all.
    const auto nested = read(from_portkey(
        R"({"strategy": {"mode": "loadbalance"}, "targets": [{"weight": 1, "targets": [)" + a +
        "," + b + R"(], "strategy": {"mode": "fallback"}}, {"weight": 3, "provider": "groq",
        "override_params": {"model": "c"}}, {"weight": 0, "provider": "x-ai",
        "override_params": {"model": "d"}}]})"));
    EXPECT_EQ(places_of(model_of(nested, "balanced")), (Names{"openai/a*1", "groq/c*3"}));
    EXPECT_EQ(nested.routes.at(0).fallbacks, Names{"b"});
}

TEST(Import, BadInputIsAnErrorWithItsLine) {
    for (const char* bad :
         {"", "[]", "just text", "a: 1", "model_list: [\n", "a: 1\n---\nb: 2\n", "a: \x01"}) {
        const auto out = import_litellm(bad);
        ASSERT_FALSE(out) << bad;
        EXPECT_EQ(out.error().code, ErrorCode::kConfig) << bad;
    }
    EXPECT_EQ(import_litellm("model_list:\n  - [a\n").error().message.substr(0, 5), "line ");
    for (const char* bad : {"", "[]", "{}", "{'provider': 'openai'}", "{\"provider\": \"openai\"",
                            "provider: openai", "{\"provider\": 1, \"provider\": 2}"}) {
        EXPECT_FALSE(import_portkey(bad)) << bad;
    }
    // Whatever the types are, it is no crash and the file can be read.
    for (const char* odd :
         {"model_list: 5", "model_list: {a: b}", "model_list: [1, [2], null]",
          "model_list: [{model_name: [a], litellm_params: b}]", "general_settings: [1]",
          "router_settings: {timeout: {a: b}, model_group_alias: x}",
          "router_settings: {fallbacks: {a: b}, default_fallbacks: x, num_retries: {a: 1}}",
          "router_settings: {fallbacks: [a, {b: c}, {'*': [[d], {e: f}]}], allowed_fails: -1}",
          "router_settings: {routing_strategy: [a], cooldown_time: x, disable_cooldowns: [1]}",
          "litellm_settings: {cache: {a: 1}, max_budget: [1], tag_budget_config: {t: 1}}"}) {
        const auto out = import_litellm(odd);
        ASSERT_TRUE(out) << odd;
        expect_all_told(odd, false, *out);
    }
    for (const char* odd :
         {R"({"targets": 5})", R"({"targets": [1, [], {}]})",
          R"({"provider": {"a": 1}, "override_params": []})",
          R"({"strategy": {"mode": "loadbalance"}, "targets": [{"weight": {}}]})",
          R"({"retry": 1, "targets": [{"retry": {"attempts": -1}, "weight": 2}]})",
          R"({"targets": [{"targets": [{"targets": []}]}], "strategy": 1})"}) {
        const auto out = import_portkey(odd);
        ASSERT_TRUE(out) << odd;
        expect_all_told(odd, true, *out);
    }
}

/// Over every example: what was made is accepted, each setting is carried over or listed, at its
/// line, and no secret (each has "hidden" in it) is anywhere.
TEST(Import, EverySettingIsToldAndNoSecretIs) {
    int files = 0;
    for (const char* gateway : {"litellm", "portkey"}) {
        const std::string folder = std::string(LEEWAY_SOURCE_DIR "/tests/import/") + gateway;
        for (const auto& file : std::filesystem::directory_iterator(folder)) {
            SCOPED_TRACE(file.path().string());
            std::stringstream text;
            text << std::ifstream(file.path()).rdbuf();
            const bool portkey = file.path().extension() == ".json";
            const auto out = portkey ? import_portkey(text.str()) : import_litellm(text.str());
            ASSERT_TRUE(out) << out.error().text();
            ++files;
            std::string told = out->config;
            std::vector<std::pair<std::string, std::uint32_t>> places;
            for (const Carried& one : out->carried) {
                told += one.from + one.to + one.note;
                places.emplace_back(one.from, one.line);
            }
            for (const NotCarried& one : out->not_carried) {
                told += one.from + one.why + one.instead;
                places.emplace_back(one.from, one.line);
            }
            EXPECT_EQ(told.find("hidden"), std::string::npos) << told;
            expect_all_told(text.str(), portkey, *out);
            for (const auto& [path, line] : places) {
                if (path.ends_with(']')) continue;
                std::string row;
                std::stringstream rows(text.str());
                for (std::uint32_t i = 0; i < line; ++i) std::getline(rows, row);
                EXPECT_NE(row.find(path.substr(path.rfind('.') + 1)), std::string::npos)
                    << path << " " << line;
            }
        }
    }
    EXPECT_GE(files, 7);
}

}  // namespace
}  // namespace leeway::app::imports
