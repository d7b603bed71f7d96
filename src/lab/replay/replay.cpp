#include "lab/replay/replay.hpp"

#include "base/confidence_limits.hpp"
#include "lab/replay/doubly_robust.hpp"
#include "methods/cascade/certificate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace leeway::lab {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// A quantity of one model over all requests: what is told of each, and what stands for it in means.
struct Column {
    std::vector<double> values;  // empty: too little is known
    std::size_t known = 0;
};

class Replay {
public:
    Replay(const ReplayedPolicy& policy, std::span<const RecordedRequest> requests,
           const ReplayPlan& plan)
        : policy_(policy), plan_(plan), models_(policy.models().size()) {
        report_.requests = requests.size();
        for (const RecordedRequest& request : requests) {
            auto decision = policy.decide(request);
            if (!decision) {
                ++report_.undecided;
                continue;
            }
            ++report_.decisions[decision->why];
            rows_.push_back(&request);
            decisions_.push_back(std::move(*decision));
            strata_.push_back(request.stratum);
        }
    }

    Result<ReplayReport> run() {
        if (rows_.empty())
            return fail(ErrorCode::kInvalidRequest,
                        report_.requests == 0
                            ? "there are no recorded requests to replay"
                            : "the recording tells for no request what the policy decides by",
                        std::string(policy_.needs()));
        report_.reference = policy_.reference();
        count();
        for (std::size_t m = 0; m < models_; ++m) {
            quality_.push_back(column(m, &RecordedAnswer::quality, &ReplaySignals::quality, 1));
            cost_.push_back(column(m, &RecordedAnswer::cost_usd, &ReplaySignals::cost, dearest(m)));
        }
        estimate();
        compare();
        return std::move(report_);
    }

private:
    using Field = std::optional<double> RecordedAnswer::*;

    [[nodiscard]] double dearest(std::size_t model) const {
        double out = 0;
        for (const RecordedRequest* row : rows_)
            out = std::max(out, row->answers[model].cost_usd.value_or(0));
        return out;
    }

    void count() {
        report_.models.resize(models_);
        for (std::size_t m = 0; m < models_; ++m) report_.models[m].model = policy_.models()[m];
        for (const ReplayedDecision& decision : decisions_) {
            for (const std::size_t model : decision.asked) ++report_.models[model].asked;
            ++report_.models[decision.asked.back()].answered;
        }
    }

