#include "app/server.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace leeway::app {
namespace {

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

bool has_embedded(const Config& config) {
    return std::any_of(config.providers.begin(), config.providers.end(),
                       [](const ProviderConfig& p) { return p.dialect == Dialect::kEmbedded; });
}

models::HostSettings host_settings(const Config& config) {
    models::HostSettings out;
    out.folder = config.local.folder;
    out.threads = config.local.threads;
    out.parallel = config.local.parallel;
    out.context = config.local.context;
    out.memory_bytes = config.local.memory_bytes;
    out.log_level = config.log.level;
    out.log_json = config.log.format == "json";
    for (const ModelConfig& model : config.models) {
        if (model.file.empty()) continue;
        out.models.push_back({model.upstream_name.empty() ? model.name : model.upstream_name,
                              model.file, model.sha256});
    }
    return out;
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
    auto keys = load_key_directory(config_, *key_store_, limiter_);
    if (!keys) return fail(std::move(keys.error()));
    keys_ = std::move(*keys);
    if (auto exposed = check_exposure(config_, !keys_->empty()); !exposed) return exposed;

    if (config_.ledger.enabled) {
        ledger::LedgerOptions ledger_options;
        ledger_options.state_dir = state;
        ledger_options.workers = worker_count(config_);
        ledger_options.durability = config_.ledger.full_durability
                                        ? store::sqlite::Durability::kFull
                                        : store::sqlite::Durability::kNormal;
        auto opened = ledger::Ledger::open(ledger_options);
        if (!opened) return fail(std::move(opened.error()));
        ledger_ = std::move(*opened);
        for (const std::string& note : ledger_->notes()) spdlog::warn("ledger: {}", note);
    }
    agent_cache::ExactStoreOptions cache_options;
    cache_options.path = state + "/cache.db";
    cache_options.memory_bytes = config_.cache.memory_bytes;
    cache_options.disk_bytes = config_.cache.disk_bytes;
    cache_options.entry_bytes = config_.cache.entry_bytes;
    auto cache = agent_cache::ExactStore::open(cache_options);
    if (!cache) return fail(std::move(cache.error()));
    cache_ = std::move(*cache);
    services_.cache = {cache_.get(), &flights_, &cache_keys_};

    auto socket = models::host_socket_path(state);
    if (!socket) return fail(std::move(socket.error()));
    services_.model_host_url = "unix:" + *socket;
    if (has_embedded(config_)) {
        models::SupervisorOptions host;
        host.socket_path = *socket;
        host.arguments = models::host_arguments(host_settings(config_), *socket);
        host.environment = models::host_environment(host_settings(config_));
        models_ = std::make_unique<models::Supervisor>(std::move(host));
    }
    return {};
}

Result<std::shared_ptr<const Snapshot>> Server::build_snapshot(const Config& config) {
    auto address = net::parse_address(config.server.listen);
    if (!address) return fail(std::move(address.error()));
    return Snapshot::build(config, keys_, services_, address->is_loopback());
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
    for (unsigned i = 0; i < count; ++i) {
        ledger::Sink* sink = ledger_ ? &ledger_->sink(i) : nullptr;
        auto worker = std::make_unique<Worker>(i, server_options(config_.server.limits, count),
                                               sink, models_.get(), *snapshot);
        if (i == 0 || !address->is_unix()) {
            auto bound = worker->listen(i == 0 ? *address : listening_, count > 1);
            if (!bound) return fail(std::move(bound.error()));
            listening_ = *bound;
        }
        workers_.push_back(std::move(worker));
    }
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
    return std::nullopt;
}

bool Server::keys_changed() {
    const auto version = key_store_->version();
    return version && *version != key_version_;
}

void Server::reload() {
    auto config = load_config_for(options_);
    const auto refused = [this](const Error& error) {
        failed_reloads_.fetch_add(1, std::memory_order_relaxed);
        spdlog::error("the new configuration is refused, the old one stays: {}", error.text());
    };
    if (!config) return refused(config.error());
    if (auto version = key_store_->version()) key_version_ = *version;
    auto keys = load_key_directory(*config, *key_store_, limiter_);
    if (!keys) return refused(keys.error());
    if (auto exposed = check_exposure(*config, !(*keys)->empty()); !exposed)
        return refused(exposed.error());
    keys_.swap(*keys);
    auto snapshot = build_snapshot(*config);
    if (!snapshot) {
        keys_.swap(*keys);
        return refused(snapshot.error());
    }
    for (auto& worker : workers_) worker->use(*snapshot);
    const ServerConfig& now = config_.server;
    const ServerConfig& next = config->server;
    if (now.listen != next.listen || now.admin != next.admin || now.workers != next.workers ||
        now.state != next.state) {
        spdlog::warn(
            "changes of server.listen, admin, workers and state take effect at the next start");
    }
    config_ = std::move(*config);
    reloads_.fetch_add(1, std::memory_order_relaxed);
    spdlog::info("configuration loaded: {} models, {} routes, {} keys", config_.models.size(),
                 config_.routes.size(), keys_->keys().size());
}

std::size_t Server::connections() const {
    std::size_t sum = 0;
    for (const auto& worker : workers_) sum += worker->connections();
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
        return connections() == 0;
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
    // Its pending loads post to the workers' loops, which must still be there.
    cache_.reset();
    workers_.clear();
    if (models_) models_->stop();
    models_.reset();
    ledger_.reset();
}

}  // namespace leeway::app
