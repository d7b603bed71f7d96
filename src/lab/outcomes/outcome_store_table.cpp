// The store of outcomes as a table, such as a file would give.
#include "lab/outcomes/outcome_columns.hpp"
#include "lab/outcomes/outcome_store.hpp"
#include "store/sqlite/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>

namespace leeway::lab {
namespace {

using store::sqlite::each_row;
using store::sqlite::Statement;
using store::sqlite::Transaction;

constexpr float kNotKnown = std::numeric_limits<float>::quiet_NaN();

/// Never above it, so that a threshold that is fitted to it lets it pass.
float rounded_down(double value) {
    const auto out = static_cast<float>(value);
    return static_cast<double>(out) > value
               ? std::nextafter(out, -std::numeric_limits<float>::infinity())
               : out;
}

float or_not_known(const std::optional<double>& value) {
    return value ? static_cast<float>(*value) : kNotKnown;
}
std::int32_t tokens_of(const std::optional<std::int64_t>& tokens) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    return tokens ? static_cast<std::int32_t>(std::clamp<std::int64_t>(*tokens, 0, kMost)) : -1;
}

/// Puts a table together from rows, of which a later one replaces an earlier one of the same query and model.
class TableReader {
public:
    explicit TableReader(std::span<const std::string> tasks) : tasks_(tasks) {}

    /// Columns: number, text, task, split, quality, model and the rest of the call.
    void take(const Statement& row) {
        const std::string task(row.text(2));
        if (!tasks_.empty() && std::find(tasks_.begin(), tasks_.end(), task) == tasks_.end())
            return;
        const StoredCall call = read_call(row, 5);
        const std::size_t query = query_of(row, task);
        ModelOutcomes& to = model_of(call.model);
        to.state[query] = CellState::kKnown;
        to.quality[query] = static_cast<float>(static_cast<double>(row.int64(4)) / kMillionths);
        costs_[static_cast<std::size_t>(&to - table_.models.data())][query] = call.cost.has_value();
        to.cost[query] = call.cost.value_or(PicoUsd(0));
        to.mean_logprob[query] =
            call.mean_logprob ? std::clamp(rounded_down(*call.mean_logprob), kLeastLogprob, 0.0F)
                              : kNotKnown;
        to.has_logprobs = to.has_logprobs || call.mean_logprob.has_value();
        to.latency_ms[query] = or_not_known(call.latency_ms);
        to.tokens_in[query] = tokens_of(call.tokens_in);
        to.tokens_out[query] = tokens_of(call.tokens_out);
        all_ += fmt::format("{} {} {} {} {}\n", to_hex(row.blob(1)), call.model, row.int64(4),
                            to.cost[query].value(), call.at_s);
    }

    /// An unknown cost is never 0: where some are known the others count as missing.
    StoreTable finish() {
        for (std::size_t m = 0; m < table_.models.size(); ++m) {
            ModelOutcomes& one = table_.models[m];
            const std::vector<bool>& known = costs_[m];
            one.has_cost = std::find(known.begin(), known.end(), true) != known.end();
            for (std::size_t q = 0; q < table_.queries.size(); ++q) {
                if (!one.known(q) || known[q] || !one.has_cost) continue;
                one.state[q] = CellState::kMissing;
                ++table_.faults.missing_cells;
            }
        }
        table_.faults.rows = table_.queries.size();
        mark_all_zero_columns(table_);
        return {std::move(table_), sha256(all_)};
    }

private:
    std::size_t query_of(const Statement& row, const std::string& task) {
        const auto [at, is_new] = numbers_.try_emplace(row.int64(0), table_.queries.size());
        if (is_new) {
            table_.add_query(
                {to_hex(row.blob(1)).substr(0, 16), task, std::string(row.text(3)), {}});
            for (std::vector<bool>& known : costs_) known.push_back(false);
        }
        return at->second;
    }
    ModelOutcomes& model_of(const std::string& name) {
        if (const auto known = table_.model(name)) return table_.models[*known];
        ModelOutcomes& out = table_.models.emplace_back();
        out.model = name;
        out.resize(table_.queries.size());
        costs_.emplace_back(table_.queries.size(), false);
        return out;
    }

    std::span<const std::string> tasks_;
    OutcomeTable table_;
    std::vector<std::vector<bool>> costs_;  // by model: whether the cell has one
    std::unordered_map<std::int64_t, std::size_t> numbers_;
    std::string all_;
};

}  // namespace

Result<StoreTable> OutcomeStore::table(const std::optional<std::string>& tenant,
                                       std::span<const std::string> tasks) {
    auto snapshot = Transaction::begin_read(db_);
    if (!snapshot) return fail(std::move(snapshot.error()));
    TableReader reader(tasks);
    auto done = each_row(
        db_,
        "SELECT q.number, q.text, q.task, q.split, o.quality, o.model, o.cost_pico_usd, "
        "o.tokens_in, o.tokens_out, o.latency_us, o.mean_logprob, o.propensity, o.at_s "
        "FROM outcome o JOIN query q ON q.number = o.query "
        "WHERE ?1 IS NULL OR q.tenant = ?1 ORDER BY q.number, o.model, o.at_s, o.source",
        [&](Statement& to) { tenant ? to.bind(1, std::string_view(*tenant)) : to.bind_null(1); },
        [&](const Statement& row) { reader.take(row); });
    if (!done) return fail(std::move(done.error()));
    StoreTable out = reader.finish();
    if (out.table.queries.empty()) {
        return fail(ErrorCode::kConfig, "the store has no outcome of these",
                    "leeway outcomes stats tells what is in it");
    }
    return out;
}

}  // namespace leeway::lab
