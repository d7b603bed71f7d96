// Look-ups in an index of vectors: time and recall together, over embeddings of real questions.

#include "app/commands/embedding_options.hpp"
#include "semantic.hpp"
#include "store/vectors/vector_index.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>
#include <random>
#include <vector>

namespace leeway::bench {
namespace {

using store::vectors::Match;
using store::vectors::Precision;
using store::vectors::VectorIndex;
using Vector = std::vector<float>;

constexpr std::size_t kAsked = 1000;
// How far a copy lies from its question: cosine 0.96, a near paraphrase.
constexpr double kJitter = 0.3;

std::optional<models::VectorTable> embed(const std::string& path) {
    std::vector<std::string> texts;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) texts.push_back(line);
    auto embedder = app::open_embedder(nullptr, {});
    if (!embedder) {
        std::cerr << embedder.error().text() << '\n';
        return std::nullopt;
    }
    auto table = app::embed_with_bar(**embedder, texts, "questions");
    if (!table) {
        std::cerr << table.error().text() << '\n';
        return std::nullopt;
    }
    if (table->rows() < 2 * kAsked) {
        std::cerr << path << ": too few texts\n";
        return std::nullopt;
    }
    return std::move(*table);
}

/// The questions that are in the index come first, each once, then copies of them until there are enough.
class Source {
public:
    explicit Source(const models::VectorTable& table)
        : table_(table), usable_(table.rows() - kAsked) {}
    Vector stored(std::size_t number) {
        const auto row = table_.row(number % usable_);
        return number < usable_ ? Vector(row.begin(), row.end()) : copy_of(row);
    }
    /// A question that is not in the index.
    [[nodiscard]] Vector strange(std::size_t number) const {
        const auto row = table_.row(usable_ + number % kAsked);
        return {row.begin(), row.end()};
    }
    /// One that lies near to some that are.
    Vector near_to_stored() { return copy_of(table_.row(random_() % usable_)); }

private:
    Vector copy_of(std::span<const float> row) {
        std::normal_distribution<float> normal;
        Vector noise(row.size());
        double squares = 0;
        for (float& x : noise) {
            x = normal(random_);
            squares += static_cast<double>(x) * static_cast<double>(x);
        }
        const auto scale = static_cast<float>(kJitter / std::sqrt(squares));
        for (std::size_t i = 0; i < row.size(); ++i) noise[i] = row[i] + scale * noise[i];
        return noise;  // the index brings it to unit length
    }
    const models::VectorTable& table_;
    std::size_t usable_;
    std::mt19937_64 random_{20261129};
};

struct Figures {
    double mean_ms = 0;
    double p99_ms = 0;
    double exact_ms = 0;
    double recall_1 = 0;
    double recall_10 = 0;
};

/// CPU times of one thread, one after another.
Figures ask(const VectorIndex& index, const std::vector<Vector>& queries) {
    constexpr float kSame = 1e-6F;
    Figures out;
    std::vector<double> times;
    std::size_t best = 0;
    std::size_t ten = 0;
    for (const Vector& query : queries) (void)index.search(query, 1);
    for (const Vector& query : queries) {
        double started = cpu_seconds();
        const auto one = index.search(query, 1);
        times.push_back((cpu_seconds() - started) * 1e3);
        started = cpu_seconds();
        const auto truth = index.search_exact(query, 10);
        out.exact_ms += (cpu_seconds() - started) * 1e3;
        const auto found = index.search(query, 10);
        if (!one || !truth || !found || one->empty() || truth->size() < 10) return {};
        best += one->front().cosine >= truth->front().cosine - kSame ? 1U : 0U;
        for (const Match& match : *found) {
            ten += match.cosine >= truth->back().cosine - kSame ? 1U : 0U;
        }
    }
    const auto count = static_cast<double>(queries.size());
    for (const double time : times) out.mean_ms += time / count;
    std::sort(times.begin(), times.end());
    out.p99_ms = times[times.size() * 99 / 100];
    out.exact_ms /= count;
    out.recall_1 = static_cast<double>(best) / count;
    out.recall_10 = static_cast<double>(ten) / count / 10;
    return out;
}

void print(const char* name, const Figures& f) {
    std::printf(
        R"("%s": {"mean_ms": %.4f, "p99_ms": %.4f, "exact_ms": %.3f, "recall_1": %.4f, "recall_10": %.4f}, )",
        name, f.mean_ms, f.p99_ms, f.exact_ms, f.recall_1, f.recall_10);
}

}  // namespace

int lookups(std::span<const std::string> arguments) {
    if (arguments.size() != 3) return 2;
    const auto table = embed(arguments[0]);
    if (!table) return 1;
    const std::size_t count = std::stoul(arguments[1]);
    VectorIndex::Options options;
    options.dimension = table->dimension;
    options.precision = arguments[2] == "int8" ? Precision::kInt8 : Precision::kFloat32;
    VectorIndex index(options);
    Source source(*table);
    double started = cpu_seconds();
    for (std::size_t i = 0; i < count; ++i) {
        if (!index.add(i, source.stored(i))) return 1;
    }
    const double add = cpu_seconds() - started;
    started = cpu_seconds();
    const std::atomic<bool> stop{false};
    while (index.wants_maintenance() && index.maintain(stop)) {
        std::fprintf(stderr, "%.0f s: %lu of %zu in the graph\n", cpu_seconds() - started,
                     static_cast<unsigned long>(index.stats().in_graph), count);
    }
    const double build = cpu_seconds() - started;
    std::vector<Vector> strange;
    std::vector<Vector> near;
    // Exact searches of many vectors are what takes time here.
    const std::size_t asked = count > 300'000 ? kAsked / 4 : kAsked;
    for (std::size_t i = 0; i < asked; ++i) {
        strange.push_back(source.strange(i));
        near.push_back(source.near_to_stored());
    }
    const auto stats = index.stats();
    std::printf(
        R"({"entries": %zu, "distinct": %zu, "dimension": %u, "build_s": %.1f, "add_us": %.1f, )",
        count, std::min(count, table->rows() - kAsked), table->dimension, build,
        add * 1e6 / static_cast<double>(count));
    print("strange", ask(index, strange));
    print("near", ask(index, near));
    std::printf(R"("in_graph": %lu, "by_graph": %lu, "bytes": %.0f})",
                static_cast<unsigned long>(stats.in_graph),
                static_cast<unsigned long>(index.stats().by_graph),
                static_cast<double>(stats.bytes) / static_cast<double>(count));
    std::puts("");
    return 0;
}

}  // namespace leeway::bench
