#pragma once

#include "app/config.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {

// The commands of the program as plain functions over plain options: command_line.cpp fills the
// options, main.cpp calls the function. Each returns the exit status: 0 done, 1 failed; 2 is what
// the command line itself answers when it cannot be understood.

/// Which gateway a command is about.
struct PlaceOptions {
    std::string config;  ///< configuration file; empty: default_config_path
    std::string state;   ///< state folder; empty: that of the configuration
};

struct ServeOptions {
    PlaceOptions place;
    std::string listen;  ///< empty: as configured
    std::string admin;   ///< empty: as configured
};
/// Runs the gateway until SIGTERM or SIGINT.
int run_serve(const ServeOptions& options);
/// The configuration with the options of the command line put over it; used at start and at every
/// reload. The error's message has a line for each problem of the file.
[[nodiscard]] Result<Config> load_config_for(const ServeOptions& options);

struct CheckOptions {
    PlaceOptions place;
    bool json = false;
};
/// Prints every problem of the configuration, compiler style.
int run_check(const CheckOptions& options);

struct KeysCreateOptions {
    PlaceOptions place;
    std::string name;
    std::vector<std::string> models;
    std::vector<std::string> routes;
    std::uint32_t requests_per_minute = 0;
    std::string expires;  ///< a date, or a duration from now; empty: never
    bool json = false;
};
/// Makes a key and prints its secret, alone, to standard output: it is not shown again.
int run_keys_create(const KeysCreateOptions& options);

struct KeysListOptions {
    PlaceOptions place;
    bool json = false;
};
int run_keys_list(const KeysListOptions& options);

struct KeysRevokeOptions {
    PlaceOptions place;
    std::string name;
    bool json = false;
};
/// A running gateway notices within its polling time (200 ms).
int run_keys_revoke(const KeysRevokeOptions& options);

struct KeysRotateOptions {
    PlaceOptions place;
    std::string name;
    std::string overlap = "24h";  ///< how long the old secret stays valid
    bool json = false;
};
int run_keys_rotate(const KeysRotateOptions& options);

struct ImportOptions {
    enum class Gateway : std::uint8_t { kLitellm, kPortkey };
    Gateway gateway = Gateway::kLitellm;
    std::string file;    ///< "-": standard input
    std::string output;  ///< a file that is not there yet; empty: standard output
    bool strict = false;  ///< 1 when something was not carried over
    bool json = false;
};
/// Makes a configuration from that of another gateway and says what it could not carry over. 2: the
/// file cannot be read.
int run_import(const ImportOptions& options);

struct ReportCommand {
    PlaceOptions place;
    std::string by = "day";  ///< one or two of ledger::kReportByNames, with a comma between
    std::string since;
    std::string until;
    /// What is asked for (key, route, …) and which value; empty values: the requests that have none.
    std::vector<std::pair<std::string, std::string>> filters;
    // Instead of groups, one of these:
    bool savings = false;  ///< where savings come from
    bool commitments = false;  ///< how what was promised to providers stands
    bool cost_differences = false;  ///< what providers told against what our prices say
    std::string tolerance = "1";  ///< of a difference, in percent
    std::uint32_t worst = 5;  ///< so many request ids of each provider and model
    bool json = false;
    bool csv = false;
};
int run_report_command(const ReportCommand& options);

struct ReconcileCommand {
    PlaceOptions place;
    std::string file;  ///< a provider's export
    std::string provider;  ///< only the ledger's attempts at this one; empty: all
    std::string since;  ///< empty: the days that the file has
    std::string until;
    std::string fail_above;  ///< percent; empty: differences do not fail
    bool json = false;
};
/// 0: no difference above the threshold; 1: one, or the file cannot be read.
int run_reconcile(const ReconcileCommand& options);

struct BudgetsOptions {
    PlaceOptions place;
    bool json = false;
};
/// How each budget stands, from the ledger: whether a gateway runs or not.
int run_budgets(const BudgetsOptions& options);

struct BatchesOptions {
    PlaceOptions place;
    bool json = false;
    bool all = false;  ///< the settled ones, too
};
/// The batches that a gateway knows, whether it runs or not.
int run_batches(const BatchesOptions& options);

