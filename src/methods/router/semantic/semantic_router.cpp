#include "methods/router/semantic/semantic_router.hpp"

#include "methods/router/semantic/calibration.hpp"
#include "methods/router/semantic/default_threshold.hpp"
#include "methods/router/semantic/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace leeway::router {
namespace {

/// The utterances, what is rejected, the fitted examples.
std::vector<LabelledText> labelled_of(const RouteSet& set) {
    std::vector<LabelledText> out;
    for (const SemanticRoute& route : set.routes)
        for (const std::string& text : route.utterances) out.push_back({text, route.name});
    for (const std::string& text : set.rejected) out.push_back({text, {}});
    if (set.fitted) out.insert(out.end(), set.fitted->examples.begin(), set.fitted->examples.end());
    return out;
}

bool is_blank(std::string_view text) noexcept {
    return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

}  // namespace

std::string_view to_string(DecidedBy by) noexcept {
    switch (by) {
        case DecidedBy::kScore: return "score";
        case DecidedBy::kRule: return "rule";
        case DecidedBy::kContext: return "context";
        case DecidedBy::kBelow: return "below_threshold";
        case DecidedBy::kAmbiguous: return "ambiguous";
        case DecidedBy::kEmpty: break;
    }
    return "empty";
}

std::vector<double> route_scores(std::span<const ScoreParts> parts, const Scoring& scoring,
                                 bool has_head) {
    Scoring used = scoring;
    if (!has_head) used.head = 0;
    const double rejected = std::max(0.0, parts.back().mixed(used));
    std::vector<double> out;
    out.reserve(parts.size() - 1);
    for (const ScoreParts& part : parts.first(parts.size() - 1))
        out.push_back(part.mixed(used) - rejected);
    return out;
}

std::vector<std::string> SemanticRouter::texts_of(const RouteSet& set) {
    std::vector<std::string> out;
    for (LabelledText& one : labelled_of(set)) out.push_back(std::move(one.text));
    return out;
}

Result<SemanticRouter> SemanticRouter::build(RouteSet set, const models::EmbeddingModel& model,
                                             const models::VectorTable& vectors) {
    SemanticRouter out;
    out.set_ = std::move(set);
    out.examples_ = labelled_of(out.set_);
    if (out.examples_.size() != vectors.rows()) {
        return fail(ErrorCode::kConfig, fmt::format("{} vectors for {} examples", vectors.rows(),
                                                    out.examples_.size()));
    }
    std::vector<Example> examples;
    for (std::size_t i = 0; i < out.examples_.size(); ++i) {
        const LabelledText& one = out.examples_[i];
        const auto route = out.set_.find(one.route);
        // An example of a route that is no longer in the file is of no use.
        if (!one.route.empty() && !route) continue;
        const std::size_t index = route.value_or(out.set_.routes.size());
        examples.push_back({one.text, static_cast<std::uint32_t>(index), vectors.row(i)});
    }
    std::erase_if(out.examples_, [&](const LabelledText& one) {
        return !one.route.empty() && !out.set_.find(one.route);
    });
    if (auto read = out.read_rules(); !read) return fail(std::move(read.error()));
    const FittedRoutes* const fitted = out.set_.fitted ? &*out.set_.fitted : nullptr;
    out.stale_ = fitted != nullptr && fitted->fingerprint != model.fingerprint;
    out.scoring_ = out.set_.scoring;
    if (fitted != nullptr && !out.stale_) {
        out.scoring_.aggregate = fitted->scoring.aggregate;
        out.scoring_.alpha = fitted->scoring.alpha;
        out.scoring_.head = fitted->scoring.head;
    }
    out.scorer_ = Scorer(examples, out.set_.routes.size() + 1, vectors.dimension, out.scoring_);
    out.choose_thresholds(examples, vectors.dimension);
    return out;
}

Result<void> SemanticRouter::read_rules() {
    rule_places_.resize(set_.rules.size());
    std::iota(rule_places_.begin(), rule_places_.end(), std::size_t{0});
    std::sort(rule_places_.begin(), rule_places_.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(-set_.rules[a].priority, a) < std::pair(-set_.rules[b].priority, b);
    });
    for (const std::size_t place : rule_places_) {
        auto rule = Rule::parse(set_.rules[place].when);
        if (!rule) return fail(std::move(rule.error()));
        rules_.push_back(std::move(*rule));
    }
    return {};
}

Result<SemanticRouter> SemanticRouter::rules_of(RouteSet set) {
    SemanticRouter out;
    out.set_ = std::move(set);
    if (auto read = out.read_rules(); !read) return fail(std::move(read.error()));
    return out;
}

