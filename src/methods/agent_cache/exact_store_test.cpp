#include "methods/agent_cache/exact_store.hpp"

#include "methods/agent_cache/testing.hpp"
#include "store/sqlite/database.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <thread>
#include <vector>

namespace leeway::agent_cache {
namespace {

using store::sqlite::Database;
using testing::answer_of;
using testing::key_of;
using testing::ManualExecutor;
using testing::now_ms;
using testing::TemporaryFolder;
using Lookup = ExactStore::Lookup;

class ExactStoreTest : public ::testing::Test {
public:
    ExactStoreTest() {
        options.path = folder / "cache.db";
        options.memory_bytes = 8 << 20;
        options.disk_bytes = 64 << 20;
        options.entry_bytes = 64 << 10;
    }

    [[nodiscard]] std::unique_ptr<ExactStore> open() const {
        auto store = ExactStore::open(options);
        if (!store) {
            ADD_FAILURE() << store.error().text();
            std::abort();
        }
        return std::move(*store);
    }
    AnswerPtr load(ExactStore& store, std::uint64_t number) {
        std::optional<AnswerPtr> out;
        store.load(key_of(number), executor, [&](AnswerPtr answer) { out = std::move(answer); });
        EXPECT_TRUE(executor.run_one());
        return out.value_or(nullptr);
    }
    /// From memory or from disk, as the stage looks.
    AnswerPtr get(ExactStore& store, std::uint64_t number) {
        AnswerPtr answer;
        if (store.find(key_of(number), now_ms(), answer) == Lookup::kOnDisk) {
            answer = load(store, number);
        }
        return answer;
    }
    static Lookup look(ExactStore& store, std::uint64_t number) {
        AnswerPtr ignored;
        return store.find(key_of(number), now_ms(), ignored);
    }
    void fill(ExactStore& store, std::uint64_t count, std::size_t size = 100) {
        for (std::uint64_t i = 0; i < count; ++i) {
            store.put(key_of(i), answer_of(std::to_string(i) + std::string(size, 'x')));
        }
        ASSERT_TRUE(store.flush());
    }
    void sql(const char* text) const {
        auto db = Database::open(options.path);
        ASSERT_TRUE(db) << db.error().text();
        const auto done = db->exec(text);
        ASSERT_TRUE(done) << done.error().text();
    }

