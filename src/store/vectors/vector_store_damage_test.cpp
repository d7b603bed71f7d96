#include "store/vectors/store_testing.hpp"
#include "store/vectors/vector_store.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace leeway::store::vectors {
namespace {

using namespace std::chrono_literals;
using testing::Clustered;
using testing::Vector;
using testing::VectorStoreTest;

TEST_F(VectorStoreTest, DamagedRowsAreDeletedAndCounted) {
    std::vector<Vector> all;
    {
        const auto store = open();
        for (std::uint64_t id = 0; id < 6; ++id) {
            all.push_back(source.next());
            put(*store, partition("a"), id, all.back(), "payload");
        }
    }
    sql("UPDATE entry SET vector = zeroblob(length(vector)) WHERE id = 0");
    sql("UPDATE entry SET vector = x'00' WHERE id = 1");
    sql("UPDATE entry SET payload = x'61' WHERE id = 2");
    sql("UPDATE entry SET id = 77 WHERE id = 3");
    const auto store = open();
    const auto matches = found(*store, partition("a"), all[4], 10);
    ASSERT_EQ(matches.size(), 2U);
    EXPECT_EQ(store->stats().damaged, 4U);
    ASSERT_TRUE(store->flush());
    EXPECT_EQ(ask("SELECT count(*) FROM entry"), 2);
}

TEST_F(VectorStoreTest, AFileThatIsNoneIsSetAside) {
    std::ofstream(options.path) << std::string(5000, 'x');
    {
        const auto store = open();
        EXPECT_TRUE(store->stats().on_disk);
        put(*store, partition("a"), 1, source.next());
    }
    EXPECT_TRUE(std::filesystem::exists(options.path + ".set-aside"));
    EXPECT_EQ(open()->stats().entries, 1U);
}

TEST_F(VectorStoreTest, AFileOfANewerVersionIsSetAside) {
    {
        const auto store = open();
        put(*store, partition("a"), 1, source.next());
    }
    sql("UPDATE schema_version SET version = 99");
    EXPECT_EQ(open()->stats().entries, 0U);
    EXPECT_TRUE(std::filesystem::exists(options.path + ".set-aside"));
}

TEST_F(VectorStoreTest, WithoutAFolderItWorksInMemory) {
    options.path = folder / "none/vectors.db";
    const auto store = open();
    const Vector v = source.next();
    put(*store, partition("a"), 1, v);
    EXPECT_EQ(found(*store, partition("a"), v).size(), 1U);
    EXPECT_FALSE(store->stats().on_disk);
}

TEST_F(VectorStoreTest, AFileThatBreaksIsReplacedWhileItRuns) {
    const Vector v = source.next();
    {
        const auto store = open();
        for (std::uint64_t id = 0; id < 400; ++id) put(*store, partition("a"), id, source.next());
        put(*store, partition("b"), 1, v);
    }
    // Everything behind the head is overwritten, so that it opens and breaks when it is read.
    const auto size = std::filesystem::file_size(options.path);
    const auto store = open();
    {
        std::fstream file(options.path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(8192);
        file << std::string(static_cast<std::size_t>(size) - 8192, '\x5a');
    }
    (void)search(*store, partition("a"), v, 500);
    put(*store, partition("c"), 1, v, "afterwards");
    (void)store->flush();
    put(*store, partition("c"), 2, v, "afterwards");
    (void)store->flush();
    EXPECT_EQ(found(*store, partition("c"), v, 5).size(), 2U);
    EXPECT_TRUE(std::filesystem::exists(options.path + ".set-aside"));
    EXPECT_TRUE(store->stats().on_disk);
}

class StoredGraph : public VectorStoreTest {
public:
    static constexpr std::uint32_t kWide = 384;
    static constexpr std::uint64_t kCount = 5000;

    StoredGraph() {
        const auto store = open();
        for (std::uint64_t id = 0; id < kCount; ++id) {
            all.push_back(wide.next());
            put(*store, in, id, all.back());
        }
        EXPECT_TRUE(store->flush());
        wait_for_graph(*store);
    }
    void wait_for_graph(VectorStore& store) const {
        for (int i = 0; i < 30'000 && graph().empty(); ++i) std::this_thread::sleep_for(10ms);
        EXPECT_GT(store.stats().graphs_built, 0U);
    }
    [[nodiscard]] std::string graph() const {
        std::error_code error;
        for (const auto& file :
             std::filesystem::directory_iterator(options.path + ".graphs", error)) {
            if (file.path().extension() == ".graph") return file.path().string();
        }
        return {};
    }
    /// Opens, looks and says whether a graph was built anew.
    bool builds_anew() {
        const auto store = open();
        EXPECT_EQ(found(*store, in, all[17])[0].id, 17U);
        EXPECT_EQ(found(*store, in, all[4711])[0].id, 4711U);
        if (!graph().empty()) return store->stats().graphs_built > 0;
        wait_for_graph(*store);
        return true;
    }

    Clustered wide{kWide, 200, 1.0};
    const Partition in = partition("a", "model-1", kWide);
    std::vector<Vector> all;
};

TEST_F(StoredGraph, IsTakenOverAndBuiltAnewWhenItIsNotWhole) {
    ASSERT_FALSE(graph().empty());
    EXPECT_FALSE(builds_anew());
    std::string whole;
    {
        std::ifstream file(graph(), std::ios::binary);
        whole.assign(std::istreambuf_iterator<char>(file), {});
    }
    const auto damaged = [&](std::string bytes) {
        std::ofstream(graph(), std::ios::binary) << bytes;
        return builds_anew();
    };
    EXPECT_TRUE(damaged(whole.substr(0, whole.size() / 2)));
    std::string flipped = whole;
    flipped[whole.size() - 1000] = static_cast<char>(flipped[whole.size() - 1000] ^ 1);
    EXPECT_TRUE(damaged(flipped));
    // Of another store: the same numbers and stamps, but not these vectors.
    sql("UPDATE store SET identity = identity + 1");
    EXPECT_TRUE(builds_anew());
}

TEST_F(StoredGraph, GoesWithItsPartition) {
    const std::string path = graph();
    {
        const auto store = open();
        store->clear("a/");
        ASSERT_TRUE(store->flush());
        EXPECT_FALSE(std::filesystem::exists(path));
    }
    std::ofstream(options.path + ".graphs/999.graph") << "of nobody";
    (void)open();
    EXPECT_FALSE(std::filesystem::exists(options.path + ".graphs/999.graph"));
}

}  // namespace
}  // namespace leeway::store::vectors
