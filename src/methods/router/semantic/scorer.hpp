#pragma once

#include "methods/router/semantic/bm25.hpp"
#include "methods/router/semantic/head.hpp"
#include "methods/router/semantic/route_set.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// What one class (a route, or what all routes reject) is known by.
struct Example {
    std::string text;
    std::uint32_t class_index = 0;
    std::span<const float> vector;  ///< of unit length
};

/// The three parts of a score, each about 0 to 1.
struct ScoreParts {
    float dense = 0;  ///< cosines to the examples of the class, aggregated
    float sparse = 0;  ///< BM25 shares, aggregated
    float head = 0;  ///< value of the linear head

    /// (1 − head) × (alpha × dense + (1 − alpha) × sparse) + head × head's value: all parts have one scale, so that
    /// each weight counts for what it says.
    [[nodiscard]] double mixed(const Scoring& scoring) const noexcept;
};

/// An example that is near a text.
struct Neighbour {
    std::uint32_t example = 0;  ///< its place in the list that the scorer was made of
    float cosine = 0;
};

/// Scores texts against the examples of classes. Immutable, any thread may ask.
///
/// Up to `kExactExamples` examples each is looked at. Beyond, the classes are ranked by their centroids and only the
/// examples of the best `kExactClasses` are; the others have their centroid's cosine, which is lower. So a decision
/// stays far below a millisecond (bench/results.md).
class Scorer {
public:
    static constexpr std::size_t kExactExamples = 1024;
    static constexpr std::size_t kExactClasses = 8;

    Scorer() = default;
    /// The vectors are copied. `scoring`: aggregate, k1 and b.
    Scorer(std::span<const Example> examples, std::size_t classes, std::size_t dimension,
           const Scoring& scoring);

    /// The parts for each class. `nearest`: filled with up to `most` of the nearest examples, best first; may be null.
    [[nodiscard]] std::vector<ScoreParts> parts(std::string_view text,
                                                std::span<const float> vector,
                                                std::vector<Neighbour>* nearest = nullptr,
                                                std::size_t most = 3) const;
    /// Whether the head has learned something: else its share in a score goes to the similarity.
    [[nodiscard]] bool has_head() const noexcept { return head_.learned(); }
    [[nodiscard]] std::size_t classes() const noexcept {
        return first_.empty() ? 0 : first_.size() - 1;
    }

private:
    void dense_of(std::span<const float> vector, std::span<float> cosines,
                  std::vector<ScoreParts>& parts) const;
    [[nodiscard]] float aggregated(std::span<const float> values) const;

    std::size_t dimension_ = 0;
    Aggregate aggregate_ = Aggregate::kBlend;
    std::vector<float> rows_;  // sorted by class
    std::vector<std::uint32_t> first_;  // of each class, and one behind the last
    std::vector<std::uint32_t> example_of_;  // row → place in the list
    std::vector<float> centroids_;
    Bm25 words_;
    LinearHead head_;
};

}  // namespace leeway::router
