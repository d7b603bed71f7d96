// leeway_sim: whole gateways in a simulated world: clock, network, disk, clients and providers of one thread, all chance
// from a seed. See README.md.

#include "ledger/ledger.hpp"
#include "sim/client.hpp"
#include "sim/disk.hpp"
#include "sim/gateway.hpp"
#include "sim/oracle.hpp"
#include "sim/provider.hpp"
#include "sim/world.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using Files = std::map<std::string, std::shared_ptr<Disk::File>>;

constexpr std::string_view kUsage =
    R"(leeway_sim: runs whole gateways in a simulated world and checks them after every event

  leeway_sim --seeds 10000            seeds 1 to 10000, two at a time
  leeway_sim --first 500 --seeds 20   seeds 500 to 519
  leeway_sim --seed 42 --trace        one seed, and all that happens in it

The last line is 'N passed, N failed'; the exit status is 0 only if nothing failed. A failed seed fails again each time.
)";

struct Outcome {
    std::array<std::uint32_t, kFaults> hits{};
    std::uint64_t digest = 0;
    std::uint32_t requests = 0, calls = 0, successes = 0, lives = 0;
    std::uint64_t events = 0;
    std::vector<std::string> violations;
};

/// What happens from outside in the course of a run.
class Weather {
public:
    explicit Weather(Gateway& gateway) : gateway_(gateway) {}
    void begin() { next(); }

private:
    void next() {
        World& world = World::get();
        world.after(world.random.between(milliseconds(300), milliseconds(2500)), [this] {
            World& w = World::get();
            if (w.strikes(Fault::process_killed)) {
                gateway_.kill(false);
            } else if (w.strikes(Fault::disk_power_cut)) {
                gateway_.kill(true);
            } else if (w.strikes(Fault::process_drained)) {
                gateway_.drain();
            } else if (w.strikes(Fault::config_reloaded)) {
                gateway_.reload();
            } else if (w.strikes(Fault::key_revoked)) {
                gateway_.let_revoke();
                gateway_.reload();
            } else if (w.strikes(Fault::clock_forward)) {
                w.jump(w.random.chance(0.2) ? 40LL * 86'400'000'000 : 3'700'000'000);
            } else if (w.strikes(Fault::clock_back)) {
                w.jump(-3'600'000'000);
            }
            next();
        });
    }
    Gateway& gateway_;
};

/// Once in a process: nothing of the world is ever taken down, as nothing is at a kill.
Outcome run(std::uint64_t seed, const std::string& state, const Files& blank, bool trace) {
    World& world = *new World(seed);
    world.trace = trace;
    new Network;
    Disk& disk = *new Disk;
    for (const auto& [name, file] : blank)
        disk.files[state + name] = std::make_shared<Disk::File>(*file);
    Oracle& oracle = *new Oracle;
    new Provider(oracle, "ant", "10.1.0.1:80", true);
    new Provider(oracle, "one", "10.1.0.2:80", false);
    new Provider(oracle, "two", "10.1.0.3:80", false);
    Gateway& gateway = *new Gateway(oracle, state);
    gateway.start();
    (new Weather(gateway))->begin();
    const unsigned clients = 5 + static_cast<unsigned>(world.random.below(14));
    const auto busy = seconds(2 + world.random.below(8));
    for (unsigned i = 0; i < clients; ++i) {
        world.after(world.random.between(milliseconds(20), busy), [&] {
            const auto client = std::make_shared<Client>(oracle, [&] { return gateway.number(); });
            client->start(1 + static_cast<unsigned>(World::get().random.below(3)));
        });
    }
    Outcome out;
    const auto run_until = [&](TimePoint end) {
        while (world.now() < end && world.step()) {
            gateway.check();
            ++out.events;
        }
    };
    run_until(world.now() + busy + seconds(1));
    // Nothing new goes wrong from here on; what was begun comes to its end.
    world.calm();
    run_until(world.now() + seconds(150));
    for (int i = 0; i < 100 && !gateway.written(); ++i) run_until(world.now() + seconds(1));
    for (const Asked& asked : oracle.asked) {
        if (!asked.over) world.violated(fmt::format("r{} never ends", asked.number));
        out.successes += asked.success ? 1 : 0;
    }
    if (!gateway.up()) world.violated("the gateway does not come back");
    if (!gateway.written()) world.violated("the ledger does not come back: " + gateway.unwritten());
    gateway.check_quiet();
    oracle.judge_ledger(state);
    out.hits = world.hits();
    out.digest = world.digest();
    out.requests = static_cast<std::uint32_t>(oracle.asked.size());
    out.calls = static_cast<std::uint32_t>(oracle.calls.size());
    out.lives = gateway.number();
    out.violations = world.violations();
    return out;
}

void clear(const std::string& state) {
    std::error_code ignored;
    std::filesystem::remove_all(state, ignored);
}

/// A ledger without rows, made once, since its schema has a history; files by their names in the state folder.
Files blank_disk(const std::string& state) {
    World world(0);
    world.calm();
    Network network;
    Disk disk;
    begin_process(std::make_shared<Process>());
    ledger::LedgerOptions options;
    options.state_dir = state;
    options.own_thread = false;
    if (auto opened = ledger::Ledger::open(options); !opened) {
        std::fprintf(stderr, "no ledger: %s\n", opened.error().text().c_str());
        std::exit(2);
    }
    clear(state);
    Files out;
    for (const auto& [name, file] : disk.files) {
        file->synced = file->bytes;
        out[name.substr(state.size())] = file;
    }
    return out;
}

/// Runs a seed in a process of its own: all state that it leaves anywhere is gone with it, and a crash is its own.
class Child {
public:
    Child(std::uint64_t seed, const std::string& folder, const Files& blank) : seed_(seed) {
        int ends[2];
        if (::pipe(ends) != 0) std::abort();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(ends[0]);
            const std::string state = folder + "/" + std::to_string(seed);
            const Outcome out = run(seed, state, blank, false);
            clear(state);
            std::string text(reinterpret_cast<const char*>(&out), offsetof(Outcome, violations));
            for (const std::string& line : out.violations) text += line + "\n";
            (void)!::write(ends[1], text.data(), text.size());
            ::_exit(0);
        }
        ::close(ends[1]);
        from_ = ends[0];
    }
    Outcome wait() {
        std::string text;
        std::array<char, 4096> buffer{};
        for (ssize_t n = 0; (n = ::read(from_, buffer.data(), buffer.size())) > 0;)
            text.append(buffer.data(), static_cast<std::size_t>(n));
        ::close(from_);
        int status = 0;
        ::waitpid(pid_, &status, 0);
        Outcome out;
        constexpr std::size_t kFixed = offsetof(Outcome, violations);
        if (status != 0 || text.size() < kFixed) {
            out.violations.push_back(fmt::format("the process died ({})", status));
            return out;
        }
        std::memcpy(static_cast<void*>(&out), text.data(), kFixed);
        for (std::size_t at = kFixed; at < text.size();) {
            const std::size_t end = text.find('\n', at);
            out.violations.push_back(text.substr(at, end - at));
            at = end + 1;
        }
        return out;
    }
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

private:
    std::uint64_t seed_;
    pid_t pid_ = 0;
    int from_ = -1;
};

