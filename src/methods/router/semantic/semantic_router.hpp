#pragma once

#include "base/result.hpp"
#include "methods/router/semantic/route_set.hpp"
#include "methods/router/semantic/rule.hpp"
#include "methods/router/semantic/scorer.hpp"
#include "models/embedding.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// Which of the reasons a decision has.
enum class DecidedBy : std::uint8_t {
    kScore,  ///< the route's score exceeds its threshold by most
    kRule,  ///< a rule of the file holds; nothing was embedded
    kContext,  ///< as kScore, with the turn before counted in
    kBelow,  ///< rejected: no score reaches its threshold
    kAmbiguous,  ///< rejected: two routes are nearer to each other than `margin`
    kEmpty,  ///< rejected: there is no text
};
[[nodiscard]] std::string_view to_string(DecidedBy by) noexcept;

/// How one route stands.
struct RouteScore {
    std::size_t route = 0;
    ScoreParts parts;
    double score = 0;  ///< mixed, less that of the rejected examples
    double threshold = 0;
    double probability = 0;
};

/// What a text is, and why.
struct Decision {
    std::optional<std::size_t> route;  ///< nullopt: rejected
    DecidedBy by = DecidedBy::kEmpty;
    std::size_t rule = 0;  ///< of kRule: its place in the file
    double probability = 1;  ///< that the decision is right; 1 of rules
    std::vector<RouteScore>
        scores;  ///< best first (by what exceeds the threshold); empty without a vector
    std::vector<Neighbour> nearest;  ///< only where they are asked for
};

/// A text to decide about. The vectors are of the router's model.
struct RouteQuery {
    std::string_view text;
    std::span<const float> vector;
    std::string_view prior;  ///< the turn of the same person before; empty: there is none
    std::span<const float> prior_vector;
    std::size_t nearest = 0;  ///< so many are told
};

/// Decides which route of a file a text belongs to. All that decides is here, for the gateway as for `leeway route`,
/// `evaluate` and `tune`. No I/O; immutable, any thread may ask.
class SemanticRouter {
public:
    /// What must be embedded for `build`, in this order: the utterances of each route, those that are rejected, the
    /// fitted examples.
    [[nodiscard]] static std::vector<std::string> texts_of(const RouteSet& set);
    /// `vectors` has a row for each of `texts_of(set)`. Errors: kConfig (a rule is wrong, too few vectors).
    [[nodiscard]] static Result<SemanticRouter> build(RouteSet set,
                                                      const models::EmbeddingModel& model,
                                                      const models::VectorTable& vectors);

    /// A router that can do `without_vector` only. Errors: kConfig (a rule is wrong).
    [[nodiscard]] static Result<SemanticRouter> rules_of(RouteSet set);

    /// What rules say, or that there is no text; nullopt: a vector is needed.
    [[nodiscard]] std::optional<Decision> without_vector(std::string_view text) const;
    /// Whether `decide` could make use of the vector of the turn before, should the text alone be rejected.
    [[nodiscard]] bool wants_context(std::string_view text) const;
    [[nodiscard]] Decision decide(const RouteQuery& query) const;

    /// What the rules leave over: a score per route, for fitting.
    [[nodiscard]] std::vector<double> scores(std::string_view text,
                                             std::span<const float> vector) const;

    [[nodiscard]] const RouteSet& set() const noexcept { return set_; }
    [[nodiscard]] const std::vector<double>& thresholds() const noexcept { return thresholds_; }
    [[nodiscard]] double temperature() const noexcept { return temperature_; }
    /// The file was fitted for another model: its thresholds were left out.
    [[nodiscard]] bool stale() const noexcept { return stale_; }
    /// Of a neighbour: its text, and its route (empty: what is rejected).
    [[nodiscard]] LabelledText example(const Neighbour& neighbour) const;

private:
    SemanticRouter() = default;
    Result<void> read_rules();
    void choose_thresholds(std::span<const Example> examples, std::size_t dimension);
    [[nodiscard]] std::vector<double> scores_of(std::span<const ScoreParts> parts) const;
    [[nodiscard]] Decision judge(std::span<const ScoreParts> parts) const;

    RouteSet set_;
    Scoring scoring_;  // the fitted one, where it is good
    Scorer scorer_;
    std::vector<Rule> rules_;  // in the order in which they are asked
    std::vector<std::size_t> rule_places_;
    std::vector<LabelledText> examples_;
    std::vector<double> thresholds_;
    double temperature_ = 0;
    bool stale_ = false;
};

/// The score of each route from the parts of all classes, the rejected examples' last.
[[nodiscard]] std::vector<double> route_scores(std::span<const ScoreParts> parts,
                                               const Scoring& scoring, bool has_head);

}  // namespace leeway::router
