#include "methods/router/semantic/scorer.hpp"

#include "store/vectors/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace leeway::router {
namespace {

using store::vectors::dot;

// The weight of the best in the blend of the best two, as vLLM's semantic router has it; on the fitting part of CLINC150
// it is better than the best alone and than the mean.
constexpr float kBest = 0.75F;
// A row that was not looked at.
constexpr float kUnseen = -2;

float blend(std::span<const float> values) {
    float best = kUnseen;
    float second = kUnseen;
    for (const float value : values) {
        second = std::max(second, std::min(best, value));
        best = std::max(best, value);
    }
    if (values.size() == 1) return best;
    return kBest * best + (1 - kBest) * (best + second) / 2;
}

}  // namespace

double ScoreParts::mixed(const Scoring& scoring) const noexcept {
    const double similarity = scoring.alpha * static_cast<double>(dense) +
                              (1 - scoring.alpha) * static_cast<double>(sparse);
    return (1 - scoring.head) * similarity + scoring.head * static_cast<double>(head);
}

Scorer::Scorer(std::span<const Example> examples, std::size_t classes, std::size_t dimension,
               const Scoring& scoring)
    : dimension_(dimension), aggregate_(scoring.aggregate), example_of_(examples.size()) {
    std::iota(example_of_.begin(), example_of_.end(), 0U);
    std::sort(example_of_.begin(), example_of_.end(), [&](std::uint32_t a, std::uint32_t b) {
        return std::pair(examples[a].class_index, a) < std::pair(examples[b].class_index, b);
    });
    std::vector<std::string> texts;
    std::vector<std::uint32_t> class_of;
    first_.assign(classes + 1, 0);
    rows_.reserve(examples.size() * dimension);
    centroids_.assign(classes * dimension, 0);
    for (const std::uint32_t index : example_of_) {
        const Example& example = examples[index];
        texts.push_back(example.text);
        class_of.push_back(example.class_index);
        ++first_[example.class_index + 1];
        rows_.insert(rows_.end(), example.vector.begin(), example.vector.end());
        float* const centroid = centroids_.data() + example.class_index * dimension;
        for (std::size_t d = 0; d < dimension; ++d) centroid[d] += example.vector[d];
    }
    std::partial_sum(first_.begin(), first_.end(), first_.begin());
    for (std::size_t c = 0; c < classes; ++c) {
        const auto centroid = std::span(centroids_).subspan(c * dimension, dimension);
        const float length = std::sqrt(dot(centroid, centroid));
        for (float& value : centroid) value = length > 0 ? value / length : 0;
    }
    words_ = Bm25(texts, scoring.k1, scoring.b);
    head_ = LinearHead(rows_, dimension, class_of, classes);
}

float Scorer::aggregated(std::span<const float> values) const {
    if (values.empty()) return 0;
    switch (aggregate_) {
        case Aggregate::kBlend: return blend(values);
        case Aggregate::kMax: return *std::max_element(values.begin(), values.end());
        case Aggregate::kMean: break;
    }
    return std::accumulate(values.begin(), values.end(), 0.0F) / static_cast<float>(values.size());
}

void Scorer::dense_of(std::span<const float> vector, std::span<float> cosines,
                      std::vector<ScoreParts>& parts) const {
    const std::size_t count = parts.size();
    std::vector<std::uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0U);
    std::size_t looked = count;
    if (cosines.size() > kExactExamples && count > kExactClasses) {
        for (std::size_t c = 0; c < count; ++c)
            parts[c].dense = dot(std::span(centroids_).subspan(c * dimension_, dimension_), vector);
        looked = kExactClasses;
        std::partial_sort(
            order.begin(), order.begin() + static_cast<std::ptrdiff_t>(looked), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return parts[a].dense > parts[b].dense; });
        std::fill(cosines.begin(), cosines.end(), kUnseen);
    }
    for (std::size_t i = 0; i < looked; ++i) {
        const std::uint32_t c = order[i];
        const std::size_t begin = first_[c];
        const std::size_t size = first_[c + 1] - begin;
        const auto own = cosines.subspan(begin, size);
        for (std::size_t e = 0; e < size; ++e)
            own[e] = dot(std::span(rows_).subspan((begin + e) * dimension_, dimension_), vector);
        parts[c].dense = aggregated(own);
    }
}

std::vector<ScoreParts> Scorer::parts(std::string_view text, std::span<const float> vector,
                                      std::vector<Neighbour>* nearest, std::size_t most) const {
    const std::size_t count = classes();
    std::vector<ScoreParts> out(count);
    std::vector<float> values(example_of_.size());
    words_.score(text, values);
    for (std::size_t c = 0; c < count; ++c)
        out[c].sparse = aggregated(std::span(values).subspan(first_[c], first_[c + 1] - first_[c]));
    dense_of(vector, values, out);
    std::vector<float> head(count);
    head_.score(vector, head);
    for (std::size_t c = 0; c < count; ++c) out[c].head = head[c];
    if (nearest == nullptr) return out;
    std::vector<std::uint32_t> rows(values.size());
    std::iota(rows.begin(), rows.end(), 0U);
    most = std::min(most, rows.size());
    std::partial_sort(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(most), rows.end(),
                      [&](std::uint32_t a, std::uint32_t b) { return values[a] > values[b]; });
    nearest->clear();
    for (std::size_t i = 0; i < most && values[rows[i]] > kUnseen; ++i)
        nearest->push_back({example_of_[rows[i]], values[rows[i]]});
    return out;
}

}  // namespace leeway::router