    TemporaryFolder folder;
    ExactStoreOptions options;
    ManualExecutor executor;
};

TEST_F(ExactStoreTest, HitsInMemoryAtOnce) {
    const auto store = open();
    EXPECT_EQ(look(*store, 1), Lookup::kMiss);
    store->put(key_of(1), answer_of("body"));
    AnswerPtr answer;
    EXPECT_EQ(store->find(key_of(1), now_ms(), answer), Lookup::kHit);
    EXPECT_EQ(answer->body, "body");
    const auto stats = store->stats();
    EXPECT_EQ(stats.misses, 1u);
    EXPECT_EQ(stats.memory_hits, 1u);
}

TEST_F(ExactStoreTest, WorksWithoutAFile) {
    options.path.clear();
    const auto store = open();
    store->put(key_of(1), answer_of("body"));
    EXPECT_EQ(look(*store, 1), Lookup::kHit);
    EXPECT_EQ(load(*store, 1), nullptr);
    EXPECT_TRUE(store->flush());
    EXPECT_FALSE(store->stats().disk_on);
    store->clear();
    EXPECT_EQ(look(*store, 1), Lookup::kMiss);
}

TEST_F(ExactStoreTest, RefusesWhatIsTooLargeOrExpired) {
    const auto store = open();
    store->put(key_of(1), answer_of(std::string(options.entry_bytes + 1, 'x')));
    store->put(key_of(2), answer_of("late", -1));
    store->put(key_of(3), answer_of(std::string(options.entry_bytes, 'x')));
    EXPECT_EQ(look(*store, 1), Lookup::kMiss);
    EXPECT_EQ(look(*store, 2), Lookup::kMiss);
    EXPECT_EQ(look(*store, 3), Lookup::kHit);
    EXPECT_EQ(store->stats().refused, 2u);
}

TEST_F(ExactStoreTest, AnswersSurviveARestart) {
    {
        const auto store = open();
        fill(*store, 1000);
        store->put(key_of(5000), answer_of("put just before the end"));
    }
    const auto store = open();
    EXPECT_EQ(store->stats().disk_entries, 1001u);
    EXPECT_EQ(look(*store, 7), Lookup::kOnDisk);
    const AnswerPtr answer = load(*store, 7);
    ASSERT_NE(answer, nullptr);
    EXPECT_EQ(answer->body, "7" + std::string(100, 'x'));
    EXPECT_EQ(answer->usage, answer_of("")->usage);
    EXPECT_EQ(look(*store, 7), Lookup::kHit) << "a loaded answer is kept in memory";
    ASSERT_NE(get(*store, 5000), nullptr);
    EXPECT_EQ(look(*store, 1001), Lookup::kMiss);
    EXPECT_EQ(store->stats().disk_hits, 2u);
}

TEST_F(ExactStoreTest, LoadsForCoroutinesToo) {
    {
        const auto store = open();
        fill(*store, 3);
    }
    const auto store = open();
    auto loading = store->load(key_of(2), executor);
    ASSERT_TRUE(executor.run_one());
    ASSERT_TRUE(loading.receive().await_ready());
    EXPECT_NE(loading.receive().await_resume(), nullptr);
    {
        const auto given_up = store->load(key_of(1), executor);
    }
    EXPECT_TRUE(executor.run_one());  // the answer finds nobody
}

TEST_F(ExactStoreTest, ExpiredOnDiskIsAMiss) {
    {
        const auto store = open();
        store->put(key_of(1), answer_of("body", 3'600'000));
    }
    sql("UPDATE answer SET expires_ms = 5");  // the index loses it …
    {
        const auto store = open();
        EXPECT_EQ(look(*store, 1), Lookup::kMiss);
    }
    sql("UPDATE answer SET expires_ms = 9000000000000");  // … and the row itself decides
    const auto store = open();
    AnswerPtr ignored;
    EXPECT_EQ(store->find(key_of(1), now_ms() + 7'200'000, ignored), Lookup::kOnDisk);
    EXPECT_NE(load(*store, 1), nullptr);
    EXPECT_EQ(store->find(key_of(1), now_ms() + 7'200'000, ignored), Lookup::kOnDisk);
}

TEST_F(ExactStoreTest, ALaterAnswerReplacesTheRow) {
    {
        const auto store = open();
        store->put(key_of(1), answer_of("old"));
        ASSERT_TRUE(store->flush());
        store->put(key_of(1), answer_of("new"));
        ASSERT_TRUE(store->flush());
        EXPECT_EQ(store->stats().disk_entries, 1u);
    }
    const auto store = open();
    EXPECT_EQ(get(*store, 1)->body, "new");
    auto db = Database::open(options.path);
    EXPECT_EQ(db->query_int("SELECT count(*) FROM answer").value(), 1);
}

TEST_F(ExactStoreTest, TheDiskKeepsWhatMemoryEvicts) {
    options.memory_bytes = 64 << 10;
    options.entry_bytes = 1 << 10;
    const auto store = open();
    fill(*store, 1000, 500);
    EXPECT_GT(store->stats().memory_evicted, 500u);
    EXPECT_EQ(look(*store, 0), Lookup::kOnDisk);
    for (std::uint64_t i = 0; i < 1000; i += 50) {
        const AnswerPtr answer = get(*store, i);
        ASSERT_NE(answer, nullptr) << i;
        EXPECT_EQ(answer->body, std::to_string(i) + std::string(500, 'x'));
    }
}

TEST_F(ExactStoreTest, TheDiskStaysUnderItsBoundAndKeepsTheNewest) {
    options.disk_bytes = 1 << 20;
    options.memory_bytes = 64 << 10;
    const auto store = open();
    for (std::uint64_t from = 0; from < 4000; from += 200) {
        for (std::uint64_t i = from; i < from + 200; ++i) {
            store->put(key_of(i), answer_of(std::string(1000, 'x')));
        }
        ASSERT_TRUE(store->flush());
    }
    ASSERT_TRUE(store->flush());
    const auto stats = store->stats();
    EXPECT_LE(stats.disk_bytes, options.disk_bytes);
    EXPECT_GT(stats.disk_entries, 400u);
    EXPECT_GT(stats.disk_evicted, 2000u);
    EXPECT_EQ(stats.disk_entries + stats.disk_evicted, 4000u);
    EXPECT_NE(get(*store, 3999), nullptr);
    EXPECT_EQ(look(*store, 0), Lookup::kMiss);
    EXPECT_LT(std::filesystem::file_size(options.path), 3u << 20);
}

TEST_F(ExactStoreTest, ASmallerBoundIsMetAfterARestart) {
    {
        const auto store = open();
        fill(*store, 2000, 1000);
    }
    options.disk_bytes = 500'000;
    const auto store = open();
    while (store->stats().disk_bytes > options.disk_bytes) ASSERT_TRUE(store->flush());
    EXPECT_GT(store->stats().disk_entries, 200u);
}

TEST_F(ExactStoreTest, ForgetsOneATenantAndAll) {
    {
        const auto store = open();
        for (std::uint64_t i = 0; i < 20; ++i) {
            const auto answer = answer_of("body");
            answer->tenant = i % 2 + 1;
            store->put(key_of(i), answer);
            if (i == 9) ASSERT_TRUE(store->flush());  // half on disk, half on its way
        }
        store->erase(key_of(3));
        store->invalidate_tenant(1);
        EXPECT_NE(look(*store, 0), Lookup::kHit);
        EXPECT_EQ(load(*store, 0), nullptr);
        EXPECT_EQ(look(*store, 0), Lookup::kMiss);
        EXPECT_EQ(look(*store, 3), Lookup::kMiss);
        EXPECT_EQ(load(*store, 3), nullptr);
        EXPECT_EQ(look(*store, 1), Lookup::kHit);
    }
    {
        const auto store = open();
        for (std::uint64_t i = 0; i < 20; ++i) {
            EXPECT_EQ(get(*store, i) != nullptr, i % 2 == 1 && i != 3) << i;
        }
        store->clear();
        EXPECT_EQ(look(*store, 1), Lookup::kMiss);
        store->put(key_of(1), answer_of("after"));
    }
    const auto store = open();
    EXPECT_EQ(store->stats().disk_entries, 1u);
    EXPECT_EQ(get(*store, 1)->body, "after");
}

// ---------------------------------------------------------------- damage

TEST_F(ExactStoreTest, ADamagedRowIsAMissAndIsDeleted) {
    {
        const auto store = open();
        fill(*store, 5);
    }
    sql("UPDATE answer SET sealed = substr(sealed, 1, length(sealed) - 1) WHERE id = 1;"
        "UPDATE answer SET sealed = x'' WHERE id = 2;"
        "UPDATE answer SET sealed = CAST(substr(sealed, 1, 150) || x'5a' ||"
        " substr(sealed, 152) AS BLOB)"
        " WHERE id = 3;"
        "UPDATE answer SET sealed = (SELECT sealed FROM answer WHERE id = 5) WHERE id = 4;");
    const auto store = open();
    for (std::uint64_t i = 0; i < 4; ++i) {
        EXPECT_EQ(look(*store, i), Lookup::kOnDisk);
        EXPECT_EQ(load(*store, i), nullptr) << i;
        EXPECT_EQ(look(*store, i), Lookup::kMiss);
    }
    EXPECT_NE(get(*store, 4), nullptr);
    EXPECT_EQ(store->stats().disk_damaged, 3u);  // an empty row counts as none
    store->put(key_of(1), answer_of("again"));
    ASSERT_TRUE(store->flush());
    EXPECT_EQ(store->stats().disk_entries, 2u);
}

TEST_F(ExactStoreTest, ALostSealKeyEmptiesTheCache) {
    {
        const auto store = open();
        fill(*store, 5);
    }
    std::filesystem::remove(options.path + ".seal");
    const auto store = open();
    EXPECT_EQ(store->stats().disk_entries, 0u);
    store->put(key_of(1), answer_of("again"));
    EXPECT_TRUE(store->flush());
    EXPECT_TRUE(store->stats().disk_on);
}

TEST_F(ExactStoreTest, FlippedBytesInTheFileAreMissesAndNeverCrash) {
    {
        const auto store = open();
        fill(*store, 300, 2000);
    }
    std::ifstream in(options.path, std::ios::binary);
    const std::string clean((std::istreambuf_iterator<char>(in)), {});
    in.close();
    std::mt19937_64 random(11);
    int found = 0;
    for (int round = 0; round < 60; ++round) {
        std::string bytes = clean;
        // From one byte to a whole page; sometimes the header.
        const std::size_t at = round % 6 == 0 ? random() % 100 : random() % bytes.size();
        const std::size_t count =
            std::min<std::size_t>(round % 3 == 0 ? 4096 : 1 + random() % 8, bytes.size() - at);
        for (std::size_t i = 0; i < count; ++i) {
            bytes[at + i] =
                static_cast<char>(bytes[at + i] + static_cast<char>(1 + random() % 255));
        }
        for (const char* suffix : {"", "-wal", "-shm"}) {
            std::filesystem::remove(options.path + suffix);
        }
        std::ofstream(options.path, std::ios::binary | std::ios::trunc) << bytes;
        const auto store = open();
        for (std::uint64_t i = 0; i < 300; ++i) {
            const AnswerPtr answer = get(*store, i);
            if (!answer) continue;
            ++found;
            ASSERT_EQ(answer->body, std::to_string(i) + std::string(2000, 'x'));
        }
        store->put(key_of(9999), answer_of("new"));
        EXPECT_TRUE(store->flush());
        EXPECT_EQ(look(*store, 9999), Lookup::kHit);
    }
    EXPECT_GT(found, 1000) << "damage in one place should not lose everything";
}

TEST_F(ExactStoreTest, AFileThatIsNoDatabaseIsSetAside) {
    std::ofstream(options.path) << "this was never a database, but it is long enough to look at " +
                                       std::string(5000, 'x');
    const auto store = open();
    EXPECT_TRUE(store->stats().disk_on);
    fill(*store, 3);
    EXPECT_TRUE(std::filesystem::exists(options.path + ".set-aside"));
    EXPECT_EQ(store->stats().disk_entries, 3u);
}

TEST_F(ExactStoreTest, AFileOfANewerProgramIsSetAsideUnchanged) {
    {
        const auto store = open();
        fill(*store, 3);
    }
    sql("UPDATE schema_version SET version = 99");
    const auto store = open();
    EXPECT_TRUE(store->stats().disk_on);
    EXPECT_EQ(store->stats().disk_entries, 0u);
    auto db = Database::open(options.path + ".set-aside");
    ASSERT_TRUE(db) << db.error().text();
    EXPECT_EQ(db->query_int("SELECT count(*) FROM answer").value(), 3);
}

TEST_F(ExactStoreTest, AFolderInPlaceOfTheFileMeansMemoryOnly) {
    std::filesystem::create_directory(options.path);
    const auto store = open();
    EXPECT_FALSE(store->stats().disk_on);
    store->put(key_of(1), answer_of("body"));
    EXPECT_EQ(look(*store, 1), Lookup::kHit);
}

TEST_F(ExactStoreTest, AMissingFolderMeansMemoryOnly) {
    options.path = folder / "no/such/folder/cache.db";
    const auto store = open();
    EXPECT_FALSE(store->stats().disk_on);
    store->put(key_of(1), answer_of("body"));
    EXPECT_EQ(look(*store, 1), Lookup::kHit);
}

TEST_F(ExactStoreTest, ATableThatVanishesIsReplacedWhileRunning) {
    const auto store = open();
    fill(*store, 3);
    sql("DROP TABLE answer");
    store->put(key_of(10), answer_of("lost on disk"));
    ASSERT_TRUE(store->flush());
    store->put(key_of(11), answer_of("kept"));
    ASSERT_TRUE(store->flush());
    const auto stats = store->stats();
    EXPECT_TRUE(stats.disk_on);
    EXPECT_FALSE(stats.disk_failing);
    EXPECT_EQ(stats.disk_entries, 1u);
    EXPECT_EQ(look(*store, 10), Lookup::kHit);
}

TEST_F(ExactStoreTest, ItsFilesArePrivate) {
    const auto store = open();
    fill(*store, 1);
    for (const std::string& path : {options.path, options.path + ".seal"}) {
        struct stat about{};
        ASSERT_EQ(::stat(path.c_str(), &about), 0);
        EXPECT_EQ(about.st_mode & 0077, 0u) << path;
    }
}

TEST_F(ExactStoreTest, AnEntryLimitOfZeroIsAnError) {
    options.entry_bytes = 0;
    EXPECT_FALSE(ExactStore::open(options));
}

// ---------------------------------------------------------------- threads

TEST_F(ExactStoreTest, ThreadsHammeringNeverSeeAWrongAnswer) {
    options.memory_bytes = 200'000;
    options.disk_bytes = 400'000;
    options.entry_bytes = 2000;
    const auto store = open();
    constexpr std::uint64_t kKeys = 500;
    std::atomic<int> hits{0};
    const auto work = [&](std::uint64_t seed) {
        ManualExecutor mine;
        std::mt19937_64 random(seed);
        for (int i = 0; i < 3000; ++i) {
            const std::uint64_t number = random() % kKeys;
            AnswerPtr answer;
            switch (random() % 40) {
                case 0: store->erase(key_of(number)); break;
                case 1: (void)store->stats(); break;
                case 2: store->invalidate_tenant(1 + random() % 50); break;
                case 3: {
                    const auto dropped = store->load(key_of(number), mine);
                } break;
                case 4:
                    if (random() % 50 == 0) store->clear();
                    break;
                default:
                    const auto found = store->find(key_of(number), now_ms(), answer);
                    if (found == Lookup::kOnDisk) {
                        bool done = false;
                        store->load(key_of(number), mine, [&](AnswerPtr loaded) {
                            answer = std::move(loaded);
                            done = true;
                        });
                        while (!done) ASSERT_TRUE(mine.run_one());
                    }
                    if (answer) {
                        ++hits;
                        ASSERT_EQ(answer->body.substr(0, answer->body.find(' ')),
                                  std::to_string(number));
                    } else {
                        auto fresh = answer_of(std::to_string(number) + " " +
                                               std::string(random() % 1500, 'x'));
                        fresh->tenant = 1 + number % 50;
                        store->put(key_of(number), std::move(fresh));
                    }
            }
        }
        EXPECT_TRUE(store->flush());
        mine.run_all();
    };
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < 4; ++i) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(hits, 100);
    EXPECT_EQ(store->stats().disk_damaged, 0u);
}

TEST_F(ExactStoreTest, LoadsThatWaitAtTheEndGetNull) {
    {
        const auto store = open();
        fill(*store, 200);
    }
    std::atomic<int> answered{0};
    {
        const auto store = open();
        for (std::uint64_t i = 0; i < 200; ++i) {
            store->load(key_of(i), executor, [&](const AnswerPtr&) { ++answered; });
        }
    }
    executor.run_all();
    EXPECT_EQ(answered, 200);
}

}  // namespace
}  // namespace leeway::agent_cache
