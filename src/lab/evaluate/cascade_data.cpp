#include "lab/evaluate/cascade_data.hpp"

#include "lab/evaluate/cache_stream.hpp"
#include "lab/outcomes/outcome_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace leeway::lab {
namespace {

constexpr double kUsdPerPico = 1e-12;

cascade::LabelledModel column(const OutcomeTable& table, const ModelOutcomes& model,
                              std::span<const std::size_t> queries) {
    cascade::LabelledModel out;
    bool scored = false;
    for (const std::size_t query : queries) {
        out.quality.push_back(static_cast<double>(model.quality[query]));
        out.cost.push_back(static_cast<double>(model.cost[query].value()) * kUsdPerPico);
        const auto logprob = model.logprob(query);
        scored = scored || logprob.has_value();
        const auto asked = static_cast<double>(asked_length(table, model, query));
        out.score.push_back(
            {logprob ? cascade::confidence_of(static_cast<double>(*logprob)) : 0, -asked});
    }
    if (!scored) out.score.clear();
    return out;
}

Result<CascadeData> one_task(const OutcomeTable& table, const std::string& task) {
    CascadeData out;
    out.task = task.empty() ? "all" : task;
    std::vector<std::size_t> queries;
    for (std::size_t i = 0; i < table.queries.size(); ++i)
        if (table.queries[i].task == task) queries.push_back(i);
    std::vector<const ModelOutcomes*> kept;
    for (const ModelOutcomes& model : table.models) {
        if (std::any_of(queries.begin(), queries.end(),
                        [&](std::size_t query) { return model.known(query); }))
            kept.push_back(&model);
    }
    const std::size_t all = queries.size();
    std::erase_if(queries, [&](std::size_t query) {
        return std::any_of(kept.begin(), kept.end(),
                           [&](const ModelOutcomes* model) { return !model->known(query); });
    });
    out.incomplete = all - queries.size();
    if (queries.empty() || kept.empty()) {
        return fail(ErrorCode::kConfig,
                    fmt::format("task {}: no query has the outcome of all models", task),
                    "leave out models that answered few queries");
    }
    for (const ModelOutcomes* model : kept) {
        out.models.push_back(model->model);
        out.outcomes.models.push_back(column(table, *model, queries));
    }
    return out;
}

}  // namespace

cascade::Labelled labelled_of(const OutcomeTable& table, std::span<const std::size_t> queries) {
    cascade::Labelled out;
    for (const ModelOutcomes& model : table.models)
        out.models.push_back(column(table, model, queries));
    return out;
}

std::int64_t asked_length(const OutcomeTable& table, const ModelOutcomes& model,
                          std::size_t query) noexcept {
    return model.tokens_in[query] >= 0
               ? model.tokens_in[query]
               : static_cast<std::int64_t>(table.queries[query].text.size());
}

std::optional<std::size_t> CascadeData::model(std::string_view name) const noexcept {
    const auto at = std::find(models.begin(), models.end(), name);
    if (at == models.end()) return std::nullopt;
    return static_cast<std::size_t>(at - models.begin());
}

std::size_t CascadeData::top() const {
    const auto singles = cascade::single_outcomes(outcomes);
    const auto dearest =
        std::max_element(singles.begin(), singles.end(),
                         [](const cascade::CostQuality& a, const cascade::CostQuality& b) {
                             return a.cost < b.cost;
                         });
    return static_cast<std::size_t>(dearest - singles.begin());
}

Result<std::vector<CascadeData>> cascade_data(const OutcomeTable& table,
                                              std::span<const std::string> only) {
    if (auto costs = require_costs(table); !costs) return fail(std::move(costs.error()));
    const std::vector<std::string> known = table.tasks();
    std::vector<CascadeData> out;
    for (const std::string& task : only) {
        if (std::find(known.begin(), known.end(), task) == known.end()) {
            return fail(ErrorCode::kConfig, fmt::format("the file has no task \"{}\"", task),
                        fmt::format("it has {}", fmt::join(known, ", ")));
        }
    }
    for (const std::string& task : known) {
        if (!only.empty() && std::find(only.begin(), only.end(), task) == only.end()) continue;
        auto data = one_task(table, task);
        if (!data) return fail(std::move(data.error()));
        out.push_back(std::move(*data));
    }
    return out;
}

std::vector<std::size_t> shuffled_rows(std::size_t rows, std::uint64_t seed) {
    const auto order = shuffled(static_cast<std::uint32_t>(rows), seed);
    return {order.begin(), order.end()};
}

CascadeSplit split_rows(const cascade::Labelled& outcomes, std::size_t labels, std::uint64_t seed) {
    const std::vector<std::size_t> order = shuffled_rows(outcomes.rows(), seed);
    CascadeSplit out;
    out.test_rows.assign(order.begin() + static_cast<std::ptrdiff_t>(labels), order.end());
    out.labels = outcomes.only(std::span(order).first(labels));
    out.test = outcomes.only(out.test_rows);
    return out;
}

}  // namespace leeway::lab
