#include "methods/cascade/policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace leeway::cascade {
namespace {

template <class T>
std::vector<T> picked(const std::vector<T>& values, std::span<const std::size_t> rows) {
    std::vector<T> out;
    if (values.empty()) return out;
    out.reserve(rows.size());
    for (const std::size_t row : rows) out.push_back(values[row]);
    return out;
}

}  // namespace

Labelled Labelled::only(std::span<const std::size_t> rows) const {
    Labelled out;
    for (const LabelledModel& model : models) {
        out.models.push_back(
            {picked(model.quality, rows), picked(model.cost, rows), picked(model.score, rows)});
    }
    return out;
}

void Labelled::append(const Labelled& other) {
    for (std::size_t m = 0; m < models.size(); ++m) {
        const auto add = [](auto& to, const auto& from) {
            to.insert(to.end(), from.begin(), from.end());
        };
        LabelledModel& to = models[m];
        const LabelledModel& from = other.models[m];
        add(to.quality, from.quality);
        add(to.cost, from.cost);
        if (to.score.empty() || from.score.empty()) {
            to.score.clear();
        } else {
            add(to.score, from.score);
        }
    }
}

Result<void> check_labels(const Labelled& labels) {
    const auto bad = [](std::string what) {
        return fail(ErrorCode::kInvalidRequest, std::move(what));
    };
    if (labels.models.empty()) return bad("no model has outcomes");
    if (labels.rows() == 0) return bad("there is no labelled request");
    for (std::size_t m = 0; m < labels.models.size(); ++m) {
        const LabelledModel& model = labels.models[m];
        if (model.quality.size() != labels.rows() || model.cost.size() != labels.rows() ||
            (!model.score.empty() && model.score.size() != labels.rows()))
            return bad(fmt::format("model {}: columns of different length", m));
        for (std::size_t row = 0; row < labels.rows(); ++row) {
            if (!(model.quality[row] >= 0 && model.quality[row] <= 1))
                return bad(fmt::format("model {}, row {}: a quality outside 0 to 1", m, row));
            if (!(model.cost[row] >= 0) || !std::isfinite(model.cost[row]))
                return bad(fmt::format("model {}, row {}: no cost, or a negative one", m, row));
            if (!model.score.empty() &&
                (std::isnan(model.score[row].confidence) || std::isnan(model.score[row].tie)))
                return bad(fmt::format("model {}, row {}: a score that is not a number", m, row));
        }
    }
    return {};
}

Policy single_model(std::size_t model) { return cascade_of({&model, 1}, {}); }

Policy cascade_of(std::span<const std::size_t> models, std::span<const Score> cuts) {
    Policy out;
    out.size = static_cast<std::uint8_t>(models.size());
    std::transform(models.begin(), models.end(), out.models.begin(),
                   [](std::size_t model) { return static_cast<std::uint16_t>(model); });
    std::copy(cuts.begin(), cuts.end(), out.cuts.begin());
    return out;
}

CostQuality outcome(const Policy& policy, const Labelled& labels, std::size_t row) {
    CostQuality out;
    for (std::size_t place = 0; place < policy.size; ++place) {
        const LabelledModel& model = labels.models[policy.models[place]];
        out.cost += model.cost[row];
        out.quality = model.quality[row];
        if (place + 1 == policy.size || policy.accepts(place, model.score[row])) break;
    }
    return out;
}

CostQuality outcome(const Policy& policy, const Labelled& labels) {
    CostQuality sum;
    for (std::size_t row = 0; row < labels.rows(); ++row) {
        const CostQuality one = outcome(policy, labels, row);
        sum.cost += one.cost;
        sum.quality += one.quality;
    }
    const auto n = static_cast<double>(labels.rows());
    return {sum.cost / n, sum.quality / n};
}

std::vector<CostQuality> single_outcomes(const Labelled& labels) {
    std::vector<CostQuality> out;
    out.reserve(labels.models.size());
    for (std::size_t m = 0; m < labels.models.size(); ++m)
        out.push_back(outcome(single_model(m), labels));
    return out;
}

}  // namespace leeway::cascade
