#include "ledger/rollup_writer.hpp"

#include <algorithm>
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
constexpr int kTotalsColumns = 14;
constexpr const char* kUpsertSaving =
    "INSERT INTO rollup_saving AS o VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    " ON CONFLICT (day, route, step, label) DO UPDATE SET"
    " requests = o.requests + excluded.requests, hi = o.hi + excluded.hi, lo = o.lo + excluded.lo";
// The squares come as a quotient of integers: the statements bind no floating point.
constexpr const char* kUpsertArm =
    "INSERT INTO rollup_arm AS o VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
    " CAST(?9 AS DOUBLE PRECISION) / CAST(1e18 AS DOUBLE PRECISION))"
    " ON CONFLICT (day, route, arm) DO UPDATE SET requests = o.requests + excluded.requests,"
    " errors = o.errors + excluded.errors, known = o.known + excluded.known,"
    " spent_hi = o.spent_hi + excluded.spent_hi, spent_lo = o.spent_lo + excluded.spent_lo,"
    " squares_usd2 = o.squares_usd2 + excluded.squares_usd2";
constexpr const char* kUpsertAttempt =
    "INSERT INTO rollup_attempt AS o VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    " ON CONFLICT (day, provider, model) DO UPDATE SET attempts = o.attempts + excluded.attempts,"
    " unknown_cost = o.unknown_cost + excluded.unknown_cost,"
    " spent_hi = o.spent_hi + excluded.spent_hi, spent_lo = o.spent_lo + excluded.spent_lo";
constexpr const char* kSpanKey = "days, start, key, route, model, provider";
constexpr const char* kLabelSpanKey = "kind, days, start, label";

std::string upsert_totals_sql(const char* table, const char* key, int key_columns) {
    std::string sql = std::string("INSERT INTO ") + table + " AS o VALUES (?1";
    for (int i = 2; i <= key_columns + kTotalsColumns; ++i) sql += ", ?" + std::to_string(i);
    return sql + ") ON CONFLICT (" + key + ")" + kAddTotals;
}

/// Adds a whole day (?3) of a roll-up to its spans of `days` (?1) that begin at ?2.
std::string fold_sql(const char* into, const char* key, const char* columns, const char* from) {
    return std::string("INSERT INTO ") + into + " AS o SELECT " + columns +
           " requests, errors, hits, unknown_cost, known_baseline, known_saved, input_tokens,"
           " output_tokens, spent_hi, spent_lo, baseline_hi, baseline_lo, saved_hi, saved_lo "
           "FROM " +
           from + " day = ?3 ON CONFLICT (" + key + ")" + kAddTotals;
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
        {upsert_totals_sql("rollup_day", "day, key, route, model, provider", 5), &upsert_rollup_},
        {upsert_totals_sql("rollup_label", "kind, day, label", 3), &upsert_label_},
        {upsert_totals_sql("rollup_day_span", kSpanKey, 6), &upsert_rollup_span_},
        {upsert_totals_sql("rollup_label_span", kLabelSpanKey, 4), &upsert_label_span_},
        {kUpsertSaving, &upsert_saving_},
        {kUpsertArm, &upsert_arm_},
        {kUpsertAttempt, &upsert_attempt_},
        {"SELECT before_day FROM rollup_folded", &folded_}};
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
    const auto row = folded_->step();
    if (!row) return fail(row.error());
    folded_before_ = folded_->int64(0);
    folded_->reset();
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

void RollupWriter::add_label(LabelKind kind, std::int64_t day, std::int64_t label,
                             const Totals& totals) {
    label_groups_[{static_cast<std::int64_t>(kind), day, label}].add(totals);
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
    SavingKey key{.day = group.day, .route = group.route, .step = kStepUnknown, .label = 0};
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
        return other.day == group.day && other.route == group.route && other.arm == arm;
    });
    sum.day = group.day;
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
    const auto newest =
        std::max_element(groups_.begin(), groups_.end(),
                         [](const Group& a, const Group& b) { return a.key.day < b.key.day; });
    day_over_ = newest != groups_.end() && newest->key.day > folded_before_;
    if (auto done = write_groups(); !done) return done;
    if (auto done = write_labels(); !done) return done;
    if (auto done = write_savings(); !done) return done;
    return write_attempts();
}

