#include "ledger/report_scan.hpp"

#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::ledger {
namespace {

using store::sql::Statement;

// Far enough for any row, near enough to compute with.
constexpr std::int64_t kFarFuture = 13'000'000 * kDayUs;
constexpr std::int64_t kFarPast = -kFarFuture;
constexpr std::int64_t kFirstInterned = -1000;

// Each request counts once here, and there are few of it.
constexpr ReportBy kOnce = ReportBy::kAgent;

constexpr const char* kTotalsColumns =
    "requests, errors, hits, unknown_cost, known_baseline, known_saved, input_tokens,"
    " output_tokens, spent_hi, spent_lo, baseline_hi, baseline_lo, saved_hi, saved_lo";

// A label is its number, or the text itself where it has none.
std::string row_columns(const store::sql::Database& db) {
    std::string out =
        "ts_us, key, route, model, provider, session, end, source, usage_state, cost_pico_usd,"
        " baseline_pico_usd";
    for (const char* label : {"user", "tags", "agent"}) {
        out += ", " + label_number_sql(db, label) + ", " + label_text_sql(db, label);
    }
    return out + ", ";
}
constexpr int kRowUsage = 17;

Totals totals_of(const Statement& row, int first) {
    Totals t;
    t.requests = row.int64(first);
    t.errors = row.int64(first + 1);
    t.hits = row.int64(first + 2);
    t.unknown_cost = row.int64(first + 3);
    t.known_baseline = row.int64(first + 4);
    t.known_saved = row.int64(first + 5);
    t.input_tokens = row.int64(first + 6);
    t.output_tokens = row.int64(first + 7);
    t.spent = join({row.int64(first + 8), row.int64(first + 9)});
    t.baseline = join({row.int64(first + 10), row.int64(first + 11)});
    t.saved = join({row.int64(first + 12), row.int64(first + 13)});
    return t;
}

std::optional<PicoUsd> money(const Statement& row, int column) {
    const auto value = row.optional_int64(column);
    if (!value) return std::nullopt;
    return PicoUsd(*value);
}

bool is_label(ReportBy by) {
    return by == ReportBy::kUser || by == ReportBy::kTag || by == ReportBy::kAgent;
}

bool is_name(ReportBy by) {
    return by == ReportBy::kKey || by == ReportBy::kRoute || by == ReportBy::kModel ||
           by == ReportBy::kProvider;
}

LabelKind kind_of(ReportBy by) {
    if (by == ReportBy::kTag) return LabelKind::kTag;
    return by == ReportBy::kAgent ? LabelKind::kAgent : LabelKind::kUser;
}

}  // namespace

ReportRange range_of(std::optional<std::int64_t> since_us, std::optional<std::int64_t> until_us) {
    const std::int64_t since = std::clamp(since_us.value_or(kFarPast), kFarPast, kFarFuture);
    const std::int64_t until = std::clamp(until_us.value_or(kFarFuture), kFarPast, kFarFuture);
    return {.since_us = since,
            .until_us = until,
            .first_day = day_of(since + kDayUs - 1),
            .end_day = day_of(until)};
}

std::size_t ReportScan::count_of(ReportBy by) const {
    return static_cast<std::size_t>(
        std::count(query_.by.begin(), query_.by.end(), by) +
        std::count_if(query_.filters.begin(), query_.filters.end(),
                      [by](const ReportFilter& filter) { return filter.by == by; }));
}

bool ReportScan::uses(ReportBy by) const { return count_of(by) > 0; }

ReportScan::Table ReportScan::choose() {
    const bool names = uses(ReportBy::kKey) || uses(ReportBy::kRoute) || uses(ReportBy::kModel) ||
                       uses(ReportBy::kProvider);
    if (uses(ReportBy::kSession)) return Table::kRows;
    std::size_t labels = 0;
    for (const ReportBy by : {ReportBy::kUser, ReportBy::kTag, ReportBy::kAgent}) {
        labels += count_of(by);
        if (uses(by)) label_by_ = by;
    }
    if (labels == 0 && names) return Table::kGroup;
    if (labels == 0) label_by_ = kOnce;
    // A filter together with a group would need to know which labels go together.
    if (labels > 1 || names) return Table::kRows;
    return Table::kLabel;
}

