#include "ledger/rollup_writer.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace leeway::ledger {
namespace {

using store::sql::Statement;

// 4e18 is kMaxTokenSum: two such values still add up to less than 2⁶³.
constexpr const char* kAddTotals =
    " DO UPDATE SET"
    " requests = o.requests + excluded.requests, errors = o.errors + excluded.errors,"
    " hits = o.hits + excluded.hits, unknown_cost = o.unknown_cost + excluded.unknown_cost,"
    " known_baseline = o.known_baseline + excluded.known_baseline,"
    " known_saved = o.known_saved + excluded.known_saved,"
    " input_tokens = CASE WHEN o.input_tokens + excluded.input_tokens > 4000000000000000000"
    " THEN 4000000000000000000 ELSE o.input_tokens + excluded.input_tokens END,"
    " output_tokens = CASE WHEN o.output_tokens + excluded.output_tokens > 4000000000000000000"
    " THEN 4000000000000000000 ELSE o.output_tokens + excluded.output_tokens END,"
    " spent_hi = o.spent_hi + excluded.spent_hi, spent_lo = o.spent_lo + excluded.spent_lo,"
    " baseline_hi = o.baseline_hi + excluded.baseline_hi,"
    " baseline_lo = o.baseline_lo + excluded.baseline_lo,"
    " saved_hi = o.saved_hi + excluded.saved_hi, saved_lo = o.saved_lo + excluded.saved_lo";
// Before any hour, and near enough to compute with.
constexpr std::int64_t kNever = -1'000'000'000'000'000;
constexpr const char* kTotals =
    "requests, errors, hits, unknown_cost, known_baseline, known_saved, input_tokens, "
    "output_tokens,"
    " spent_hi, spent_lo, baseline_hi, baseline_lo, saved_hi, saved_lo";
constexpr const char* kAddSaving =
    " DO UPDATE SET"
    " requests = o.requests + excluded.requests, hi = o.hi + excluded.hi, lo = o.lo + excluded.lo";
constexpr const char* kAddArm =
    " DO UPDATE SET requests = o.requests + excluded.requests,"
    " errors = o.errors + excluded.errors, known = o.known + excluded.known,"
    " spent_hi = o.spent_hi + excluded.spent_hi, spent_lo = o.spent_lo + excluded.spent_lo,"
    " squares_usd2 = o.squares_usd2 + excluded.squares_usd2";
constexpr const char* kUpsertAttempt =
    "INSERT INTO rollup_attempt AS o VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    " ON CONFLICT (day, provider, model) DO UPDATE SET attempts = o.attempts + excluded.attempts,"
    " unknown_cost = o.unknown_cost + excluded.unknown_cost,"
    " spent_hi = o.spent_hi + excluded.spent_hi, spent_lo = o.spent_lo + excluded.spent_lo";

/// A table whose rows are sums of `hours` hours from `start` on, for each of its groups.
struct RollupTable {
    const char* name;
    const char* before;  ///< of its key, what stands before `hours` and `start`
    const char* group;  ///< and behind them
    int keys;
    const char* sums;
    const char* values;  ///< of the sums as parameters; empty: each one as it is
    int parameters;  ///< keys and sums
    const char* add;
    const char* all;  ///< true for all rows, so that the key serves as an index
};
constexpr RollupTable kGroupTable{
    "rollup_group", "", "key, route, model, provider", 6, kTotals, "", 20, kAddTotals, ""};
constexpr RollupTable kLabelTable{
    "rollup_label", "kind, ", "label", 4, kTotals, "", 18, kAddTotals, "kind IN (1, 2, 4) AND "};
constexpr RollupTable kSavingTable{
    "rollup_saving", "", "route, step, label", 5, "requests, hi, lo", "", 8, kAddSaving, ""};
// The squares come as a quotient of integers: the statements bind no floating point.
constexpr RollupTable kArmTable{
    "rollup_arm",
    "",
    "route, arm",
    4,
    "requests, errors, known, spent_hi, spent_lo, squares_usd2",
    ", ?5, ?6, ?7, ?8, ?9, CAST(?10 AS DOUBLE PRECISION) / CAST(1e18 AS DOUBLE PRECISION)",
    10,
    kAddArm,
    ""};
constexpr std::array kRollupTables{kGroupTable, kLabelTable, kSavingTable, kArmTable};

std::string conflict_sql(const RollupTable& table) {
    return std::string(" ON CONFLICT (") + table.before + "hours, start, " + table.group + ")" +
           table.add;
}

std::string upsert_sql(const RollupTable& table) {
    std::string sql = std::string("INSERT INTO ") + table.name + " AS o VALUES (?1";
    const int plain = *table.values == '\0' ? table.parameters : table.keys;
    for (int i = 2; i <= plain; ++i) sql += ", ?" + std::to_string(i);
    return sql + table.values + ")" + conflict_sql(table);
}

/// Adds a sum, of ?3 hours from ?4 on, to the one of ?1 hours from ?2 on.
std::string fold_sql(const RollupTable& table) {
    const std::string group = table.group;
    return std::string("INSERT INTO ") + table.name + " AS o SELECT " + table.before +
           "CAST(?1 AS INTEGER), CAST(?2 AS INTEGER), " + group + ", " + table.sums + " FROM " +
           table.name + " WHERE " + table.all + "hours = ?3 AND start = ?4" + conflict_sql(table);
}

/// Binds `t` from parameter `index` on, in the order of the roll-ups' columns.
void bind_totals(Statement& statement, int index, const Totals& t) {
    const SplitSum spent = split(t.spent);
    const SplitSum baseline = split(t.baseline);
    const SplitSum saved = split(t.saved);
    for (const std::int64_t value : {t.requests, t.errors, t.hits, t.unknown_cost, t.known_baseline,
                                     t.known_saved, t.input_tokens, t.output_tokens, spent.hi,
                                     spent.lo, baseline.hi, baseline.lo, saved.hi, saved.lo}) {
        statement.bind(index++, value);
    }
}

/// Binds the parameters from the first on.
void bind_all(Statement& statement, std::initializer_list<std::int64_t> values) {
    int index = 0;
    for (const std::int64_t value : values) statement.bind(++index, value);
}

/// The entry of `sums` that `fits`, or a new one. A batch has few, and the last one is the likeliest.
template <class Sum, class Fits>
Sum& entry(std::vector<Sum>& sums, Fits fits) {
    const auto found = std::find_if(sums.rbegin(), sums.rend(), fits);
    return found != sums.rend() ? *found : sums.emplace_back();
}

bool is_error(EndState end) { return end != EndState::kOk && end != EndState::kClientGone; }

}  // namespace

