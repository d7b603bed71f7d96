#include "app/command_line.hpp"

#include "app/command_help.hpp"
#include "app/commands/cache_options.hpp"
#include "app/commands/estimate_options.hpp"
#include "app/commands/evaluate_cache_arguments.hpp"
#include "app/commands/evaluate_cascade_arguments.hpp"
#include "app/commands/evaluate_router_arguments.hpp"
#include "app/commands/import_options.hpp"
#include "app/commands/outcomes_arguments.hpp"
#include "app/commands/policy_arguments.hpp"
#include "app/commands/replay_arguments.hpp"
#include "app/commands/routes_arguments.hpp"
#include "app/commands/tokens_options.hpp"
#include "app/commands/tune_cascade_arguments.hpp"
#include "app/commands/tune_router_arguments.hpp"
#include "app/config_values.hpp"
#include "base/strings.hpp"
#include "ledger/report.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>

namespace leeway::app {
namespace {

/// The parser writes into `chosen` when it meets a subcommand; the options live as long as it.
struct Parser {
    CLI::App app{
        "Leeway stands between applications and language models and makes the bill smaller.",
        "leeway"};
    Command chosen;

    ServeOptions serve;
    CheckOptions check;
    KeysCreateOptions create;
    KeysListOptions list;
    KeysRevokeOptions revoke;
    KeysRotateOptions rotate;
    ReportCommand report;
    LedgerExportCommand ledger_export;
    ReconcileCommand reconcile;
    ModelsOptions models;
    PricesOptions prices;
    ProvidersOptions providers;
    ModelHostOptions host;
    std::vector<std::string> host_models;
    std::string host_memory;
    bool jsonl = true;
    TokensOptions tokens;
    BudgetsOptions budgets;
    BatchesOptions batches;
    CacheOptions cache;
    EstimateOptions estimate;
    EvaluateCacheOptions evaluate_cache;
    EvaluateCascadeOptions evaluate_cascade;
    TuneCascadeOptions tune_cascade;
    TuneRouterOptions tune_router;
    EvaluateRouterOptions evaluate_router;
    ImportOptions imported;
    OpenapiOptions openapi;
    OutcomesOptions outcomes;
    PolicyOptions policy;
    ReplayOptions replay;
    RoutesCommands routes;
    VersionOptions version;
};

void add_config(CLI::App& command, PlaceOptions& place) {
    command
        .add_option("--config", place.config,
                    "Configuration file [./config/leeway.yaml, else that of the built project]")
        ->type_name("FILE");
}

void add_place(CLI::App& command, PlaceOptions& place) {
    add_config(command, place);
    command.add_option("--state", place.state, "State folder [server.state of the configuration]")
        ->type_name("DIR");
}

void add_json(CLI::App& command, bool& json) {
    command.add_flag("--json", json, "One JSON object instead of text");
}

/// Marks the command as chosen once it is parsed; `options` is copied then.
template <class T>
void choose(CLI::App& command, Parser& parser, const T& options) {
    command.final_callback([&parser, &options] { parser.chosen = options; });
}

/// The last options of a command that reads a state folder and can write JSON.
template <class T>
void finish(CLI::App& command, Parser& parser, T& options) {
    add_place(command, options.place);
    add_json(command, options.json);
    choose(command, parser, options);
}

CLI::App& add_command(CLI::App& parent, const char* name, const char* what, const char* footer) {
    CLI::App& command = *parent.add_subcommand(name, what);
    command.footer(footer);
    return command;
}

void add_serve(Parser& parser) {
    CLI::App& command = add_command(
        parser.app, "serve", "Run the gateway until SIGTERM or Ctrl-C",
        "SIGHUP, or saving the file, reloads the configuration without dropping a request.\n\n"
        "Examples:\n"
        "  leeway serve\n"
        "  leeway serve --listen 127.0.0.1:9000 --state /tmp/leeway\n"
        "  leeway serve --config /etc/leeway/leeway.yaml");
    add_place(command, parser.serve.place);
    command.add_option("--listen", parser.serve.listen, "Address for clients [server.listen]")
        ->type_name("ADDRESS");
    command
        .add_option("--admin", parser.serve.admin, "Address for health and metrics [server.admin]")
        ->type_name("ADDRESS");
    choose(command, parser, parser.serve);
}

void add_check(Parser& parser) {
    CLI::App& command = add_command(
        parser.app, "check", "Test the configuration and print every problem with its line",
        "Exit status: 0 usable (perhaps with warnings), 1 not usable.\n\n"
        "Examples:\n"
        "  leeway check\n"
        "  leeway check --config new.yaml --json");
    finish(command, parser, parser.check);
}

void add_keys_create(CLI::App& keys, Parser& parser) {
    CLI::App& command = add_command(
        keys, "create", "Make a key; its secret goes to standard output, once",
        "Examples:\n"
        "  leeway keys create web\n"
        "  KEY=$(leeway keys create batch --models gpt-4o-mini --requests-per-minute 60)\n"
        "  leeway keys create trial --routes assistant --expires 30d");
    command.add_option("name", parser.create.name, "Name of the key, as the ledger shows it")
        ->required()
        ->type_name("");
    command.add_option("--models", parser.create.models, "Models it may use [all]")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("A,B");
    command.add_option("--routes", parser.create.routes, "Routes it may use [all]")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("A,B");
    command
        .add_option("--requests-per-minute", parser.create.requests_per_minute,
                    "0 for no limit [0]")
        ->check(CLI::Range(0, 100'000'000))
        ->type_name("N");
    command
        .add_option("--expires", parser.create.expires,
                    "Date (2027-01-31) or time from now (90d) [never]")
        ->type_name("WHEN");
    finish(command, parser, parser.create);
}

void add_keys(Parser& parser) {
    CLI::App& keys =
        add_command(parser.app, "keys", "Make, list, revoke and rotate the keys of callers",
                    "A running gateway notices every change at once.\n\n"
                    "Examples:\n"
                    "  leeway keys create web --requests-per-minute 600\n"
                    "  leeway keys list\n"
                    "  leeway keys rotate web --overlap 1h\n"
                    "  leeway keys revoke web");
    keys.require_subcommand(1);
    add_keys_create(keys, parser);

    CLI::App& list = add_command(keys, "list", "Show all keys, never their secrets",
                                 "Example:\n  leeway keys list --json");
    finish(list, parser, parser.list);

    CLI::App& revoke = add_command(keys, "revoke", "End a key, now and for good",
                                   "Example:\n  leeway keys revoke web");
    revoke.add_option("name", parser.revoke.name, "Name of the key")->required()->type_name("");
    finish(revoke, parser, parser.revoke);

    CLI::App& rotate =
        add_command(keys, "rotate", "Give a key a new secret; the old one stays valid for a while",
                    "Examples:\n  leeway keys rotate web\n  leeway keys rotate web --overlap 0");
    rotate.add_option("name", parser.rotate.name, "Name of the key")->required()->type_name("");
    rotate
        .add_option("--overlap", parser.rotate.overlap, "How long the old secret stays valid [24h]")
        ->type_name("TIME");
    finish(rotate, parser, parser.rotate);
}

void add_report(Parser& parser) {
    CLI::App& command = add_command(
        parser.app, "report", "What was spent, what it would have cost, what was saved",
        "Times: 2026-11-24, 2026-11-24T09:30, or a time before now: 24h, 7d (UTC).\n"
        "A filter with an empty value means the requests that have none: --user \"\".\n\n"
        "Examples:\n"
        "  leeway report\n"
        "  leeway report --by model,day --since 7d\n"
        "  leeway report --by user --tag team=search --since 24h\n"
        "  leeway report --by key --since 2026-11-01 --until 2026-12-01 --csv > november.csv\n"
        "  leeway report --savings --route assistant\n"
        "  leeway report --commitments\n"
        "  leeway report --cost-differences --since 30d --tolerance 0.5");
    CLI::Option* by =
        command
            .add_option(
                "--by", parser.report.by,
                "day, hour, key, user, route, model, provider, tag, session or agent; or two "
                "with a comma [day]")
            ->check([](const std::string& words) {
                if (ledger::parse_report_groups(words)) return std::string();
                const std::vector<std::string> known(ledger::kReportByNames.begin(),
                                                     ledger::kReportByNames.end());
                for (std::size_t at = 0; at <= words.size();) {
                    const std::size_t comma = std::min(words.find(',', at), words.size());
                    const std::string word = words.substr(at, comma - at);
                    at = comma + 1;
                    if (std::find(known.begin(), known.end(), word) != known.end()) continue;
                    const auto near = nearest(word, known);
                    return fmt::format("unknown group '{}' ({})", word,
                                       near ? fmt::format("did you mean '{}'?", *near)
                                            : fmt::format("known: {}", fmt::join(known, ", ")));
                }
                return std::string("at most two different groups");
            })
            ->type_name("GROUP");
    for (const char* name :
         {"key", "user", "route", "model", "provider", "tag", "session", "agent"}) {
        command
            .add_option_function<std::string>(
                std::string("--") + name,
                [&parser, name](const std::string& value) {
                    parser.report.filters.emplace_back(name, value);
                },
                std::string("Only requests of this ") + name)
            ->type_name(std::string(name) == "tag" ? "WORD" : "NAME");
    }
    auto* savings =
        command.add_flag("--savings", parser.report.savings, "How the baseline became the bill");
    auto* commitments =
        command.add_flag("--commitments", parser.report.commitments,
                         "What is used and left of what was promised to each provider");
    auto* differences = command.add_flag("--cost-differences", parser.report.cost_differences,
                                         "Where providers told another cost than our prices say");
    savings->excludes(commitments, differences);
    commitments->excludes(differences, by);
    differences->excludes(by);
    command.add_option("--tolerance", parser.report.tolerance, "What is no difference, in % [1]")
        ->needs(differences);
    command.add_option("--worst", parser.report.worst, "Ids per provider and model [5]")
        ->needs(differences);
    command.add_option("--since", parser.report.since, "First moment [the beginning]")
        ->type_name("TIME");
    command.add_option("--until", parser.report.until, "Up to here, exclusive [now]")
        ->type_name("TIME");
    add_json(command, parser.report.json);
    command.add_flag("--csv", parser.report.csv, "Comma-separated lines")->excludes("--json");
    add_place(command, parser.report.place);
    choose(command, parser, parser.report);
}

void add_reconcile(Parser& parser) {
    ReconcileCommand& options = parser.reconcile;
    CLI::App& command = add_command(
        parser.app, "reconcile", "Compare a provider's bill with the ledger, by day and model",
        "FILE is OpenAI's costs or usage answer, Anthropic's usage or cost report (JSON), or a CSV "
        "with\n"
        "the columns date, model and any of input_tokens, cached_input_tokens, output_tokens, "
        "requests,\n"
        "cost_usd.\n"
        "Exit status: 0, or 1 when the difference is above --fail-above or the file cannot be "
        "read.\n\n"
        "Examples:\n"
        "  leeway reconcile usage.json\n"
        "  leeway reconcile invoice.csv --provider openai --fail-above 1");
    command.add_option("file", options.file, "The provider's file")->required()->type_name("FILE");
    command.add_option("--provider", options.provider, "Only calls to this provider [all]")
        ->type_name("NAME");
    command.add_option("--since", options.since, "First day [the file's first]")->type_name("TIME");
    command
        .add_option("--until", options.until, "Up to here, exclusive [after the file's last day]")
        ->type_name("TIME");
    command
        .add_option("--fail-above", options.fail_above,
                    "Fail when the money differs by more than this many percent [never]")
        ->type_name("PERCENT");
    finish(command, parser, options);
}

void add_budgets(Parser& parser) {
    CLI::App& command =
        add_command(parser.app, "budgets", "What is spent, reserved and left of each budget",
                    "Examples:\n  leeway budgets\n  leeway budgets --json");
    finish(command, parser, parser.budgets);
}

void add_batches(Parser& parser) {
    CLI::App& command =
        add_command(parser.app, "batches", "The batches whose cost is not known yet",
                    "Examples:\n  leeway batches\n  leeway batches --all --json");
    command.add_flag("--all", parser.batches.all, "The settled ones, too");
    finish(command, parser, parser.batches);
}

void add_ledger(Parser& parser) {
    CLI::App& ledger =
        add_command(parser.app, "ledger", "The rows behind the report",
                    "Example:\n  leeway ledger export --jsonl --since 24h > rows.jsonl");
    ledger.require_subcommand(1);
    CLI::App& command =
        add_command(ledger, "export", "Write one JSON line per upstream attempt to standard output",
                    "Examples:\n"
                    "  leeway ledger export --jsonl\n"
                    "  leeway ledger export --jsonl --since 2026-11-24");
    // There is one format today; the flag keeps scripts right when there are more.
    command.add_flag("--jsonl", parser.jsonl, "JSON lines (the only format)");
    command.add_option("--since", parser.ledger_export.since, "First moment [the beginning]")
        ->type_name("TIME");
    add_place(command, parser.ledger_export.place);
    choose(command, parser, parser.ledger_export);
}

void add_models(Parser& parser) {
    using Action = ModelsOptions::Action;
    CLI::App& models =
        add_command(parser.app, "models", "List, check, load and try the models [list]",
                    "Examples:\n"
                    "  leeway models\n"
                    "  leeway models check\n"
                    "  leeway models load smollm2\n"
                    "  leeway models try smollm2 \"Why is the sky blue?\"");
    models.require_subcommand(0, 1);
    finish(models, parser, parser.models);
    struct Entry {
        const char* name;
        Action action;
        const char* what;
        const char* footer;
        bool needs_model;
    };
    for (const Entry& entry :
         {Entry{"list", Action::kList, "Show what is configured, and which files are there",
                "Example:\n  leeway models list --json", false},
          Entry{"check", Action::kCheck, "Test files: form, SHA-256, readable by the engine",
                "Examples:\n  leeway models check\n  leeway models check smollm2", false},
          Entry{"load", Action::kLoad, "Load an embedded model once and say what it needs",
                "Example:\n  leeway models load minilm", true},
          Entry{"try", Action::kTry, "Ask a model one thing and show the answer with its speed",
                "Example:\n  leeway models try smollm2 \"Name three Greek islands.\"", true}}) {
        CLI::App& command = add_command(models, entry.name, entry.what, entry.footer);
        if (entry.action != Action::kList) {
            command.add_option("model", parser.models.model, "Name of the model")
                ->required(entry.needs_model)
                ->type_name("");
        }
        if (entry.action == Action::kTry) {
            command.add_option("prompt", parser.models.prompt, "What to ask [a short greeting]")
                ->type_name("");
        }
        add_place(command, parser.models.place);
        add_json(command, parser.models.json);
        command.final_callback([&parser, action = entry.action] {
            parser.models.action = action;
            parser.chosen = parser.models;
        });
    }
}

void add_prices(Parser& parser) {
    using Action = PricesOptions::Action;
    PricesOptions& options = parser.prices;
    CLI::App& prices = add_command(
        parser.app, "prices", "What models cost, since when, and who says so",
        "Without a model: what each model of the configuration costs by all layers together.\n\n"
        "Examples:\n"
        "  leeway prices\n"
        "  leeway prices gpt-5-mini\n"
        "  leeway prices openai/gpt-4o --at 2026-01-31\n"
        "  leeway prices deepseek-chat --at all --json\n"
        "  leeway prices diff old-book.json new-book.json\n"
        "  leeway prices check new-book.json");
    prices.require_subcommand(0, 1);
    prices.add_option("model", options.model, "Model, PROVIDER/MODEL, or a part of its name")
        ->type_name("");
    prices.add_option("--at", options.at, "Only what holds at this date, or `all` [now]")
        ->type_name("DATE");
    add_config(prices, options.place);
    add_json(prices, options.json);
    prices.final_callback([&parser] {
        if (std::holds_alternative<std::monostate>(parser.chosen)) parser.chosen = parser.prices;
    });

    CLI::App& diff =
        add_command(prices, "diff", "What changed between two price books",
                    "Exit status: 0 the same, 1 they differ or one is bad.\n\n"
                    "Example:\n  leeway prices diff old-book.json new-book.json --json");
    diff.add_option("old", options.file, "The older book")->required()->type_name("OLD");
    diff.add_option("new", options.other, "The newer book")->required()->type_name("NEW");
    add_json(diff, options.json);
    diff.final_callback([&parser] {
        parser.prices.action = Action::kDiff;
        parser.chosen = parser.prices;
    });

    CLI::App& check = add_command(
        prices, "check", "Whether a price book can be right, by itself and as the next one",
        "Exit status: 0 it would be taken, 1 it would be refused.\n\n"
        "Examples:\n  leeway prices check\n  leeway prices check new-book.json");
    check.add_option("file", options.file, "A price book [the one in use]")->type_name("FILE");
    add_config(check, options.place);
    add_json(check, options.json);
    check.final_callback([&parser] {
        parser.prices.action = Action::kCheck;
        parser.chosen = parser.prices;
    });
}

void add_providers(Parser& parser) {
    CLI::App& command =
        add_command(parser.app, "providers", "Show the providers that a preset is there for",
                    "Examples:\n  leeway providers\n  leeway providers --json");
    add_json(command, parser.providers.json);
    choose(command, parser, parser.providers);
}

void add_model_host(Parser& parser) {
    CLI::App& command = add_command(
        parser.app, "model-host",
        "Serve GGUF models over OpenAI's protocol (serve starts it itself)",
        "The same command serves another machine: give its address as base_url of a provider.\n\n"
        "Examples:\n"
        "  leeway model-host --listen unix:/run/leeway/models.sock --folder /srv/models \\\n"
        "      --model smollm2=smollm2-135m-instruct-q4_1.gguf\n"
        "  leeway model-host --listen 10.0.0.5:8490 --folder /srv/models --model m=m.gguf "
        "--threads 8");
    ModelHostOptions& host = parser.host;
    command.add_option("--listen", host.listen, "unix:/path or HOST:PORT")
        ->required()
        ->check([](const std::string& text) {
            const auto address = parse_listen_address(text);
            return address ? std::string() : address.error().text();
        })
        ->type_name("ADDRESS");
    command.add_option("--folder", host.folder, "Folder of the GGUF files; nothing else is opened")
        ->required()
        ->type_name("DIR");
    command
        .add_option("--model", parser.host_models,
                    "A model and its file in the folder, perhaps with the SHA-256; may be repeated")
        ->required()
        ->check([](const std::string& text) {
            const std::size_t equals = text.find('=');
            const bool ok = equals != std::string::npos && equals > 0 && equals + 1 < text.size();
            return ok ? std::string() : fmt::format("'{}': write NAME=FILE", text);
        })
        ->allow_extra_args(false)
        ->type_name("NAME=FILE[@SHA256]");
    command.add_option("--threads", host.threads, "Per loaded model [1]")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    command.add_option("--parallel", host.parallel, "Requests decoded together, per model [4]")
        ->check(CLI::Range(1, 256))
        ->type_name("N");
    command.add_option("--context", host.context, "Tokens shared by those requests [4096]")
        ->check(CLI::Range(128, 1'048'576))
        ->type_name("N");
    command.add_option("--memory", parser.host_memory, "Most memory the process may use [no cap]")
        ->check([](const std::string& text) {
            const auto bytes = parse_bytes(text);
            return bytes ? std::string() : bytes.error().text();
        })
        ->type_name("SIZE");
    command.final_callback([&parser] {
        for (const std::string& text : parser.host_models) {
            const std::size_t equals = text.find('=');
            parser.host.models.emplace_back(text.substr(0, equals), text.substr(equals + 1));
        }
        if (!parser.host_memory.empty()) {
            parser.host.memory_bytes = parse_bytes(parser.host_memory).value_or(0);
        }
        parser.chosen = parser.host;
    });
}

void add_openapi(Parser& parser) {
    CLI::App& command =
        add_command(parser.app, "openapi", "Print what the gateway serves as an OpenAPI document",
                    "Example:\n  leeway openapi > openapi.json");
    choose(command, parser, parser.openapi);
}

void add_version(Parser& parser) {
    CLI::App& command = add_command(parser.app, "version", "Show version and build",
                                    "Example:\n  leeway version --json");
    add_json(command, parser.version.json);
    choose(command, parser, parser.version);
}

}  // namespace

CommandLine parse_command_line(std::vector<std::string> arguments) {
    const auto parser = std::make_unique<Parser>();
    CLI::App& app = parser->app;
    app.require_subcommand(1);
    app.set_help_flag("-h,--help", "Show this help");
    app.get_formatter()->column_width(34);
    app.footer(
        "Examples:\n"
        "  leeway serve                       the gateway, with config/leeway.yaml\n"
        "  leeway check                       is the configuration right?\n"
        "  leeway keys create web             a key for an application\n"
        "  leeway report --by model           what was spent and saved\n\n"
        "Every command has --help with examples.");
    add_serve(*parser);
    add_check(*parser);
    add_keys(*parser);
    add_report(*parser);
    add_budgets(*parser);
    add_batches(*parser);
    add_cache(parser->app, parser->cache, parser->chosen);
    add_ledger(*parser);
    add_reconcile(*parser);
    add_models(*parser);
    add_prices(*parser);
    add_providers(*parser);
    add_model_host(*parser);
    add_tokens(app, parser->tokens, parser->chosen);
    add_estimate(parser->app, parser->estimate, parser->chosen);
    add_evaluate_cache(app, parser->evaluate_cache, parser->chosen);
    add_evaluate_cascade(app, parser->evaluate_cascade, parser->chosen);
    add_tune_cascade(app, parser->tune_cascade, parser->chosen);
    add_tune_router(app, parser->tune_router, parser->chosen);
    add_evaluate_router(app, parser->evaluate_router, parser->chosen);
    add_import(app, parser->imported, parser->chosen);
    add_openapi(*parser);
    add_outcomes(app, parser->outcomes, parser->chosen);
    add_policy(app, parser->policy, parser->chosen);
    add_replay(app, parser->replay, parser->chosen);
    add_routes_commands(app, parser->routes, parser->chosen);
    add_version(*parser);
    CommandLine out;
    constexpr int kUsage = 2;
    if (arguments.empty()) {
        out.exit_code = kUsage;
        out.err = app.help();
        return out;
    }
    if (arguments.size() == 1 && arguments.front() == "--version") arguments.front() = "version";
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    try {
        app.parse(std::move(arguments));
        out.command = std::move(parser->chosen);
    } catch (const CLI::CallForHelp&) {
        out.out = help_of_deepest(app);
    } catch (const CLI::ParseError& error) {
        out.exit_code = kUsage;
        out.err = explain_mistake(app, error);
    }
    return out;
}

}  // namespace leeway::app