Result<void> ReportScan::run() {
    const auto possible = resolve_filters();
    if (!possible) return fail(possible.error());
    if (!*possible) return {};
    table_ = choose();
    // What a caller chose beyond the bound stands in the rows only.
    for (const Wanted& wanted : wanted_) {
        if (wanted.id <= kFirstInterned) table_ = Table::kRows;
    }
    auto reach = read_reach(db_);
    if (!reach) return fail(std::move(reach.error()));
    reach_ = *reach;
    ReportRange range = range_of(query_.since_us, query_.until_us);
    if (table_ == Table::kRows) return add_rows_only(range);
    if (uses(ReportBy::kHour)) {
        // From before sums of hours are kept.
        const std::int64_t from_us = std::max(range.since_us, reach_.hours_from * kHourUs);
        auto done = add_rows_only(range_of(query_.since_us, std::min(range.until_us, from_us)));
        if (!done) return done;
        range.since_us = from_us;
    }
    const RollupWindow window = window_of(range.since_us, range.until_us, reach_);
    if (auto done = add_rollups(window.first_hour, window.end_hour); !done) return done;
    for (const CutSpan& cut : window.cuts) {
        if (auto done = add_cut(cut); !done) return done;
    }
    return {};
}

Result<void> ReportScan::add_rows_only(const ReportRange& range) {
    whole_from_us_ = range.first_day * kDayUs;
    whole_to_us_ = range.end_day * kDayUs;
    rows_of_whole_days_ = 0;
    if (auto done = add_rows(range.since_us, range.until_us); !done) return done;
    return note_missing_rows(range);
}

/// False: nothing can match.
Result<bool> ReportScan::resolve_filters() {
    for (const ReportFilter& filter : query_.filters) {
        if (filter.value.empty()) {
            wanted_.push_back({filter.by, 0});
        } else if (is_name(filter.by)) {
            auto rows = db_.prepare("SELECT id FROM name WHERE text = ?1");
            if (!rows) return fail(std::move(rows.error()));
            rows->bind(1, filter.value);
            const auto row = rows->step();
            if (!row) return fail(row.error());
            if (!*row) return false;
            wanted_.push_back({filter.by, rows->int64(0)});
        } else if (is_label(filter.by)) {
            const auto id = label_of(kind_of(filter.by), filter.value);
            if (!id) return fail(id.error());
            wanted_.push_back({filter.by, *id ? **id : intern(filter.value)});
        } else {
            wanted_.push_back({filter.by, intern(filter.value)});
        }
    }
    return true;
}

Result<std::optional<std::int64_t>> ReportScan::label_of(LabelKind kind, const std::string& text) {
    auto rows = db_.prepare("SELECT id FROM label WHERE kind = ?1 AND text = ?2");
    if (!rows) return fail(std::move(rows.error()));
    rows->bind(1, static_cast<std::int64_t>(kind)).bind(2, text);
    const auto row = rows->step();
    if (!row) return fail(row.error());
    if (!*row) return std::optional<std::int64_t>();
    return std::optional(rows->int64(0));
}

std::int64_t ReportScan::intern(std::string_view text) {
    const auto [place, fresh] = interned_.try_emplace(
        std::string(text), kFirstInterned - static_cast<std::int64_t>(interned_texts_.size()));
    if (fresh) interned_texts_.emplace_back(text);
    return place->second;
}

void ReportScan::load_labels() {
    if (labels_loaded_) return;
    labels_loaded_ = true;
    auto all = db_.prepare("SELECT id, kind, text FROM label");
    if (!all) return;
    while (true) {
        const auto row = all->step();
        if (!row || !*row) return;
        const std::string text(all->text(2));
        if (all->int64(1) == static_cast<std::int64_t>(LabelKind::kTag)) {
            tags_.emplace(text, all->int64(0));
        }
        labels_.emplace(all->int64(0), text);
    }
}

const std::string& ReportScan::label_text(std::int64_t id) {
    load_labels();
    return labels_[id];
}

std::int64_t ReportScan::tag_id(std::string_view text) {
    load_labels();
    const auto found = tags_.find(std::string(text));
    return found != tags_.end() ? found->second : intern(text);
}

