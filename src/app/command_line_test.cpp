#include "app/command_line.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leeway::app {
namespace {

template <class T>
T parsed(const std::vector<std::string>& arguments) {
    const CommandLine line = parse_command_line(arguments);
    EXPECT_EQ(line.err, "");
    EXPECT_EQ(line.exit_code, 0);
    const T* command = std::get_if<T>(&line.command);
    EXPECT_NE(command, nullptr);
    return command == nullptr ? T() : *command;
}

/// The first line of what a wrong command line is answered with.
std::string complaint(const std::vector<std::string>& arguments) {
    const CommandLine line = parse_command_line(arguments);
    EXPECT_EQ(line.exit_code, 2);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(line.command));
    EXPECT_EQ(line.out, "");
    return line.err.substr(0, line.err.find('\n'));
}

TEST(CommandLine, ReadsTokens) {
    const auto plain = parsed<TokensOptions>({"tokens"});
    EXPECT_TRUE(plain.models.empty());
    EXPECT_EQ(plain.file, "");
    const auto full = parsed<TokensOptions>({"tokens", "--model", "gpt-4o,claude-sonnet-4-5",
                                             "--model", "gpt-5", "--json", "--ids", "a.txt"});
    EXPECT_EQ(full.models, (std::vector<std::string>{"gpt-4o", "claude-sonnet-4-5", "gpt-5"}));
    EXPECT_TRUE(full.json && full.ids && !full.jsonl);
    EXPECT_EQ(full.file, "a.txt");
    const auto lines = parsed<TokensOptions>({"tokens", "--vocabulary", "o200k_base", "--jsonl"});
    EXPECT_EQ(lines.vocabulary, "o200k_base");
    EXPECT_TRUE(lines.jsonl);
    EXPECT_NE(complaint({"tokens", "--model", "x", "--vocabulary", "y"}), "");
    EXPECT_NE(complaint({"tokens", "--json", "--jsonl"}), "");
}

