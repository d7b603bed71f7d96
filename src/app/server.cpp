#include "app/server.hpp"

#include "app/batch_settlement.hpp"
#include "app/config_changes.hpp"
#include "app/config_values.hpp"
#include "app/terminal.hpp"
#include "base/memory_limit.hpp"
#include "guard/budget/postgres_lease.hpp"
#include "guard/budget/redis_lease.hpp"
#include "net/listener.hpp"
#include "telemetry/log.hpp"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

namespace leeway::app {
namespace {

/// A body is there up to six times at once: it grows in steps, is read, and perhaps translated.
std::shared_ptr<net::ByteRoom> body_room(const LimitsConfig& limits) {
    constexpr std::uint64_t kCopies = 6;
    return std::make_shared<net::ByteRoom>(limits.body_memory > 0 ? limits.body_memory
                                                                  : memory_limit() / kCopies);
}

net::ServerOptions server_options(const LimitsConfig& limits, unsigned workers) {
    net::ServerOptions out;
    out.head.bytes = limits.header_bytes;
    out.head.fields = limits.header_count;
    out.body_bytes = limits.body_bytes;
    out.connections = std::max(1U, limits.connections / workers);
    out.header_timeout = limits.header_timeout;
    out.body_timeout = limits.body_timeout;
    out.idle_timeout = limits.idle_timeout;
    out.write_timeout = limits.write_timeout;
    return out;
}

unsigned worker_count(const Config& config) {
    if (config.server.workers > 0) return config.server.workers;
    return std::max(1U, std::thread::hardware_concurrency());
}

bool keeps_outcomes(const Config& config) {
    return std::any_of(config.routes.begin(), config.routes.end(), [](const RouteConfig& route) {
        return route.outcomes != pipeline::OutcomeKeeping::kOff;
    });
}

/// Every connection may need two descriptors; the soft limit is often 1,024.
void raise_descriptor_limit(std::uint32_t connections) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const rlim_t wanted = std::min<rlim_t>(limit.rlim_max, rlim_t{connections} * 2 + 256);
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < rlim_t{connections} * 2) {
        spdlog::warn(
            "only {} files may be open, so fewer than {} connections can be served (see ulimit -n)",
            limit.rlim_cur, connections);
    }
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServeOptions options, Config config) {
    auto server = std::unique_ptr<Server>(new Server(std::move(options), std::move(config)));
    if (auto opened = server->open_stores(); !opened) return fail(std::move(opened.error()));
    if (auto started = server->start_workers(); !started) return fail(std::move(started.error()));
    if (auto started = server->start_admin(); !started) return fail(std::move(started.error()));
    return server;
}

Result<void> Server::open_stores() {
    const std::string& state = config_.server.state;
    auto store = KeyStore::open(state);
    if (!store) return fail(std::move(store.error()));
    key_store_.emplace(std::move(*store));
    if (auto version = key_store_->version()) key_version_ = *version;
    auto keys = load_key_directory(config_, *key_store_);
    if (!keys) return fail(std::move(keys.error()));
    keys_ = std::move(*keys);
    if (auto exposed = check_exposure(config_, !keys_->empty()); !exposed) return exposed;

    if (config_.ledger.enabled) {
        ledger::LedgerOptions ledger_options;
        ledger_options.state_dir = state;
        ledger_options.database = config_.ledger.database;
        ledger_options.workers = worker_count(config_) + 1;  // the last is the embedder's
        ledger_options.durability = config_.ledger.full_durability
                                        ? store::sqlite::Durability::kFull
                                        : store::sqlite::Durability::kNormal;
        ledger_options.retention_days = config_.ledger.retention_days;
        auto opened = ledger::Ledger::open(ledger_options);
        if (!opened) return fail(std::move(opened.error()));
        ledger_ = std::move(*opened);
        for (const std::string& note : ledger_->notes()) spdlog::warn("ledger: {}", note);
        embeddings_.set_ledger(&ledger_->sink(worker_count(config_)));
    }
    std::unique_ptr<budget::LeaseSource> pool;
    if (!config_.budget_leases.empty()) {
        auto address = store::redis::parse_address(config_.budget_leases);
        if (!address) return fail(std::move(address.error()));
        pool = std::make_unique<budget::RedisLease>(std::move(*address));
    } else if (ledger_ && !config_.ledger.database.empty()) {
        pool = std::make_unique<budget::PostgresLease>(config_.ledger.database);
    }
    if (pool) {
        book_.share();
        leases_ = std::make_unique<budget::LeaseKeeper>(book_, std::move(pool));
    }
    if (auto used = use_budgets(config_); !used) return used;
    use_limits(config_);
    if (auto opened = open_caches(); !opened) return opened;
    if (config_.idempotency.memory_bytes > 0) {
        replays_ = std::make_unique<ReplayStore>(config_.idempotency.memory_bytes,
                                                 config_.idempotency.entry_bytes);
    }

    restore_certificates();
    learner_ = TokenLearner::start(state);
    vocabularies_.use(&learner_->book());
    hosts_.emplace(state);
    return load_prices(config_);
}