std::string ReportScan::text(ReportBy by, std::int64_t id) {
    if (by == ReportBy::kDay) return iso_day(id);
    if (by == ReportBy::kHour) return iso_time(id * kHourUs).substr(0, 16) + "Z";
    if (id <= kFirstInterned) return interned_texts_[static_cast<std::size_t>(kFirstInterned - id)];
    if (id == 0) return {};
    if (id == kOtherLabel) return "(other)";
    return is_label(by) ? label_text(id) : names_.text(id);
}

Result<void> ReportScan::add_rollups(std::int64_t first_hour, std::int64_t end_hour) {
    const std::int64_t longest = uses(ReportBy::kHour)  ? 1
                                 : uses(ReportBy::kDay) ? kDayHours
                                                        : kSpanHours.back();
    std::string columns;
    std::string where;
    for (const ReportBy by : query_.by) {
        const bool time = by == ReportBy::kDay || by == ReportBy::kHour;
        columns += std::string(time ? "start" : is_label(by) ? "label" : to_string(by)) + ", ";
    }
    if (query_.by.size() < 2) columns += "0, ";
    for (const Wanted& wanted : wanted_) {
        where += fmt::format(" AND {} = {}", is_label(wanted.by) ? "label" : to_string(wanted.by),
                             wanted.id);
    }
    const bool labels = table_ == Table::kLabel;
    if (labels) {
        where += fmt::format(" AND kind = {}", static_cast<int>(kind_of(label_by_)));
    }
    const bool many = labels && label_by_ == ReportBy::kTag && wanted_.empty();
    const auto sql = [](const std::string& first, const char* table, const std::string& rest) {
        return fmt::format("SELECT {}{} FROM {} WHERE hours = ?1 AND start >= ?2 AND start < ?3{}",
                           first, kTotalsColumns, table, rest);
    };
    const std::string groups = sql(columns, labels ? "rollup_label" : "rollup_group", where);
    // A request counts for each of its tags, but once in the total.
    const std::string once = sql("0, 0, ", "rollup_label",
                                 fmt::format(" AND kind = {}", static_cast<int>(kind_of(kOnce))));
    for (const HourSpan& span : cover_hours(first_hour, end_hour, reach_, longest)) {
        auto done = read_rollups(groups, span, true, !many);
        if (done && many) done = read_rollups(once, span, false, true);
        if (!done) return done;
    }
    return {};
}

Result<void> ReportScan::read_rollups(const std::string& sql, const HourSpan& span,
                                      bool into_groups, bool into_total) {
    auto rows = db_.prepare(sql);
    if (!rows) return fail(std::move(rows.error()));
    rows->bind(1, span.hours).bind(2, span.first_hour).bind(3, span.end_hour);
    const auto value = [&](std::size_t i) {
        const std::int64_t id = rows->int64(static_cast<int>(i));
        const bool day = i < query_.by.size() && query_.by[i] == ReportBy::kDay;
        return day ? floor_div(id, kDayHours) : id;
    };
    while (true) {
        const auto row = rows->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        const Totals t = totals_of(*rows, 2);
        if (into_groups) sums_[{value(0), value(1)}].add(t);
        if (into_total) total_.add(t);
    }
}

/// Ids begin with their millisecond, so they find the time's rows without an index on it; the hour
/// around it allows for an id that was made a little off.
Result<void> ReportScan::add_rows(std::int64_t from_us, std::int64_t to_us) {
    if (from_us >= to_us) return {};
    std::string sql = "SELECT " + row_columns(db_) + bucket_columns() +
                      " FROM request WHERE id >= ?1 AND id < ?2 AND ts_us >= ?3 AND ts_us < ?4";
    for (const Wanted& wanted : wanted_) {
        if (is_name(wanted.by)) sql += fmt::format(" AND {} = {}", to_string(wanted.by), wanted.id);
    }
    auto rows = db_.prepare_scan(sql);
    if (!rows) return fail(std::move(rows.error()));
    const auto low = id_bound(std::max(from_us, kFarPast + kHourUs) - kHourUs);
    auto high = id_bound(std::min(to_us, kFarFuture - kHourUs) + kHourUs);
    if (to_us >= kFarFuture) high.bytes.fill(0xff);
    rows->bind_blob(1, low.bytes).bind_blob(2, high.bytes).bind(3, from_us).bind(4, to_us);
    while (true) {
        const auto row = rows->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        add_row(*rows);
    }
}