bool closes(const RequestRecord& r) {
    return r.waterfall && r.cost && r.baseline && r.waterfall->closes(*r.baseline, *r.cost);
}

Result<void> RollupWriter::prepare() {
    const std::pair<std::string, std::optional<Statement>*> statements[] = {
        {upsert_sql(kGroupTable), &upsert_group_},   {upsert_sql(kLabelTable), &upsert_label_},
        {upsert_sql(kSavingTable), &upsert_saving_}, {upsert_sql(kArmTable), &upsert_arm_},
        {kUpsertAttempt, &upsert_attempt_},          {kReadReach, &reach_}};
    for (const auto& [sql, statement] : statements) {
        auto prepared = db_.prepare(sql);
        if (!prepared) return fail(std::move(prepared.error()));
        statement->emplace(std::move(*prepared));
    }
    return {};
}

Result<void> RollupWriter::begin() {
    groups_.clear();
    label_groups_.clear();
    savings_.clear();
    arms_.clear();
    attempts_.clear();
    newest_hour_ = INT64_MIN;
    auto stored = read_reach(*reach_);
    if (!stored) return fail(std::move(stored.error()));
    stored_ = *stored;
    reaches_ = stored_.reach();
    return {};
}

void RollupWriter::add(const RequestRecord& record, const RollupGroup& group,
                       const Totals& totals) {
    Group& sum = entry(groups_, [&](const Group& other) { return other.key == group; });
    sum.key = group;
    sum.totals.add(totals);
    add_savings(record, group);
    add_to_arm(record, group);
}

void RollupWriter::add_label(LabelKind kind, std::int64_t hour, std::int64_t label,
                             const Totals& totals) {
    label_groups_[{static_cast<std::int64_t>(kind), hour, label}].add(totals);
}

void RollupWriter::add_attempt(std::int64_t day, std::int64_t provider, std::int64_t model,
                               const AttemptRow& attempt) {
    AttemptSum& sum = entry(attempts_, [&](const AttemptSum& other) {
        return other.model == model && other.provider == provider && other.day == day;
    });
    sum.day = day;
    sum.provider = provider;
    sum.model = model;
    ++sum.attempts;
    if (attempt.cost) {
        sum.spent.add(*attempt.cost);
    } else {
        ++sum.unknown_cost;
    }
}