Result<void> Server::open_caches() {
    const std::string& state = config_.server.state;
    agent_cache::ExactStoreOptions cache_options;
    cache_options.path = state + "/cache.db";
    cache_options.memory_bytes = config_.cache.memory_bytes;
    cache_options.disk_bytes = config_.cache.disk_bytes;
    cache_options.entry_bytes = config_.cache.entry_bytes;
    auto cache = agent_cache::ExactStore::open(cache_options);
    if (!cache) return fail(std::move(cache.error()));
    cache_ = std::move(*cache);
    store::vectors::VectorStoreOptions vector_options;
    vector_options.path = state + "/vectors.db";
    vector_options.most_entries = config_.cache.questions;
    auto vectors = store::vectors::open_vector_store(vector_options);
    if (!vectors) return fail(std::move(vectors.error()));
    vectors_ = std::move(*vectors);
    semantic_ =
        agent_cache::SemanticStore::open({state + "/semantic.db", vectors_.get(), cache_.get()});
    cache_services_ = {cache_.get(), &flights_, &cache_keys_, semantic_.get()};
    return {};
}

/// A book that cannot be right is not taken: the one before it stays. Only at the start there is none
/// before it, and a book that the configuration names must be there.
Result<void> Server::load_prices(const Config& config) {
    const bool first = books_.current() == nullptr;
    auto taken = books_.refresh(config.prices);
    book_refused_.store(!taken, std::memory_order_relaxed);
    if (!taken) {
        if (first && config.prices.book_named) return taken;
        spdlog::error("{}; {}", taken.error().text(),
                      first ? "models without a price of their own have none"
                            : "the prices before it stay in use");
        return {};
    }
    if (const auto& book = books_.current()) {
        spdlog::info("prices: {} of {}, {} models", book->info().name,
                     prices::date_text(book->info().fetched_unix_s), book->info().models);
    }
    return {};
}

