#pragma once

#include "lab/estimate/evaluate.hpp"
#include "lab/estimate/recorded.hpp"

#include <optional>
#include <string>
#include <vector>

namespace leeway::app {

/// What one model makes of a scenario.
struct ModelEstimate {
    std::string model;      ///< "as recorded" where each flow has its own
    std::string priced_as;  ///< empty: unknown, or several
    tokens::TokenCount
        input;  ///< of a call on average over its prompts; 0: there are several kinds of call
    std::string output_from;
    lab::Outcome base;
    std::optional<lab::Outcome> what_if;
    std::vector<lab::Lever> levers;
    std::vector<std::string> notes;  ///< what no figure covers
};

struct Estimate {
    std::string source;
    std::string name;
    std::int64_t requests_per_month = 0;  ///< 0: nobody said
    std::optional<PicoUsd> budget;
    std::string what_if;  ///< as it was asked for; empty: not
    std::vector<ModelEstimate> models;
    std::vector<std::string> assumptions;
    std::vector<std::string> unknown;
    std::vector<std::string> back_tests;  ///< how far such estimates were off
};

enum class EstimateFormat : std::uint8_t { kText, kMarkdown, kJson };
[[nodiscard]] std::string show_estimate(const Estimate& estimate, EstimateFormat format,
                                        bool colour);

[[nodiscard]] std::string show_backtest(const std::vector<lab::Backtest>& tests,
                                        std::size_t passed_over, EstimateFormat format);

/// USD for people; "unknown" for what is not known.
[[nodiscard]] std::string usd_text(PicoUsdSum amount);

}  // namespace leeway::app