void RollupWriter::add_saving(const SavingKey& key, Int128 amount) {
    Saving& saving = entry(savings_, [&](const Saving& other) { return other.key == key; });
    saving.key = key;
    ++saving.requests;
    saving.amount.add(PicoUsdSum(amount));
}

void RollupWriter::add_savings(const RequestRecord& r, const RollupGroup& group) {
    SavingKey key{.hour = group.hour, .route = group.route, .step = kStepUnknown, .label = 0};
    if (!closes(r)) {
        add_saving(key, 0);
        return;
    }
    key.step = kStepBaseline;
    add_saving(key, r.baseline->value());
    key.step = kStepActual;
    add_saving(key, r.cost->value());
    for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
        if (r.waterfall->saved[i].value() == 0) continue;
        key.step = static_cast<std::int64_t>(i);
        key.label = static_cast<std::int64_t>(r.waterfall->labels[i]);
        add_saving(key, r.waterfall->saved[i].value());
    }
}

void RollupWriter::add_to_arm(const RequestRecord& r, const RollupGroup& group) {
    if (r.arm == Arm::kNone) return;
    const auto arm = static_cast<std::int64_t>(r.arm);
    ArmSum& sum = entry(arms_, [&](const ArmSum& other) {
        return other.hour == group.hour && other.route == group.route && other.arm == arm;
    });
    sum.hour = group.hour;
    sum.route = group.route;
    sum.arm = arm;
    ++sum.requests;
    sum.errors += is_error(r.end) ? 1 : 0;
    if (!r.cost) return;
    ++sum.known;
    sum.spent.add(*r.cost);
    const double usd = static_cast<double>(r.cost->value()) / 1e12;
    sum.squares_usd2 += usd * usd;
}

Result<void> RollupWriter::write() {
    for (const Group& group : groups_) newest_hour_ = std::max(newest_hour_, group.key.hour);
    if (auto done = write_groups(); !done) return done;
    if (auto done = write_labels(); !done) return done;
    if (auto done = write_savings(); !done) return done;
    return write_attempts();
}

/// `put(hours, start)` for each sum that has this hour.
template <class Put>
Result<void> RollupWriter::put_each(std::int64_t hour, Put put) {
    if (hour >= reaches_.hours_from) {
        if (auto done = put(1, hour); !done) return done;
    }
    for (const std::int64_t hours : kSpanHours) {
        if (hour >= reaches_.before(hours)) continue;
        if (auto done = put(hours, span_start(hour, hours)); !done) return done;
    }
    return {};
}

Result<void> RollupWriter::write_groups() {
    for (const Group& group : groups_) {
        const RollupGroup& key = group.key;
        auto done = put_each(key.hour, [&](std::int64_t hours, std::int64_t start) {
            bind_all(*upsert_group_, {hours, start, key.key, key.route, key.model, key.provider});
            bind_totals(*upsert_group_, kGroupTable.keys + 1, group.totals);
            return upsert_group_->run();
        });
        if (!done) return done;
    }
    groups_.clear();
    return {};
}

Result<void> RollupWriter::write_labels() {
    // In the order of the table: then each page of it is touched once.
    std::vector<std::pair<LabelKey, const Totals*>> sorted;
    sorted.reserve(label_groups_.size());
    for (const auto& [key, totals] : label_groups_) sorted.emplace_back(key, &totals);
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [key, totals] : sorted) {
        const Totals& sum = *totals;
        const LabelKey& of = key;
        auto done = put_each(of.hour, [&](std::int64_t hours, std::int64_t start) {
            bind_all(*upsert_label_, {of.kind, hours, start, of.label});
            bind_totals(*upsert_label_, kLabelTable.keys + 1, sum);
            return upsert_label_->run();
        });
        if (!done) return done;
    }
    label_groups_.clear();
    return {};
}