void SemanticRouter::choose_thresholds(std::span<const Example> examples, std::size_t dimension) {
    const std::size_t count = set_.routes.size();
    temperature_ = kDefaultTemperature;
    if (set_.fitted && !stale_) {
        temperature_ = set_.fitted->temperature;
        thresholds_ = set_.fitted->thresholds;
    }
    const bool by_hand = std::all_of(set_.routes.begin(), set_.routes.end(),
                                     [](const auto& one) { return one.threshold.has_value(); });
    if (thresholds_.size() != count) {
        const double common = by_hand ? 0 : default_threshold(examples, count, dimension, scoring_);
        thresholds_.assign(count, common);
    }
    for (std::size_t r = 0; r < count; ++r)
        thresholds_[r] = set_.routes[r].threshold.value_or(thresholds_[r]);
}

std::optional<Decision> SemanticRouter::without_vector(std::string_view text) const {
    if (is_blank(text)) return Decision{};
    TextSignals signals(text);
    for (std::size_t i = 0; i < rules_.size(); ++i) {
        if (!rules_[i].holds(signals)) continue;
        Decision out;
        out.by = DecidedBy::kRule;
        out.rule = rule_places_[i];
        out.route = set_.find(set_.rules[out.rule].route);
        return out;
    }
    return std::nullopt;
}

bool SemanticRouter::wants_context(std::string_view text) const {
    return scoring_.context > 0 && words_of(text).size() <= scoring_.context_words;
}

std::vector<double> SemanticRouter::scores_of(std::span<const ScoreParts> parts) const {
    return route_scores(parts, scoring_, scorer_.has_head());
}

std::vector<double> SemanticRouter::scores(std::string_view text,
                                           std::span<const float> vector) const {
    return scores_of(scorer_.parts(text, vector));
}

Decision SemanticRouter::judge(std::span<const ScoreParts> parts) const {
    const std::vector<double> scores = scores_of(parts);
    const std::vector<double> sure = probabilities(scores, thresholds_, temperature_);
    Decision out;
    for (std::size_t r = 0; r < scores.size(); ++r)
        out.scores.push_back({r, parts[r], scores[r], thresholds_[r], sure[r]});
    const auto excess = [](const RouteScore& one) {
        return one.score - one.threshold;
    };
    std::sort(out.scores.begin(), out.scores.end(), [&](const RouteScore& a, const RouteScore& b) {
        return std::pair(-excess(a), a.route) < std::pair(-excess(b), b.route);
    });
    const double none = 1 - std::accumulate(sure.begin(), sure.end(), 0.0);
    out.by = DecidedBy::kBelow;
    out.probability = std::clamp(none, 0.0, 1.0);
    if (out.scores.empty() || excess(out.scores.front()) < 0) return out;
    const bool ambiguous = out.scores.size() > 1 && excess(out.scores[1]) >= 0 &&
                           excess(out.scores[0]) - excess(out.scores[1]) < scoring_.margin;
    out.probability = out.scores.front().probability;
    out.by = ambiguous ? DecidedBy::kAmbiguous : DecidedBy::kScore;
    if (!ambiguous) out.route = out.scores.front().route;
    return out;
}

Decision SemanticRouter::decide(const RouteQuery& query) const {
    if (auto known = without_vector(query.text)) return std::move(*known);
    std::vector<Neighbour> nearest;
    std::vector<ScoreParts> parts = scorer_.parts(
        query.text, query.vector, query.nearest > 0 ? &nearest : nullptr, query.nearest);
    Decision out = judge(parts);
    if (!out.route && !query.prior_vector.empty() && wants_context(query.text)) {
        const std::vector<ScoreParts> before = scorer_.parts(query.prior, query.prior_vector);
        const auto share = static_cast<float>(scoring_.context);
        for (std::size_t c = 0; c < parts.size(); ++c) {
            parts[c].dense += share * (before[c].dense - parts[c].dense);
            parts[c].sparse += share * (before[c].sparse - parts[c].sparse);
            parts[c].head += share * (before[c].head - parts[c].head);
        }
        Decision together = judge(parts);
        if (together.route) {
            out = std::move(together);
            out.by = DecidedBy::kContext;
        }
    }
    out.nearest = std::move(nearest);
    return out;
}

LabelledText SemanticRouter::example(const Neighbour& neighbour) const {
    return examples_[neighbour.example];
}

}  // namespace leeway::router
