// Kills a process that appends, again and again, and counts what it had acknowledged.

#include "ledger/ledger.hpp"
#include "ledger/reader.hpp"
#include "ledger/schema.hpp"
#include "ledger/testing.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <map>
#include <random>
#include <thread>
#include <vector>

namespace leeway::ledger {
namespace {

using namespace std::chrono_literals;
using IdBytes = std::array<std::uint8_t, 16>;

/// Appends until it is killed and writes the id of each record to `acks` once `append` was true.
[[noreturn]] void append_forever(const std::string& state_dir, std::uint64_t ring_bytes, int acks) {
    auto ledger = Ledger::open({.state_dir = state_dir,
                                .workers = 2,
                                .ring_bytes = ring_bytes,
                                .batch_time = 3ms,
                                .lock_patience = 10s});
    if (!ledger) ::_exit(2);
    const auto work = [&](unsigned worker) {
        while (true) {
            const auto record = testing::ordinary_record();
            if (!(*ledger)->sink(worker).append(record)) ::_exit(3);
            // Sixteen bytes reach a pipe whole.
            if (::write(acks, record.id.bytes.data(), 16) != 16) ::_exit(4);
        }
    };
    std::thread second(work, 1U);
    work(0);
    ::_exit(5);
}

/// Starts an appender, kills it after about `wanted` acknowledgements and returns all it gave.
std::vector<IdBytes> run_and_kill(const std::string& state_dir, std::uint64_t ring_bytes,
                                  std::size_t wanted, Duration then_wait) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(ends[0]);
        append_forever(state_dir, ring_bytes, ends[1]);
    }
    ::close(ends[1]);
    std::vector<IdBytes> acked;
    IdBytes id;
    const auto read_one = [&] {
        std::size_t done = 0;
        while (done < id.size()) {
            const ssize_t n = ::read(ends[0], id.data() + done, id.size() - done);
            if (n <= 0) return false;
            done += static_cast<std::size_t>(n);
        }
        acked.push_back(id);
        return true;
    };
    while (acked.size() < wanted && read_one()) {
    }
    std::this_thread::sleep_for(then_wait);
    ::kill(child, SIGKILL);
    while (read_one()) {
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the appender gave up with " << WEXITSTATUS(status);
    return acked;
}

TEST(LedgerCrash, EveryAcknowledgedRecordIsThereOnceAfterManyKills) {
    const testing::TemporaryFolder folder;
    std::mt19937_64 rng(11);
    std::map<IdBytes, int> acked;
    constexpr int kKills = 60;
    for (int round = 0; round < kKills; ++round) {
        // Small rings spill; a kill at once hits the replay of the round before.
        const std::uint64_t ring_bytes = round % 2 == 0 ? 8192 : 262'144;
        const std::size_t wanted = round % 5 == 0 ? 0 : rng() % 500;
        for (const IdBytes& id : run_and_kill(folder.path(), ring_bytes, wanted,
                                              std::chrono::microseconds(rng() % 3000))) {
            ++acked[id];
        }
        if (round % 2 == 1) {
            // The size of a ring is chosen when its file is made: the next round shall make it.
            ASSERT_TRUE(replay_leftovers(folder.path()));
        }
    }
    ASSERT_GT(acked.size(), 1000U);
    ASSERT_TRUE(replay_leftovers(folder.path()));

    auto db = open_for_reading(folder.path());
    ASSERT_TRUE(db && *db);
    auto rows = (*db)->prepare(
        "SELECT id, (SELECT count(*) FROM attempt WHERE request_id = id) "
        "FROM request");
    ASSERT_TRUE(rows);
    std::int64_t stored = 0;
    while (*rows->step()) {
        ++stored;
        EXPECT_EQ(rows->int64(1), 1);
        IdBytes id;
        ASSERT_EQ(rows->blob(0).size(), id.size());
        std::memcpy(id.data(), rows->blob(0).data(), id.size());
        acked.erase(id);  // an id can be in the table only once: it is the primary key
    }
    EXPECT_TRUE(acked.empty()) << acked.size() << " acknowledged records are lost";
    // What was not acknowledged may be there or not, but roll-ups and rows agree.
    EXPECT_EQ(*(*db)->query_int("SELECT sum(requests) FROM rollup_group WHERE hours = 1"), stored);
    EXPECT_EQ(*(*db)->query_int(
                  "SELECT (sum(spent_hi) << 32) + sum(spent_lo) FROM rollup_group WHERE hours = 1"),
              *(*db)->query_int("SELECT sum(cost_pico_usd) FROM attempt"));
    EXPECT_EQ(*(*db)->query_int("SELECT count(*) FROM pragma_integrity_check WHERE "
                                "integrity_check = 'ok'"),
              1);
}

}  // namespace
}  // namespace leeway::ledger