TEST(CommandLine, ReadsEstimate) {
    using Action = EstimateOptions::Action;
    const auto full = parsed<EstimateOptions>(
        {"estimate", "r.json", "--models", "a,b", "--what-if", "cache=on,tier=batch", "--budget",
         "5", "--requests-per-month", "100", "--max-tokens", "9", "--json"});
    EXPECT_EQ(full.action, Action::kEstimate);
    EXPECT_EQ(full.models, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(full.what_if, (std::vector<std::string>{"cache=on", "tier=batch"}));
    EXPECT_EQ(full.requests_per_month, 100U);
    const auto diff =
        parsed<EstimateOptions>({"estimate", "diff", "a.json", "b.json", "--threshold", "2.5"});
    EXPECT_EQ(diff.action, Action::kDiff);
    EXPECT_EQ(diff.file + " " + diff.other + " " + diff.threshold, "a.json b.json 2.5");
    const auto test = parsed<EstimateOptions>({"estimate", "backtest", "--recorded"});
    EXPECT_EQ(test.action, Action::kBacktest);
    EXPECT_TRUE(test.recorded);
    EXPECT_NE(complaint({"estimate", "diff", "a.json"}), "");
    EXPECT_NE(complaint({"estimate", "--rows", "a.csv"}), "");
    EXPECT_NE(complaint({"estimate", "r.json", "--json", "--markdown"}), "");
    EXPECT_NE(complaint({"estimate", "r.json", "--dialect", "tea"}), "");
}

TEST(CommandLine, ReadsServe) {
    const auto plain = parsed<ServeOptions>({"serve"});
    EXPECT_EQ(plain.place.config, "");
    const auto full = parsed<ServeOptions>({"serve", "--config", "c.yaml", "--listen=unix:/s",
                                            "--admin", "127.0.0.1:1", "--state", "/tmp/s"});
    EXPECT_EQ(full.place.config, "c.yaml");
    EXPECT_EQ(full.listen, "unix:/s");
    EXPECT_EQ(full.admin, "127.0.0.1:1");
    EXPECT_EQ(full.place.state, "/tmp/s");
}

TEST(CommandLine, ReadsKeys) {
    const auto create =
        parsed<KeysCreateOptions>({"keys", "create", "web", "--models", "a,b", "--routes", "r",
                                   "--requests-per-minute", "60", "--expires", "90d", "--json"});
    EXPECT_EQ(create.name, "web");
    EXPECT_EQ(create.models, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(create.routes, std::vector<std::string>{"r"});
    EXPECT_EQ(create.requests_per_minute, 60u);
    EXPECT_EQ(create.expires, "90d");
    EXPECT_TRUE(create.json);
    const auto last = parsed<KeysCreateOptions>({"keys", "create", "--models", "a,b", "web"});
    EXPECT_EQ(last.name, "web") << "a list takes one word";
    EXPECT_EQ(last.models.size(), 2u);
    EXPECT_TRUE(parsed<KeysListOptions>({"keys", "list", "--json"}).json);
    EXPECT_EQ(parsed<KeysRevokeOptions>({"keys", "revoke", "web"}).name, "web");
    EXPECT_EQ(parsed<KeysRotateOptions>({"keys", "rotate", "web"}).overlap, "24h");
    EXPECT_EQ(parsed<KeysRotateOptions>({"keys", "rotate", "web", "--overlap", "0"}).overlap, "0");
}

TEST(CommandLine, ReadsPolicy) {
    using Action = PolicyOptions::Action;
    const auto made = parsed<PolicyOptions>({"policy", "keygen", "--output", "k"});
    EXPECT_EQ(made.action, Action::kKeygen);
    EXPECT_EQ(made.output, "k");
    const std::string key = std::string(43, 'A') + "=";
    const auto shown =
        parsed<PolicyOptions>({"policy", "show", "p.json", "--trusted-key", key, "--json"});
    EXPECT_EQ(shown.action, Action::kShow);
    EXPECT_EQ(shown.file, "p.json");
    EXPECT_EQ(shown.trusted, std::vector<std::string>{key});
    EXPECT_TRUE(shown.json);
    EXPECT_NE(complaint({"policy"}), "");
    EXPECT_NE(complaint({"policy", "keygen"}), "");
    EXPECT_NE(complaint({"policy", "show"}), "");
    EXPECT_NE(complaint({"policy", "show", "p.json", "--trusted-key", "me"}), "");
    const auto tuned = parsed<TuneCascadeOptions>(
        {"tune", "cascade", "--outcomes", "o.csv", "--models", "a,b", "--sign", "k"});
    EXPECT_EQ(tuned.sign, "k");
    EXPECT_EQ(parsed<TuneRouterOptions>(
                  {"tune", "router", "--outcomes", "o.csv", "--budget", "1", "--sign", "k"})
                  .sign,
              "k");
}

TEST(CommandLine, ReadsReplayOfARouter) {
    const auto file = parsed<ReplayOptions>({"replay", "--file", "o.csv", "--policy", "p",
                                             "--models", "a,b,c", "--lambda", "3", "--reference",
                                             "b", "--model", "m.gguf", "--no-embedding-cache"});
    EXPECT_EQ(file.models.size(), 3U);
    EXPECT_EQ(file.lambda, 3.0);
    EXPECT_EQ(file.reference, "b");
    EXPECT_EQ(file.embedding.model, "m.gguf");
    EXPECT_NE(
        complaint({"replay", "--file", "o.csv", "--policy", "p", "--lambda", "3", "--budget", "1"}),
        "");
    EXPECT_NE(complaint({"replay", "--file", "o.csv", "--policy", "p", "--budget", "0"}), "");
    EXPECT_NE(complaint({"replay", "--ledger", "--policy", "p", "--model", "m"}), "");
}

TEST(CommandLine, ReadsReportAndExport) {
    const auto report =
        parsed<ReportCommand>({"report", "--by", "model", "--since", "7d", "--csv"});
    EXPECT_EQ(report.by, "model");
    EXPECT_EQ(report.since, "7d");
    EXPECT_TRUE(report.csv);
    EXPECT_EQ(parsed<LedgerExportCommand>({"ledger", "export", "--jsonl", "--since", "1h"}).since,
              "1h");
}

TEST(CommandLine, ReadsModels) {
    using Action = ModelsOptions::Action;
    EXPECT_EQ(parsed<ModelsOptions>({"models"}).action, Action::kList);
    EXPECT_TRUE(parsed<ModelsOptions>({"models", "--json"}).json);
    EXPECT_EQ(parsed<ModelsOptions>({"models", "check"}).action, Action::kCheck);
    const auto tried = parsed<ModelsOptions>({"models", "try", "smollm2", "Hello there"});
    EXPECT_EQ(tried.action, Action::kTry);
    EXPECT_EQ(tried.model, "smollm2");
    EXPECT_EQ(tried.prompt, "Hello there");
}

TEST(CommandLine, ReadsEvaluateCache) {
    const auto plain = parsed<EvaluateCacheOptions>({"evaluate", "cache", "--pairs", "p.jsonl"});
    EXPECT_EQ(plain.pairs, "p.jsonl");
    EXPECT_EQ(plain.max_errors, std::vector<double>{0.01});
    EXPECT_EQ(plain.seeds, 40U);
    EXPECT_EQ(plain.length, 0U);
    EXPECT_FALSE(plain.rivals || plain.json);
    const auto full = parsed<EvaluateCacheOptions>(
        {"evaluate", "cache",       "--stream",  "s.jsonl",  "--train", "a.jsonl", "--train",
         "b.jsonl",  "--max-error", "0.01,0.05", "--audit",  "0.1",     "--seeds", "3",
         "--length", "500",         "--rivals",  "--config", "c.yaml",  "--json"});
    EXPECT_EQ(full.stream, "s.jsonl");
    EXPECT_EQ(full.train, (std::vector<std::string>{"a.jsonl", "b.jsonl"}));
    EXPECT_EQ(full.max_errors, (std::vector<double>{0.01, 0.05}));
    EXPECT_EQ(full.audit, 0.1);
    EXPECT_EQ(full.seeds, 3U);
    EXPECT_EQ(full.length, 500U);
    EXPECT_TRUE(full.rivals && full.json);
    EXPECT_EQ(full.place.config, "c.yaml");
    EXPECT_EQ(
        parsed<EvaluateCacheOptions>({"evaluate", "cache", "--train", "a.jsonl"}).train.size(), 1U)
        << "fits only";
    for (const std::vector<std::string>& wrong :
         {std::vector<std::string>{"--pairs", "a", "--stream", "b"},
          {"--pairs", "a", "--max-error", "0"},
          {"--pairs", "a", "--max-error", "0.6"},
          {"--pairs", "a", "--max-error", "much"},
          {"--pairs", "a", "--seeds", "0"},
          {"--pairs", "a", "--length", "0"},
          {"--pairs", "a", "--audit", "2"},
          {"--pairs", "a", "b"},
          {"--pair", "a"}}) {
        std::vector<std::string> words{"evaluate", "cache"};
        words.insert(words.end(), wrong.begin(), wrong.end());
        EXPECT_NE(complaint(words), "") << wrong.back();
    }
}

TEST(CommandLine, ReadsRoute) {
    const auto route =
        parsed<RouteOptions>({"route", "to Athens", "--routes", "r.yaml", "--before", "hi",
                              "--nearest", "0", "--today", "2026-05-12", "--json"});
    EXPECT_EQ(route.text, "to Athens");
    EXPECT_EQ(route.before, "hi");
    EXPECT_EQ(route.today, "2026-05-12");
    EXPECT_EQ(route.nearest, 0U);
    EXPECT_TRUE(route.json);
    EXPECT_NE(complaint({"route"}), "");
}

TEST(CommandLine, ReadsModelHost) {
    const auto host =
        parsed<ModelHostOptions>({"model-host", "--listen", "unix:/m.sock", "--folder", "/f",
                                  "--model", "a=a.gguf", "--model", "b=b.gguf@00ff", "--threads",
                                  "2", "--parallel", "8", "--context", "2048", "--memory", "1GiB"});
    ASSERT_EQ(host.models.size(), 2u);
    EXPECT_EQ(host.models[0].first, "a");
    EXPECT_EQ(host.models[1].second, "b.gguf@00ff");
    EXPECT_EQ(host.threads, 2u);
    EXPECT_EQ(host.memory_bytes, 1u << 30);
    EXPECT_NE(complaint({"model-host", "--listen", "x", "--folder", "/f", "--model", "a=b"})
                  .find("is not an address"),
              std::string::npos);
    EXPECT_NE(complaint({"model-host", "--listen", "unix:/s", "--folder", "/f", "--model", "a"})
                  .find("write NAME=FILE"),
              std::string::npos);
}

TEST(CommandLine, SuggestsTheNearestCommandAndOption) {
    EXPECT_EQ(complaint({"serv"}), "leeway: unknown command 'serv' (did you mean 'serve'?)");
    EXPECT_EQ(complaint({"serv", "--config", "x"}),
              "leeway: unknown command 'serv' (did you mean 'serve'?)");
    EXPECT_EQ(complaint({"keys", "creat", "web"}),
              "leeway keys: unknown command 'creat' (did you mean 'create'?)");
    EXPECT_EQ(complaint({"serve", "--confg", "x"}),
              "leeway serve: unknown option '--confg' (did you mean '--config'?)");
    EXPECT_EQ(complaint({"serve", "--lisen=x"}),
              "leeway serve: unknown option '--lisen' (did you mean '--listen'?)");
    EXPECT_EQ(complaint({"report", "--by", "modle"}).find("leeway report: --by: "), 0u);
    EXPECT_NE(complaint({"report", "--by", "modle"}).find("did you mean 'model'?"),
              std::string::npos);
    EXPECT_EQ(complaint({"version", "extra"}), "leeway version: unexpected argument 'extra'");
    EXPECT_EQ(complaint({"frobnicate"}), "leeway: unknown command 'frobnicate'");
}

TEST(CommandLine, MissingPartsAreNamed) {
    EXPECT_NE(complaint({"keys", "create"}).find("name is required"), std::string::npos);
    EXPECT_NE(complaint({"keys"}).find("subcommand is required"), std::string::npos);
    EXPECT_NE(complaint({"serve", "--config"}).find("--config"), std::string::npos);
    EXPECT_NE(complaint({"report", "--json", "--csv"}).find("excludes"), std::string::npos);
    EXPECT_NE(complaint({"keys", "create", "a", "--requests-per-minute", "x"})
                  .find("--requests-per-minute"),
              std::string::npos);
    EXPECT_EQ(parse_command_line({}).exit_code, 2);
}

TEST(CommandLine, EveryCommandHasHelpWithAnExample) {
    for (const std::vector<std::string>& command :
         std::vector<std::vector<std::string>>{{},
                                               {"serve"},
                                               {"check"},
                                               {"keys"},
                                               {"keys", "create"},
                                               {"keys", "list"},
                                               {"keys", "revoke"},
                                               {"keys", "rotate"},
                                               {"report"},
                                               {"ledger"},
                                               {"ledger", "export"},
                                               {"models"},
                                               {"models", "list"},
                                               {"models", "check"},
                                               {"models", "load"},
                                               {"models", "try"},
                                               {"model-host"},
                                               {"budgets"},
                                               {"batches"},
                                               {"version"}}) {
        std::vector<std::string> arguments = command;
        arguments.emplace_back("--help");
        const CommandLine line = parse_command_line(arguments);
        const std::string name = command.empty() ? "leeway" : command.back();
        EXPECT_EQ(line.exit_code, 0) << name;
        EXPECT_NE(line.out.find("Example"), std::string::npos) << name << "\n" << line.out;
        std::string usage = "Usage: leeway";
        for (const std::string& word : command) usage += " " + word;
        EXPECT_NE(line.out.find(usage + " "), std::string::npos) << line.out;
    }
}

}  // namespace
}  // namespace leeway::app