Result<std::shared_ptr<const Snapshot>> Server::build_snapshot(const Config& config) {
    auto address = net::parse_address(config.server.listen);
    if (!address) return fail(std::move(address.error()));
    auto host = hosts_->host_for(config);
    if (!host) return fail(std::move(host.error()));
    if (auto opened = open_batches(config); !opened) return fail(std::move(opened.error()));
    if (auto opened = open_responses(config); !opened) return fail(std::move(opened.error()));
    if (auto opened = open_outcomes(config); !opened) return fail(std::move(opened.error()));
    auto embeddings =
        embeddings_.prepare(config, {*host, books_.current(), &book_, &breakers_, &tokens_});
    if (!embeddings) return fail(std::move(embeddings.error()));
    const Services services{
        cache_services_,
        *host,
        books_.current(),
        &book_,
        &limits_,
        &vocabularies_,
        leases_.get(),
        &tokens_,
        &breakers_,
        learner_.get(),
        batches_.get(),
        &batch_reader_,
        &batch_waiters_,
        config.responses.store ? responses_.get() : nullptr,
        replays_.get(),
        &drain_slots_,
        *embeddings ? &embeddings_.embedder() : nullptr,
        keeps_outcomes(config) ? outcomes_.get() : nullptr,
        &certificates_,
        *embeddings ? &route_tables_ : nullptr,
        &router_memory_,
        &controller_tally_,
    };
    auto snapshot = Snapshot::build(config, keys_, services, address->is_loopback());
    // Only now, when nothing can be refused any more.
    if (snapshot) hosts_->use(std::move(*host));
    if (snapshot) embeddings_.use(std::move(*embeddings));
    if (snapshot && responses_) responses_->configure(config.responses);
    if (snapshot && outcomes_) outcomes_->configure(config.outcomes);
    return snapshot;
}

Result<void> Server::open_responses(const Config& config) {
    if (responses_ || !config.responses.store) return {};
    auto store = ResponseStore::open(config_.server.state, config.responses);
    if (!store) return fail(std::move(store.error()));
    responses_ = std::move(*store);
    return {};
}

Result<void> Server::open_outcomes(const Config& config) {
    if (outcomes_ || !keeps_outcomes(config)) return {};
    auto recorder = OutcomeRecorder::start(config.server.state, config.outcomes);
    if (!recorder) return fail(std::move(recorder.error()));
    outcomes_ = std::move(*recorder);
    outcomes_seen_.store(outcomes_.get());
    return {};
}

std::string Server::certificates_file() const {
    return started_with_.server.state + "/cascades.json";
}

void Server::restore_certificates() {
    constexpr std::size_t kMost = 16UL * 1024 * 1024;
    if (!std::filesystem::exists(certificates_file())) return;
    const auto text = read_input(certificates_file(), kMost);
    const auto restored = text ? certificates_.restore(*text) : fail(text.error());
    if (!restored) {
        spdlog::error(
            "{}: {}; cascades begin as their policies say: demoted ones serve again until audits "
            "speak against them",
            certificates_file(), restored.error().message);
    }
}

/// What audits or drift have ended, and what was certified here, stays so over a restart.
void Server::keep_certificates() {
    const auto changes = certificates_.take_changes();
    if (changes.empty()) return;
    for (const auto& [route, why, certified] : changes) {
        if (certified) {
            spdlog::info(
                "route {}: certified by its own evidence: answers of the cheap model are taken "
                "from a probability of {:.4f} on",
                route, cascade::probability_of(certified->cut.confidence));
        } else {
            spdlog::warn("route {}: the strong model answers all from now on: {}", route, why);
        }
    }
    if (const auto done = replace_file(certificates_file(), certificates_.text()); !done)
        spdlog::error("what became of cascades is not kept: {}", done.error().text());
}

/// The store of batches, where a provider takes them or took them before.
Result<void> Server::open_batches(const Config& config) {
    const bool wanted = std::any_of(config.providers.begin(), config.providers.end(),
                                    [](const ProviderConfig& one) { return one.batches; });
    const bool used = ledger_ && BatchStore::exists(config_.server.state);
    if (batches_ || !(wanted || used)) return {};
    if (!ledger_) {
        return fail(ErrorCode::kConfig, "batches need the ledger, which is switched off",
                    "remove ledger.enabled: false, or the provider's batches: true");
    }
    auto store = BatchStore::open(config_.server.state);
    if (!store) return fail(std::move(store.error()));
    batches_ = std::move(*store);
    batches_seen_.store(batches_.get());
    return {};
}

