#include "methods/router/predict/route_policy.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace leeway::router {
namespace {

float quality_of(const OutcomeRows& rows, std::size_t row, std::size_t model) {
    const float quality = rows.models[model].quality[row];
    return std::isnan(quality) ? 0 : quality;
}

// Margins that are tried.
constexpr std::array kMargins{0.0, 0.02, 0.05, 0.1, 0.2};

double expected_gain(std::span<const Prediction> predictions, std::size_t best, std::size_t single,
                     double lambda) {
    return static_cast<double>(predictions[best].quality) -
           static_cast<double>(predictions[single].quality) -
           lambda * (in_usd(predictions[best].cost) - in_usd(predictions[single].cost));
}

/// What came of the queries that left the single model.
struct Leaving {
    double quality = 0;
    double cost = 0;
    double gain = 0;
    double squares = 0;
    void add(double more_quality, double more_cost, double lambda) {
        const double value = more_quality - lambda * more_cost;
        quality += more_quality;
        cost += more_cost;
        gain += value;
        squares += value * value;
    }
};

}  // namespace

std::size_t best_trade(std::span<const Prediction> predictions, double lambda,
                       ModelSet eligible) noexcept {
    std::size_t best = predictions.size();
    double most = 0;
    for (std::size_t m = 0; m < predictions.size(); ++m) {
        if (m < kMostModels ? !holds(eligible, m) : eligible != kAllModels) continue;
        const double value =
            static_cast<double>(predictions[m].quality) - lambda * in_usd(predictions[m].cost);
        if (best == predictions.size() || value > most ||
            (value == most && predictions[m].cost < predictions[best].cost)) {
            most = value;
            best = m;
        }
    }
    return best;
}

std::vector<double> lambda_ladder(double dearest_usd, std::size_t steps) {
    // In qualities per call of the dearest model: from where nobody would save to where nobody would spend.
    constexpr double kLeast = 1e-3;
    constexpr double kMost = 100;
    constexpr double kPriceOnly = 1e6;
    const double unit = dearest_usd > 0 ? 1 / dearest_usd : 1;
    std::vector<double> out{0};
    for (std::size_t i = 0; i < steps; ++i) {
        const double share =
            static_cast<double>(i) / static_cast<double>(std::max<std::size_t>(1, steps - 1));
        out.push_back(unit * kLeast * std::pow(kMost / kLeast, share));
    }
    out.push_back(unit * kPriceOnly);
    return out;
}

std::size_t RoutePolicy::choose(std::size_t trade,
                                std::span<const Prediction> predictions) const noexcept {
    return choose_among(trade, predictions, {}, kAllModels);
}

std::size_t RoutePolicy::choose_among(std::size_t trade, std::span<const Prediction> predictions,
                                      std::span<const Prediction> means,
                                      ModelSet eligible) const noexcept {
    const RouteTrade& at = trades[trade];
    std::size_t single = at.single;
    if (eligible != kAllModels && !holds(eligible, single))
        single = best_trade(means, at.lambda, eligible);
    if (!at.learned) return single;
    const std::size_t best = best_trade(predictions, at.lambda, eligible);
    return expected_gain(predictions, best, single, at.lambda) >= at.margin ? best : single;
}

std::vector<Prediction> mean_predictions(const OutcomeRows& rows) {
    std::vector<Prediction> out(rows.models.size());
    const auto n = static_cast<double>(std::max<std::size_t>(1, rows.size()));
    for (std::size_t m = 0; m < out.size(); ++m) {
        double quality = 0;
        PicoUsdSum cost;
        for (std::size_t r = 0; r < rows.size(); ++r) {
            quality += static_cast<double>(quality_of(rows, r, m));
            cost.add(rows.models[m].cost[r]);
        }
        out[m].quality = static_cast<float>(quality / n);
        out[m].cost = PicoUsd(static_cast<std::int64_t>(
            cost.value() / static_cast<Int128>(std::max<std::size_t>(1, rows.size()))));
    }
    return out;
}

RoutePolicy fit_policy(const OutcomeRows& rows, std::span<const Prediction> held_out,
                       std::span<const double> lambdas, const PolicyFitting& how) {
    const std::size_t models = rows.models.size();
    const auto n = static_cast<double>(std::max<std::size_t>(1, rows.size()));
    RoutePolicy out = zero_policy(rows, lambdas);
    for (RouteTrade& trade : out.trades) {
        std::array<Leaving, kMargins.size()> leaving{};
        for (std::size_t r = 0; r < rows.size(); ++r) {
            const auto told = held_out.subspan(r * models, models);
            const std::size_t best = best_trade(told, trade.lambda);
            if (best == trade.single) continue;
            const double expected = expected_gain(told, best, trade.single, trade.lambda);
            const double quality = static_cast<double>(quality_of(rows, r, best)) -
                                   static_cast<double>(quality_of(rows, r, trade.single));
            const double cost =
                in_usd(rows.models[best].cost[r]) - in_usd(rows.models[trade.single].cost[r]);
            for (std::size_t k = 0; k < kMargins.size(); ++k)
                if (expected >= kMargins[k]) leaving[k].add(quality, cost, trade.lambda);
        }
        const Leaving* surest = nullptr;
        double most = 0;
        for (std::size_t k = 0; k < kMargins.size(); ++k) {
            const double gain = leaving[k].gain / n;
            const double error = std::sqrt(std::max(0.0, leaving[k].squares / n - gain * gain) / n);
            if (gain - how.sure * error <= most) continue;
            most = gain - how.sure * error;
            surest = &leaving[k];
            trade.margin = kMargins[k];
        }
        if (surest == nullptr) continue;
        trade.learned = true;
        trade.quality += surest->quality / n;
        trade.cost_usd += surest->cost / n;
    }
    return out;
}

RoutePolicy zero_policy(const OutcomeRows& rows, std::span<const double> lambdas) {
    const std::vector<Prediction> means = mean_predictions(rows);
    RoutePolicy out;
    for (const double lambda : lambdas) {
        const std::size_t single = best_trade(means, lambda);
        out.trades.push_back({.lambda = lambda,
                              .single = static_cast<std::uint32_t>(single),
                              .quality = static_cast<double>(means[single].quality),
                              .cost_usd = in_usd(means[single].cost)});
    }
    return out;
}

std::vector<cascade::CostQuality> RoutePolicy::points() const {
    std::vector<cascade::CostQuality> out;
    out.reserve(trades.size());
    for (const RouteTrade& one : trades) out.push_back({one.cost_usd, one.quality});
    return out;
}

cascade::Mixture RoutePolicy::for_budget(double usd) const {
    const std::vector<cascade::CostQuality> all = points();
    return cascade::mixture_at(all, cascade::upper_hull(all), usd);
}

}  // namespace leeway::router
