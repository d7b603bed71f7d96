#include "lab/outcomes/outcome_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <unordered_set>
#include <utility>

namespace leeway::lab {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

/// What is known of one (task, model) pair.
struct Pair {
    std::size_t known = 0;
    bool above_zero = false;
};

template <class T>
std::vector<T> picked(const std::vector<T>& from, std::span<const std::size_t> chosen) {
    std::vector<T> out;
    out.reserve(chosen.size());
    for (const std::size_t i : chosen) out.push_back(from[i]);
    return out;
}

}  // namespace

std::optional<float> ModelOutcomes::logprob(std::size_t query) const noexcept {
    if (state[query] == CellState::kMissing || std::isnan(mean_logprob[query])) return std::nullopt;
    return mean_logprob[query];
}

void ModelOutcomes::resize(std::size_t queries) {
    state.resize(queries, CellState::kMissing);
    quality.resize(queries);
    cost.resize(queries);
    mean_logprob.resize(queries, kUnknown);
    latency_ms.resize(queries, kUnknown);
    tokens_in.resize(queries, -1);
    tokens_out.resize(queries, -1);
}

std::optional<std::size_t> OutcomeTable::model(std::string_view name) const noexcept {
    for (std::size_t m = 0; m < models.size(); ++m)
        if (models[m].model == name) return m;
    return std::nullopt;
}

std::vector<std::string> OutcomeTable::tasks() const {
    std::vector<std::string> out;
    std::unordered_set<std::string_view> seen;
    for (const OutcomeQuery& query : queries)
        if (seen.insert(query.task).second) out.push_back(query.task);
    return out;
}

std::vector<std::size_t> OutcomeTable::complete_queries() const {
    std::vector<std::size_t> out;
    for (std::size_t q = 0; q < queries.size(); ++q) {
        if (std::ranges::none_of(models, [q](const ModelOutcomes& one) {
                return one.state[q] == CellState::kMissing;
            }))
            out.push_back(q);
    }
    return out;
}

OutcomeTable OutcomeTable::only(std::span<const std::size_t> chosen) const {
    OutcomeTable out;
    out.queries = picked(queries, chosen);
    out.faults = faults;
    for (const ModelOutcomes& one : models) {
        out.models.push_back({.model = one.model,
                              .state = picked(one.state, chosen),
                              .quality = picked(one.quality, chosen),
                              .cost = picked(one.cost, chosen),
                              .mean_logprob = picked(one.mean_logprob, chosen),
                              .latency_ms = picked(one.latency_ms, chosen),
                              .tokens_in = picked(one.tokens_in, chosen),
                              .tokens_out = picked(one.tokens_out, chosen),
                              .has_cost = one.has_cost,
                              .has_logprobs = one.has_logprobs});
    }
    return out;
}

std::size_t OutcomeTable::add_query(OutcomeQuery query) {
    queries.push_back(std::move(query));
    for (ModelOutcomes& one : models) one.resize(queries.size());
    return queries.size() - 1;
}

void mark_all_zero_columns(OutcomeTable& table) {
    std::map<std::string_view, std::vector<Pair>> pairs;
    for (std::size_t q = 0; q < table.queries.size(); ++q) {
        std::vector<Pair>& of_task = pairs[table.queries[q].task];
        of_task.resize(table.models.size());
        for (std::size_t m = 0; m < table.models.size(); ++m) {
            if (table.models[m].state[q] == CellState::kMissing) continue;
            ++of_task[m].known;
            if (table.models[m].quality[q] > 0) of_task[m].above_zero = true;
        }
    }
    const auto suspect = [&](std::string_view task, std::size_t m) {
        const std::vector<Pair>& of_task = pairs[task];
        return of_task[m].known >= kAllZeroFrom && !of_task[m].above_zero &&
               std::ranges::any_of(of_task, &Pair::above_zero);
    };
    for (std::size_t m = 0; m < table.models.size(); ++m) {
        for (const auto& [task, of_task] : pairs) {
            if (suspect(task, m))
                table.faults.all_zero.push_back(
                    {table.models[m].model, std::string(task), of_task[m].known});
        }
        for (std::size_t q = 0; q < table.queries.size(); ++q) {
            CellState& state = table.models[m].state[q];
            if (state == CellState::kKnown && suspect(table.queries[q].task, m))
                state = CellState::kAllZero;
        }
    }
}

}  // namespace leeway::lab