struct Options {
    std::uint64_t first = 1, seeds = 1000;
    std::optional<std::uint64_t> seed;
    bool trace = false;
};

int run_many(const Options& options, const std::string& folder, const Files& blank) {
    Outcome sum;
    std::uint64_t failed = 0;
    std::map<std::uint64_t, std::uint64_t> digests;  // of seeds that are run twice
    const auto take = [&](Child& child) {
        Outcome one = child.wait();
        if (const auto [before, first] = digests.emplace(child.seed(), one.digest);
            !first && before->second != one.digest) {
            one.violations.emplace_back("two runs of the same seed differ");
        }
        for (std::size_t i = 0; i < kFaults; ++i) sum.hits[i] += one.hits[i];
        sum.requests += one.requests;
        sum.calls += one.calls;
        sum.successes += one.successes;
        sum.lives += one.lives;
        sum.events += one.events;
        if (one.violations.empty()) return;
        if (++failed > 20) return;
        std::printf("seed %llu:\n", static_cast<unsigned long long>(child.seed()));
        for (const std::string& line : one.violations) std::printf("  %s\n", line.c_str());
        std::fflush(stdout);
    };
    std::vector<Child> running;
    const auto start = [&](std::uint64_t seed) {
        running.emplace_back(seed, folder, blank);
        if (running.size() < 2) return;
        take(running.front());
        running.erase(running.begin());
    };
    for (std::uint64_t seed = options.first; seed < options.first + options.seeds; ++seed) {
        start(seed);
        if (seed % 1000 == 0)
            std::fprintf(stderr, "… %llu seeds\n", static_cast<unsigned long long>(seed));
    }
    // A failed seed is worth nothing that does not fail again.
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(options.seeds, 50); ++i)
        start(options.first + i);
    for (Child& child : running) take(child);
    std::uint32_t least = UINT32_MAX;
    for (std::size_t i = 0; i < kFaults; ++i) {
        std::printf("%10u  %s\n", sum.hits[i], std::string(name_of(static_cast<Fault>(i))).c_str());
        least = std::min(least, sum.hits[i]);
    }
    std::printf(
        "%zu faults, each struck at least %u times; %llu events, %u requests (%u answered whole), "
        "%u calls, %u lives\n",
        kFaults, least, static_cast<unsigned long long>(sum.events), sum.requests, sum.successes,
        sum.calls, sum.lives);
    std::printf("%llu passed, %llu failed\n",
                static_cast<unsigned long long>(options.seeds - failed),
                static_cast<unsigned long long>(failed));
    return failed == 0 ? 0 : 1;
}

int main(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string_view name = arguments[i];
        if (name == "--trace") {
            options.trace = true;
            continue;
        }
        std::uint64_t value = 0;
        const std::string_view text = i + 1 < count ? arguments[i + 1] : "";
        const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool number = read.ec == std::errc() && !text.empty();
        if (number && name == "--seeds") {
            options.seeds = value;
        } else if (number && name == "--first") {
            options.first = value;
        } else if (number && name == "--seed") {
            options.seed = value;
        } else {
            std::fwrite(kUsage.data(), 1, kUsage.size(), name == "--help" ? stdout : stderr);
            return name == "--help" ? 0 : 2;
        }
        ++i;
    }
    spdlog::set_level(spdlog::level::off);
    std::string folder = (std::filesystem::temp_directory_path() / "leeway_sim_XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) return 2;
    const Files blank = blank_disk(folder + "/blank");
    int status = 0;
    if (options.seed) {
        const Outcome out = run(*options.seed, folder + "/one", blank, options.trace);
        for (const std::string& line : out.violations) std::printf("violated: %s\n", line.c_str());
        std::printf("digest %016llx, %u requests, %u calls\n",
                    static_cast<unsigned long long>(out.digest), out.requests, out.calls);
        status = out.violations.empty() ? 0 : 1;
    } else {
        status = run_many(options, folder, blank);
    }
    clear(folder);
    return status;
}

}  // namespace
}  // namespace leeway::sim

int main(int count, char** arguments) {
    const int status = leeway::sim::main(count, arguments);
    std::fflush(stdout);
    std::_Exit(status);  // the world is not taken down
}
