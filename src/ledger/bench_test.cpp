// CPU per record on the ledger thread and on the worker. Off by default:
//   leeway_tests --gtest_also_run_disabled_tests --gtest_filter='LedgerBench.*'

#include "ledger/ledger.hpp"
#include "ledger/testing.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

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

TEST(LedgerBench, DISABLED_CpuPerRecord) {
    using namespace std::chrono_literals;
    measure(200'000, 4000, 20ms);  // as fast as the ledger thread can
    measure(200'000, 200, 10ms);   // 20,000 per second
    measure(20'000, 20, 10ms);     // 2,000 per second
}

}  // namespace
}  // namespace leeway::ledger
