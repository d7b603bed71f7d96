#include "ledger/ledger.hpp"

#include "ledger/reader.hpp"
#include "ledger/schema.hpp"
#include "ledger/testing.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <thread>
#include <tuple>

namespace leeway::ledger {
namespace {

using namespace std::chrono_literals;
using store::sqlite::Access;
using store::sqlite::Database;
using testing::ordinary_record;
using testing::random_record;
using testing::TemporaryFolder;

std::unique_ptr<Ledger> open_ledger(const LedgerOptions& options) {
    auto ledger = Ledger::open(options);
    if (!ledger) {
        ADD_FAILURE() << ledger.error().text();
        std::abort();
    }
    return std::move(*ledger);
}

std::int64_t count(const std::string& state_dir, const char* sql) {
    auto db = Database::open(database_path(state_dir), {.access = Access::kReadOnly});
    if (!db) return -1;
    const auto value = db->query_int(sql);
    return value ? value->value_or(-1) : -1;
}

bool eventually(const std::function<bool()>& condition, Duration patience = 10s) {
    const TimePoint until = monotonic_now() + patience;
    while (!condition()) {
        if (monotonic_now() > until) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

TEST(Ledger, WritesWhatTheWorkersAppendOnce) {
    const TemporaryFolder folder;
    const auto ledger = open_ledger({.state_dir = folder.path(), .workers = 2});
    std::thread other([&] {
        for (int i = 0; i < 3000; ++i) EXPECT_TRUE(ledger->sink(1).append(ordinary_record()));
    });
    for (int i = 0; i < 3000; ++i) ASSERT_TRUE(ledger->sink(0).append(ordinary_record()));
    const auto again = ordinary_record();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(ledger->sink(0).append(again));
    other.join();
    ASSERT_TRUE(ledger->flush());
    EXPECT_EQ(count(folder.path(), "SELECT count(*) FROM request"), 6001);
    EXPECT_EQ(count(folder.path(), "SELECT count(*) FROM attempt"), 6001);
    EXPECT_EQ(count(folder.path(), "SELECT sum(requests) FROM rollup_group WHERE hours = 1"), 6001);
    const LedgerStats stats = ledger->stats();
    EXPECT_EQ(stats.rows_written, 6001U);
    EXPECT_EQ(stats.replayed, 2U);
    EXPECT_EQ(stats.pending_bytes, 0U);
    EXPECT_EQ(stats.quarantined, 0U);
    EXPECT_FALSE(stats.failing);
    EXPECT_TRUE(ledger->notes().empty());
}

TEST(Ledger, WritesWithoutBeingAskedSoonAfterAnAppend) {
    const TemporaryFolder folder;
    const auto ledger = open_ledger({.state_dir = folder.path()});
    for (int i = 1; i <= 3; ++i) {
        ASSERT_TRUE(ledger->sink(0).append(ordinary_record()));
        EXPECT_TRUE(eventually([&] { return ledger->stats().rows_written == std::uint64_t(i); }));
    }
}

TEST(Ledger, WritesWhatIsPendingWhenItCloses) {
    const TemporaryFolder folder;
    {
        const auto ledger = open_ledger({.state_dir = folder.path(), .batch_time = 10s});
        for (int i = 0; i < 100; ++i) ASSERT_TRUE(ledger->sink(0).append(ordinary_record()));
    }
    EXPECT_EQ(count(folder.path(), "SELECT count(*) FROM request"), 100);
}

TEST(Ledger, RollUpsAgreeWithTheRowsToThePicodollar) {
    const TemporaryFolder folder;
    std::mt19937_64 rng(7);
    std::map<std::tuple<std::int64_t, std::string, std::string, std::string, std::string>, Totals>
        expected;
    {
        auto ledger = open_ledger({.state_dir = folder.path()});
        for (int i = 0; i < 5000; ++i) {
            const RequestRecord r = random_record(rng);
            expected[{hour_of(r.ts_us), r.key, r.route, r.model, r.provider}].add(r);
            ASSERT_TRUE(ledger->sink(0).append(r));
            if (i % 1000 == 0) {
                ASSERT_TRUE(ledger->flush());
            }
            if (i == 2500) {
                ledger.reset();
                ledger = open_ledger({.state_dir = folder.path()});
            }
        }
    }
    auto db = open_for_reading(folder.path());
    ASSERT_TRUE(db && *db);
    Names names(**db);
    auto rows = (*db)->prepare(
        "SELECT start, key, route, model, provider, requests, errors, hits, unknown_cost,"
        " known_baseline, known_saved, input_tokens, output_tokens, spent_hi, spent_lo, "
        "baseline_hi,"
        " baseline_lo, saved_hi, saved_lo FROM rollup_group WHERE hours = 1");
    ASSERT_TRUE(rows);
    std::size_t groups = 0;
    while (*rows->step()) {
        ++groups;
        const Totals& want =
            expected.at({rows->int64(0), names.text(rows->int64(1)), names.text(rows->int64(2)),
                         names.text(rows->int64(3)), names.text(rows->int64(4))});
        EXPECT_EQ(rows->int64(5), want.requests);
        EXPECT_EQ(rows->int64(6), want.errors);
        EXPECT_EQ(rows->int64(7), want.hits);
        EXPECT_EQ(rows->int64(8), want.unknown_cost);
        EXPECT_EQ(rows->int64(9), want.known_baseline);
        EXPECT_EQ(rows->int64(10), want.known_saved);
        EXPECT_EQ(rows->int64(11), want.input_tokens);
        EXPECT_EQ(rows->int64(12), want.output_tokens);
        EXPECT_EQ(join({rows->int64(13), rows->int64(14)}), want.spent);
        EXPECT_EQ(join({rows->int64(15), rows->int64(16)}), want.baseline);
        EXPECT_EQ(join({rows->int64(17), rows->int64(18)}), want.saved);
    }
    EXPECT_EQ(groups, expected.size());
    // The same from the rows, by SQL alone.
    const auto sql_sum = [&](const char* hi, const char* lo) {
        return join({(*db)->query_int(hi)->value(), (*db)->query_int(lo)->value()});
    };
    EXPECT_EQ(sql_sum("SELECT sum(cost_pico_usd >> 32) FROM request",
                      "SELECT sum(cost_pico_usd & 4294967295) FROM request"),
              sql_sum("SELECT sum(spent_hi) FROM rollup_group WHERE hours = 1",
                      "SELECT sum(spent_lo) FROM rollup_group WHERE hours = 1"));
}

TEST(Ledger, AbsurdTokenCountsCannotBreakTheSums) {
    const TemporaryFolder folder;
    const auto ledger = open_ledger({.state_dir = folder.path()});
    for (int i = 0; i < 5000; ++i) {
        auto record = ordinary_record();
        record.usage[prices::Bucket::kInput] = INT64_MAX;
        record.usage[prices::Bucket::kOutput] = -5;
        ASSERT_TRUE(ledger->sink(0).append(record));
    }
    ASSERT_TRUE(ledger->flush());
    EXPECT_EQ(count(folder.path(), "SELECT max(input_tokens) FROM rollup_group WHERE hours = 1"),
              kMaxTokenSum);
    EXPECT_EQ(count(folder.path(), "SELECT max(output_tokens) FROM rollup_group WHERE hours = 1"),
              0);
    EXPECT_EQ(count(folder.path(), "SELECT max(input) FROM request"), kMaxTokens);
}

TEST(Ledger, EveryBucketHasItsColumn) {
    const TemporaryFolder folder;
    const auto ledger = open_ledger({.state_dir = folder.path()});
    auto record = ordinary_record();
    std::int64_t number = 100;
    for (const auto& info : prices::kBuckets) {
        record.usage[info.bucket] = ++number;
        record.attempts[0].usage[info.bucket] = number;
    }
    record.attempts[0].price_id = 0x8000000000000001;
    record.attempts[0].reported_cost = PicoUsd(7);
    record.attempts[0].computed_cost = PicoUsd(8);
    record.attempts[0].tier = prices::Tier::kFlex;
    ASSERT_TRUE(ledger->sink(0).append(record));
    ASSERT_TRUE(ledger->flush());
    number = 100;
    for (const auto& info : prices::kBuckets) {
        ++number;
        for (const char* table : {"request", "attempt"}) {
            const std::string sql = "SELECT " + std::string(info.name) + " FROM " + table;
            EXPECT_EQ(count(folder.path(), sql.c_str()), number) << sql;
        }
    }
    EXPECT_EQ(count(folder.path(),
                    "SELECT count(*) FROM attempt WHERE reported_cost_pico_usd = 7 AND"
                    " computed_cost_pico_usd = 8 AND tier = 2 AND price_id = -9223372036854775807"),
              1);
}

// What version 1 wrote stays as it was; what it did not count is NULL, not 0.
TEST(Ledger, DatabasesOfTheFirstVersionAreBroughtUpToDate) {
    const TemporaryFolder folder;
    std::filesystem::create_directories(ledger_folder(folder.path()));
    {
        auto db = store::sqlite::Database::open(database_path(folder.path()), {});
        ASSERT_TRUE(db);
        ASSERT_TRUE(store::migrate(*db, "ledger", migrations().first(1)));
        ASSERT_TRUE(
            db->exec("INSERT INTO request VALUES (x'00000000000000000000000000000001', 1, 0, 0, 0, "
                     "0, NULL, 200,"
                     " 0, 0, 0, 1, 11, 0, 0, 0, 12, 0, 0, 5, 6, 1, 1, NULL, NULL)"));
    }
    const auto ledger = open_ledger({.state_dir = folder.path()});
    ASSERT_TRUE(ledger->sink(0).append(ordinary_record()));
    ASSERT_TRUE(ledger->flush());
    EXPECT_EQ(count(folder.path(), "SELECT count(*) FROM request"), 2);
    EXPECT_EQ(count(folder.path(),
                    "SELECT count(*) FROM request WHERE input = 11 AND output = 12 AND"
                    " cost_pico_usd = 5 AND web_search IS NULL"),
              1);
}

TEST(Ledger, MissingUsageAndUnknownCostAreNullNeverZero) {
    const TemporaryFolder folder;
    const auto ledger = open_ledger({.state_dir = folder.path()});
    auto record = ordinary_record();
    ASSERT_TRUE(ledger->sink(0).append(record));
    record = ordinary_record();
    record.usage_state = prices::UsageState::kMissing;
    record.attempts[0].usage_state = prices::UsageState::kMissing;
    record.cost = record.attempts[0].cost = std::nullopt;
    ASSERT_TRUE(ledger->sink(0).append(record));
    ASSERT_TRUE(ledger->flush());
    EXPECT_EQ(count(folder.path(),
                    "SELECT count(*) FROM request WHERE input IS NULL AND "
                    "audio_output IS NULL AND web_search IS NULL AND cost_pico_usd IS NULL"),
              1);
    EXPECT_EQ(count(folder.path(),
                    "SELECT count(*) FROM attempt WHERE output IS NULL AND "
                    "cost_pico_usd IS NULL"),
              1);
}

TEST(Ledger, RefusesASecondOwnerAndNamesTheFirst) {
    const TemporaryFolder folder;
    const auto ledger = open_ledger({.state_dir = folder.path()});
    const auto second = Ledger::open({.state_dir = folder.path(), .lock_patience = 0ms});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().reason, "in_use");
    EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos)
        << second.error().message;
}

TEST(Ledger, RefusesAStateFolderOfANewerVersionUntouched) {
    const TemporaryFolder folder;
    {
        const auto ledger = open_ledger({.state_dir = folder.path()});
    }
    {
        auto db = Database::open(database_path(folder.path()));
        ASSERT_TRUE(db && db->exec("UPDATE schema_version SET version = 99"));
    }
    const auto ledger = Ledger::open({.state_dir = folder.path()});
    ASSERT_FALSE(ledger);
    EXPECT_NE(ledger.error().message.find("version 99"), std::string::npos);
    EXPECT_FALSE(ledger.error().hint.empty());
    EXPECT_FALSE(open_for_reading(folder.path()));
}

TEST(Ledger, SpillsWhenTheRingIsFullAndLosesNothing) {
    const TemporaryFolder folder;
    const auto ledger =
        open_ledger({.state_dir = folder.path(), .ring_bytes = 16384, .batch_time = 20ms});
    for (int i = 0; i < 5000; ++i) ASSERT_TRUE(ledger->sink(0).append(ordinary_record()));
    ASSERT_TRUE(ledger->flush());
    EXPECT_GT(ledger->stats().spilled_bytes, 0U);
    EXPECT_EQ(ledger->stats().pending_bytes, 0U);
    EXPECT_EQ(count(folder.path(), "SELECT count(*) FROM request"), 5000);
}

TEST(Ledger, KeepsRecordsWhileTheDatabaseIsLockedAndWritesThemAfterwards) {
    const TemporaryFolder folder;
    const auto ledger = open_ledger({.state_dir = folder.path(), .ring_bytes = 16384});
    auto db = Database::open(database_path(folder.path()));
    ASSERT_TRUE(db);
    auto lock = std::make_unique<store::sqlite::Transaction>(
        std::move(*store::sqlite::Transaction::begin(*db)));
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(ledger->sink(0).append(ordinary_record()));
    EXPECT_FALSE(ledger->flush(50ms));
    EXPECT_TRUE(ledger->healthy()) << "the spill file still takes records";
    lock.reset();
    ASSERT_TRUE(ledger->flush());
    EXPECT_EQ(count(folder.path(), "SELECT count(*) FROM request"), 1000);
}

TEST(Ledger, ReplaysWhatWorkersLeftThatAreNoMore) {
    const TemporaryFolder folder;
    // A real kill: a copy of the files would not be of one moment, because the ledger's thread may
    // write while it is made.
    const pid_t child = ::fork();
    if (child == 0) {
        const auto ledger = Ledger::open(
            {.state_dir = folder.path(), .workers = 3, .batch_time = std::chrono::hours(1)});
        if (!ledger) ::_exit(2);
        for (unsigned i = 0; i < 300; ++i) {
            if (!(*ledger)->sink(i % 3).append(ordinary_record())) ::_exit(3);
        }
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child gave up with " << WEXITSTATUS(status);

    const auto ledger = open_ledger({.state_dir = folder.path(), .workers = 1});
    ASSERT_TRUE(ledger->flush());
    EXPECT_EQ(count(folder.path(), "SELECT count(*) FROM request"), 300);
    EXPECT_TRUE(std::filesystem::exists(folder.path() + "/ledger/worker-0.ring"));
    EXPECT_FALSE(std::filesystem::exists(folder.path() + "/ledger/worker-1.ring"));
    EXPECT_FALSE(std::filesystem::exists(folder.path() + "/ledger/worker-2.ring"));
    EXPECT_TRUE(replay_leftovers(folder.path())) << "a living owner does it itself";
}

TEST(Ledger, MovesAFileThatIsNoRingAsideAndSaysSo) {
    const TemporaryFolder folder;
    std::filesystem::create_directories(folder.path() + "/ledger");
    std::ofstream(folder.path() + "/ledger/worker-0.ring") << "not a ring";
    const auto ledger = open_ledger({.state_dir = folder.path()});
    ASSERT_EQ(ledger->notes().size(), 1U);
    EXPECT_NE(ledger->notes()[0].find("moved to"), std::string::npos);
    EXPECT_TRUE(ledger->sink(0).append(ordinary_record()));
    EXPECT_TRUE(ledger->flush());
}

TEST(Ledger, FullDiskRefusesRecordsAndRecoversWithoutARestart) {
    const TemporaryFolder folder;
    const auto ledger = open_ledger({.state_dir = folder.path(), .ring_bytes = 16384});
    ASSERT_TRUE(ledger->sink(0).append(ordinary_record()));
    ASSERT_TRUE(ledger->flush());

    // Every file of this process stops growing: database and spill file fail as on a full disk.
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit low{4096, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
    std::int64_t kept = 1;
    bool refused = false;
    for (int i = 0; i < 2000 && !refused; ++i) {
        if (ledger->sink(0).append(ordinary_record())) {
            ++kept;
        } else {
            refused = true;
        }
    }
    const bool unhealthy = eventually([&] { return !ledger->sink(0).healthy(); });
    const auto flushed = ledger->flush(100ms);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);

    EXPECT_TRUE(refused);
    EXPECT_TRUE(unhealthy);
    EXPECT_FALSE(flushed);
    EXPECT_FALSE(ledger->stats().last_error.empty());
    EXPECT_TRUE(eventually([&] { return ledger->sink(0).healthy(); }));
    ASSERT_TRUE(ledger->flush());
    EXPECT_TRUE(ledger->sink(0).append(ordinary_record()));
    ASSERT_TRUE(ledger->flush());
    EXPECT_EQ(count(folder.path(), "SELECT count(*) FROM request"), kept + 1);
    EXPECT_EQ(count(folder.path(),
                    "SELECT count(*) FROM request r LEFT JOIN attempt a ON "
                    "a.request_id = r.id WHERE a.number IS NULL"),
              0);
}

}  // namespace
}  // namespace leeway::ledger
