#include "sim/gateway.hpp"

#include "ledger/intent.hpp"
#include "sim/client.hpp"
#include "sim/disk.hpp"
#include "sim/provider.hpp"
#include "sim/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace leeway::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kConfig = R"(
server: {{listen: "10.0.0.9:8484", admin: "127.0.0.1:0", workers: 2, state: "{state}"}}
providers:
  ant: {{dialect: anthropic, base_url: "http://10.1.0.1:80", api_key: sk-simulated-ant, {common}}}
  one: {{dialect: openai, base_url: "http://10.1.0.2:80/v1", api_key: sk-simulated-one, {common}}}
  two: {{dialect: openai, base_url: "http://10.1.0.3:80/v1", api_key: sk-simulated-two, {common}}}
models:
  large: {{provider: ant, price: {{input: 3, output: 15}}, fallbacks: [middle]}}
  middle: {{provider: one, price: {{input: 1, output: 5}}, fallbacks: [small]}}
  small: {{provider: two, price: {{input: 1, output: 2}}}}
  quick: {{provider: two, price: {{input: 1, output: 2}}, fallbacks: [middle, large]}}
  spread: {{targets: [{{provider: one}}, {{provider: two, weight: 2}}], balance: {balance}, price: {{input: 1, output: 2}}}}
routes:
  default: {{stages: [exact_cache], cache: {{exact: auto}}{hedge}}}
keys:
  - {{name: web, team: blue, secret: "{key}"}}
  - {{name: app, team: green, secret: "{other}", on_disconnect: {leaves}}}
drains: {{parallel: 2, time: 3s}}
{budgets}
{limits}
)";

constexpr std::array<std::string_view, 4> kBalances{"weighted", "least_pending", "peak_ewma",
                                                    "sticky"};
constexpr std::array<std::string_view, 3> kActions{"refuse", "lower_max_tokens",
                                                   "degrade, degrade_model: small"};

std::int64_t now_s() { return World::get().unix_us() / 1'000'000; }

}  // namespace

Gateway::Worker::Worker(const net::ServerOptions& options, ledger::Sink* sink,
                        std::shared_ptr<const app::Snapshot> snapshot)
    : state(loop), gateway(state), server(loop, options, gateway) {
    state.ledger = sink;
    state.snapshot = std::move(snapshot);
}

Gateway::Gateway(Oracle& oracle, std::string state) : oracle_(oracle), state_(std::move(state)) {
    Random& random = World::get().random;
    const std::string common = fmt::format(
        "timeouts: {{connect: 1s, first_byte: {}, between_chunks: 2s, total: 20s}},"
        " retries: {{attempts: {}, base: 20ms, cap: 1s}}, max_connections: {}",
        random.chance(0.5) ? "1s" : "5s", random.below(4), random.chance(0.3) ? 2 : 64);
    std::string budgets = "budgets: []";
    if (random.chance(0.8)) {
        const std::array<std::string_view, 3> usd{"0.004", "0.03", "5"};
        budgets = fmt::format(
            "budgets:\n  - {{name: all, scope: global, usd: {}, per: month, on_exceeded: {}}}\n"
            "  - {{name: users, scope: user, tokens: {}, per: {}}}\n"
            "  - {{name: soft, scope: team, match: blue, usd: 0.001, per: day, hard: false}}",
            usd[random.below(usd.size())], kActions[random.below(kActions.size())],
            random.chance(0.5) ? 20000 : 3000, random.chance(0.5) ? "day" : "hour");
    }
    std::string limits = "limits: []";
    if (random.chance(0.4)) {
        limits = fmt::format(
            "limits:\n  - {{name: each, scope: key, requests_per_minute: {}, parallel: {}}}",
            random.chance(0.5) ? 6 : 600, 1 + random.below(4));
    }
    const std::string hedge = random.chance(0.4) ? ", hedge: {after: 100ms}" : "";
    text_ = fmt::format(kConfig, fmt::arg("hedge", hedge),
                        fmt::arg("leaves", random.chance(0.5) ? "drain" : "abort"),
                        fmt::arg("state", state_), fmt::arg("common", common),
                        fmt::arg("balance", kBalances[random.below(kBalances.size())]),
                        fmt::arg("key", kClientKey), fmt::arg("other", kOtherKey),
                        fmt::arg("budgets", budgets), fmt::arg("limits", limits));
}

app::Config Gateway::config() const {
    auto parsed = app::parse_config(text_, "simulated.yaml");
    if (!parsed) {
        World::get().violated("the configuration is refused: " + parsed.error().text());
        return {};
    }
    return std::move(*parsed);
}