Result<void> Server::start_workers() {
    auto address = net::parse_address(config_.server.listen);
    if (!address) return fail(std::move(address.error()));
    auto snapshot = build_snapshot(config_);
    if (!snapshot) return fail(std::move(snapshot.error()));
    if (auto is_free = net::check_address_free(*address); !is_free) return is_free;
    raise_descriptor_limit(config_.server.limits.connections);
    // A Unix socket has one listener; TCP shares the port among the workers.
    const unsigned count = worker_count(config_);
    net::ServerOptions options = server_options(config_.server.limits, count);
    options.body_room = body_room(config_.server.limits);
    for (unsigned i = 0; i < count; ++i) {
        ledger::Sink* sink = ledger_ ? &ledger_->sink(i) : nullptr;
        auto worker = std::make_unique<Worker>(i, options, sink, *snapshot);
        if (i == 0 || !address->is_unix()) {
            auto bound = worker->listen(i == 0 ? *address : listening_, count > 1);
            if (!bound) return fail(std::move(bound.error()));
            listening_ = *bound;
        }
        workers_.push_back(std::move(worker));
    }
    // No worker runs yet, so its journal is ours.
    if (batches_ && !book_.waiting())
        resume_batches(*batches_, &ledger_->sink(0), config_.budgets.empty() ? nullptr : &book_);
    for (auto& worker : workers_) worker->start();
    return {};
}

Result<void> Server::start_admin() {
    auto address = net::parse_address(config_.server.admin);
    if (!address) return fail(std::move(address.error()));
    admin::AdminSource source;
    source.not_ready = [this] {
        return not_ready();
    };
    source.note = [this] {
        return note();
    };
    source.metrics = [this](net::EventLoop& loop) {
        return metrics_text(loop);
    };
    admin_ = std::make_unique<admin::AdminServer>(std::move(source));
    auto bound = admin_->start(*address);
    if (!bound) return fail(std::move(bound.error()));
    admin_listening_ = *bound;
    return {};
}

std::optional<std::string> Server::not_ready() const {
    if (draining_.load(std::memory_order_relaxed)) return "shutting down";
    if (ledger_ && !ledger_->healthy()) return "the ledger cannot keep records: is the disk full?";
    if (leases_ && leases_->stats().failing) {
        return "the pool of the shared budgets cannot be asked: " + leases_->stats().last_error;
    }
    if (book_.waiting()) return "the ledger's database has not answered yet, and budgets need it";
    return std::nullopt;
}

std::optional<std::string> Server::note() const {
    std::vector<std::string> notes;
    if (ledger_) {
        const ledger::LedgerStats stats = ledger_->stats();
        if (stats.failing) {
            notes.push_back("the ledger's database takes no records, which wait in the journal: " +
                            stats.last_error);
        }
    }
    if (book_refused_.load(std::memory_order_relaxed)) {
        notes.emplace_back(
            "the newest price book is refused, see the log; the prices before it stay in use");
    }
    for (const auto& one : breakers_.standings()) {
        if (one.state == providers::Breaker::State::kClosed) continue;
        notes.push_back(
            fmt::format("model '{}' of provider '{}' is not asked: its last calls failed",
                        one.model, one.provider));
    }
    if (const auto trouble = embeddings_.trouble())
        notes.push_back("there are no embeddings, and stages go on without: " + *trouble);
    if (notes.empty()) return std::nullopt;
    return fmt::format("{}", fmt::join(notes, "; "));
}

bool Server::keys_changed() {
    const auto version = key_store_->version();
    return version && *version != key_version_;
}

void Server::tend() {
    if (keys_changed()) {
        // With the configuration that runs: a key is revoked at once, whatever state the file is in.
        if (auto done = put_to_work(config_); !done) {
            spdlog::error("changed keys are not taken: {}", done.error().text());
        } else {
            spdlog::info("keys loaded: {}", keys_->keys().size());
        }
    }
    hosts_->end_unused();
    if (responses_) responses_->tend(unix_now_s());
    semantic_->tend();
    keep_certificates();
    watch_ledger();
    if (book_.waiting() && !ledger_failing_) {
        if (auto used = use_budgets(config_); !used) {
            spdlog::error("budgets wait: {}", used.error().text());
        } else if (!book_.waiting()) {
            if (batches_) resume_batches(*batches_, nullptr, &book_);
            spdlog::info("budgets are judged again");
        }
    }
    if (auto alerts = book_.take_alerts(); !alerts.empty() && alerts_) {
        alerts_->tell(std::move(alerts));
    }
}

