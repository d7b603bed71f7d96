#include "lab/outcomes/outcome_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace leeway::lab {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// As Python, R and spreadsheets write numbers; NaN where there is none.
Result<double> number(std::string_view text) {
    if (text.empty() || text == "None" || text == "NA" || text == "null") return kUnknown;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        return fail(ErrorCode::kConfig, fmt::format("'{}' is no number", text.substr(0, 40)));
    return value;
}

Result<std::int32_t> tokens(double value) {
    if (std::isnan(value)) return -1;
    if (value < 0 || value > std::numeric_limits<std::int32_t>::max() || value != std::floor(value))
        return fail(ErrorCode::kConfig, fmt::format("{} is no number of tokens", value));
    return static_cast<std::int32_t>(value);
}

}  // namespace

bool OutcomeBuilder::wanted(const OutcomeQuery& query) const {
    return how_.tasks.empty() || std::ranges::find(how_.tasks, query.task) != how_.tasks.end();
}

std::size_t OutcomeBuilder::model(std::string_view name) {
    const auto [at, fresh] = numbers_.try_emplace(std::string(name), table_.models.size());
    if (fresh) {
        // Those before it are as long as the table, and so must it be.
        ModelOutcomes& added = table_.models.emplace_back();
        added.model = name;
        const std::size_t rows = table_.queries.size();
        added.resize(rows);
        prices_.push_back(
            {std::vector<std::optional<FemtoUsdPerUnit>>(rows), std::vector<bool>(rows, false)});
    }
    return at->second;
}

std::size_t OutcomeBuilder::append(OutcomeQuery query) {
    for (Prices& one : prices_) {
        one.of_call.emplace_back();
        one.has_cost.push_back(false);
    }
    return table_.add_query(std::move(query));
}

void OutcomeBuilder::count_row() {
    ++table_.faults.rows;
    if (how_.progress && table_.faults.rows % 1000 == 0) how_.progress(table_.faults.rows);
}

std::optional<std::size_t> OutcomeBuilder::add(OutcomeQuery query) {
    if (!wanted(query)) return std::nullopt;
    const auto [at, fresh] = asked_.try_emplace(sha256(query.text), table_.queries.size());
    if (!fresh) {
        ++table_.faults.duplicates;
        if (table_.queries[at->second].split != query.split)
            ++table_.faults.duplicates_across_splits;
        return std::nullopt;
    }
    return append(std::move(query));
}

std::optional<std::size_t> OutcomeBuilder::add_or_find(OutcomeQuery query, std::size_t model) {
    if (!wanted(query)) return std::nullopt;
    const auto [at, fresh] = asked_.try_emplace(sha256(query.text), table_.queries.size());
    if (fresh) return append(std::move(query));
    if (table_.models[model].state[at->second] != CellState::kMissing) {
        ++table_.faults.duplicates;
        return std::nullopt;
    }
    return at->second;
}

void OutcomeBuilder::set_logprob(ModelOutcomes& of, std::size_t query, double value) {
    if (value < static_cast<double>(kLeastLogprob)) {
        ++table_.faults.logprobs_raised;
        value = static_cast<double>(kLeastLogprob);
    } else if (value > 0) {
        ++table_.faults.logprobs_lowered;
        value = 0;
    }
    of.mean_logprob[query] = static_cast<float>(value);
    of.has_logprobs = true;
}

