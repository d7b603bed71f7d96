#include "store/vectors/vector_index.hpp"

#include "store/vectors/encoding.hpp"
#include "store/vectors/kernel.hpp"
#include "store/vectors/testing.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <set>

namespace leeway::store::vectors {
namespace {

using testing::BruteForce;
using testing::Clustered;
using testing::Vector;

// What codes and halves may change of a cosine.
constexpr double kCosineError = 0.0005;

VectorIndex::Options options_of(std::uint32_t dimension, Precision precision) {
    VectorIndex::Options options;
    options.dimension = dimension;
    options.precision = precision;
    return options;
}

void maintain_all(VectorIndex& index) {
    const std::atomic<bool> stop{false};
    while (index.wants_maintenance()) ASSERT_TRUE(index.maintain(stop));
}

std::vector<Match> found(const VectorIndex& index, const Vector& query, std::size_t k,
                         const Filter& filter = {}) {
    auto matches = index.search(query, k, filter);
    if (!matches) {
        ADD_FAILURE() << matches.error().text();
        return {};
    }
    return std::move(*matches);
}

/// Nothing that is clearly better than what was found may be missing, and cosines must be right.
void expect_best(const std::vector<Match>& matches, const std::vector<BruteForce::Hit>& wanted,
                 const BruteForce& truth, const Vector& query) {
    ASSERT_EQ(matches.size(), wanted.size());
    std::set<std::uint64_t> ids;
    for (std::size_t i = 0; i < matches.size(); ++i) {
        EXPECT_TRUE(ids.insert(matches[i].id).second) << "twice";
        const auto known = truth.all.find(matches[i].id);
        ASSERT_NE(known, truth.all.end()) << "found what is not there";
        EXPECT_NEAR(matches[i].cosine, testing::cosine(query, known->second), kCosineError);
        EXPECT_NEAR(matches[i].cosine, wanted[i].cosine, kCosineError);
        if (i > 0) EXPECT_GE(matches[i - 1].cosine, matches[i].cosine);
    }
}

TEST(VectorKernel, AllKindsAgree) {
    Clustered source(320, 5, 1.0);
    for (int round = 0; round < 50; ++round) {
        const auto a = *to_row(source.next(), 320);
        const auto b = *to_row(source.next(), 320);
        const std::size_t n = a.size();
        std::vector<std::uint16_t> half(n);
        for (std::size_t i = 0; i < n; ++i) half[i] = to_half(b[i]);
        std::vector<std::uint8_t> code_a(code_bytes(n));
        std::vector<std::uint8_t> code_b(code_bytes(n));
        encode(a, code_a.data());
        encode(b, code_b.data());
        const Kernel& plain = portable_kernel();
        const auto codes = [&](const Kernel& use) {
            return use.dot_i8(code_elements(code_a.data()), code_elements(code_b.data()), n,
                              code_sum(code_b.data(), n));
        };
        for (const Kernel* use : {avx2_kernel(), avx512_kernel()}) {
            if (use == nullptr) continue;
            EXPECT_NEAR(use->dot_f32(a.data(), b.data(), n), plain.dot_f32(a.data(), b.data(), n),
                        1e-5);
            EXPECT_NEAR(use->dot_f16(a.data(), half.data(), n),
                        plain.dot_f16(a.data(), half.data(), n), 1e-5);
            EXPECT_EQ(codes(*use), codes(plain)) << use->name;
        }
    }
}

TEST(VectorKernel, ExtremeCodesDoNotOverflow) {
    constexpr std::size_t kLength = 4096;
    std::vector<std::int8_t> least(kLength, -127);
    std::vector<std::int8_t> most(kLength, 127);
    constexpr auto kSum = static_cast<std::int32_t>(127 * kLength);
    for (const Kernel* use : {&portable_kernel(), avx2_kernel(), avx512_kernel()}) {
        if (use == nullptr) continue;
        EXPECT_EQ(use->dot_i8(least.data(), most.data(), kLength, kSum), -127 * kSum);
        EXPECT_EQ(use->dot_i8(least.data(), least.data(), kLength, -kSum), 127 * kSum);
    }
}

TEST(VectorEncoding, HalvesComeBackAndRoundToEven) {
    for (std::uint32_t half = 0; half < 0x10000; ++half) {
        const float value = from_half(static_cast<std::uint16_t>(half));
        if (std::isnan(value)) continue;
        EXPECT_EQ(to_half(value), half) << value;
    }
    EXPECT_EQ(to_half(1.0F + 1.0F / 2048), 0x3c00);  // in the middle: to the even one
    EXPECT_EQ(to_half(1.0F + 3.0F / 2048), 0x3c02);
    EXPECT_EQ(to_half(65535.0F), 0x7c00);
    EXPECT_EQ(to_half(1e-9F), 0);
    EXPECT_TRUE(std::isnan(from_half(to_half(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(VectorIndex, RefusesWhatIsNoVector) {
    VectorIndex index(options_of(4, Precision::kInt8));
    EXPECT_FALSE(index.add(1, Vector{1, 0, 0}));
    EXPECT_FALSE(index.add(1, Vector{}));
    EXPECT_FALSE(index.add(1, Vector{std::numeric_limits<float>::infinity(), 0, 0, 0}));
    EXPECT_FALSE(index.add(1, Vector{std::numeric_limits<float>::quiet_NaN(), 0, 0, 0}));
    EXPECT_EQ(index.size(), 0U);
    EXPECT_FALSE(index.search(Vector{1, 0}, 1));
    EXPECT_TRUE(found(index, {1, 0, 0, 0}, 5).empty());
}

TEST(VectorIndex, BringsVectorsToUnitLengthAndKnowsZeros) {
    for (const Precision precision : {Precision::kFloat32, Precision::kInt8}) {
        VectorIndex index(options_of(4, precision));
        ASSERT_TRUE(index.add(1, Vector{3, 0, 4, 0}));
        ASSERT_TRUE(index.add(2, Vector{0, 0, 0, 0}));
        const auto matches = found(index, {30, 0, 40, 0}, 5);
        ASSERT_EQ(matches.size(), 2U);
        EXPECT_EQ(matches[0].id, 1U);
        EXPECT_NEAR(matches[0].cosine, 1.0, kCosineError);
        EXPECT_EQ(matches[1].id, 2U);
        EXPECT_EQ(matches[1].cosine, 0.0F);
        EXPECT_EQ(found(index, {0, 0, 0, 0}, 1)[0].id, 1U) << "equal cosines: by id";
    }
}

TEST(VectorIndex, EqualCosinesAreOrderedById) {
    for (const Precision precision : {Precision::kFloat32, Precision::kInt8}) {
        VectorIndex index(options_of(32, precision));
        Clustered source(32, 1, 0.5);
        const Vector same = source.next();
        for (const std::uint64_t id : {9U, 3U, 7U, 1U, 5U}) ASSERT_TRUE(index.add(id, same));
        const auto matches = found(index, same, 3);
        ASSERT_EQ(matches.size(), 3U);
        EXPECT_EQ(matches[0].id, 1U);
        EXPECT_EQ(matches[1].id, 3U);
        EXPECT_EQ(matches[2].id, 5U);
    }
}

TEST(VectorIndex, PayloadsAndUpdates) {
    VectorIndex index(options_of(16, Precision::kInt8));
    Clustered source(16, 3, 0.3);
    const Vector first = source.next();
    const Vector second = source.next();
    ASSERT_TRUE(index.add(7, first, "old", 1));
    ASSERT_TRUE(index.add(7, second, "new", 2));
    EXPECT_EQ(index.size(), 1U);
    const auto matches = found(index, second, 5);
    ASSERT_EQ(matches.size(), 1U);
    EXPECT_EQ(matches[0].payload, "new");
    EXPECT_NEAR(matches[0].cosine, 1.0, kCosineError);
    EXPECT_FALSE(index.remove(7, 1)) << "that one was replaced";
    EXPECT_TRUE(index.remove(7, 2));
    EXPECT_FALSE(index.remove(7));
    EXPECT_TRUE(found(index, second, 5).empty());
}

TEST(VectorIndex, OldestAreThoseNotUsedForLongest) {
    VectorIndex index(options_of(16, Precision::kInt8));
    Clustered source(16, 3, 0.3);
    for (std::uint64_t id = 0; id < 10; ++id) ASSERT_TRUE(index.add(id, source.next(), {}, id + 1));
    for (std::uint64_t id = 0; id < 10; ++id) {
        EXPECT_EQ(index.touch(id, static_cast<std::uint32_t>(100 + (id * 7) % 10)), id + 1);
    }
    EXPECT_EQ(index.touch(77, 1), 0U);
    const auto oldest = index.oldest(3);
    ASSERT_EQ(oldest.size(), 3U);
    EXPECT_EQ(oldest[0].id, 0U);  // 0 · 7 = 0
    EXPECT_EQ(oldest[1].id, 3U);  // 3 · 7 = 21
    EXPECT_EQ(oldest[2].id, 6U);  // 6 · 7 = 42
    EXPECT_EQ(oldest[2].stamp, 7U);
    EXPECT_EQ(index.oldest(100).size(), 10U);
}

/// Adds, updates and removals at random against brute force, without and with maintenance between.
void exercise(Precision precision, std::uint64_t seed) {
    constexpr std::uint32_t kNumbers = 48;
    VectorIndex index(options_of(kNumbers, precision));
    Clustered source(kNumbers, 12, 0.6, seed);
    BruteForce truth;
    const std::atomic<bool> stop{false};
    for (int step = 0; step < 3000; ++step) {
        const std::uint64_t id = source.random() % 700;
        if (source.random() % 3 != 0) {
            Vector v = source.next();
            ASSERT_TRUE(index.add(id, v, std::to_string(step), static_cast<std::uint64_t>(step)));
            truth.add(id, std::move(v));
        } else {
            EXPECT_EQ(index.remove(id), truth.all.contains(id));
            truth.remove(id);
        }
        if (step % 500 == 499) (void)index.maintain(stop);
        if (step % 50 != 0) continue;
        ASSERT_EQ(index.size(), truth.all.size());
        const Vector query = source.next();
        const std::size_t k = 1 + source.random() % 20;
        expect_best(found(index, query, k), truth.search(query, k), truth, query);
        const std::uint64_t divisor = 1 + source.random() % 40;
        Filter filter;
        filter.accepts = [=](std::uint64_t one) {
            return one % divisor == 0;
        };
        expect_best(found(index, query, k, filter), truth.search(query, k, filter.accepts), truth,
                    query);
        std::vector<std::uint64_t> list;
        for (std::uint64_t one = 0; one < 900; ++one) {
            if (source.random() % divisor == 0) list.push_back(one);
        }
        const std::set<std::uint64_t> listed(list.begin(), list.end());
        list.insert(list.end(), list.begin(), list.end());  // names twice
        const auto is_listed = [&](std::uint64_t one) {
            return listed.contains(one);
        };
        expect_best(found(index, query, k, Filter::of(list)), truth.search(query, k, is_listed),
                    truth, query);
    }
    EXPECT_TRUE(found(index, source.next(), 5, Filter::of({})).empty());
}

TEST(VectorIndex, FindsWhatBruteForceFinds) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        exercise(Precision::kFloat32, seed);
        exercise(Precision::kInt8, seed);
    }
}

TEST(VectorIndex, EqualContentsHaveEqualResults) {
    // In whatever order they came, with what was removed in between or not.
    Clustered source(64, 10, 0.5);
    std::vector<Vector> all;
    for (int i = 0; i < 500; ++i) all.push_back(source.next());
    VectorIndex one(options_of(64, Precision::kInt8));
    VectorIndex other(options_of(64, Precision::kInt8));
    for (std::uint64_t i = 0; i < 500; ++i) ASSERT_TRUE(one.add(i, all[i]));
    for (std::uint64_t i = 500; i-- > 0;) {
        ASSERT_TRUE(other.add(i, all[(i + 1) % 500]));
        ASSERT_TRUE(other.add(i, all[i]));
    }
    maintain_all(other);
    for (int round = 0; round < 20; ++round) {
        const Vector query = source.next();
        const auto a = found(one, query, 10);
        const auto b = found(other, query, 10);
        ASSERT_EQ(a.size(), b.size());
        for (std::size_t i = 0; i < a.size(); ++i) {
            EXPECT_EQ(a[i].id, b[i].id);
            EXPECT_EQ(a[i].cosine, b[i].cosine);
        }
    }
}

TEST(VectorIndex, CodesLoseNothingThatIsComparedInFull) {
    // Near copies differ by less than what codes get wrong; the comparison in full sets it right.
    Clustered source(384, 40, 0.7);
    VectorIndex index(options_of(384, Precision::kInt8));
    BruteForce truth;
    std::uint64_t id = 0;
    for (int i = 0; i < 400; ++i) {
        const Vector base = source.next();
        for (int copy = 0; copy < 5; ++copy, ++id) {
            Vector v = source.jittered(base, 0.05);
            ASSERT_TRUE(index.add(id, v));
            truth.add(id, std::move(v));
        }
    }
    int right = 0;
    double worst = 0;
    constexpr int kQueries = 200;
    for (int i = 0; i < kQueries; ++i) {
        const Vector query = source.jittered(truth.all[source.random() % id], 0.05);
        const auto matches = found(index, query, 1);
        const auto wanted = truth.search(query, 1);
        right += matches[0].id == wanted[0].id ? 1 : 0;
        worst = std::max(
            worst, std::abs(matches[0].cosine - testing::cosine(query, truth.all[matches[0].id])));
    }
    EXPECT_GE(right, kQueries - 1);
    EXPECT_LT(worst, 0.0001) << "halves are good to four digits";
}

class VectorGraph : public ::testing::TestWithParam<Precision> {
public:
    static constexpr std::uint32_t kDimension = 64;
    static constexpr std::uint64_t kCount = 24000;

    VectorGraph() : index(options()) {}
    static VectorIndex::Options options() {
        auto options = options_of(kDimension, GetParam());
        options.scan_us = 30;
        return options;
    }
    void fill(std::uint64_t from, std::uint64_t to) {
        for (std::uint64_t id = from; id < to; ++id) {
            Vector v = source.next();
            ASSERT_TRUE(index.add(id, v, {}, id + 1));
            truth.add(id, std::move(v));
        }
    }
    /// Share of the 10 best that were found, over queries.
    double recall(const Filter& filter, const std::function<bool(std::uint64_t)>& accepts,
                  int queries = 40) {
        std::size_t right = 0;
        std::size_t all = 0;
        for (int i = 0; i < queries; ++i) {
            const Vector query = source.next();
            const auto wanted = truth.search(query, 10, accepts);
            const auto matches = found(index, query, 10, filter);
            EXPECT_EQ(matches.size(), wanted.size());
            all += wanted.size();
            for (const Match& match : matches) {
                if (accepts) EXPECT_TRUE(accepts(match.id));
                right += match.cosine >= wanted.back().cosine - kCosineError ? 1 : 0;
            }
        }
        return all == 0 ? 1 : static_cast<double>(right) / static_cast<double>(all);
    }

    VectorIndex index;
    Clustered source{kDimension, 300, 0.9};
    BruteForce truth;
};
INSTANTIATE_TEST_SUITE_P(Both, VectorGraph,
                         ::testing::Values(Precision::kFloat32, Precision::kInt8));

TEST_P(VectorGraph, KeepsRecallUnderEveryFilter) {
    fill(0, kCount);
    maintain_all(index);
    ASSERT_GE(index.stats().in_graph, kCount / 2);
    EXPECT_GE(recall({}, {}), 0.98);
    EXPECT_GT(index.stats().by_graph, 0U);
    for (const std::uint64_t divisor : {1U, 2U, 5U, 20U, 100U, 1000U, 100000U}) {
        const auto accepts = [=](std::uint64_t id) {
            return id % divisor == 0;
        };
        Filter filter;
        filter.accepts = accepts;
        EXPECT_GE(recall(filter, accepts, 15), 0.98) << "1 of " << divisor;
        std::vector<std::uint64_t> list;
        for (std::uint64_t id = 0; id < kCount; id += divisor) list.push_back(id);
        EXPECT_GE(recall(Filter::of(list), accepts, 15), 0.98) << "list, 1 of " << divisor;
    }
    // Only what lies far away from the query is accepted: the worst for a graph.
    const Vector query = source.next();
    const auto far = [&](std::uint64_t id) {
        return testing::cosine(query, truth.all[id]) < -0.1;
    };
    Filter filter;
    filter.accepts = far;
    const auto wanted = truth.search(query, 5, far);
    const auto matches = found(index, query, 5, filter);
    ASSERT_EQ(matches.size(), wanted.size());
    for (const Match& match : matches) EXPECT_TRUE(far(match.id));
}

TEST_P(VectorGraph, FollowsAddsUpdatesAndRemovals) {
    fill(0, kCount);
    maintain_all(index);
    fill(kCount, kCount + 300);  // the tail
    for (std::uint64_t id = 0; id < 300; ++id) {
        Vector v = source.next();
        ASSERT_TRUE(index.add(id, v, {}, kCount + 1000 + id));
        truth.add(id, std::move(v));
    }
    for (std::uint64_t id = 1000; id < 3000; ++id) {
        EXPECT_TRUE(index.remove(id));
        truth.remove(id);
    }
    EXPECT_EQ(index.size(), truth.all.size());
    EXPECT_GE(recall({}, {}), 0.98);
    EXPECT_GT(index.stats().dead, 0U);
    for (std::uint64_t id = 3000; id < 9000; ++id) {
        EXPECT_TRUE(index.remove(id));
        truth.remove(id);
    }
    ASSERT_TRUE(index.wants_maintenance()) << "more than a fifth is dead";
    maintain_all(index);
    EXPECT_EQ(index.stats().dead, 0U);
    EXPECT_EQ(index.size(), truth.all.size());
    EXPECT_GE(recall({}, {}), 0.98);
    // The first that is left of each kind can still be found by its own vector.
    for (const std::uint64_t id : {std::uint64_t{0}, std::uint64_t{9000}, kCount + 1}) {
        EXPECT_EQ(found(index, truth.all[id], 1)[0].id, id);
    }
}

TEST_P(VectorGraph, ManyEqualVectorsHideNothing) {
    // A graph whose links all lead to copies of one vector must not make the rest unreachable.
    const Vector same = source.next();
    for (std::uint64_t id = 100000; id < 103000; ++id) {
        ASSERT_TRUE(index.add(id, same));
        truth.add(id, same);
    }
    fill(0, kCount);
    maintain_all(index);
    EXPECT_GE(recall({}, {}), 0.98);
    const auto matches = found(index, same, 20);
    ASSERT_EQ(matches.size(), 20U);
    for (const Match& match : matches) EXPECT_NEAR(match.cosine, 1.0, kCosineError);
}

TEST_P(VectorGraph, StopsBuildingWhenTold) {
    fill(0, kCount);
    const std::atomic<bool> stop{true};
    EXPECT_FALSE(index.maintain(stop));
    EXPECT_EQ(index.stats().in_graph, 0U);
    EXPECT_GE(recall({}, {}, 5), 0.999);
}

}  // namespace
}  // namespace leeway::store::vectors
