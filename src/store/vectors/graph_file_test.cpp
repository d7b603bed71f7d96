#include "store/vectors/graph_file.hpp"

#include "store/vectors/testing.hpp"
#include "store/vectors/vector_index.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <set>

namespace leeway::store::vectors {
namespace {

using testing::Clustered;
using testing::TemporaryFolder;
using testing::Vector;

constexpr std::uint32_t kDimension = 32;
constexpr std::uint64_t kCount = 5000;

class GraphFileTest : public ::testing::TestWithParam<Precision> {
public:
    GraphFileTest() : path(folder / "one.graph") {
        for (std::uint64_t i = 0; i < kCount; ++i) {
            // Some of them twice, which share an element.
            all.push_back(i % 10 == 9 ? all.back() : source.next());
        }
    }
    static VectorIndex::Options options() {
        VectorIndex::Options options;
        options.dimension = kDimension;
        options.precision = GetParam();
        options.scan_us = 1;
        options.search_width = 16;
        return options;
    }
    /// An index with those of `ids`, by the stamps id + 1.
    [[nodiscard]] std::unique_ptr<VectorIndex> index_of(const std::set<std::uint64_t>& ids) const {
        auto index = std::make_unique<VectorIndex>(options());
        for (const std::uint64_t id : ids) EXPECT_TRUE(index->add(id, all[id], {}, id + 1));
        return index;
    }
    static std::set<std::uint64_t> up_to(std::uint64_t end) {
        std::set<std::uint64_t> ids;
        for (std::uint64_t id = 0; id < end; ++id) ids.insert(id);
        return ids;
    }
    void save(const std::string& identity = "me") const {
        const auto index = index_of(up_to(kCount));
        const std::atomic<bool> stop{false};
        ASSERT_TRUE(index->maintain(stop));
        ASSERT_EQ(index->stats().in_graph, kCount);
        const auto saved = index->save_graph(path, identity);
        ASSERT_TRUE(saved) << saved.error().text();
    }
    [[nodiscard]] std::string bytes() const {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    void write(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
    /// Every entry is found by its own vector, and nothing else is.
    void expect_whole(const VectorIndex& index, const std::set<std::uint64_t>& ids) const {
        for (const std::uint64_t id : ids) {
            const auto matches = index.search(all[id], 3);
            ASSERT_TRUE(matches);
            ASSERT_FALSE(matches->empty());
            EXPECT_NEAR(matches->front().cosine, 1.0, 0.0005);
            for (const Match& match : *matches) EXPECT_TRUE(ids.contains(match.id));
        }
    }

    TemporaryFolder folder;
    Clustered source{kDimension, 30, 0.9};
    std::vector<Vector> all;
    const std::string path;
};
INSTANTIATE_TEST_SUITE_P(Both, GraphFileTest,
                         ::testing::Values(Precision::kFloat32, Precision::kInt8));

TEST_P(GraphFileTest, ComesBackWhole) {
    save();
    const auto index = index_of(up_to(kCount));
    const auto loaded = index->load_graph(path, "me");
    ASSERT_TRUE(loaded) << loaded.error().text();
    EXPECT_EQ(index->stats().in_graph, kCount);
    EXPECT_FALSE(index->wants_maintenance());
    expect_whole(*index, up_to(kCount));
    EXPECT_GT(index->stats().by_graph, 0U);
    EXPECT_EQ(index->stats().fell_back, 0U);
}

TEST_P(GraphFileTest, FitsWhatChangedSince) {
    save();
    auto ids = up_to(kCount);
    for (std::uint64_t id = 0; id < 60; ++id) ids.erase(id * 7);
    auto index = index_of(ids);
    // Replaced, and new: their stamps are later.
    for (std::uint64_t id = 0; id < 20; ++id) {
        ASSERT_TRUE(index->add(id * 7 + 1, all[id * 7 + 1], {}, kCount + 1 + id));
    }
    const auto refilled = std::make_unique<VectorIndex>(options());
    const std::set<std::uint64_t> replaced = [] {
        std::set<std::uint64_t> out;
        for (std::uint64_t id = 0; id < 20; ++id) out.insert(id * 7 + 1);
        return out;
    }();
    // As from a file: without the rows that were replaced, in the order of their stamps.
    for (const std::uint64_t id : ids) {
        if (!replaced.contains(id)) ASSERT_TRUE(refilled->add(id, all[id], {}, id + 1));
    }
    for (const std::uint64_t id : replaced) {
        ASSERT_TRUE(refilled->add(id, all[id], {}, kCount + 1 + id));
    }
    const auto loaded = refilled->load_graph(path, "me");
    ASSERT_TRUE(loaded) << loaded.error().text();
    EXPECT_EQ(refilled->stats().in_graph, ids.size() - replaced.size());
    expect_whole(*refilled, ids);
    const std::atomic<bool> stop{false};
    while (refilled->wants_maintenance()) ASSERT_TRUE(refilled->maintain(stop));
    expect_whole(*refilled, ids);
}

TEST_P(GraphFileTest, IsRefusedWhenItIsOfOthers) {
    save();
    EXPECT_FALSE(index_of(up_to(kCount))->load_graph(path, "somebody else"));
    EXPECT_FALSE(index_of(up_to(kCount))->load_graph(folder / "none.graph", "me"));
    // The same stamps with other vectors: as after a power cut that undid the last writes.
    auto others = std::make_unique<VectorIndex>(options());
    for (std::uint64_t id = 0; id < kCount; ++id) {
        ASSERT_TRUE(others->add(id, id < kCount - 3 ? all[id] : source.next(), {}, id + 1));
    }
    EXPECT_FALSE(others->load_graph(path, "me"));
    // A row that it should know and does not.
    auto more = std::make_unique<VectorIndex>(options());
    for (std::uint64_t id = 0; id < kCount; ++id) {
        ASSERT_TRUE(more->add(id, all[id], {}, id * 2 + 1));
    }
    EXPECT_FALSE(more->load_graph(path, "me"));
    EXPECT_EQ(more->stats().in_graph, 0U);
    // Other settings of the graph.
    auto options = GraphFileTest::options();
    options.links = 8;
    VectorIndex smaller(options);
    EXPECT_FALSE(smaller.load_graph(path, "me"));
}

TEST_P(GraphFileTest, IsRefusedWhenItIsCutOrDamagedAnywhere) {
    save();
    const std::string whole = bytes();
    const auto index = index_of(up_to(kCount));
    std::set<std::size_t> places;
    for (std::size_t at = 0; at < 160; ++at) places.insert(at);  // the head
    for (int i = 0; i < 100; ++i) places.insert(source.random() % whole.size());
    places.insert(whole.size() - 1);
    for (const std::size_t at : places) {
        write(whole.substr(0, at));
        EXPECT_FALSE(index->load_graph(path, "me")) << "cut at " << at;
        std::string flipped = whole;
        flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ (1U << (at % 8)));
        write(flipped);
        EXPECT_FALSE(index->load_graph(path, "me")) << "flipped at " << at;
    }
    write(whole + "x");
    EXPECT_FALSE(index->load_graph(path, "me")) << "longer";
    EXPECT_EQ(index->stats().in_graph, 0U);
    write(whole);
    EXPECT_TRUE(index->load_graph(path, "me"));
    EXPECT_FALSE(index->load_graph(path, "me")) << "it has one";
}

TEST(GraphImage, LinksThatLeadAstrayAreRefused) {
    // What a check value cannot know: a file that was written so.
    GraphShape shape{.length = 64, .links = 4, .build_width = 16};
    const auto graph = Graph::make(shape, 50);
    ASSERT_TRUE(graph);
    std::mt19937_64 random(3);
    for (std::uint32_t row = 0; row < 50; ++row) {
        std::vector<std::uint8_t> code(72);
        for (std::uint8_t& byte : code) byte = static_cast<std::uint8_t>(random() % 100);
        ASSERT_TRUE(graph->add(row, code.data()));
    }
    const GraphImage good = graph->image();
    ASSERT_TRUE(Graph::from_image(shape, good));
    const auto refused = [&](const std::function<void(GraphImage&)>& spoil) {
        GraphImage image = good;
        spoil(image);
        return !Graph::from_image(shape, image);
    };
    EXPECT_TRUE(refused([](GraphImage& image) { image.entry = 50; }));
    EXPECT_TRUE(refused([](GraphImage& image) { image.top_level += 1; }));
    EXPECT_TRUE(refused([](GraphImage& image) { image.elements -= 1; }));
    EXPECT_TRUE(refused([](GraphImage& image) { image.base.pop_back(); }));
    EXPECT_TRUE(refused([](GraphImage& image) { image.upper += "xxxx"; }));
    EXPECT_TRUE(refused([](GraphImage& image) { image.levels[3] = -1; }));
    EXPECT_TRUE(refused([](GraphImage& image) { image.levels[3] += 1; }));
    EXPECT_TRUE(refused([](GraphImage& image) { image.base[0] = 100; }));  // the number of links
    EXPECT_TRUE(refused([](GraphImage& image) { image.base[7] = 100; }));  // the first of them
    shape.length = 128;
    EXPECT_FALSE(Graph::from_image(shape, good));
}

}  // namespace
}  // namespace leeway::store::vectors
