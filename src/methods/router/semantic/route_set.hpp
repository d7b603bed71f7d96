#pragma once

#include "methods/router/semantic/arguments/argument_schema.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// How the similarities of a text to the utterances of one route become one number.
enum class Aggregate : std::uint8_t {
    kBlend,  ///< 0.75 × the best + 0.25 × the mean of the best two
    kMax,
    kMean,
};

/// What is done with a text that a route, or the rejection, takes. `answer` and `reject` stand alone; with none of all
/// the request goes on as it is.
struct RouteAction {
    /// Is answered at once, no upstream is asked. "{NAME}" stands for an argument; where it was not found a model answers
    /// as if there were no `answer`.
    std::string answer;
    std::string model;  ///< answers instead of the gateway route's own
    bool reject = false;  ///< is answered as what no route takes
    bool local_only = false;  ///< is answered by a model that runs here, or not at all
    bool log = false;  ///< is noted in the ledger's row (a guard notes only what it acts on)
    ArgumentSchema arguments;  ///< what a dynamic route finds out about a text that it takes
    std::string arguments_model;  ///< is asked for what is not found by parsing; empty: none is
};

/// One kind of request, told by examples.
struct SemanticRoute {
    std::string name;
    std::string description;  ///< for people
    std::vector<std::string> utterances;
    std::optional<double> threshold;  ///< set by hand; goes before the fitted one
    RouteAction action;
};

/// "When this is true of the text, that route takes it." Asked before anything is embedded.
struct RouteRule {
    std::string when;  ///< see rule.hpp
    std::string route;  ///< empty: the text is rejected
    std::int32_t priority = 0;  ///< the highest goes first; of equal ones the first in the file
};

/// What makes a score; see scorer.hpp.
struct Scoring {
    Aggregate aggregate = Aggregate::kBlend;
    double alpha = 0.8;  ///< share of the vectors in a similarity; the rest is of the words (BM25)
    double head = 0.5;  ///< share of the linear head in a score; the rest is the similarity's
    double k1 = 1.2;  ///< of BM25
    double b = 0.5;  ///< of BM25: how much long utterances count less
    double margin = 0;  ///< two routes nearer to each other than this are ambiguous; 0: never
    /// Share of the turn before, where a short text alone is taken by no route; 0: turns stand alone.
    double context = 0.35;
    std::uint32_t context_words = 6;  ///< how short
};

/// What the three kinds of mistakes cost when thresholds are fitted.
struct RouteCosts {
    double wrong_accept = 1;  ///< a route took what all should have rejected
    double wrong_reject = 1;
    double wrong_route = 1;
};

/// A labelled text that became one of the examples; an empty `route` means that none must take it.
struct LabelledText {
    std::string text;
    std::string route;
};

/// What `leeway tune routes` found, with its evidence.
struct FittedRoutes {
    std::string model;  ///< its name
    std::string fingerprint;  ///< the thresholds are good for vectors of this model only
    Scoring scoring;  ///< aggregate, alpha and head
    double temperature = 0;
    std::vector<double> thresholds;  ///< one per route of the set
    std::vector<LabelledText> examples;  ///< beside the utterances
    std::size_t rows = 0;
    std::size_t folds = 0;
    std::uint64_t seed = 0;
    double accuracy = 0;  ///< on rows that the fitting did not see
    std::array<double, 2> accuracy_ci{};  ///< 95 %
};

/// A routes file, read and checked.
struct RouteSet {
    std::string path;  ///< for messages
    std::vector<SemanticRoute> routes;
    std::vector<RouteRule> rules;
    RouteAction rejection;
    std::string rejection_route;  ///< takes what no route takes; empty: it is rejected
    std::vector<std::string> rejected;  ///< examples of what no route must take
    Scoring scoring;
    RouteCosts costs;
    /// How long a request waits for the model of its arguments.
    std::chrono::milliseconds arguments_within{2'000};
    std::optional<FittedRoutes> fitted;

    [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const noexcept {
        for (std::size_t i = 0; i < routes.size(); ++i)
            if (routes[i].name == name) return i;
        return std::nullopt;
    }
};

}  // namespace leeway::router
