#include "ledger/report_scan.hpp"

#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::ledger {
namespace {

using store::sql::Statement;

// Far enough for any row, near enough to compute with.
constexpr std::int64_t kFarPast = -std::int64_t{1} << 60;
constexpr std::int64_t kFarFuture = std::int64_t{1} << 60;
constexpr std::int64_t kFirstInterned = -1000;

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

std::int64_t floor_div(std::int64_t value, std::int64_t by) {
    return value / by - (value % by < 0 ? 1 : 0);
}

/// `open`: a span of the last days may begin in the range and end behind it, as it has nothing there yet.
void cover(std::int64_t first, std::int64_t end, bool open, std::size_t lengths,
           std::vector<DaySpan>& out) {
    if (first >= end) return;
    if (lengths == 0) {
        out.push_back({1, first, end});
        return;
    }
    const std::int64_t days = kSpanDays[--lengths];
    const std::int64_t from = span_start(first + days - 1, days);
    const std::int64_t to = span_start(open ? end + days - 1 : end, days);
    if (from >= to) return cover(first, end, open, lengths, out);
    cover(first, from, false, lengths, out);
    out.push_back({days, from, to});
    if (!open) cover(to, end, false, lengths, out);
}

}  // namespace

std::vector<DaySpan> cover_days(std::int64_t first_day, std::int64_t end_day,
                                std::int64_t folded_before) {
    std::vector<DaySpan> out;
    cover(first_day, std::min(end_day, folded_before), end_day >= folded_before, kSpanDays.size(),
          out);
    if (const std::int64_t rest = std::max(first_day, folded_before); rest < end_day) {
        out.push_back({1, rest, end_day});
    }
    return out;
}

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
    if (uses(ReportBy::kHour) || uses(ReportBy::kSession)) return Table::kRows;
    std::size_t labels = 0;
    for (const ReportBy by : {ReportBy::kUser, ReportBy::kTag, ReportBy::kAgent}) {
        labels += count_of(by);
        if (uses(by)) label_by_ = by;
    }
    if (labels == 0) return Table::kDay;
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
    const ReportRange range = range_of(query_.since_us, query_.until_us);
    if (table_ == Table::kRows) {
        whole_from_us_ = range.first_day * kDayUs;
        whole_to_us_ = range.end_day * kDayUs;
        if (auto done = add_rows(range.since_us, range.until_us); !done) return done;
        return note_missing_rows(range);
    }
    if (range.first_day >= range.end_day) return add_cut_days(range.since_us, range.until_us);
    Result<void> done = add_rollups(range.first_day, range.end_day);
    if (done && query_.since_us) done = add_cut_days(range.since_us, range.first_day * kDayUs);
    if (done && query_.until_us) done = add_cut_days(range.end_day * kDayUs, range.until_us);
    return done;
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

Result<void> ReportScan::add_rollups(std::int64_t first_day, std::int64_t end_day) {
    std::vector<DaySpan> spans{{1, first_day, end_day}};
    if (!uses(ReportBy::kDay)) {
        const auto folded = db_.query_int("SELECT before_day FROM rollup_folded");
        if (!folded) return fail(folded.error());
        spans = cover_days(first_day, end_day, folded->value_or(first_day));
    }
    std::string columns;
    std::string where;
    for (const ReportBy by : query_.by) {
        columns += std::string(is_label(by) ? "label" : to_string(by)) + ", ";
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
    const auto sql = [](const DaySpan& span, const std::string& first, const char* table,
                        const std::string& conditions) {
        const bool one = span.days == 1;
        return fmt::format("SELECT {}{} FROM {}{} WHERE {}{} >= ?1 AND {} < ?2{}", first,
                           kTotalsColumns, table, one ? "" : "_span",
                           one ? "" : fmt::format("days = {} AND ", span.days),
                           one ? "day" : "start", one ? "day" : "start", conditions);
    };
    for (const DaySpan& span : spans) {
        auto done = read_rollups(sql(span, columns, labels ? "rollup_label" : "rollup_day", where),
                                 span, true, !many);
        // A request counts for each of its tags, but once in the total.
        if (done && many) {
            done = read_rollups(sql(span, "0, 0, ", "rollup_day", {}), span, false, true);
        }
        if (!done) return done;
    }
    return {};
}

Result<void> ReportScan::read_rollups(const std::string& sql, const DaySpan& span, bool into_groups,
                                      bool into_total) {
    auto rows = db_.prepare(sql);
    if (!rows) return fail(std::move(rows.error()));
    rows->bind(1, span.first_day).bind(2, span.end_day);
    while (true) {
        const auto row = rows->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        const Totals t = totals_of(*rows, 2);
        if (into_groups) sums_[{rows->int64(0), rows->int64(1)}].add(t);
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
            case ReportBy::kHour: return floor_div(ts_us, kHourUs);
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

/// Days that the range cuts: from the rows, or as a whole where those are gone.
Result<void> ReportScan::add_cut_days(std::int64_t from_us, std::int64_t to_us) {
    while (from_us < to_us) {
        const std::int64_t day = day_of(from_us);
        const std::int64_t end_us = std::min(to_us, (day + 1) * kDayUs);
        auto rows = db_.prepare(
            "SELECT (SELECT count(*) FROM request WHERE id >= ?1 AND id < ?2 AND ts_us >= ?3 AND"
            " ts_us < ?4) >= (SELECT coalesce(sum(requests), 0) FROM rollup_day WHERE day = ?5)");
        if (!rows) return fail(std::move(rows.error()));
        const auto low = id_bound(day * kDayUs - kHourUs);
        const auto high = id_bound((day + 1) * kDayUs + kHourUs);
        rows->bind_blob(1, low.bytes).bind_blob(2, high.bytes);
        rows->bind(3, day * kDayUs).bind(4, (day + 1) * kDayUs).bind(5, day);
        const auto row = rows->step();
        if (!row) return fail(row.error());
        const bool all = rows->int64(0) != 0;
        rows->reset();
        auto done = all ? add_rows(from_us, end_us) : add_rollups(day, day + 1);
        if (!done) return done;
        if (!all) {
            notes_.push_back(
                fmt::format("{} counts as a whole: its rows are older than ledger.retention_days",
                            iso_day(day)));
        }
        from_us = end_us;
    }
    return {};
}

Result<void> ReportScan::note_missing_rows(const ReportRange& range) {
    std::string sql =
        "SELECT coalesce(sum(requests), 0) FROM rollup_day WHERE day >= ?1 AND day < ?2";
    for (const Wanted& wanted : wanted_) {
        if (is_name(wanted.by)) sql += fmt::format(" AND {} = {}", to_string(wanted.by), wanted.id);
    }
    auto rows = db_.prepare(sql);
    if (!rows) return fail(std::move(rows.error()));
    rows->bind(1, range.first_day).bind(2, range.end_day);
    const auto row = rows->step();
    if (!row) return fail(row.error());
    const std::int64_t missing = rows->int64(0) - rows_of_whole_days_;
    rows->reset();
    if (missing > 0) {
        notes_.push_back(fmt::format(
            "{} requests of this time are not in here: ledger.retention_days took their rows away, "
            "and the sums that stay do not know these groups",
            missing));
    }
    return {};
}

}  // namespace leeway::ledger