std::shared_ptr<const app::Snapshot> Gateway::build(Life& life, const app::Config& config) {
    const Secret pepper("a pepper of thirty-two characters");
    std::vector<guard::auth::KeyEntry> entries;
    for (const auto& key : config.keys) {
        guard::auth::KeyEntry entry;
        entry.spec.name = key.name;
        entry.spec.team = key.team;
        entry.spec.drains = key.drains;
        entry.spec.revoked = revoked_ && key.name == "app";
        entry.credentials.push_back(
            {guard::auth::key_mac(pepper, key.secret.expose()), std::nullopt});
        entries.push_back(std::move(entry));
    }
    auto keys = guard::auth::KeyDirectory::build(pepper, std::move(entries));
    app::Services services;
    services.cache = {life.cache.get(), &life.flights, &life.keys};
    services.budgets = &life.book;
    services.limits = &life.limits;
    services.tokens = &life.tokens;
    services.breakers = &life.breakers;
    services.replays = &life.replays;
    services.drain_slots = &life.drains;
    auto snapshot = app::Snapshot::build(config, *keys, services, false);
    if (!snapshot) {
        World::get().violated("no snapshot: " + snapshot.error().text());
        return nullptr;
    }
    return std::move(*snapshot);
}

void Gateway::start() {
    World& world = World::get();
    auto life = std::make_unique<Life>();
    life->process = std::make_shared<Process>();
    begin_process(life->process);
    ledger::LedgerOptions options;
    options.state_dir = state_;
    options.workers = 2;
    options.own_thread = false;
    options.ring_bytes = 4096;
    auto opened = ledger::Ledger::open(options);
    if (!opened) {
        world.tell("the gateway does not start: " + opened.error().text());
        return world.after(milliseconds(500), [this] { start(); });
    }
    life->ledger = std::move(*opened);
    agent_cache::ExactStoreOptions cache;
    cache.disk_bytes = 0;
    life->cache = std::move(*agent_cache::ExactStore::open(cache));
    ++number_;
    world.tell(fmt::format("life {} begins", number_));
    life_ = std::move(life);
    turn(*life_);
    begin_serving(*life_);
}

// The ledger's thread, one turn after the other.
void Gateway::turn(Life& life) {
    if (!life.process->alive || life.ledger == nullptr) return;
    World& world = World::get();
    const auto pause = life.ledger->turn();
    if (!pause) return;
    Duration wait = std::max<Duration>(pause->time, std::chrono::microseconds(10));
    if (pause->until == ledger::Ledger::Pause::Until::kWork) wait = milliseconds(40);
    if (world.random.below(10) == 0 && world.strikes(Fault::ledger_sleeps)) wait += seconds(1);
    world.after(wait, [this, process = life.process, &life] {
        if (process->alive) turn(life);
    });
}

