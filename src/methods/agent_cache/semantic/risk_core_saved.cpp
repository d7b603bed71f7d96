#include "json/node.hpp"
#include "json/number.hpp"
#include "json/write.hpp"
#include "methods/agent_cache/semantic/risk_core.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace leeway::agent_cache::semantic {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr double kLargest = 1e15;
constexpr double kLargestWeight = 1e3;

void write_all(json::Writer& out, std::string_view name, std::span<const double> values) {
    out.key(name).array();
    for (const double value : values) out.number(value);
    out.close_array();
}

/// The numbers of the member `name`, if there are `count` of them, all finite.
bool read_all(const json::Node& node, std::string_view name, std::span<double> values) {
    const json::Node* const list = node.find(name);
    if (list == nullptr || !list->is_array() || list->elements.size() != values.size())
        return false;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const json::Node& element = list->elements[i];
        const auto value = element.is_number() ? json::to_double(element.text) : std::nullopt;
        if (!value || !std::isfinite(*value) || std::abs(*value) > kLargest) return false;
        values[i] = *value;
    }
    return true;
}

tl::unexpected<Error> damaged() {
    return fail(ErrorCode::kConfig,
                "what the semantic cache had learned is damaged or of another version",
                "it is learned anew");
}

constexpr std::size_t kCounts = 9;
constexpr std::size_t kSums = 6;

}  // namespace

std::string RiskCore::save() const {
    const Learned& l = learned_;
    std::string text;
    json::Writer out(text);
    out.object().key("version").integer(kVersion);
    const auto count = [](std::uint64_t n) {
        return static_cast<double>(n);
    };
    const std::array<double, kCounts> counts{
        count(l.era),           count(l.served_of_era), count(l.verified_of_era),
        count(l.asked),         count(l.served),        count(l.audited),
        count(l.audited_wrong), count(l.would_serve),   count(l.stops)};
    write_all(out, "counts", counts);
    const std::array<double, 2> drift{l.surprise, l.least_surprise};
    write_all(out, "drift", drift);
    write_all(out, "weights", learner_.weights());
    std::vector<double> values;
    for (const auto& row : learner_.covariance())
        values.insert(values.end(), row.begin(), row.end());
    write_all(out, "covariance", values);
    values.clear();
    for (const Evidence::Level& level : l.evidence.levels()) {
        values.insert(values.end(), {level.asked, level.verified, level.wrong});
    }
    write_all(out, "levels", values);
    const MeanInterval::Sums& s = served_error_.sums();
    const std::array<double, kSums> sums{s.count, s.total,     s.square_error,
                                         s.bets,  s.bet_total, s.cost};
    write_all(out, "served", sums);
    const std::array<double, 4> how{settings_.audit, settings_.confidence,
                                    static_cast<double>(raised_), proven_ ? 1.0 : 0.0};
    write_all(out, "how", how);
    out.key("stopped").string(l.stopped_why).close_object();
    return text;
}

Result<void> RiskCore::restore(std::string_view saved) {
    const auto node = json::parse_node(saved);
    if (!node || !node->is_object()) return damaged();
    const json::Node* const version = node->find("version");
    if (version == nullptr || version->integer() != kVersion) return damaged();
    std::array<double, kCounts> counts{};
    std::array<double, 2> drift{};
    HitModel::Weights weights{};
    std::array<double, kInputs * kInputs> covariance{};
    std::array<double, 3 * Evidence::kLevels> levels{};
    std::array<double, kSums> sums{};
    std::array<double, 4> how{};
    if (!read_all(*node, "counts", counts) || !read_all(*node, "drift", drift) ||
        !read_all(*node, "weights", weights) || !read_all(*node, "covariance", covariance) ||
        !read_all(*node, "levels", levels) || !read_all(*node, "served", sums) ||
        !read_all(*node, "how", how)) {
        return damaged();
    }
    const auto negative = [](double value) {
        return value < 0;
    };
    if (std::any_of(counts.begin(), counts.end(), negative) || counts[0] < 1 ||
        std::any_of(levels.begin(), levels.end(), negative) ||
        std::any_of(sums.begin(), sums.end(), negative) || negative(how[2]) ||
        std::any_of(
            weights.begin(), weights.end(),
            [](double w) { return std::abs(w) > kLargestWeight; })) {
        return damaged();
    }
    Learned l;
    RouteLearner::Covariance matrix{};
    for (std::size_t i = 0; i < kInputs; ++i) {
        for (std::size_t j = 0; j < kInputs; ++j) matrix[i][j] = covariance[i * kInputs + j];
        if (!(matrix[i][i] > 0)) return damaged();
    }
    for (std::size_t i = 0; i < Evidence::kLevels; ++i) {
        const Evidence::Level level{levels[3 * i], levels[3 * i + 1], levels[3 * i + 2]};
        if (level.wrong > level.verified || level.verified > level.asked) return damaged();
        l.evidence.levels()[i] = level;
    }
    const auto whole = [](double value) {
        return static_cast<std::uint64_t>(value);
    };
    l.era = whole(counts[0]);
    l.served_of_era = whole(counts[1]);
    l.verified_of_era = whole(counts[2]);
    l.asked = whole(counts[3]);
    l.served = whole(counts[4]);
    l.audited = whole(counts[5]);
    l.audited_wrong = whole(counts[6]);
    l.would_serve = whole(counts[7]);
    l.stops = whole(counts[8]);
    l.surprise = drift[0];
    l.least_surprise = drift[1];
    l.stopped_why = node->text_of("stopped");
    learned_ = std::move(l);
    learner_.restore(weights, matrix);
    // The interval's numbers are in units of the least audit probability.
    const bool same = how[0] == settings_.audit && how[1] == settings_.confidence;
    served_error_ = same ? MeanInterval(settings_.confidence,
                                        {sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]})
                         : MeanInterval(settings_.confidence);
    raised_ = same ? std::min(Evidence::kLevels, static_cast<std::size_t>(how[2])) : 0;
    proven_ = same && how[3] == 1;
    certify();
    return {};
}

}  // namespace leeway::agent_cache::semantic
