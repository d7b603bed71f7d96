#pragma once

#include "base/hash.hpp"
#include "base/money.hpp"
#include "base/result.hpp"
#include "lab/outcomes/outcome_reader.hpp"
#include "lab/outcomes/outcome_table.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace leeway::lab {

/// What a field of an outcome says.
enum class OutcomeField : std::uint8_t {
    kQuality,
    kCostUsd,
    kLogprob,
    kLatencyMs,
    kTokensIn,
    kTokensOut,
    kPricePerMillion,  ///< of the model, per call: USD per million tokens
};

/// Puts a table together from what a reader finds, and puts right what OutcomeFaults counts. One thread at a time.
class OutcomeBuilder {
public:
    /// `how` must outlive it.
    explicit OutcomeBuilder(const OutcomeReading& how) : how_(how) {}

    /// The number of a model, which is added when it is new.
    std::size_t model(std::string_view name);
    /// A row of the file that asks `query`; nullopt: it is left out (not of a wanted task, asked before).
    std::optional<std::size_t> add(OutcomeQuery query);
    /// For files with a line per query and model: the number of the query, which is added when it is new. nullopt: it
    /// is not of a wanted task, or its outcome for `model` is known already.
    std::optional<std::size_t> add_or_find(OutcomeQuery query, std::size_t model);
    /// Sets one number of one cell from its text; empty text and NaN say that it is not known. Errors (kConfig): those
    /// of read_outcomes, without the place.
    [[nodiscard]] Result<void> set(std::size_t query, std::size_t model, OutcomeField field,
                                   std::string_view text);
    /// Rows seen so far, counting those left out.
    void count_row();
    /// The table. Errors: there is no row or no model; the prices do not fit.
    [[nodiscard]] Result<OutcomeTable> finish() &&;

private:
    struct Prices {  // of one model, by query
        std::vector<std::optional<FemtoUsdPerUnit>> of_call;
        std::vector<bool> has_cost;
    };
    [[nodiscard]] bool wanted(const OutcomeQuery& query) const;
    std::size_t append(OutcomeQuery query);
    [[nodiscard]] Result<void> set_costs(std::size_t model);
    void set_logprob(ModelOutcomes& of, std::size_t query, double value);

    const OutcomeReading& how_;
    OutcomeTable table_;
    std::vector<Prices> prices_;
    std::unordered_map<std::string, std::size_t> numbers_;  // of models
    std::unordered_map<Sha256, std::size_t, Sha256Hasher> asked_;  // text -> query
};

}  // namespace leeway::lab