void ReportScan::add_row(const Statement& row) {
    const std::int64_t ts_us = row.int64(0);
    rows_of_whole_days_ += ts_us >= whole_from_us_ && ts_us < whole_to_us_ ? 1 : 0;
    const auto label = [&](int column) {
        return row.is_null(column) ? intern(row.text(column + 1)) : row.int64(column);
    };
    // All tags of the row; other dimensions have one value.
    std::vector<std::int64_t> tags{0};
    if (uses(ReportBy::kTag)) {
        const auto split = [this](std::string_view text, std::vector<std::int64_t>& out) {
            out.clear();
            while (!text.empty()) {
                const std::size_t comma = std::min(text.find(','), text.size());
                out.push_back(tag_id(text.substr(0, comma)));
                text.remove_prefix(std::min(comma + 1, text.size()));
            }
        };
        if (row.is_null(13)) {
            split(row.text(14), tags);
        } else if (const std::int64_t set = row.int64(13); set != 0) {
            const auto [known, fresh] = tag_sets_.try_emplace(set);
            if (fresh) split(std::string(label_text(set)), known->second);
            tags = known->second;
        }
    }
    const auto value = [&](ReportBy by) -> std::int64_t {
        switch (by) {
            case ReportBy::kDay: return day_of(ts_us);
            case ReportBy::kHour: return hour_of(ts_us);
            case ReportBy::kKey: return row.int64(1);
            case ReportBy::kRoute: return row.int64(2);
            case ReportBy::kModel: return row.int64(3);
            case ReportBy::kProvider: return row.int64(4);
            case ReportBy::kSession: return row.is_null(5) ? 0 : intern(row.text(5));
            case ReportBy::kUser: return label(11);
            case ReportBy::kAgent: return label(15);
            case ReportBy::kTag: return 0;
        }
        return 0;
    };
    for (const Wanted& wanted : wanted_) {
        const bool fits = wanted.by == ReportBy::kTag
                              ? std::find(tags.begin(), tags.end(), wanted.id) != tags.end()
                              : value(wanted.by) == wanted.id;
        if (!fits) return;
    }
    RequestRecord r;
    r.end = static_cast<EndState>(row.int64(6));
    r.source = static_cast<Source>(row.int64(7));
    r.usage_state = static_cast<prices::UsageState>(row.int64(8));
    r.cost = money(row, 9);
    r.baseline = money(row, 10);
    int column = kRowUsage;
    for (const prices::BucketInfo& info : prices::kBuckets) {
        r.usage[info.bucket] = row.int64(column++);
    }
    Totals one;
    one.add(r);
    total_.add(one);
    Group group{};
    std::optional<std::size_t> tag_place;
    for (std::size_t i = 0; i < query_.by.size(); ++i) {
        if (query_.by[i] == ReportBy::kTag) {
            tag_place = i;
        } else {
            group[i] = value(query_.by[i]);
        }
    }
    if (!tag_place) {
        sums_[group].add(one);
        return;
    }
    for (const std::int64_t tag : tags) {
        group[*tag_place] = tag;
        sums_[group].add(one);
    }
}

/// From the rows, or as a whole where those are gone.
Result<void> ReportScan::add_cut(const CutSpan& cut) {
    const auto all = has_rows_of(db_, cut, reach_);
    if (!all) return fail(all.error());
    if (*all) return add_rows(cut.from_us, cut.to_us);
    notes_.push_back(whole_note(cut));
    return add_rollups(cut.first_hour, cut.end_hour);
}

Result<void> ReportScan::note_missing_rows(const ReportRange& range) {
    std::string condition;
    for (const Wanted& wanted : wanted_) {
        if (is_name(wanted.by)) {
            condition += fmt::format(" AND {} = {}", to_string(wanted.by), wanted.id);
        }
    }
    const auto counted =
        requests_of(db_, range.first_day * kDayHours, range.end_day * kDayHours, reach_, condition);
    if (!counted) return fail(counted.error());
    const std::int64_t missing = *counted - rows_of_whole_days_;
    if (missing > 0) {
        notes_.push_back(fmt::format(
            "{} requests of this time are not in here: ledger.retention_days took their rows away, "
            "and the sums that stay do not know these groups",
            missing));
    }
    return {};
}

}  // namespace leeway::ledger