// Budgets need what earlier lives spent and left open: the port opens when that is booked.
void Gateway::begin_serving(Life& life) {
    World& world = World::get();
    const auto later = [&] {
        world.after(milliseconds(20), [this, process = life.process, &life] {
            if (process->alive) begin_serving(life);
        });
    };
    if (!life.ledger->wait_recovered(Duration::zero())) return later();
    const app::Config config = this->config();
    auto spent = ledger::read_spending(state_, {}, now_s() - 32 * 86'400);
    if (!spent) return later();
    std::vector<budget::PastSpending> past;
    for (const ledger::ScopeSpending& row : *spent) {
        if (auto scope = budget::parse_scope(row.scope))
            past.push_back({std::move(*scope), row.slot, row.spent.value(), row.tokens});
    }
    std::vector<budget::BudgetSpec> specs;
    for (const auto& one : config.budgets) specs.push_back(one.spec);
    life.book.configure(std::move(specs), past, now_s());
    life.limits.configure(config.limits);
    life.snapshot = build(life, config);
    if (!life.snapshot) return;
    net::ServerOptions options;
    options.connections = 200;
    options.header_timeout = seconds(5);
    options.body_timeout = seconds(10);
    options.idle_timeout = seconds(10);
    options.write_timeout = seconds(5);
    begin_process(life.process);
    for (unsigned i = 0; i < 2; ++i) {
        auto worker = std::make_unique<Worker>(options, &life.ledger->sink(i), life.snapshot);
        if (!worker->server.listen(*net::parse_address(kGatewayAddress), true))
            world.violated("the gateway cannot listen");
        life.workers.push_back(std::move(worker));
    }
    life.serving = true;
    world.tell("the gateway serves");
}

// All of it stays where it is, unheard, as after a kill; the system closes what it had open.
void Gateway::bury() {
    Life* life = life_.release();
    life->process->alive = false;
    Network::get().died(life->process);
    Disk::get().process_died();
    Disk::get().frozen = true;
    life->ledger.reset();  // gives the lock on the folder back; writes nothing
    Disk::get().frozen = false;
    dead_.push_back(life);
}

void Gateway::kill(bool power_cut) {
    if (!life_) return;
    World& world = World::get();
    world.tell(fmt::format("life {} is killed", number_));
    oracle_.kills.push_back(number_);
    bury();
    if (power_cut) {
        Disk::get().power_cut();
        oracle_.power_cut = world.now();
    }
    world.after(world.random.between(milliseconds(10), milliseconds(2000)), [this] { start(); });
}

std::size_t Gateway::connections(const Life& life) const {
    std::size_t count = 0;
    for (const auto& worker : life.workers) count += worker->server.connections();
    return count;
}

void Gateway::drain() {
    if (!up() || life_->draining) return;
    World& world = World::get();
    world.tell("SIGTERM");
    Life& life = *life_;
    life.draining = true;
    for (const auto& worker : life.workers) {
        worker->server.stop_accepting();
        worker->state.pool.close_idle();
    }
    const auto still = [this, process = life.process, &life] {
        return process->alive && connections(life) > 0;
    };
    world.after(seconds(5), [still, &life] {
        if (!still()) return;
        for (const auto& worker : life.workers) worker->server.interrupt_all();
    });
    world.after(seconds(9), [this, still, process = life.process, &life] {
        if (!process->alive) return;
        if (still())
            World::get().violated(
                fmt::format("{} connections outlive the drain", connections(life)));
        end(life);
    });
}

// The end of a life in order, as app::Server has it.
void Gateway::end(Life& life) {
    World& world = World::get();
    world.tell(fmt::format("life {} ends", number_));
    check_quiet();
    for (int i = 0; i < 1000; ++i) {
        const auto pause = life.ledger->turn();
        if (!pause || pause->until == ledger::Ledger::Pause::Until::kRetry) break;
        if (!life.ledger->stats().pending_bytes) break;
    }
    bury();
    world.after(milliseconds(100), [this] { start(); });
}

void Gateway::reload() {
    if (!up() || life_->draining) return;
    World::get().tell("reload");
    auto snapshot = build(*life_, config());
    if (!snapshot) return;
    life_->snapshot = snapshot;
    for (const auto& worker : life_->workers) {
        worker->loop.post([state = &worker->state, snapshot] { state->snapshot = snapshot; });
    }
}

void Gateway::check() {
    if (!up()) return;
    for (const budget::Standing& one : life_->book.standings(now_s())) {
        const std::string name = one.budget + "/" + to_string(one.scope);
        Int128& before = life_->pending[name];
        // More is pending than before: something was admitted.
        if (one.hard && one.pending > before && one.posted + one.pending > one.limit)
            World::get().violated("the budget " + name + " is exceeded by an admission");
        before = one.pending;
    }
    for (const auto& worker : life_->workers) {
        if (worker->loop.failed_tasks() > 0) World::get().violated("a task failed");
    }
}

void Gateway::check_quiet() {
    if (!up()) return;
    World& world = World::get();
    if (const std::size_t open = connections(*life_); open > 0)
        world.violated(fmt::format("{} connections are left", open));
    const auto counters = life_->book.counters();
    if (counters.open > 0) world.violated(fmt::format("{} reservations are left", counters.open));
    if (counters.conflicts > 0) world.violated("an attempt was settled twice, with two amounts");
    if (life_->drains.open() > 0) world.violated("an answer goes on without end");
    const auto flights = life_->flights.stats();
    if (flights.flights > 0) world.violated("a flight of equal requests is left");
    std::size_t idle = 0;
    for (const auto& worker : life_->workers) idle += worker->state.pool.idle();
    const std::size_t open = Network::get().open_ends(life_->process);
    if (open != idle)
        world.violated(
            fmt::format("{} sockets are open, {} of them idle to providers", open, idle));
}

bool Gateway::written() const {
    if (!up()) return false;
    const auto stats = life_->ledger->stats();
    return stats.pending_bytes == 0 && !stats.failing;
}

std::string Gateway::unwritten() const {
    if (!up()) return "it is down";
    const auto stats = life_->ledger->stats();
    return fmt::format("{} bytes wait, {}", stats.pending_bytes,
                       stats.failing ? stats.last_error : "the database is well");
}

}  // namespace leeway::sim