struct CacheOptions {
    enum class Action : std::uint8_t { kStats, kExplain, kClear };
    PlaceOptions place;
    Action action = Action::kStats;
    std::string id;  ///< of explain
    std::string tenant;  ///< of clear, like the next two; empty: every
    std::string route;
    bool all = false;
    bool json = false;
};
/// What the semantic cache knows, whether a gateway runs or not.
int run_cache(const CacheOptions& options);

struct LedgerExportCommand {
    PlaceOptions place;
    std::string since;
};
int run_ledger_export(const LedgerExportCommand& options);

struct PricesOptions {
    enum class Action : std::uint8_t { kShow, kDiff, kCheck };
    PlaceOptions place;
    Action action = Action::kShow;
    std::string model;  ///< of show; empty: the models of the configuration
    std::string at;  ///< of show: only what holds at this date; empty: now; "all": every date
    std::string file;  ///< of diff the older book, of check the book; empty: the one in use
    std::string other;  ///< of diff the newer book
    bool json = false;
};
int run_prices(const PricesOptions& options);

struct ModelsOptions {
    enum class Action : std::uint8_t { kList, kCheck, kLoad, kTry };
    PlaceOptions place;
    Action action = Action::kList;
    std::string model;  ///< empty for list; for check: all
    std::string prompt;  ///< of try
    bool json = false;
};
int run_models(const ModelsOptions& options);

struct ProvidersOptions {
    bool json = false;
};
/// Shows the presets that `providers:` may name.
int run_providers(const ProvidersOptions& options);

struct ModelHostOptions {
    std::string listen;  ///< unix:/path or HOST:PORT
    std::string folder;
    /// Name and file; the file may be followed by "@" and its SHA-256.
    std::vector<std::pair<std::string, std::string>> models;
    std::uint32_t threads = 1;
    std::uint32_t parallel = 4;
    std::uint32_t context = 4096;
    std::uint64_t memory_bytes = 0;  ///< 0: no cap
};
int run_model_host(const ModelHostOptions& options);

struct TokensOptions {
    PlaceOptions place;  ///< empty: the built-in map and nothing learned
    std::vector<std::string> models;  ///< the first is shown, all are compared
    std::string vocabulary;  ///< a name or a file; then no model is asked for
    std::string file;  ///< empty or "-": standard input
    bool request = false;  ///< the text is a chat request in OpenAI's form
    bool json = false;
    bool jsonl = false;  ///< a JSON string on each line, each answered with a line
    bool ids = false;
};
/// Counts the tokens of a text and shows them.
int run_tokens(const TokensOptions& options);

struct EstimateOptions {
    enum class Action : std::uint8_t { kEstimate, kBacktest, kDiff };
    PlaceOptions place;
    Action action = Action::kEstimate;
    std::string file;  ///< a request; of backtest the recorded calls; of diff the base
    std::string other;  ///< of diff the head
    std::string dialect;  ///< of a request; empty: told by its shape
    std::string prompt_template;
    std::string rows;  ///< of the template: .csv or .jsonl
    std::string workload;
    bool recorded = false;
    std::string ledger;  ///< lines of an export, instead of the state folder
    std::string since;
    std::string until;
    std::string route;
    std::vector<std::string> models;
    std::vector<std::string> what_if;  ///< NAME=VALUE
    std::string prior;
    std::string budget;  ///< USD a month
    std::string threshold = "5";  ///< of diff, percent
    std::uint64_t requests_per_month = 0;  ///< 0: as the input says
    std::uint64_t max_tokens = 0;  ///< 0: as the input says
    bool json = false;
    bool markdown = false;
};
/// What requests will cost before they are sent. Of a diff: 0 within the threshold, 1 beyond it, 2 when the
/// input is bad.
int run_estimate(const EstimateOptions& options);

struct OpenapiOptions {};
/// Prints openapi_document.
int run_openapi(const OpenapiOptions& options);

struct VersionOptions {
    bool json = false;
};
int run_version(const VersionOptions& options);

/// The configuration file that `place` means.
[[nodiscard]] Result<std::string> config_path_of(const PlaceOptions& place);
/// The state folder that `place` means, absolute. Of the configuration only server.state must be
/// readable: revoking a key must work where the gateway's variables are not set.
[[nodiscard]] Result<std::string> state_folder_of(const PlaceOptions& place);
/// The ledger that `place` means. With `--state` alone and no configuration file to be found it is SQLite.
[[nodiscard]] Result<LedgerPlace> ledger_place_of(const PlaceOptions& place);

}  // namespace leeway::app