/// Says once that the database takes no records, and once that it does again.
void Server::watch_ledger() {
    if (!ledger_) return;
    const ledger::LedgerStats stats = ledger_->stats();
    if (stats.failing && !ledger_failing_) {
        spdlog::error(
            "the ledger's database takes no records: {}. They are kept in the journal; when that "
            "is "
            "nearly full no paid work is taken until the database is well again",
            stats.last_error);
    } else if (!stats.failing && ledger_failing_) {
        spdlog::info("the ledger's database takes records again");
    }
    ledger_failing_ = stats.failing;
}

void Server::reload() {
    auto config = load_config_for(options_);
    Result<void> done;
    if (!config) {
        done = fail(std::move(config.error()));
    } else {
        done = load_prices(*config);
        if (done) done = put_to_work(*config);
    }
    if (!done) {
        failed_reloads_.fetch_add(1, std::memory_order_relaxed);
        spdlog::error("the new configuration is refused, the old one stays: {}",
                      done.error().text());
        return;
    }
    const auto later = changes_for_next_start(started_with_, *config);
    if (!later.empty()) {
        spdlog::warn("changes of {} take effect at the next start", fmt::join(later, ", "));
    }
    config_ = std::move(*config);
    if (ledger_) ledger_->set_retention_days(config_.ledger.retention_days);
    telemetry::set_log_level(config_.log.level);
    reloads_.fetch_add(1, std::memory_order_relaxed);
    spdlog::info("configuration loaded: {} models, {} routes, {} keys", config_.models.size(),
                 config_.routes.size(), keys_->keys().size());
}

/// Before the port opens, and before requests see new limits: what was spent and what a killed process left
/// open counts. A limit that stays as it was keeps what it knows.
Result<void> Server::use_budgets(const Config& config) {
    std::vector<budget::BudgetSpec> specs;
    specs.reserve(config.budgets.size());
    for (const BudgetConfig& one : config.budgets) specs.push_back(one.spec);
    if (!specs.empty() && !ledger_) {
        return fail(ErrorCode::kConfig, "budgets need the ledger, which is switched off",
                    "remove ledger.enabled: false");
    }
    if (!specs.empty() && !alerts_) {
        auto started = AlertSender::start(config.server.state);
        if (!started) return fail(std::move(started.error()));
        alerts_ = std::move(*started);
    }
    if (alerts_) {
        if (auto used = alerts_->use(config.webhook); !used) return used;
    }
    std::vector<budget::PastSpending> past;
    const std::int64_t now_s = unix_now_s();
    if (book_.needs_past(specs)) {
        const bool local = started_with_.ledger.database.empty();
        if (auto done = ledger_->wait_recovered(std::chrono::seconds(local ? 30 : 3)); !done) {
            if (local) return done;
            // The server will come; until then what a budget guards is refused, and all else goes on.
            if (!book_.waiting()) spdlog::error("budgets wait: {}", done.error().text());
            book_.set_waiting(true);
            return {};
        }
        if (auto done = ledger_->flush(); !done) return done;
        constexpr std::int64_t kLongestWindow = 32 * 86'400;
        auto rows = ledger::read_spending(config_.server.state, started_with_.ledger.database,
                                          now_s - kLongestWindow);
        if (!rows) return fail(std::move(rows.error()));
        for (const ledger::ScopeSpending& row : *rows) {
            auto scope = budget::parse_scope(row.scope);
            if (!scope) continue;
            past.push_back({std::move(*scope), row.slot, row.spent.value(), row.tokens});
        }
    }
    book_.configure(std::move(specs), past, now_s);
    book_.set_waiting(false);
    return {};
}

