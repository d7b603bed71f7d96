// Sums of hours for a ledger from before there were any: from the rows, by the ways that new rows take.

#include "ledger/row_writer.hpp"
#include "ledger/totals.hpp"
#include "prices/waterfall.hpp"

#include <algorithm>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Statement;

// Columns of `rows_sql`.
constexpr int kSaved = 12;
constexpr int kTagsText = kSaved + static_cast<int>(prices::kSavingSteps);
constexpr int kUsage = kTagsText + 1;
constexpr int kLabels = kUsage + static_cast<int>(prices::kBucketCount);

std::string rows_sql(const Database& db) {
    std::string sql =
        "SELECT ts_us, key, route, model, provider, end, source, usage_state, cost_pico_usd,"
        " baseline_pico_usd, arm, saving_labels, saved_exact_cache_pico_usd, saved_tier_pico_usd,"
        " saved_route_pico_usd, saved_prompt_cache_pico_usd, saved_billing_pico_usd,"
        " saved_attempts_pico_usd, saved_gateway_pico_usd, ";
    sql += label_text_sql(db, "tags") + ", ";
    sql += bucket_columns();
    for (const char* label : {"user", "tags", "agent"}) sql += ", " + label_number_sql(db, label);
    return sql + " FROM request WHERE id >= ?1 AND id < ?2 AND ts_us >= ?3 AND ts_us < ?4";
}

std::optional<PicoUsd> money(const Statement& row, int column) {
    const auto value = row.optional_int64(column);
    if (!value) return std::nullopt;
    return PicoUsd(*value);
}

/// What the roll-ups look at.
RequestRecord record_of(const Statement& row) {
    RequestRecord r;
    r.ts_us = row.int64(0);
    r.end = static_cast<EndState>(row.int64(5));
    r.source = static_cast<Source>(row.int64(6));
    r.usage_state = static_cast<prices::UsageState>(row.int64(7));
    r.cost = money(row, 8);
    r.baseline = money(row, 9);
    r.arm = static_cast<Arm>(row.int64(10));
    if (!row.is_null(11)) {
        prices::Waterfall& steps = r.waterfall.emplace();
        steps.unpack_labels(static_cast<std::uint32_t>(row.int64(11)));
        for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
            steps.saved[i] = PicoUsd(row.int64(kSaved + static_cast<int>(i)));
        }
    }
    int column = kUsage;
    for (const prices::BucketInfo& info : prices::kBuckets) {
        r.usage[info.bucket] = row.int64(column++);
    }
    return r;
}

}  // namespace

Result<void> RowWriter::fill_hours() {
    if (auto done = begin(); !done) return done;
    if (rollups_->stored().hours_from) {
        transaction_.reset();
        return {};
    }
    const std::int64_t end = rollups_->stored().before_hour;
    std::int64_t from = end - kHoursKeptDays * kDayHours;
    auto days = db_.prepare(
        "SELECT start, sum(requests) FROM rollup_group WHERE hours = 24 AND start >= ?1"
        " GROUP BY start ORDER BY start");
    if (!days) return fail(std::move(days.error()));
    days->bind(1, from);
    std::vector<std::pair<std::int64_t, std::int64_t>> requests;
    while (true) {
        const auto row = days->step();
        if (!row) return fail(row.error());
        if (!*row) break;
        requests.emplace_back(days->int64(0), days->int64(1));
    }
    days->reset();
    TagSets tag_sets;
    for (const auto& [text, id] : labels_[static_cast<std::size_t>(LabelKind::kTagSet)]) {
        tag_sets.emplace(id, text);
    }
    auto rows = db_.prepare(rows_sql(db_));
    if (!rows) return fail(std::move(rows.error()));
    for (const auto& [day, wanted] : requests) {
        std::int64_t count = 0;
        for (std::int64_t hour = day; hour < day + kDayHours; ++hour) {
            if (auto done = fill_hour(*rows, hour, tag_sets, count); !done) return done;
        }
        // Rows of this day are gone: hours begin behind it.
        if (count != wanted) from = day + kDayHours;
    }
    if (auto done = rollups_->keep_hours_from(from); !done) return done;
    auto done = transaction_->commit();
    transaction_.reset();
    return done;
}

Result<void> RowWriter::fill_hour(Statement& rows, std::int64_t hour, const TagSets& tag_sets,
                                  std::int64_t& count) {
    const auto low = id_bound((hour - 1) * kHourUs);
    const auto high = id_bound((hour + 2) * kHourUs);
    rows.bind_blob(1, low.bytes).bind_blob(2, high.bytes);
    rows.bind(3, hour * kHourUs).bind(4, (hour + 1) * kHourUs);
    while (true) {
        const auto row = rows.step();
        if (!row) return fail(row.error());
        if (!*row) break;
        ++count;
        RequestRecord r = record_of(rows);
        Totals totals;
        totals.add(r);
        rollups_->add(r,
                      {.hour = hour,
                       .key = rows.int64(1),
                       .route = rows.int64(2),
                       .model = rows.int64(3),
                       .provider = rows.int64(4)},
                      totals);
        const auto number = [&](int column) {
            return rows.optional_int64(column).value_or(kOtherLabel);
        };
        if (const std::int64_t set = number(kLabels + 1); set == kOtherLabel) {
            r.tags = rows.text(kTagsText);
        } else if (const auto known = tag_sets.find(set); known != tag_sets.end()) {
            r.tags = known->second;
        }
        auto done = add_labels(r, hour, number(kLabels), number(kLabels + 2), totals);
        if (!done) return done;
    }
    rows.reset();
    if (auto done = db_.begin_queue(); !done) return done;
    if (auto done = rollups_->write_hours(); !done) return done;
    return db_.end_queue();
}

}  // namespace leeway::ledger