Result<void> RollupWriter::write_groups() {
    for (const Group& group : groups_) {
        const RollupGroup& key = group.key;
        const auto put = [&](Statement& statement, std::initializer_list<std::int64_t> first) {
            int index = 0;
            for (const std::int64_t value : first) statement.bind(++index, value);
            for (const std::int64_t value : {key.key, key.route, key.model, key.provider}) {
                statement.bind(++index, value);
            }
            bind_totals(statement, ++index, group.totals);
            return statement.run();
        };
        if (auto done = put(*upsert_rollup_, {key.day}); !done) return done;
        if (key.day >= folded_before_) continue;
        for (const std::int64_t days : kSpanDays) {
            auto done = put(*upsert_rollup_span_, {days, span_start(key.day, days)});
            if (!done) return done;
        }
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
        upsert_label_->bind(1, key.kind).bind(2, key.day).bind(3, key.label);
        bind_totals(*upsert_label_, 4, *totals);
        if (auto done = upsert_label_->run(); !done) return done;
        if (key.day >= folded_before_) continue;
        for (const std::int64_t days : kSpanDays) {
            upsert_label_span_->bind(1, key.kind).bind(2, days);
            upsert_label_span_->bind(3, span_start(key.day, days)).bind(4, key.label);
            bind_totals(*upsert_label_span_, 5, *totals);
            if (auto done = upsert_label_span_->run(); !done) return done;
        }
    }
    label_groups_.clear();
    return {};
}

Result<void> RollupWriter::write_savings() {
    for (const Saving& saving : savings_) {
        const SplitSum amount = split(saving.amount);
        int index = 0;
        for (const std::int64_t value : {saving.key.day, saving.key.route, saving.key.step,
                                         saving.key.label, saving.requests, amount.hi, amount.lo}) {
            upsert_saving_->bind(++index, value);
        }
        if (auto done = upsert_saving_->run(); !done) return done;
    }
    savings_.clear();
    for (const ArmSum& sum : arms_) {
        const SplitSum spent = split(sum.spent);
        const double squares = std::min(sum.squares_usd2 * 1e18, 9e18);
        int index = 0;
        for (const std::int64_t value :
             {sum.day, sum.route, sum.arm, sum.requests, sum.errors, sum.known, spent.hi, spent.lo,
              static_cast<std::int64_t>(squares)}) {
            upsert_arm_->bind(++index, value);
        }
        if (auto done = upsert_arm_->run(); !done) return done;
    }
    arms_.clear();
    return {};
}

Result<void> RollupWriter::write_attempts() {
    for (const AttemptSum& sum : attempts_) {
        const SplitSum spent = split(sum.spent);
        int index = 0;
        for (const std::int64_t value : {sum.day, sum.provider, sum.model, sum.attempts,
                                         sum.unknown_cost, spent.hi, spent.lo}) {
            upsert_attempt_->bind(++index, value);
        }
        if (auto done = upsert_attempt_->run(); !done) return done;
    }
    attempts_.clear();
    return {};
}

Result<bool> RollupWriter::behind() {
    const auto found = db_.query_int(
        "SELECT count(*) FROM rollup_folded WHERE before_day < (SELECT max(day) FROM rollup_day)");
    if (!found) return fail(found.error());
    return found->value_or(0) > 0;
}

Result<void> RollupWriter::fold() {
    const auto newest = db_.query_int("SELECT max(day) FROM rollup_day");
    if (!newest) return fail(newest.error());
    if (!*newest || **newest <= folded_before_) return {};
    std::vector<std::int64_t> over;
    auto days = db_.prepare("SELECT DISTINCT day FROM rollup_day WHERE day >= ?1 AND day < ?2");
    if (!days) return fail(std::move(days.error()));
    days->bind(1, folded_before_).bind(2, **newest);
    while (true) {
        const auto row = days->step();
        if (!row) return fail(row.error());
        if (!*row) break;
        over.push_back(days->int64(0));
    }
    days->reset();
    for (const std::int64_t day : over) {
        if (auto done = fold_day(day); !done) return done;
    }
    auto set = db_.prepare("UPDATE rollup_folded SET before_day = ?1");
    if (!set) return fail(std::move(set.error()));
    set->bind(1, **newest);
    folded_before_ = **newest;
    return set->run();
}

Result<void> RollupWriter::fold_day(std::int64_t day) {
    // One day at a time: no row of the target is met twice in one statement, which PostgreSQL refuses.
    const std::string statements[] = {
        fold_sql("rollup_day_span", kSpanKey,
                 "CAST(?1 AS INTEGER), CAST(?2 AS INTEGER), key, route, model, provider,",
                 "rollup_day WHERE"),
        fold_sql("rollup_label_span", kLabelSpanKey,
                 "kind, CAST(?1 AS INTEGER), CAST(?2 AS INTEGER), label,",
                 "rollup_label WHERE kind IN (1, 2, 4) AND")};
    for (const std::string& sql : statements) {
        auto fold = db_.prepare(sql);
        if (!fold) return fail(std::move(fold.error()));
        for (const std::int64_t days : kSpanDays) {
            fold->bind(1, days).bind(2, span_start(day, days)).bind(3, day);
            if (auto done = fold->run(); !done) return done;
        }
    }
    return {};
}

}  // namespace leeway::ledger