/// Those of the configuration and those that stand with the keys, under the key's name.
void Server::use_limits(const Config& config) {
    std::vector<limits::LimitSpec> specs = config.limits;
    for (const guard::auth::KeySpec& key : keys_->keys()) {
        if (key.requests_per_minute == 0 && key.tokens_per_minute == 0 && key.parallel == 0) {
            continue;
        }
        specs.push_back({"key:" + key.name, budget::ScopeKind::kKey, key.name,
                         key.requests_per_minute, key.tokens_per_minute, key.parallel});
    }
    limits_.configure(std::move(specs));
}

/// All of it or nothing, for requests that begin from now on.
Result<void> Server::put_to_work(const Config& config) {
    if (auto version = key_store_->version()) key_version_ = *version;
    auto keys = load_key_directory(config, *key_store_);
    if (!keys) return fail(std::move(keys.error()));
    // For the next start, and for the address that is listened on until then.
    Config listening = config;
    listening.server.listen = started_with_.server.listen;
    for (const Config* checked : {&config, static_cast<const Config*>(&listening)}) {
        if (auto exposed = check_exposure(*checked, !(*keys)->empty()); !exposed) return exposed;
    }
    keys_.swap(*keys);
    const auto before = hosts_->present();
    auto snapshot = build_snapshot(listening);
    if (!snapshot) {
        keys_.swap(*keys);
        return fail(std::move(snapshot.error()));
    }
    if (auto used = use_budgets(config); !used) {
        keys_.swap(*keys);
        return used;
    }
    use_limits(config);
    for (auto& worker : workers_) worker->use(*snapshot);
    if (hosts_->present() != before) {
        spdlog::info(
            "local models: the next request for one gets a new model host; requests that "
            "run keep theirs");
    }
    return {};
}

std::size_t Server::connections() const {
    std::size_t sum = 0;
    for (const auto& worker : workers_) sum += worker->connections();
    return sum;
}

std::size_t Server::shadows() const {
    std::size_t sum = 0;
    for (const auto& worker : workers_) sum += worker->shadows();
    return sum;
}

void Server::drain(const std::function<bool()>& hurry) {
    draining_.store(true, std::memory_order_relaxed);
    const auto wait_until = [&](TimePoint end, bool may_hurry, const auto& done) {
        while (!done() && monotonic_now() < end && !(may_hurry && hurry())) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    };
    wait_until(monotonic_now() + config_.server.drain_delay, true, [] { return false; });
    spdlog::info("draining: {} connections", connections());
    for (auto& worker : workers_) worker->drain();
    const auto empty = [this] {
        return std::all_of(workers_.begin(), workers_.end(),
                           [](const auto& worker) { return worker->idle(); });
    };
    wait_until(monotonic_now() + config_.server.drain_timeout, true, empty);
    if (!empty()) {
        spdlog::warn("ending {} connections that did not finish in time", connections());
        for (auto& worker : workers_) worker->interrupt();
        wait_until(monotonic_now() + std::chrono::seconds(3), false, empty);
    }
}

// In the reverse order of the start: nothing is used after its end.
Server::~Server() {
    admin_.reset();
    for (auto& worker : workers_) worker->stop();
    keep_certificates();
    leases_.reset();  // wakes who waits for it, on loops that must still be there
    // All of them post to the workers' loops what was waited for, so those must still be there.
    embeddings_.stop();
    route_tables_.stop();
    if (hosts_) hosts_->stop();
    tokens_.stop();
    batch_reader_.stop();
    batch_waiters_.stop();
    if (outcomes_) outcomes_->stop();
    semantic_.reset();
    vectors_.reset();
    cache_.reset();
    workers_.clear();
    learner_.reset();
    hosts_.reset();
    ledger_.reset();
}

}  // namespace leeway::app
