#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "guard/budget/spec.hpp"
#include "guard/limits/limit_book.hpp"
#include "pipeline/abilities.hpp"
#include "pipeline/model.hpp"
#include "prices/commitment.hpp"
#include "prices/rates.hpp"
#include "providers/balance.hpp"
#include "providers/breaker.hpp"
#include "providers/retry.hpp"
#include "tokens/model_map.hpp"
#include "wire/canonical/quirks.hpp"
#include "wire/usage/flavour.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace leeway::app {

/// The configuration file as typed values, validated, with defaults filled in. Every option is
/// described in config/leeway.yaml. Immutable after loading.

/// One thing that is wrong, or odd, at one place of the file.
struct ConfigProblem {
    bool is_error = true;  ///< false: a warning; the file can be used
    std::string file;
    std::uint32_t line = 0;    ///< from 1; 0: no place
    std::uint32_t column = 0;  ///< from 1, in bytes
    std::string message;       ///< what, and what to do about it; never holds a secret

    /// Compiler style: "config/leeway.yaml:12:5: error: unknown key 'base_ulr' (…)".
    [[nodiscard]] std::string text() const;
};

struct LimitsConfig {
    std::uint64_t header_bytes = 32 * 1024;
    std::uint32_t header_count = 100;
    std::uint64_t body_bytes = 32ULL * 1024 * 1024;
    std::uint64_t body_memory =
        0;  ///< of all large bodies together; 0 = auto: a sixth of what there is
    std::uint32_t connections = 10'000;              ///< per process
    std::chrono::milliseconds header_timeout{10'000};  ///< whole header, from its first byte
    std::chrono::milliseconds body_timeout{60'000};    ///< whole body
    std::chrono::milliseconds idle_timeout{75'000};    ///< keep-alive between requests
    std::chrono::milliseconds write_timeout{30'000};   ///< a client that does not read

    friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

struct ServerConfig {
    std::string listen = "127.0.0.1:8484";
    std::string admin = "127.0.0.1:8485";
    std::uint32_t workers = 0;  ///< 0 = auto: one per core
    std::string state = "./state";  ///< load_config makes it absolute, see resolve_path
    LimitsConfig limits;
    std::chrono::milliseconds drain_delay{0};
    std::chrono::milliseconds drain_timeout{30'000};
};

struct TimeoutsConfig {
    std::chrono::milliseconds connect{5'000};
    std::chrono::milliseconds first_byte{120'000};
    std::chrono::milliseconds between_chunks{60'000};
    std::chrono::milliseconds total{600'000};
};

/// What a provider speaks; embedded models speak OpenAI's chat dialect with our own child process. Azure is OpenAI's
/// chat, and Vertex is Gemini, with other addresses and credentials.
enum class ProviderDialect : std::uint8_t {
    kOpenAi,
    kEmbedded,
    kAnthropic,
    kGemini,
    kResponses,
    kAzure,
    kBedrock,
    kVertex,
    kCohere,
};

/// A negotiated percentage off a provider's rates.
struct DiscountConfig {
    std::uint32_t discount_bp = 0;  ///< in 0.01 %
    std::optional<std::int64_t> from_unix_s;
    std::optional<std::int64_t> to_unix_s;  ///< exclusive
};

/// Bedrock, where it is not spoken to with an API key.
struct AwsConfig {
    std::string region;
    Secret access_key;
    Secret secret_key;
    Secret session_token;  ///< empty: none
};

struct VertexConfig {
    std::string project;
    std::string location;
    std::string service_account;  ///< its key file; absolute
};

struct ProviderConfig {
    std::string name;
    ProviderDialect dialect = ProviderDialect::kOpenAi;
    std::string base_url;  ///< as the provider's own SDK takes it (with /v1); http, https or unix:
    Secret api_key;  ///< empty: no Authorization header is sent
    std::string ca_file;  ///< extra CA certificates (PEM) for this provider; empty: system roots
    std::string preset;  ///< whose facts were taken where the file has none; empty: none
    wire::ChatQuirks quirks;  ///< of OpenAI's chat dialect
    std::optional<wire::usage::Flavour>
        usage;  ///< how it tells usage; none: found by dialect and host
    std::string api_version = "v1";  ///< Azure; "v1": its addresses without deployments
    AwsConfig aws;
    VertexConfig vertex;
    TimeoutsConfig timeouts;
    std::uint32_t max_connections = 512;  ///< per worker
    providers::RetryPolicy retries;
    providers::BreakerSpec breaker;  ///< of each of its models
    std::string
        price_name;  ///< what the price book calls it; empty: found by base_url, then by name
    std::string region;  ///< class of region that it is used in; empty: the general prices
    bool batches = false;  ///< callers may send files and batches there
    std::vector<DiscountConfig> discounts;
    std::vector<prices::Commitment>
        commitments;  ///< their names differ from those of all providers
    /// Not empty: the provider is configured but cannot be used, and this says why and what to do
    /// (its `api_key: ${VARIABLE}` is not set). Requests for its models get it as an error.
    std::string disabled_reason;
};

/// One of several places where a model runs.
struct TargetConfig {
    std::string provider;
    std::string upstream_name;
    std::uint32_t weight = 1;
};

struct ModelConfig {
    std::string name;
    std::string provider;
    std::string upstream_name;  ///< `name:` in the file; defaults to the model's own name
    prices::Rates price;  ///< instead of the price book's; all unknown: the book's
    std::int64_t machine_hour_pico_usd = -1;  ///< of the machine that it runs on; −1: not so priced
    std::uint32_t machine_share = 1;  ///< requests that share that machine
    std::uint32_t discount_bp = 0;  ///< off the book's rates, in 0.01 %, besides the provider's
    std::string file;  ///< embedded: file name inside `local.folder`
    std::string vocabulary;  ///< that counts its tokens exactly; empty: found by its name
    std::string sha256;  ///< embedded: expected SHA-256 of the file; empty: not checked
    prices::Tier tier = prices::Tier::kStandard;  ///< asked for where nobody else says
    std::chrono::milliseconds flex_wait{
        0};  ///< flex is asked for where callers can wait that long; 0: not
    std::vector<std::string> fallbacks;  ///< models that are asked when it gives no answer
    std::vector<TargetConfig>
        targets;  ///< empty, or `provider` and `upstream_name` are of the first
    providers::Balance balance = providers::Balance::kWeighted;
    std::vector<std::string> tags;
    pipeline::Abilities abilities;
};

enum class ExactCacheMode : std::uint8_t {
    kOff,
    kAuto,  ///< only requests with `temperature: 0` (and embeddings)
    kOn,  ///< every request of the route
};

/// How answers that another question got are judged.
enum class SemanticJudge : std::uint8_t {
    kNone,  ///< they are not: nothing is served, what would have been is told
    kExact,  ///< an answer that differs is a wrong one
    kModel,
};

/// Answers to questions that were asked before in other words.
struct SemanticCacheConfig {
    std::uint32_t max_error_ppm = 0;  ///< of the answers served, per million; 0: it is off
    SemanticJudge judge = SemanticJudge::kNone;
    std::string judge_model;  ///< of kModel
    std::chrono::seconds ttl{0};  ///< 0: that of the route's exact cache
    bool shared = false;  ///< among all callers; else each key has its own
};

/// How requests of a route are gathered into batches.
struct GatherConfig {
    std::chrono::milliseconds least_wait{60 * 60'000};  ///< of callers who can wait for a batch
    std::chrono::milliseconds window{10'000};  ///< how long the first request waits for others
    std::uint32_t requests = 500;  ///< the most of one batch
};

/// Requests that a route sends to a second model as well, whose answers nobody gets.
struct ShadowConfig {
    std::string model;  ///< empty: none
    std::uint32_t share_ppm = 0;  ///< of the route's answered requests, per million
};

/// `semantic_routes:` of a route.
struct SemanticRoutesConfig {
    std::string file;  ///< the routes file; empty: none
    std::string
        local;  ///< model for what must be answered here; empty: the route's own, if it runs here
    bool reject_undecided = false;  ///< answered as rejected where a decision cannot be had
};

/// What a guard does with a request about none of its topics.
enum class GuardOtherwise : std::uint8_t { kReject, kAllow, kLog, kLocalOnly };

/// `guard:` of a route.
struct GuardConfig {
    std::string topics;  ///< a routes file; empty: none
    std::string local;  ///< as of semantic routes
    GuardOtherwise otherwise = GuardOtherwise::kReject;
    bool reject_undecided = false;  ///< as of semantic routes
};

/// `cascade:` of a route.
struct CascadeConfig {
    std::vector<std::string> models;  ///< the cheap one, then the strong one; empty: none
    /// The least geometric mean of its tokens' probabilities that an answer of the cheap one is taken at, per million;
    /// 0: none is.
    std::uint32_t accept_ppm = 0;
    /// Tokens by which an answer that streams is judged, the rest is told as it comes; 0: it is judged whole.
    std::uint32_t hold_back = 0;
    std::string policy;  ///< file of `leeway tune cascade`, instead of `accept`; empty: none
    std::uint32_t max_harm_ppm = 0;  ///< what `policy` must promise at least; 0: whatever it does
    std::uint32_t confidence_ppm = 0;
    /// Of the answers taken by `policy`, the share for which the strong model is asked as well, per million; 0: none.
    std::uint32_t audit_ppm = 0;
    /// An answer is given up when its first tokens have a geometric mean of their probabilities below this.
    std::uint32_t give_up_below_ppm = 0;
    std::string judge_model;  ///< of audits; empty: answers that differ are harm
    bool tools = false;  ///< also requests that offer tools
    bool weak_if_strong_fails = false;
    std::uint16_t give_up_after = 0;  ///< so many tokens; 0: it never is
    /// Without the end of the cheap one's answer by then the strong one is asked as well; 0: never.
    std::uint32_t strong_after_ms = 0;
};

/// `router:` of a route.
struct RouterConfig {
    std::string policy;  ///< file of `leeway tune router`; empty: there is no router
    std::vector<std::string> models;  ///< to choose among
    // What a request may cost in the mean, or the quality that a USD must buy. Neither: as the policy was made for.
    std::int64_t budget_pico_usd = 0;  ///< 0: not told
    double lambda = -1;  ///< below 0: not told
    bool paced = false;  ///< what was spent decides about what may be
};

struct RouteConfig {
    std::string name;
    std::string model;  ///< target; may be empty for the route "default"
    std::string baseline;  ///< model whose price is the baseline; empty: the model that is asked
    std::vector<std::string> stages;  ///< names in order, e.g. [exact_cache]
    std::vector<std::string> fallbacks;  ///< instead of its model's; empty: those
    ExactCacheMode exact_cache = ExactCacheMode::kAuto;
    std::chrono::seconds cache_ttl{0};  ///< 0: the global `cache.ttl`
    SemanticCacheConfig semantic_cache;
    prices::Tier tier = prices::Tier::kStandard;  ///< asked for where the caller says nothing
    std::chrono::milliseconds flex_wait{0};  ///< as of a model, before its own; 0: the model's
    GatherConfig gather;  ///< of tier batch
    std::uint32_t holdout_ppm = 0;  ///< share of requests answered without stages, per million
    std::chrono::milliseconds hedge_after{0};  ///< without a first byte a second is asked; 0: never
    bool hedge_at_p95 = false;  ///< or by the first bytes of late
    ShadowConfig shadow;
    pipeline::OutcomeKeeping outcomes = pipeline::OutcomeKeeping::kOff;
    SemanticRoutesConfig semantic_routes;
    GuardConfig guard;
    CascadeConfig cascade;
    RouterConfig router;
};

/// What happens to a request that a hard budget has no room for.
enum class OnExceeded : std::uint8_t {
    kRefuse,
    kDegrade,  ///< a cheaper model is asked
    kLowerMaxTokens,  ///< its answer is made as short as the budgets afford
};

/// One entry of `budgets:`, or the `budget:` of a key.
struct BudgetConfig {
    budget::BudgetSpec spec;
    OnExceeded on_exceeded = OnExceeded::kRefuse;
    std::string degrade_model;  ///< of kDegrade
};

/// Where alerts of budgets are sent; no url: to the log only.
struct WebhookConfig {
    std::string url;
    Secret secret;  ///< signs what is sent; empty: it is not signed
    std::string ca_file;  ///< extra CA certificates (PEM); empty: system roots
};

struct KeyConfig {
    std::string name;
    std::string team;  ///< whose budget it shares; empty: none
    Secret secret;  ///< at least 16 characters
    std::vector<std::string> models;  ///< empty: all
    std::vector<std::string> routes;  ///< empty: all
    // 0: no limit.
    std::uint32_t requests_per_minute = 0;
    std::uint32_t tokens_per_minute = 0;
    std::uint32_t parallel = 0;  ///< requests at a time
    std::optional<std::int64_t> expires_unix_s;
    bool drains = false;  ///< `on_disconnect: drain`
};

/// How long answers go on whose callers have left, for the keys that wish it.
struct DrainConfig {
    std::uint32_t parallel = 64;  ///< per process
    std::chrono::milliseconds time{30'000};  ///< each
};

/// Answers that are kept for callers that ask again with the same `Idempotency-Key`.
struct IdempotencyConfig {
    std::uint64_t memory_bytes = 32ULL * 1024 * 1024;  ///< 0: the header is passed on and no more
    std::uint64_t entry_bytes = 4ULL * 1024 * 1024;  ///< larger answers are not kept
    std::chrono::seconds ttl{24 * 3600};
};

struct CacheConfig {
    std::uint64_t memory_bytes = 64ULL * 1024 * 1024;
    std::uint64_t disk_bytes = 1024ULL * 1024 * 1024;
    std::uint64_t entry_bytes = 4ULL * 1024 * 1024;  ///< larger answers are not stored
    std::chrono::seconds ttl{24 * 3600};
    std::uint32_t questions = 200'000;  ///< most that the semantic cache keeps
};

/// How the gateway's own stages get vectors.
struct EmbeddingsConfig {
    bool named = false;  ///< the file has the section
    std::string model;  ///< empty: see embedding_model
    std::chrono::milliseconds timeout{50};  ///< a stage waits no longer, and goes on without
    std::uint64_t memo_bytes = 32ULL * 1024 * 1024;
    std::uint32_t batch = 16;  ///< texts of one call of the model
};

/// Responses of callers that our providers do not keep themselves.
struct ResponsesConfig {
    bool store = true;
    std::chrono::seconds retention{30 * 24 * 3600};
    std::uint64_t disk_bytes = 1024ULL * 1024 * 1024;  ///< of all that is kept
    std::uint64_t entry_bytes = 16ULL * 1024 * 1024;  ///< a larger response is not kept
};

/// What is kept of the answered requests of routes with `outcomes`, and how long.
struct OutcomesConfig {
    std::chrono::seconds retention{90 * 24 * 3600};
    std::uint32_t rows = 1'000'000;  ///< answers, and outcomes of live traffic, each
    bool texts = false;  ///< comments and corrections of feedback, too
};

struct LedgerConfig {
    bool enabled = true;
    Secret database;  ///< URL of a PostgreSQL database; empty: a SQLite file in the state folder
    bool full_durability = false;  ///< `durability: full`: fsync every batch (power cuts)
    std::uint32_t retention_days = 0;  ///< 0: keep
};

/// How batches whose end nobody asks for are looked at.
struct BatchesConfig {
    std::chrono::milliseconds first_look{60'000};  ///< after it was made
    std::chrono::milliseconds longest_wait{15 * 60'000};  ///< between two looks
    std::chrono::seconds grace{24 *
                               3600};  ///< after the time at which its provider would let it expire
};

struct PricesConfig {
    std::string book;  ///< file; absolute. Default: $LEEWAY_PRICES, else where ./run puts it
    bool book_named = false;  ///< the configuration names it, so it must be there
    std::string overlay;  ///< file with corrections and additions of ours; empty: none
};

struct LogConfig {
    std::string level = "info";  ///< debug, info, warn, error
    std::string format = "text";  ///< text or json
};

struct LocalConfig {
    /// Of the GGUF files; absolute. Default: $LEEWAY_MODELS, else where ./run puts them.
    std::string folder;
    std::uint32_t threads = 1;  ///< per loaded model
    std::uint32_t parallel = 4;  ///< sequences decoded together, per model
    std::uint32_t context = 4096;  ///< tokens shared by the sequences of one model
    std::uint64_t memory_bytes = 4ULL * 1024 * 1024 * 1024;  ///< cap of the child process
};

struct Config {
    std::string path;  ///< where it was read from
    ServerConfig server;
    std::vector<ProviderConfig> providers;
    std::vector<ModelConfig> models;
    std::vector<tokens::ModelRule>
        tokenizers;  ///< before the built-in map; the first that fits decides
    std::vector<RouteConfig> routes;
    std::vector<KeyConfig> keys;
    std::vector<BudgetConfig> budgets;  ///< those of the keys too
    std::vector<limits::LimitSpec> limits;  ///< without those of the keys
    WebhookConfig webhook;
    /// URL of the Redis or Valkey server that leases slices of budgets; empty: the ledger's PostgreSQL does, or the
    /// budgets are this gateway's alone.
    Secret budget_leases;
    DrainConfig drains;
    IdempotencyConfig idempotency;
    CacheConfig cache;
    EmbeddingsConfig embeddings;
    BatchesConfig batches;
    ResponsesConfig responses;
    OutcomesConfig outcomes;
    LedgerConfig ledger;
    PricesConfig prices;
    LogConfig log;
    LocalConfig local;
    std::vector<ConfigProblem> warnings;
};

/// What came out of a file: every problem that was found, in the order of the lines.
struct ConfigReading {
    std::optional<Config> config;  ///< empty when there is an error among the problems
    std::vector<ConfigProblem> problems;
};

/// Reads and validates a file. Each problem names file, line, column and key, and for an unknown key
/// the nearest known one. `${NAME}` is replaced from the environment in scalar values; unset is an
/// error, `${NAME:-x}` gives a default (for unset and for empty), `$${` stands for a plain `${`. Only
/// for a provider's `api_key` unset is a warning: the provider is disabled.
/// Relative paths in the result are made absolute with resolve_path.
[[nodiscard]] ConfigReading read_config_file(const std::string& path);
/// The same from text; `name` stands for the path in errors and for resolve_path.
[[nodiscard]] ConfigReading read_config_text(const std::string& text, const std::string& name);

/// read_config_file for callers that need only the outcome: the error's message is all errors, one
/// a line. Warnings are in Config::warnings.
[[nodiscard]] Result<Config> load_config(const std::string& path);
/// read_config_text likewise.
[[nodiscard]] Result<Config> parse_config(const std::string& text, const std::string& name);

/// Only the state folder of a file, absolute; whatever else is wrong in it does not matter. For
/// commands that must work where the variables of a running gateway are not set.
[[nodiscard]] Result<std::string> read_state_folder(const std::string& path);

/// Where the ledger of a gateway is.
struct LedgerPlace {
    std::string state_dir;
    Secret database;  ///< as LedgerConfig::database
};
/// Likewise the state folder and ledger.database of a file.
[[nodiscard]] Result<LedgerPlace> read_ledger_place(const std::string& path);

/// "config/leeway.yaml" in the current folder, else that of the project which the running program
/// was built in. The error says where it looked.
[[nodiscard]] Result<std::string> default_config_path();
/// Makes `path` absolute. A relative one counts from the project's folder, which is the parent of
/// the configuration file's folder when that is called "config", else that folder itself: the same
/// state is found from whatever folder the program is started. "~/" is the home folder.
[[nodiscard]] std::string resolve_path(const std::string& config_path, const std::string& path);

/// The rule that keeps an open gateway off the network: without any key the client address must be
/// loopback or a Unix socket. `has_stored_keys`: `leeway keys create` made at least one.
[[nodiscard]] Result<void> check_exposure(const Config& config, bool has_stored_keys);

}  // namespace leeway::app