    [[nodiscard]] Column column(std::size_t model, Field field, double ReplaySignals::* signal,
                                double most) const {
        Column out;
        std::vector<PartlyKnown> observed;
        observed.reserve(rows_.size());
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            const RecordedAnswer& answer = rows_[i]->answers[model];
            const std::optional<double>& value = answer.*field;
            out.known += value ? 1 : 0;
            const ReplaySignals& by = decisions_[i].signals[model];
            observed.push_back({value, by.*signal, by.known});
        }
        const bool enough = out.known == rows_.size() || out.known >= kLeastKnown;
        if (enough) out.values = doubly_robust(observed, most);
        return out;
    }

    /// Means over the requests of one draw; NaN: too little is known.
    struct Draw {
        std::vector<double> quality;  // of each model
        std::vector<double> cost;
        double told = 0;  // quality of the policy's answers
        double spent = 0;  // by it
        // Of the models at the rates at which it tells their answers.
        double random_quality = 0;
        double random_cost = 0;
    };

    static double mean(std::span<const std::uint32_t> weights, const std::vector<double>& values) {
        if (values.empty()) return kUnknown;
        double sum = 0;
        double count = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
            sum += weights[i] * values[i];
            count += weights[i];
        }
        return sum / count;
    }

    [[nodiscard]] Draw draw(std::span<const std::uint32_t> weights) const {
        Draw out;
        for (std::size_t m = 0; m < models_; ++m) {
            out.quality.push_back(mean(weights, quality_[m].values));
            out.cost.push_back(mean(weights, cost_[m].values));
        }
        out.told = mean(weights, told_);
        out.spent = mean(weights, spent_);
        std::vector<double> answered(models_);
        double all = 0;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            answered[decisions_[i].asked.back()] += weights[i];
            all += weights[i];
        }
        for (std::size_t m = 0; m < models_; ++m) {
            if (answered[m] == 0) continue;  // nor need anything be known of it
            out.random_quality += answered[m] / all * out.quality[m];
            out.random_cost += answered[m] / all * out.cost[m];
        }
        return out;
    }

    /// What stands for it in the means. Of too little for a curve what is known is still known.
    [[nodiscard]] double value_of(const Column& column, std::size_t row, std::size_t model,
                                  Field field) const {
        if (!column.values.empty()) return column.values[row];
        return (rows_[row]->answers[model].*field).value_or(kUnknown);
    }

    /// The zero router's quality at the cost of the policy.
    [[nodiscard]] static double zero_quality(const Draw& one) {
        std::vector<CostQuality> singles;
        for (std::size_t m = 0; m < one.cost.size(); ++m) {
            if (!std::isfinite(one.cost[m] + one.quality[m])) return kUnknown;
            singles.push_back({one.cost[m], one.quality[m]});
        }
        if (!std::isfinite(one.spent)) return kUnknown;
        return quality_at(hull_of(singles), one.spent);
    }

    /// A figure of all requests with its interval; nullopt: too little is known.
    template <class Figure>
    std::optional<Estimate> figure(Figure&& of) const {
        const double value = of(all_);
        if (!std::isfinite(value)) return std::nullopt;
        std::vector<double> drawn;
        drawn.reserve(draws_.size());
        for (const Draw& one : draws_) drawn.push_back(of(one));
        return estimate_of(value, std::move(drawn));
    }

    /// The same with how many requests tell it. `known`: whether the decision on request i is one.
    template <class Figure, class Known>
    std::optional<ReplayedMean> known_figure(Figure&& of, Known&& known) const {
        const auto mean = figure(of);
        if (!mean) return std::nullopt;
        ReplayedMean out{*mean};
        for (std::size_t i = 0; i < rows_.size(); ++i) ++(known(i) ? out.known : out.estimated);
        return out;
    }

    void estimate() {
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            const auto& asked = decisions_[i].asked;
            told_.push_back(
                value_of(quality_[asked.back()], i, asked.back(), &RecordedAnswer::quality));
            double cost = 0;
            for (const std::size_t model : asked)
                cost += value_of(cost_[model], i, model, &RecordedAnswer::cost_usd);
            spent_.push_back(cost);
        }
        all_ = draw(std::vector<std::uint32_t>(rows_.size(), 1));
        resample(strata_, plan_.resamples, plan_.seed,
                 [&](std::span<const std::uint32_t> weights) { draws_.push_back(draw(weights)); });
        const auto answer = [&](std::size_t row, std::size_t model) -> const RecordedAnswer& {
            return rows_[row]->answers[model];
        };
        const std::size_t by = report_.reference;
        for (std::size_t m = 0; m < models_; ++m) {
            ReplayedModel& to = report_.models[m];
            to.quality =
                known_figure([m](const Draw& one) { return one.quality[m]; },
                             [&](std::size_t i) { return answer(i, m).quality.has_value(); });
            to.cost_usd =
                known_figure([m](const Draw& one) { return one.cost[m]; },
                             [&](std::size_t i) { return answer(i, m).cost_usd.has_value(); });
        }
        report_.cost_usd = known_figure([](const Draw& one) { return one.spent; },
                                        [&](std::size_t i) {
                                            return std::ranges::all_of(
                                                decisions_[i].asked, [&](std::size_t model) {
                                                    return answer(i, model).cost_usd.has_value();
                                                });
                                        });
        report_.saving = figure([by](const Draw& one) { return 1 - one.spent / one.cost[by]; });
        report_.quality =
            known_figure([](const Draw& one) { return one.told; },
                         [&](std::size_t i) {
                             return answer(i, decisions_[i].asked.back()).quality.has_value();
                         });
        report_.quality_gain = figure([by](const Draw& one) { return one.told - one.quality[by]; });
        report_.zero_quality = figure(zero_quality);
        report_.gain_at_cost = figure([](const Draw& one) { return one.told - zero_quality(one); });
        report_.random_cost_usd = figure([](const Draw& one) { return one.random_cost; });
        report_.random_quality = figure([](const Draw& one) { return one.random_quality; });
        report_.gain_over_random =
            figure([](const Draw& one) { return one.told - one.random_quality; });
    }

    void compare() {
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            const auto& told = rows_[i]->answers[decisions_[i].asked.back()].quality;
            const auto& reference = rows_[i]->answers[report_.reference].quality;
            if (!told || !reference) continue;
            ++report_.compared;
            report_.harmed += cascade::harms(*told, *reference) ? 1 : 0;
        }
        report_.harm_limit = upper_limit(static_cast<double>(report_.harmed),
                                         static_cast<double>(report_.compared), plan_.confidence);
    }

    const ReplayedPolicy& policy_;
    const ReplayPlan& plan_;
    const std::size_t models_;
    std::vector<const RecordedRequest*> rows_;
    std::vector<ReplayedDecision> decisions_;
    std::vector<std::uint32_t> strata_;
    std::vector<Column> quality_;
    std::vector<Column> cost_;
    std::vector<double> told_;  // quality of the policy's answer to each request
    std::vector<double> spent_;  // by the policy on each
    Draw all_;
    std::vector<Draw> draws_;
    ReplayReport report_;
};

}  // namespace

Result<ReplayReport> replay(const ReplayedPolicy& policy, std::span<const RecordedRequest> requests,
                            const ReplayPlan& plan) {
    return Replay(policy, requests, plan).run();
}

}  // namespace leeway::lab