Result<void> RollupWriter::write_savings() {
    for (const Saving& saving : savings_) {
        const SplitSum amount = split(saving.amount);
        const SavingKey& key = saving.key;
        auto done = put_each(key.hour, [&](std::int64_t hours, std::int64_t start) {
            bind_all(*upsert_saving_, {hours, start, key.route, key.step, key.label,
                                       saving.requests, amount.hi, amount.lo});
            return upsert_saving_->run();
        });
        if (!done) return done;
    }
    savings_.clear();
    for (const ArmSum& sum : arms_) {
        const SplitSum spent = split(sum.spent);
        const auto squares = static_cast<std::int64_t>(std::min(sum.squares_usd2 * 1e18, 9e18));
        auto done = put_each(sum.hour, [&](std::int64_t hours, std::int64_t start) {
            bind_all(*upsert_arm_, {hours, start, sum.route, sum.arm, sum.requests, sum.errors,
                                    sum.known, spent.hi, spent.lo, squares});
            return upsert_arm_->run();
        });
        if (!done) return done;
    }
    arms_.clear();
    return {};
}

Result<void> RollupWriter::write_attempts() {
    for (const AttemptSum& sum : attempts_) {
        const SplitSum spent = split(sum.spent);
        bind_all(*upsert_attempt_, {sum.day, sum.provider, sum.model, sum.attempts,
                                    sum.unknown_cost, spent.hi, spent.lo});
        if (auto done = upsert_attempt_->run(); !done) return done;
    }
    attempts_.clear();
    return {};
}

Result<void> RollupWriter::write_hours() {
    reaches_ = {.before_hour = kNever, .hours_from = kNever};
    auto done = write();
    reaches_ = stored_.reach();
    newest_hour_ = INT64_MIN;
    return done;
}

Result<void> RollupWriter::fold() {
    const std::int64_t newest = newest_hour_;
    const std::int64_t day = span_start(stored_.before_hour, kDayHours);
    const std::int64_t newest_day = span_start(newest, kDayHours);
    const std::span lengths(kSpanHours);
    auto done = fold_into(1, lengths.first(1), stored_.before_hour, newest);
    if (done && newest_day > day) {
        done = fold_into(kDayHours, lengths.subspan(1), day, newest_day);
    }
    if (!done) return done;
    auto set = db_.prepare("UPDATE rollup_folded SET before_hour = ?1");
    if (!set) return fail(std::move(set.error()));
    set->bind(1, newest);
    if (done = set->run(); !done) return done;
    stored_.before_hour = newest;
    const std::int64_t oldest = newest_day - kHoursKeptDays * kDayHours;
    if (oldest <= stored_.reach().hours_from) return {};
    return keep_hours_from(oldest);
}

Result<void> RollupWriter::keep_hours_from(std::int64_t hour) {
    for (const RollupTable& table : kRollupTables) {
        auto drop = db_.prepare(std::string("DELETE FROM ") + table.name + " WHERE " + table.all +
                                "hours = 1 AND start < ?1");
        if (!drop) return fail(std::move(drop.error()));
        drop->bind(1, hour);
        if (auto done = drop->run(); !done) return done;
    }
    auto set = db_.prepare("UPDATE rollup_folded SET hours_from = ?1");
    if (!set) return fail(std::move(set.error()));
    set->bind(1, hour);
    stored_.hours_from = hour;
    reaches_ = stored_.reach();
    return set->run();
}

/// Adds the sums of `from_hours` that begin in [first_hour, end_hour) to those of the lengths `into_hours`.
Result<void> RollupWriter::fold_into(std::int64_t from_hours,
                                     std::span<const std::int64_t> into_hours,
                                     std::int64_t first_hour, std::int64_t end_hour) {
    std::vector<std::int64_t> starts;
    auto found = db_.prepare(
        "SELECT DISTINCT start FROM rollup_group WHERE hours = ?1 AND start >= ?2 AND start < ?3"
        " ORDER BY start");
    if (!found) return fail(std::move(found.error()));
    found->bind(1, from_hours).bind(2, first_hour).bind(3, end_hour);
    while (true) {
        const auto row = found->step();
        if (!row) return fail(row.error());
        if (!*row) break;
        starts.push_back(found->int64(0));
    }
    found->reset();
    // One at a time: no row of the target is met twice in one statement, which PostgreSQL refuses.
    for (const RollupTable& table : kRollupTables) {
        auto fold = db_.prepare(fold_sql(table));
        if (!fold) return fail(std::move(fold.error()));
        for (const std::int64_t start : starts) {
            for (const std::int64_t hours : into_hours) {
                fold->bind(1, hours).bind(2, span_start(start, hours));
                fold->bind(3, from_hours).bind(4, start);
                if (auto done = fold->run(); !done) return done;
            }
        }
    }
    return {};
}

}  // namespace leeway::ledger
