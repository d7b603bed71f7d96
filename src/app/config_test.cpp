#include "app/config.hpp"

#include "base/money.hpp"
#include "store/redis/client.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace leeway::app {
namespace {

const std::string kName = "/project/config/leeway.yaml";

std::string all_text(const std::vector<ConfigProblem>& problems) {
    std::string out;
    for (const ConfigProblem& problem : problems) out += problem.text() + "\n";
    return out;
}

Config good(const std::string& text) {
    ConfigReading reading = read_config_text(text, kName);
    EXPECT_TRUE(reading.config) << all_text(reading.problems);
    return reading.config ? std::move(*reading.config) : Config();
}

/// The only problem of a text, without the file's name.
std::string only_problem(const std::string& text) {
    const ConfigReading reading = read_config_text(text, kName);
    EXPECT_EQ(reading.problems.size(), 1u) << all_text(reading.problems);
    if (reading.problems.empty()) return {};
    EXPECT_EQ(reading.problems[0].is_error, !reading.config.has_value());
    const std::string line = reading.problems[0].text();
    EXPECT_TRUE(line.starts_with(kName + ":")) << line;
    return line.substr(kName.size() + 1);
}

/// A variable of the environment for the length of a test.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
    ~Variable() { unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

private:
    const char* name_;
};

const std::string kOpenAi =
    "providers:\n  up: {dialect: openai, base_url: 'http://127.0.0.1:9/v1'}\n";

TEST(Config, EmptyFileGivesTheDefaults) {
    const Config config = good("# nothing\n");
    EXPECT_EQ(config.server.listen, "127.0.0.1:8484");
    EXPECT_EQ(config.server.workers, 0u);
    EXPECT_EQ(config.server.limits.body_bytes, 32u << 20);
    EXPECT_EQ(config.server.state, "/project/state");
    EXPECT_TRUE(config.providers.empty());
    EXPECT_TRUE(config.ledger.enabled);
}

TEST(Config, ReadsEveryKindOfValue) {
    const Config config = good(R"(
server:
  listen: "[::1]:0"
  admin: unix:/run/admin.sock
  workers: 3
  state: /var/lib/leeway
  limits: {header_bytes: 64KiB, header_count: 50, body_bytes: 1GiB, connections: 7, header_timeout: 1500ms,
           body_timeout: 2m, idle_timeout: 1h, write_timeout: 3s}
  drain: {delay: 2s, timeout: 1m}
providers:
  up: {dialect: openai, base_url: "https://host/v1", timeouts: {connect: 1s, first_byte: 2s, between_chunks: 3s,
       total: 4s}, max_connections: 9}
  local: {dialect: embedded}
models:
  big: {provider: up, name: org/Big-1, price: {input: 2.50, cached_input: 1.25, cache_write: 3.125, output: 10,
        audio_input: 40, audio_output: 80.000000001}}
  tiny: {provider: local, file: tiny.gguf, tags: [a, b]}
routes:
  support: {model: tiny, baseline: big, flex_wait: 10m, stages: [cache], cache: {exact: on, ttl: 90s}}
keys:
  - {name: web, secret: 0123456789abcdef, models: [big], routes: [support], requests_per_minute: 60,
     expires: 2999-12-31}
cache: {memory: 1MiB, disk: 0, entry: 2KiB, ttl: 5m}
batches: {first_look: 2m, longest_wait: 1h, grace: 2h}
responses: {store: off, retention: 2d, disk: 5MiB, entry: 4KiB}
ledger: {enabled: off, durability: full, retention_days: 30}
log: {level: debug, format: json}
local: {folder: models, threads: 2, parallel: 8, context: 8192, memory: 1GiB}
)");
    EXPECT_EQ(config.server.workers, 3u);
    EXPECT_EQ(config.server.state, "/var/lib/leeway");
    EXPECT_EQ(config.server.limits.header_timeout.count(), 1500);
    EXPECT_EQ(config.server.limits.idle_timeout.count(), 3'600'000);
    EXPECT_EQ(config.server.drain_delay.count(), 2000);
    ASSERT_EQ(config.providers.size(), 2u);
    EXPECT_EQ(config.providers[0].timeouts.between_chunks.count(), 3000);
    EXPECT_EQ(config.providers[1].dialect, ProviderDialect::kEmbedded);
    ASSERT_EQ(config.models.size(), 2u);
    EXPECT_EQ(config.models[0].upstream_name, "org/Big-1");
    EXPECT_EQ(config.models[0].price[prices::Bucket::kInput]->value(), 2'500'000'000);
    EXPECT_EQ(config.models[0].price[prices::Bucket::kAudioOutput]->value(), 80'000'000'001);
    EXPECT_FALSE(config.models[1].price.has(prices::Bucket::kInput));
    EXPECT_EQ(config.models[1].tags, (std::vector<std::string>{"a", "b"}));
    ASSERT_EQ(config.routes.size(), 1u);
    EXPECT_EQ(config.routes[0].stages, std::vector<std::string>{"exact_cache"});
    EXPECT_EQ(config.routes[0].exact_cache, ExactCacheMode::kOn);
    EXPECT_EQ(config.routes[0].cache_ttl.count(), 90);
    ASSERT_EQ(config.keys.size(), 1u);
    EXPECT_EQ(config.keys[0].expires_unix_s, 32'503'593'600);
    EXPECT_EQ(config.cache.disk_bytes, 0u);
    EXPECT_EQ(config.cache.ttl.count(), 300);
    EXPECT_EQ(config.routes[0].flex_wait.count(), 600'000);
    EXPECT_EQ(config.batches.first_look.count(), 120'000);
    EXPECT_EQ(config.batches.longest_wait.count(), 3'600'000);
    EXPECT_EQ(config.batches.grace.count(), 7'200);
    EXPECT_FALSE(config.responses.store);
    EXPECT_EQ(config.responses.retention.count(), 172'800);
    EXPECT_EQ(config.responses.disk_bytes, 5u << 20);
    EXPECT_EQ(config.responses.entry_bytes, 4096u);
    EXPECT_FALSE(config.ledger.enabled);
    EXPECT_TRUE(config.ledger.full_durability);
    EXPECT_EQ(config.local.folder, "/project/models");
    EXPECT_EQ(config.local.memory_bytes, 1u << 30);
}

TEST(Config, UnknownKeyNamesPlaceAndNearestKey) {
    EXPECT_EQ(only_problem("providers:\n  a:\n    dialect: openai\n    base_ulr: x\n"
                           "    base_url: http://h/v1\n"),
              "4:5: error: unknown key 'base_ulr' (did you mean 'base_url'?)");
    EXPECT_EQ(only_problem("sever: {}\n"),
              "1:1: error: unknown key 'sever' (did you mean 'server'?)");
    EXPECT_EQ(only_problem("log: {colour: on}\n"),
              "1:7: error: unknown key 'colour' (known: level, format)");
}

TEST(Config, CollectsAllProblemsInTheOrderOfTheLines) {
    const ConfigReading reading = read_config_text(
        "log: {level: loud}\ncache: {ttl: 1x, memory: many}\nserver: {workers: 0, listen: "
        "nowhere}\n",
        "f.yaml");
    EXPECT_FALSE(reading.config);
    EXPECT_EQ(
        all_text(reading.problems),
        "f.yaml:1:14: error: unknown level 'loud' (known: debug, info, warn, error)\n"
        "f.yaml:2:14: error: ttl: '1x' is not a duration (write a whole number with ms, s, m, h "
        "or d, such as 500ms, 10s or 24h)\n"
        "f.yaml:2:26: error: memory: 'many' is not a size (write a whole number with B, KiB, MiB "
        "or GiB, such as 32MiB)\n"
        "f.yaml:3:19: error: workers: '0' is not a whole number from 1 to 1024\n"
        "f.yaml:3:30: error: listen: 'nowhere' is not an address (write HOST:PORT, [IPV6]:PORT or "
        "unix:/path, e.g. 127.0.0.1:8484)\n");
}

TEST(Config, DuplicateKeysAreErrors) {
    EXPECT_EQ(only_problem("log:\n  level: info\n  level: warn\n"),
              "3:3: error: 'level' stands here twice; first in line 2");
    EXPECT_EQ(only_problem(kOpenAi + "models:\n  m: {provider: up}\n  m: {provider: up}\n"),
              "5:3: error: 'm' stands here twice; first in line 4");
}

TEST(Config, BrokenYamlNamesThePlace) {
    EXPECT_EQ(only_problem("server: {listen: 1\n").substr(0, 21), "2:1: error: not valid");
    EXPECT_EQ(only_problem("server:\n\tlisten: x\n").substr(0, 10), "2:8: error");
    EXPECT_EQ(only_problem("log: {}\n---\nlog: {}\n").substr(0, 25), "2:1: error: a second docu");
    EXPECT_EQ(only_problem("- a\n"), "1:1: error: the file must be a map of keys and values");
    EXPECT_EQ(only_problem("log: 5\n"), "1:1: error: log must be a map of keys and values");
    EXPECT_EQ(only_problem("log: {level: }\n"), "1:7: error: 'level' has no value");
    EXPECT_EQ(only_problem("log: {level: [a]}\n"), "1:7: error: 'level' must be a single value");
    EXPECT_EQ(only_problem(std::string("a\0b", 3)),
              " error: the file holds control characters; is it a text file?");
}

TEST(Config, DanglingReferencesNameTheNearest) {
    EXPECT_EQ(only_problem(kOpenAi + "models:\n  m: {provider: upp}\n"),
              "4:17: error: unknown provider 'upp' (did you mean 'up'?)");
    const std::string models = kOpenAi + "models:\n  gpt-4o: {provider: up, price: {input: 1}}\n";
    EXPECT_EQ(only_problem(models + "routes: {r: {model: gpt4o}}\n"),
              "5:21: error: unknown model 'gpt4o' (did you mean 'gpt-4o'?)");
    EXPECT_EQ(only_problem(models + "routes: {r: {model: gpt-4o, baseline: gtp-4o}}\n"),
              "5:39: error: unknown model 'gtp-4o' (did you mean 'gpt-4o'?)");
    EXPECT_EQ(only_problem(models + "routes: {r: {model: gpt-4o, stages: [exact_cahce]}}\n"),
              "5:38: error: unknown stage 'exact_cahce' (did you mean 'exact_cache'?)");
    EXPECT_EQ(only_problem(models + "keys: [{name: a, secret: 0123456789abcdef, routes: [nix]}]\n"),
              "5:53: error: unknown route 'nix' (there is none)");
}

TEST(Config, RouteAndModelMustNotShareAName) {
    EXPECT_NE(only_problem(kOpenAi + "models: {m: {provider: up}}\nroutes: {m: {model: m}}\n")
                  .find("is the name of a route and of a model"),
              std::string::npos);
}

TEST(Config, LimitsBudgetsAndWebhookAreReadAndJudged) {
    const Config config =
        good(kOpenAi +
             "models: {m: {provider: up, vocabulary: o200k_base}}\n"
             "webhook: {url: 'https://h.example/x', secret: abc}\n"
             "limits: [{name: a, scope: user, tokens_per_minute: 7, parallel: 2}]\n"
             "budgets: [{name: b, scope: global, usd: 1, on_exceeded: "
             "lower_max_tokens}]\n"
             "keys: [{name: k, secret: 0123456789abcdef, tokens_per_minute: 9, "
             "parallel: 3}]\n");
    ASSERT_EQ(config.limits.size(), 1U);
    EXPECT_EQ(config.limits[0].scope, budget::ScopeKind::kUser);
    EXPECT_EQ(config.limits[0].tokens_per_minute, 7);
    EXPECT_EQ(config.limits[0].parallel, 2);
    EXPECT_EQ(config.keys[0].tokens_per_minute, 9U);
    EXPECT_EQ(config.budgets[0].on_exceeded, OnExceeded::kLowerMaxTokens);
    EXPECT_EQ(config.webhook.url, "https://h.example/x");
    EXPECT_EQ(config.models[0].vocabulary, "o200k_base");
    const auto says = [](const std::string& text, const char* words) {
        EXPECT_NE(only_problem(text).find(words), std::string::npos) << only_problem(text);
    };
    says("limits: [{name: a, scope: user}]\n", "a limit needs requests_per_minute");
    says("limits: [{name: a, parallel: 1}]\n", "a limit needs a scope");
    says("limits: [{name: a, scope: global, match: x, parallel: 1}]\n", "nothing to match");
    says("limits: [{name: a, scope: key, parallel: 1}, {name: a, scope: key, parallel: 1}]\n",
         "two limits are called 'a'");
    says("webhook: {secret: abc}\n", "a webhook needs a url");
    says("webhook: {url: 'ftp://x'}\n", "error: url: ");
    says("budgets: [{name: b, scope: global, usd: 1, on_exceeded: degrade}]\n",
         "'on_exceeded: degrade' and 'degrade_model' need each other");
}

TEST(Config, OnlyTheDefaultRouteMayLackAModel) {
    EXPECT_EQ(good("routes: {default: {stages: [exact_cache]}}").routes.size(), 1u);
    EXPECT_NE(only_problem("routes: {other: {}}").find("route 'other' needs a model"),
              std::string::npos);
}

TEST(Config, PriceIsReadExactlyAndItsUnitIsDoubted) {
    const auto with = [](const std::string& price) {
        return kOpenAi + "models: {m: {provider: up, price: {" + price + "}}}\n";
    };
    EXPECT_EQ(good(with("input: 0.1, output: 0.000000000"))
                  .models[0]
                  .price[prices::Bucket::kInput]
                  ->value(),
              100'000'000);
    EXPECT_NE(only_problem(with("input: 2500")).find("more than any model costs"),
              std::string::npos);
    EXPECT_NE(only_problem(with("input: 0.0000025")).find("price per token"), std::string::npos);
    EXPECT_NE(only_problem(with("input: -1")).find("error: input: "), std::string::npos);
    EXPECT_NE(only_problem(with("input: 1e3")).find("error: input: "), std::string::npos);
}

TEST(Config, TakesValuesFromTheEnvironment) {
    const Variable address("LEEWAY_TEST_PORT", "9999");
    const Variable empty("LEEWAY_TEST_EMPTY", "");
    const Config config = good(
        "server: {listen: '127.0.0.1:${LEEWAY_TEST_PORT}', admin: '${LEEWAY_TEST_NONE:-[::1]:1}'}\n"
        "log: {level: ${LEEWAY_TEST_EMPTY:-warn}}\n" +
        kOpenAi + "models: {m: {provider: up, name: 'a$${b}'}}\n");
    EXPECT_EQ(config.server.listen, "127.0.0.1:9999");
    EXPECT_EQ(config.server.admin, "[::1]:1");
    EXPECT_EQ(config.log.level, "warn");
    EXPECT_EQ(config.models[0].upstream_name, "a${b}");
}

TEST(Config, UnsetVariableSaysWhichAndHowToGiveADefault) {
    EXPECT_EQ(
        only_problem("log: {level: ${LEEWAY_TEST_NONE}}"),
        "1:14: error: 'level' needs the environment variable LEEWAY_TEST_NONE, which is not set "
        "(export it, or give a default: ${LEEWAY_TEST_NONE:-value})");
    EXPECT_NE(only_problem("log:\n  level: ${a-b}\n").find("write a variable as ${NAME}"),
              std::string::npos);
    EXPECT_NE(only_problem("log:\n  level: ${a\n").find("write a variable as ${NAME}"),
              std::string::npos);
}

TEST(Config, ProviderWithoutItsKeyIsDisabledWithAWarning) {
    const std::string text =
        "providers: {up: {dialect: openai, base_url: 'https://h/v1', api_key: "
        "${LEEWAY_TEST_NONE}}}";
    const Config config = good(text);
    ASSERT_EQ(config.warnings.size(), 1u);
    EXPECT_FALSE(config.warnings[0].is_error);
    EXPECT_NE(config.providers[0].disabled_reason.find("LEEWAY_TEST_NONE"), std::string::npos);
    const Variable key("LEEWAY_TEST_NONE", "sk-test");
    const Config with_key = good(text);
    EXPECT_TRUE(with_key.warnings.empty());
    EXPECT_TRUE(with_key.providers[0].disabled_reason.empty());
    EXPECT_EQ(with_key.providers[0].api_key.expose(), "sk-test");
}

TEST(Config, ApiKeyThatWouldSplitAHeaderIsRefusedWithoutShowingIt) {
    const Variable key("LEEWAY_TEST_KEY", "sk-evil\r\nx-other: 1");
    const std::string problem = only_problem(
        "providers: {up: {dialect: openai, base_url: 'https://h/v1', api_key: "
        "${LEEWAY_TEST_KEY}}}");
    EXPECT_NE(problem.find("line break"), std::string::npos);
    EXPECT_EQ(problem.find("evil"), std::string::npos);
}

TEST(Config, KeySecretsAreCheckedAndNeverShown) {
    const auto with = [](const std::string& keys) {
        return "keys:\n" + keys;
    };
    const std::string short_one = only_problem(with("  - {name: a, secret: hunter2}\n"));
    EXPECT_NE(short_one.find("2:23: error: 'secret' has 7 characters"), std::string::npos);
    EXPECT_EQ(short_one.find("hunter2"), std::string::npos);
    EXPECT_NE(only_problem(with("  - {name: a, secret: ''}\n")).find("has 0 characters"),
              std::string::npos);
    EXPECT_NE(only_problem(with("  - {name: a}\n")).find("needs a secret"), std::string::npos);
    EXPECT_NE(only_problem(with("  - {name: a, secret: ${LEEWAY_TEST_NONE}}\n")).find("not set"),
              std::string::npos);
    const std::string twice = only_problem(
        with("  - {name: a, secret: 0123456789abcdef}\n  - {name: b, secret: 0123456789abcdef}\n"));
    EXPECT_NE(twice.find("have the same secret"), std::string::npos);
    EXPECT_EQ(twice.find("0123456789abcdef"), std::string::npos);
}

TEST(Config, EmbeddedModelsNeedAFileInsideTheFolder) {
    const std::string local = "providers: {local: {dialect: embedded}}\n";
    EXPECT_NE(only_problem(local + "models: {m: {provider: local}}").find("needs a file"),
              std::string::npos);
    EXPECT_NE(only_problem(local + "models: {m: {provider: local, file: ../x.gguf}}")
                  .find("without a path"),
              std::string::npos);
    EXPECT_NE(only_problem(local + "models: {m: {provider: local, file: x, sha256: abc}}")
                  .find("64 lower-case"),
              std::string::npos);
    EXPECT_NE(only_problem(kOpenAi + "models: {m: {provider: up, file: x}}").find("not embedded"),
              std::string::npos);
    EXPECT_NE(only_problem("providers: {l: {dialect: embedded, base_url: 'http://x'}}")
                  .find("has no base_url"),
              std::string::npos);
}

TEST(Config, BaseUrlsAreChecked) {
    for (const char* url : {"api.openai.com/v1", "ftp://h/", "http://", "http://u:p@h/v1",
                            "http://h/v1?x=1", "http://h:70000/v1"}) {
        const std::string text =
            std::string("providers: {up: {dialect: openai, base_url: '") + url + "'}}";
        EXPECT_NE(only_problem(text).find("error: base_url: "), std::string::npos) << url;
    }
    for (const char* url :
         {"https://h/v1", "http://[::1]:8000/v1", "unix:/run/vllm.sock", "http://10.0.0.1"}) {
        const std::string text =
            std::string("providers: {up: {dialect: openai, base_url: '") + url + "'}}";
        EXPECT_EQ(good(text).providers[0].base_url, url);
    }
}

TEST(Config, WarnsWhenAKeyTravelsUnencrypted) {
    const std::string rest = "', api_key: abc}}";
    const std::string start = "providers: {up: {dialect: openai, base_url: '";
    EXPECT_NE(only_problem(start + "http://10.1.2.3/v1" + rest).find("warning"), std::string::npos);
    EXPECT_TRUE(good(start + "http://127.0.0.1:9/v1" + rest).warnings.empty());
    EXPECT_TRUE(good(start + "https://10.1.2.3/v1" + rest).warnings.empty());
}

TEST(Config, WithoutKeysOnlyLoopbackIsAllowed) {
    const auto exposed = [](const std::string& listen, bool stored, const std::string& rest = "") {
        return !check_exposure(good("server: {listen: '" + listen + "'}\n" + rest), stored);
    };
    EXPECT_FALSE(exposed("127.0.0.1:8484", false));
    EXPECT_FALSE(exposed("127.9.9.9:8484", false));
    EXPECT_FALSE(exposed("[::1]:8484", false));
    EXPECT_FALSE(exposed("localhost:8484", false));
    EXPECT_FALSE(exposed("unix:/run/leeway.sock", false));
    EXPECT_TRUE(exposed("0.0.0.0:8484", false));
    EXPECT_TRUE(exposed("[::]:8484", false));
    EXPECT_TRUE(exposed("localhost.example.com:8484", false));
    EXPECT_TRUE(exposed("127.0.0.1.example.com:8484", false));
    EXPECT_FALSE(exposed("0.0.0.0:8484", true));
    EXPECT_FALSE(exposed("0.0.0.0:8484", false, "keys: [{name: a, secret: 0123456789abcdef}]"));
}

TEST(Config, RelativePathsCountFromTheProject) {
    EXPECT_EQ(resolve_path("/p/config/leeway.yaml", "./state"), "/p/state");
    EXPECT_EQ(resolve_path("/p/etc/leeway.yaml", "state/"), "/p/etc/state");
    EXPECT_EQ(resolve_path("/p/config/leeway.yaml", "/abs"), "/abs");
    EXPECT_EQ(resolve_path("config/leeway.yaml", "state"),
              (std::filesystem::current_path() / "state").string());
}

TEST(Config, MissingFileSaysSo) {
    const ConfigReading reading = read_config_file("/nonexistent/x.yaml");
    ASSERT_EQ(reading.problems.size(), 1u);
    EXPECT_EQ(reading.problems[0].text(),
              "/nonexistent/x.yaml: error: cannot be read: No such file or directory (give another "
              "with --config FILE)");
    EXPECT_FALSE(read_config_file("/").config);
}

TEST(Config, StateFolderIsFoundInAFileWithOtherErrors) {
    const std::string path = testing::TempDir() + "leeway_config_test_state.yaml";
    const auto state_of = [&](const std::string& text) {
        std::ofstream(path) << text;
        return read_state_folder(path);
    };
    EXPECT_EQ(
        *state_of("server: {state: /s, workers: none}\nkeys: [{secret: ${LEEWAY_TEST_NONE}}]\n"),
        "/s");
    EXPECT_EQ(*state_of("nonsense: 1\n"), resolve_path(path, "state"));
    EXPECT_EQ(*state_of(""), resolve_path(path, "state"));
    EXPECT_FALSE(state_of("server: ["));
    EXPECT_FALSE(state_of("server: {state: ${LEEWAY_TEST_NONE}}"));
    EXPECT_FALSE(read_state_folder("/nonexistent/x.yaml"));
    std::filesystem::remove(path);
}

TEST(Config, DatabasesComeFromTheEnvironmentAndAreNeverShown) {
    const std::string text =
        "ledger: {database: '${TEST_DATABASE}'}\nbudget_leases: '${TEST_REDIS}'\n";
    {
        const Variable database("TEST_DATABASE", "postgres://ada:hunter2@db.example/books");
        const Variable redis("TEST_REDIS", "redis://:hunter2@cache.example:6380/3");
        const ConfigReading reading = read_config_text(text, "leeway.yaml");
        ASSERT_TRUE(reading.config) << all_text(reading.problems);
        const auto address = store::redis::parse_address(reading.config->budget_leases);
        ASSERT_TRUE(address);
        EXPECT_EQ(address->name(), "redis://cache.example:6380");
        EXPECT_EQ(address->password.expose(), "hunter2");
        EXPECT_EQ(address->database, "3");
        EXPECT_TRUE(store::redis::parse_address(Secret("redis+unix:///run/redis.sock")));
    }
    const Variable database("TEST_DATABASE", "mysql://ada:hunter2@db");
    const Variable redis("TEST_REDIS", "rediss://:hunter2@cache");
    const ConfigReading reading = read_config_text(text, "leeway.yaml");
    EXPECT_EQ(reading.problems.size(), 2u);
    EXPECT_EQ(all_text(reading.problems).find("hunter2"), std::string::npos)
        << all_text(reading.problems);
    EXPECT_NE(all_text(reading.problems).find("postgres://"), std::string::npos);
}

TEST(Config, ShippedFileStatesTheDefaults) {
    const ConfigReading reading =
        read_config_file(std::string(LEEWAY_SOURCE_DIR) + "/config/leeway.yaml");
    ASSERT_TRUE(reading.config) << all_text(reading.problems);
    const Config& config = *reading.config;
    const Config plain = good("");
    EXPECT_EQ(config.server.listen, plain.server.listen);
    EXPECT_EQ(config.server.admin, plain.server.admin);
    EXPECT_EQ(config.server.workers, plain.server.workers);
    EXPECT_EQ(config.server.limits.header_bytes, plain.server.limits.header_bytes);
    EXPECT_EQ(config.server.limits.header_count, plain.server.limits.header_count);
    EXPECT_EQ(config.server.limits.body_bytes, plain.server.limits.body_bytes);
    EXPECT_EQ(config.server.limits.body_memory, plain.server.limits.body_memory);
    EXPECT_EQ(config.server.limits.connections, plain.server.limits.connections);
    EXPECT_EQ(config.server.limits.header_timeout, plain.server.limits.header_timeout);
    EXPECT_EQ(config.server.limits.body_timeout, plain.server.limits.body_timeout);
    EXPECT_EQ(config.server.limits.idle_timeout, plain.server.limits.idle_timeout);
    EXPECT_EQ(config.server.limits.write_timeout, plain.server.limits.write_timeout);
    EXPECT_EQ(config.server.drain_delay, plain.server.drain_delay);
    EXPECT_EQ(config.server.drain_timeout, plain.server.drain_timeout);
    EXPECT_EQ(config.cache.memory_bytes, plain.cache.memory_bytes);
    EXPECT_EQ(config.cache.disk_bytes, plain.cache.disk_bytes);
    EXPECT_EQ(config.cache.entry_bytes, plain.cache.entry_bytes);
    EXPECT_EQ(config.cache.ttl, plain.cache.ttl);
    EXPECT_EQ(config.responses.store, plain.responses.store);
    EXPECT_EQ(config.responses.retention, plain.responses.retention);
    EXPECT_EQ(config.responses.disk_bytes, plain.responses.disk_bytes);
    EXPECT_EQ(config.responses.entry_bytes, plain.responses.entry_bytes);
    EXPECT_EQ(config.ledger.enabled, plain.ledger.enabled);
    EXPECT_EQ(config.ledger.full_durability, plain.ledger.full_durability);
    EXPECT_EQ(config.log.level, plain.log.level);
    EXPECT_EQ(config.log.format, plain.log.format);
    EXPECT_EQ(config.local.threads, plain.local.threads);
    EXPECT_EQ(config.local.parallel, plain.local.parallel);
    EXPECT_EQ(config.local.context, plain.local.context);
    EXPECT_EQ(config.local.memory_bytes, plain.local.memory_bytes);
    const ProviderConfig blank;
    ASSERT_EQ(config.providers.size(), 2u);
    EXPECT_EQ(config.providers[1].timeouts.connect, blank.timeouts.connect);
    EXPECT_EQ(config.providers[1].timeouts.first_byte, blank.timeouts.first_byte);
    EXPECT_EQ(config.providers[1].timeouts.between_chunks, blank.timeouts.between_chunks);
    EXPECT_EQ(config.providers[1].timeouts.total, blank.timeouts.total);
    EXPECT_EQ(config.providers[1].max_connections, blank.max_connections);
    EXPECT_TRUE(check_exposure(config, false));
}

TEST(Config, ShippedExampleNeedsOnlyItsKeys) {
    const std::string path = std::string(LEEWAY_SOURCE_DIR) + "/config/examples/production.yaml";
    EXPECT_FALSE(read_config_file(path).config) << "its keys come from the environment";
    const Variable web("WEB_KEY", "0123456789abcdef-web");
    const Variable batch("BATCH_KEY", "0123456789abcdef-batch");
    const Variable ca("VLLM_CA", path.c_str());  // any file that is there
    const ConfigReading reading = read_config_file(path);
    ASSERT_TRUE(reading.config) << all_text(reading.problems);
    EXPECT_TRUE(check_exposure(*reading.config, false));
}

/// A folder of vocabularies with one of this name.
class VocabularyFolder {
public:
    explicit VocabularyFolder(const std::string& name)
        : folder_(std::filesystem::temp_directory_path() / "leeway-config-vocabularies"),
          variable_("LEEWAY_VOCABULARIES", folder_.c_str()) {
        std::filesystem::create_directories(folder_);
        std::ofstream(folder_ / (name + ".gguf")) << "x";
    }
    ~VocabularyFolder() { std::filesystem::remove_all(folder_); }
    VocabularyFolder(const VocabularyFolder&) = delete;
    VocabularyFolder& operator=(const VocabularyFolder&) = delete;
    [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }

private:
    std::filesystem::path folder_;
    Variable variable_;
};

TEST(Config, TokenizersAreAListWhoseFirstFitDecides) {
    const VocabularyFolder folder("mine");
    const Config config = good(
        "tokenizers:\n  - {match: my-*-big, vocabulary: mine}\n  - {match: "
        "\"my-*\", vocabulary: " +
        folder.path("mine.gguf") + "}\n");
    ASSERT_EQ(config.tokenizers.size(), 2u);
    const auto of = [&](std::string_view model) {
        return tokens::find_model(model, config.tokenizers);
    };
    EXPECT_EQ(of("my-model-big").vocabulary, "mine");
    EXPECT_EQ(of("my-model").vocabulary, folder.path("mine.gguf"));
    EXPECT_EQ(of("team/my-model").vocabulary, folder.path("mine.gguf"));
    EXPECT_EQ(of("my-model").family, tokens::ModelFamily::kOpenWeights);
    EXPECT_TRUE(of("my-model").exact);
    EXPECT_EQ(of("gpt-4o").vocabulary, "o200k_base");
}

TEST(Config, TokenizersSayWhatIsWrongAndWhere) {
    const VocabularyFolder folder("mine");
    const auto problem = [](const std::string& entry) {
        return only_problem("tokenizers:\n  - " + entry + "\n");
    };
    EXPECT_EQ(problem("{match: a, vocabulary: mine, vocabulery: x}"),
              "2:34: error: unknown key 'vocabulery' (did you mean 'vocabulary'?)");
    EXPECT_EQ(problem("{match: a}"),
              "2:5: error: a tokenizer needs 'match' (names of models, * for any characters) and "
              "'vocabulary' (a name or a file)");
    EXPECT_EQ(problem("{match: \"a?\", vocabulary: mine}"),
              "2:13: error: match: 'a?' has a '?' in it; only * is a wildcard, for any characters");
    EXPECT_EQ(problem("{match: \"a b\", vocabulary: mine}"),
              "2:13: error: match: 'a b' has a blank in it");
    EXPECT_EQ(problem("{match: \"\", vocabulary: mine}"), "2:13: error: 'match' is empty");
    EXPECT_TRUE(problem("{match: a, vocabulary: other}")
                    .starts_with("2:28: error: vocabulary: there is no vocabulary 'other' in "));
    EXPECT_EQ(problem("{match: a, vocabulary: ./other.gguf}"),
              "2:28: error: vocabulary: there is no file /project/other.gguf");
    EXPECT_EQ(problem("{match: \"a*\", vocabulary: mine}\n  - {match: A-big, vocabulary: mine}"),
              "3:13: warning: match: 'A-big' is never used, as 'a*' in line 2 comes first and fits "
              "the same models");
    EXPECT_EQ(only_problem("tokenizers: {a: b}\n"),
              "1:1: error: 'tokenizers' must be a list: lines that begin with '-'");
}

}  // namespace
}  // namespace leeway::app