Result<void> OutcomeBuilder::set(std::size_t query, std::size_t model, OutcomeField field,
                                 std::string_view text) {
    ModelOutcomes& of = table_.models[model];
    if (field == OutcomeField::kPricePerMillion) {
        if (text.empty()) return {};
        auto price = parse_usd_per_million(text);
        if (!price) return fail(std::move(price.error()));
        prices_[model].of_call[query] = *price;
        return {};
    }
    const auto value = number(text);
    if (!value) return fail(value.error());
    if (field == OutcomeField::kLogprob) {
        // An empty field is no fault of the model's.
        if (std::isnan(*value)) {
            table_.faults.logprobs_unknown += text.empty() ? 0 : 1;
        } else {
            set_logprob(of, query, *value);
        }
        return {};
    }
    if (field == OutcomeField::kTokensIn || field == OutcomeField::kTokensOut) {
        const auto count = tokens(*value);
        if (!count) return fail(count.error());
        (field == OutcomeField::kTokensIn ? of.tokens_in : of.tokens_out)[query] = *count;
        return {};
    }
    if (std::isnan(*value)) return {};  // the cell stays as it is: not known
    if (field == OutcomeField::kLatencyMs) {
        if (*value < 0)
            return fail(ErrorCode::kConfig, fmt::format("a negative latency ({})", text));
        of.latency_ms[query] = static_cast<float>(*value);
        return {};
    }
    if (field == OutcomeField::kQuality) {
        if (!(*value >= 0 && *value <= 1)) {
            return fail(ErrorCode::kConfig, fmt::format("a quality of {}", text),
                        "qualities lie between 0 and 1");
        }
        of.quality[query] = static_cast<float>(*value);
        of.state[query] = CellState::kKnown;
        return {};
    }
    const auto cost = parse_usd(text);
    if (!cost) return fail(ErrorCode::kConfig, fmt::format("'{}' is no amount of USD", text));
    if (cost->value() < 0)
        return fail(ErrorCode::kConfig, fmt::format("a negative cost ({})", text));
    of.cost[query] = *cost;
    prices_[model].has_cost[query] = true;
    return {};
}

Result<void> OutcomeBuilder::set_costs(std::size_t model) {
    ModelOutcomes& of = table_.models[model];
    const Prices& known = prices_[model];
    const auto told = how_.prices.find(of.model);
    const bool some = std::ranges::find(known.has_cost, true) != known.has_cost.end();
    if (some && told != how_.prices.end()) {
        return fail(ErrorCode::kConfig,
                    fmt::format("a price is given for '{}', and the file has its costs", of.model),
                    "leave the price out");
    }
    bool all = true;
    for (std::size_t q = 0; q < table_.queries.size(); ++q) {
        if (of.state[q] == CellState::kMissing || known.has_cost[q]) continue;
        std::optional<FemtoUsdPerUnit> price = known.of_call[q];
        if (told != how_.prices.end()) price = told->second;
        if (price) {
            const bool counted = of.tokens_in[q] >= 0 && of.tokens_out[q] >= 0;
            const auto cost =
                cost_of(counted ? std::int64_t{of.tokens_in[q]} + of.tokens_out[q] : kNominalTokens,
                        *price);
            if (!cost) return fail(ErrorCode::kConfig, "a cost beyond all bounds: " + of.model);
            of.cost[q] = *cost;
        } else if (some) {
            of.state[q] = CellState::kMissing;  // what it did is known, what it took is not
        } else {
            all = false;
        }
    }
    of.has_cost = all;
    return {};
}

Result<OutcomeTable> OutcomeBuilder::finish() && {
    if (table_.models.empty() || table_.queries.empty()) {
        return fail(ErrorCode::kConfig, how_.tasks.empty() ? "there is no outcome in it"
                                                           : "there is no outcome of these tasks");
    }
    for (const auto& [name, price] : how_.prices) {
        if (!numbers_.contains(name)) {
            std::string names;
            for (const ModelOutcomes& one : table_.models)
                names += (names.empty() ? "" : ", ") + one.model;
            return fail(ErrorCode::kConfig,
                        fmt::format("a price is given for '{}', which is not in the file", name),
                        "its models are " + names);
        }
    }
    for (std::size_t m = 0; m < table_.models.size(); ++m)
        if (auto done = set_costs(m); !done) return fail(std::move(done.error()));
    for (const ModelOutcomes& one : table_.models) {
        table_.faults.missing_cells +=
            static_cast<std::size_t>(std::ranges::count(one.state, CellState::kMissing));
    }
    mark_all_zero_columns(table_);
    return std::move(table_);
}

}  // namespace leeway::lab
