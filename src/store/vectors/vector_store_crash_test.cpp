// Kills a process that puts, again and again, and looks at what it had flushed.

#include "store/sqlite/database.hpp"
#include "store/vectors/testing.hpp"
#include "store/vectors/vector_store.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

namespace leeway::store::vectors {
namespace {

using testing::Clustered;
using testing::TemporaryFolder;
using testing::Vector;

constexpr std::uint32_t kDimension = 48;
constexpr std::uint64_t kIds = 400;

/// The vector of each version of an entry is known from its number.
Vector vector_of(std::uint64_t id, std::uint64_t version) {
    Clustered source(kDimension, 1, 2.0, id * 1'000'003 + version);
    return source.next();
}

Partition partition_of(std::uint64_t id) {
    return {.key = id % 2 == 0 ? "even/" : "odd/", .fingerprint = "m", .dimension = kDimension};
}

/// Puts versions 1, 2, … of every entry until it is killed; writes the number of each that was flushed.
[[noreturn]] void put_forever(const std::string& path, std::uint64_t from, int acks) {
    auto store = open_vector_store({.path = path});
    if (!store || !(*store)->stats().on_disk) ::_exit(2);
    for (std::uint64_t version = from;; ++version) {
        for (std::uint64_t id = 0; id < kIds; ++id) {
            (*store)->put(partition_of(id),
                          {.id = id,
                           .vector = std::make_shared<const Vector>(vector_of(id, version)),
                           .payload = std::to_string(version)});
        }
        if (!(*store)->flush(std::chrono::seconds(60))) ::_exit(3);
        if (::write(acks, &version, sizeof version) != sizeof version) ::_exit(4);
    }
}

/// The last version that the child said was flushed before it died.
std::uint64_t run_and_kill(const std::string& path, std::uint64_t from, Duration after) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(ends[0]);
        put_forever(path, from, ends[1]);
    }
    ::close(ends[1]);
    std::uint64_t version = 0;
    EXPECT_EQ(::read(ends[0], &version, sizeof version), static_cast<ssize_t>(sizeof version));
    std::this_thread::sleep_for(after);
    ::kill(child, SIGKILL);
    while (::read(ends[0], &version, sizeof version) == static_cast<ssize_t>(sizeof version)) {
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child gave up with " << WEXITSTATUS(status);
    return version;
}

TEST(VectorStoreCrash, WhatWasFlushedIsThereAndNothingIsMixed) {
    const TemporaryFolder folder;
    const std::string path = folder / "vectors.db";
    std::mt19937_64 random(11);
    std::uint64_t flushed = 0;
    for (int round = 0; round < 4; ++round) {
        flushed = run_and_kill(path, flushed + 1, std::chrono::milliseconds(random() % 40));
        auto store = open_vector_store({.path = path});
        ASSERT_TRUE(store);
        ASSERT_TRUE((*store)->stats().on_disk);
        EXPECT_EQ((*store)->stats().entries, kIds);
        for (const std::uint64_t first : {0U, 1U}) {
            VectorQuery query{.partition = partition_of(first),
                              .vector = std::make_shared<const Vector>(vector_of(first, flushed)),
                              .k = kIds,
                              .filter = {}};
            std::vector<Match> matches;
            std::atomic<bool> done{false};
            (*store)->search(query, [&](VectorStore::Found found) {
                if (found) matches = std::move(*found);
                done = true;
                done.notify_all();
            });
            done.wait(false);
            ASSERT_EQ(matches.size(), kIds / 2);
            for (const Match& match : matches) {
                const std::uint64_t version = std::stoull(match.payload);
                EXPECT_GE(version, flushed);
                EXPECT_LE(version, flushed + 2);
                // Its vector is that of the version that its payload names.
                EXPECT_NEAR(match.cosine,
                            testing::cosine(*query.vector, vector_of(match.id, version)), 0.001);
            }
        }
        EXPECT_EQ((*store)->stats().damaged, 0U);
    }
}

}  // namespace
}  // namespace leeway::store::vectors
