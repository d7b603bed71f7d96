// CPU per record on the ledger thread and on the worker. Off by default:
//   leeway_tests --gtest_also_run_disabled_tests --gtest_filter='LedgerBench.*'

#include "ledger/ledger.hpp"
#include "ledger/reader.hpp"
#include "ledger/report.hpp"
#include "ledger/report_scan.hpp"
#include "ledger/savings.hpp"
#include "ledger/testing.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>

namespace leeway::ledger {
namespace {

double cpu_us(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

void measure(int records, int per_burst, Duration pause) {
    const testing::TemporaryFolder folder;
    auto ledger = Ledger::open({.state_dir = folder.path()});
    ASSERT_TRUE(ledger);
    RequestRecord record = testing::ordinary_record();
    const double process = cpu_us(CLOCK_PROCESS_CPUTIME_ID);
    const double thread = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    double appending = 0;
    for (int i = 0; i < records;) {
        const double start = cpu_us(CLOCK_THREAD_CPUTIME_ID);
        for (int n = 0; n < per_burst && i < records; ++n, ++i) {
            const std::int64_t now = unix_now_us();
            record.id = RequestId::make(now / 1000);
            record.ts_us = now;
            record.total_us = 1'000'000 + i;
            ASSERT_TRUE((*ledger)->sink(0).append(record));
        }
        appending += cpu_us(CLOCK_THREAD_CPUTIME_ID) - start;
        std::this_thread::sleep_for(pause);
    }
    ASSERT_TRUE((*ledger)->flush());
    ASSERT_EQ((*ledger)->stats().rows_written, static_cast<std::uint64_t>(records));
    const double mine = cpu_us(CLOCK_THREAD_CPUTIME_ID) - thread;
    const double all = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - process;
    fmt::print(
        "{} records in bursts of {}: ledger thread {:.2f} µs CPU per record, append {:.2f} "
        "µs (with id and clock), {} batches, {} bytes spilled\n",
        records, per_burst, (all - mine) / records, appending / records, (*ledger)->stats().batches,
        (*ledger)->stats().spilled_bytes);
}

long resident_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
    }
    return -1;
}

/// What a burst leaves behind in memory once the ledger has been idle for a while.
TEST(LedgerBench, DISABLED_ResidentMemoryAfterABurst) {
    const testing::TemporaryFolder folder;
    const long before = resident_kib();
    auto ledger = Ledger::open({.state_dir = folder.path(), .workers = 2});
    ASSERT_TRUE(ledger);
    const long opened = resident_kib();
    for (unsigned i = 0; i < 100'000; ++i) {
        ASSERT_TRUE((*ledger)->sink(i % 2).append(testing::ordinary_record()));
    }
    ASSERT_TRUE((*ledger)->flush());
    const long busy = resident_kib();
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    fmt::print("resident: {} KiB before, {} opened, {} after a burst, {} idle again\n", before,
               opened, busy, resident_kib());
}

constexpr std::int64_t kTrafficStartUs = 1'760'000'000'000'000;

/// Rows as ten million of them could be: 90 days, 20 keys, 5 routes, 8 models, 2,000 users, 12 tags.
RequestRecord traffic_record(std::uint64_t n, std::uint64_t rows) {
    constexpr std::int64_t kSpanUs = 90 * kDayUs;
    RequestRecord r = testing::ordinary_record(
        // In 128 bits: ten million of them would be too many for 64.
        kTrafficStartUs + static_cast<std::int64_t>(Int128{kSpanUs} * n / rows));
    std::uint64_t z = n * 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9ULL;
    const auto pick = [&z](std::uint64_t count) {
        const std::uint64_t out = (z >> 33) % count;
        z = z * 6364136223846793005ULL + 1442695040888963407ULL;
        return std::to_string(out);
    };
    r.key = "key-" + pick(20);
    r.route = "route-" + pick(5);
    r.model = r.model_asked = r.attempts[0].model = "model-" + pick(8);
    r.user = "user-" + pick(2000);
    r.tags = "tag-" + pick(12);
    r.session = "session-" + pick(1'000'000);
    r.agent = "agent-" + pick(10);
    r.total_us = 1'000'000 + static_cast<std::int64_t>(n % 999'983);
    return r;
}

double seconds_since(TimePoint start) {
    return std::chrono::duration<double>(monotonic_now() - start).count();
}

/// Through the real ring and writer: rows per second in slices of a tenth, then reports.
/// LEEWAY_BENCH_DATABASE: an empty PostgreSQL database instead of SQLite.
/// LEEWAY_BENCH_ROWS (default 100,000) says how many requests; each has one attempt, so twice as many rows.
TEST(LedgerBench, DISABLED_InsertAndReport) {
    const char* asked = std::getenv("LEEWAY_BENCH_ROWS");
    const std::uint64_t rows = asked == nullptr ? 100'000 : std::strtoull(asked, nullptr, 10);
    const testing::TemporaryFolder folder;
    const char* url = std::getenv("LEEWAY_BENCH_DATABASE");
    const Secret database(url == nullptr ? "" : url);
    auto ledger =
        Ledger::open({.state_dir = folder.path(), .database = database, .ring_bytes = 64 << 20});
    ASSERT_TRUE(ledger) << ledger.error().text();
    for (int slice = 0; slice < 10; ++slice) {
        const TimePoint start = monotonic_now();
        const double process = cpu_us(CLOCK_PROCESS_CPUTIME_ID);
        const double mine = cpu_us(CLOCK_THREAD_CPUTIME_ID);
        const std::uint64_t end = rows * static_cast<std::uint64_t>(slice + 1) / 10;
        const std::uint64_t begin = rows * static_cast<std::uint64_t>(slice) / 10;
        for (std::uint64_t n = begin; n < end; ++n) {
            ASSERT_TRUE((*ledger)->sink(0).append(traffic_record(n, rows)));
        }
        ASSERT_TRUE((*ledger)->flush(std::chrono::minutes(10)));
        const double thread =
            cpu_us(CLOCK_PROCESS_CPUTIME_ID) - process - (cpu_us(CLOCK_THREAD_CPUTIME_ID) - mine);
        fmt::print("{:>9} requests: {:.0f} requests/s, ledger thread {:.2f} µs CPU per request\n",
                   end, static_cast<double>(end - begin) / seconds_since(start),
                   thread / static_cast<double>(end - begin));
    }
    ASSERT_EQ((*ledger)->stats().rows_written, rows);
    auto db = open_for_reading(folder.path(), database);
    ASSERT_TRUE(db && *db);
    // The last ones over a week that begins in the middle of a day.
    for (const char* by : {"day", "key", "route", "model", "provider", "user", "tag", "agent",
                           "key,day", "route,day", "model,day", "provider,day", "user,day",
                           "tag,day", "agent,day", "user week", "model week"}) {
        ReportQuery query;
        const std::string_view words(by);
        const bool week = words.ends_with(" week");
        query.by = *parse_report_groups(words.substr(0, words.find(' ')));
        if (week) {
            query.since_us = kTrafficStartUs + 80 * kDayUs + kDayUs / 2;
            query.until_us = *query.since_us + 7 * kDayUs;
        }
        double best = 1e9;
        std::size_t groups = 0;
        for (int i = 0; i < 3; ++i) {
            const double cpu = cpu_us(CLOCK_THREAD_CPUTIME_ID);
            const auto report = build_report(**db, query);
            ASSERT_TRUE(report);
            const auto all = static_cast<std::int64_t>(rows);
            ASSERT_NEAR(static_cast<double>(report->totals.requests),
                        static_cast<double>(week ? all * 7 / 90 : all), week ? 2 : 0);
            groups = report->rows.size();
            best = std::min(best, (cpu_us(CLOCK_THREAD_CPUTIME_ID) - cpu) / 1000);
        }
        fmt::print("report by {:<13} {:>7} groups: {:.1f} ms CPU\n", by, groups, best);
    }
    const double cpu = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    ASSERT_TRUE(build_savings(**db, {}));
    fmt::print("report --savings: {:.1f} ms CPU\n", (cpu_us(CLOCK_THREAD_CPUTIME_ID) - cpu) / 1000);
}

TEST(LedgerBench, DISABLED_CpuPerRecord) {
    using namespace std::chrono_literals;
    measure(200'000, 4000, 20ms);  // as fast as the ledger thread can
    measure(200'000, 200, 10ms);  // 20,000 per second
    measure(20'000, 20, 10ms);  // 2,000 per second
}

}  // namespace
}  // namespace leeway::ledger
