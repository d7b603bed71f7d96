// Spans of days, roll-ups of attempts, and how ledgers from before get them.

#include "ledger/postgres_testing.hpp"
#include "ledger/reader.hpp"
#include "ledger/report.hpp"
#include "ledger/report_scan.hpp"
#include "ledger/rollup_spans.hpp"
#include "ledger/row_writer.hpp"
#include "ledger/savings.hpp"
#include "ledger/schema.hpp"
#include "ledger/testing.hpp"
#include "ledger/time_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <random>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Target;
using testing::PostgresServer;
using testing::random_record;
using testing::TemporaryFolder;

TEST(HourSpans, HoldEachHourOfARangeOnce) {
    std::mt19937_64 rng(9);
    const auto hour = [&] {
        return static_cast<std::int64_t>(rng() % 9600) - 4800;
    };
    for (int i = 0; i < 3000; ++i) {
        const std::int64_t first = hour();
        const std::int64_t end = hour();
        const RollupReach reach{hour(), -10'000};
        const std::int64_t longest[] = {1, 24, 192, 1536};
        std::map<std::int64_t, int> seen;
        for (const HourSpan& span : cover_hours(first, end, reach, longest[i % 4])) {
            ASSERT_LE(span.hours, longest[i % 4]);
            ASSERT_EQ(span_start(span.first_hour, span.hours), span.first_hour);
            ASSERT_EQ(span_start(span.end_hour, span.hours), span.end_hour);
            for (std::int64_t h = span.first_hour; h < span.end_hour; ++h) {
                if (span.hours == 1 || h < reach.before(span.hours)) ++seen[h];
            }
        }
        std::map<std::int64_t, int> wanted;
        for (std::int64_t h = first; h < end; ++h) wanted[h] = 1;
        ASSERT_EQ(seen, wanted) << first << ".." << end << " folded before " << reach.before_hour;
    }
    const RollupReach reach{20'000 * 24 + 7, 0};
    const auto all = cover_hours(-13'000'000 * 24, 13'000'000 * 24, reach);
    ASSERT_EQ(all.size(), 3U) << "however far the range reaches";
    EXPECT_EQ(all[1], (HourSpan{24, 20'000 * 24, 20'001 * 24}));
    EXPECT_EQ(all[2], (HourSpan{1, 20'000 * 24 + 7, 13'000'000 * 24}));
    for (int i = 0; i < 3000; ++i) {
        std::int64_t rows = 0;
        const std::int64_t first = reach.before_hour - 7200 - i;
        for (const HourSpan& span : cover_hours(first, reach.before_hour + 1, reach)) {
            rows += (span.end_hour - span.first_hour) / span.hours;
        }
        EXPECT_LE(rows, 23 + 7 + 7 + 7 + 1 + 1) << "hours, days, spans of 8 and of 64 up to now";
    }
}

TEST(HourSpans, AWindowIsItsWholeHoursAndWhatIsLeft) {
    std::mt19937_64 rng(4);
    for (int i = 0; i < 20'000; ++i) {
        const RollupReach reach{900, span_start(static_cast<std::int64_t>(rng() % 300), 24)};
        const auto moment = [&] {
            const auto us = static_cast<std::int64_t>(rng() % (300 * kHourUs));
            return rng() % 3 == 0   ? span_start(us, kHourUs)
                   : rng() % 3 == 0 ? span_start(us, kDayUs)
                                    : us;
        };
        const std::int64_t since = moment();
        const std::int64_t until = moment();
        const RollupWindow window = window_of(since, until, reach);
        std::int64_t us = (window.end_hour - window.first_hour) * kHourUs;
        for (const CutSpan& cut : window.cuts) {
            us += cut.to_us - cut.from_us;
            EXPECT_LT(cut.from_us, cut.to_us);
            EXPECT_GE(cut.from_us, cut.first_hour * kHourUs);
            EXPECT_LE(cut.to_us, cut.end_hour * kHourUs);
            EXPECT_EQ(cut.end_hour - cut.first_hour, cut.first_hour >= reach.hours_from ? 1 : 24);
        }
        ASSERT_EQ(us, std::max<std::int64_t>(until - since, 0));
        if (since >= until) continue;
        ASSERT_LE(window.cuts.size(), 2U);
        if (window.first_hour == window.end_hour) continue;
        EXPECT_GE(window.first_hour * kHourUs, since);
        EXPECT_LE(window.end_hour * kHourUs, until);
        EXPECT_TRUE(window.first_hour >= reach.hours_from || window.first_hour % 24 == 0);
        EXPECT_TRUE(window.end_hour >= reach.hours_from || window.end_hour % 24 == 0);
    }
}

/// SQLite, or a database of its own on the one PostgreSQL server.
class Rollups : public ::testing::TestWithParam<bool> {
protected:
    void SetUp() override {
        if (!GetParam()) {
            std::filesystem::create_directories(ledger_folder(folder_.path()));
            return;
        }
        PostgresServer& server = PostgresServer::get();
        if (!server.missing().empty()) GTEST_SKIP() << server.missing();
        url_ = server.make_database();
    }
    [[nodiscard]] Target target() const { return database_target(folder_.path(), url_); }
    [[nodiscard]] std::unique_ptr<RowWriter> writer() const {
        auto made = RowWriter::open(target(), store::sqlite::Durability::kNormal);
        EXPECT_TRUE(made) << made.error().text();
        return made ? std::move(*made) : nullptr;
    }
    static void write(RowWriter& writer, const std::vector<RequestRecord>& records) {
        ASSERT_TRUE(writer.begin());
        for (const RequestRecord& record : records) ASSERT_TRUE(writer.add(record));
        const auto done = writer.commit();
        ASSERT_TRUE(done) << done.error().text();
    }
    [[nodiscard]] std::int64_t count(std::string_view sql) const {
        auto db = Database::open(target());
        if (!db) return -1;
        const auto value = db->query_int(sql);
        return value ? value->value_or(-1) : -2;
    }
    void upgrade_from(int version);

    TemporaryFolder folder_;
    Secret url_;
};

/// As they come out of the journal: PostgreSQL takes no text that is not UTF-8.
RequestRecord record_of(std::mt19937_64& rng) {
    RequestRecord r = random_record(rng);
    r.model_asked = r.model;
    r.notes.clear();
    r.error.clear();
    for (AttemptRow& attempt : r.attempts) attempt.model_reported.clear();
    return r;
}

/// Rows of 300 days, with days that come late, so that spans are folded, added to, and begun again.
std::vector<std::vector<RequestRecord>> batches_of(std::mt19937_64& rng, std::int64_t days) {
    std::vector<std::vector<RequestRecord>> out;
    for (int i = 0; i < 60; ++i) {
        std::vector<RequestRecord>& batch = out.emplace_back();
        for (int n = 0; n < 40; ++n) {
            RequestRecord r = record_of(rng);
            const std::int64_t newest = days * (i + 1) / 60;
            const std::int64_t day = rng() % 5 == 0
                                         ? static_cast<std::int64_t>(rng() % 300) % newest
                                         : newest - static_cast<std::int64_t>(rng() % 3);
            r.ts_us = 1'699'920'000'000'000 + std::max<std::int64_t>(day, 0) * kDayUs +
                      static_cast<std::int64_t>(rng() % kDayUs);
            r.id = RequestId::make(r.ts_us / 1000);
            batch.push_back(std::move(r));
        }
    }
    return out;
}

std::string value_of(const RequestRecord& r, ReportBy by) {
    switch (by) {
        case ReportBy::kDay: return iso_day(day_of(r.ts_us));
        case ReportBy::kHour: return iso_time(r.ts_us).substr(0, 13) + ":00Z";
        case ReportBy::kUser: return r.user;
        case ReportBy::kAgent: return r.agent;
        case ReportBy::kModel: return r.model;
        case ReportBy::kKey: return r.key;
        case ReportBy::kRoute: return r.route;
        default: return r.provider;
    }
}

constexpr std::array kBys{ReportBy::kDay,   ReportBy::kHour, ReportBy::kUser,  ReportBy::kAgent,
                          ReportBy::kModel, ReportBy::kKey,  ReportBy::kRoute, ReportBy::kProvider};

/// What `records` say of the query, with its ends as far apart as `since_us` and `until_us`.
void expect_same(Database& db, const ReportQuery& query, const std::vector<RequestRecord>& records,
                 std::int64_t since_us, std::int64_t until_us) {
    std::map<std::string, Totals> expected;
    Totals total;
    SavingsReport saved;
    for (const RequestRecord& r : records) {
        if (r.ts_us < since_us || r.ts_us >= until_us) continue;
        expected[value_of(r, query.by[0])].add(r);
        total.add(r);
        ++(closes(r) ? saved.known : saved.unknown);
        if (!closes(r)) continue;
        saved.baseline.add(*r.baseline);
        saved.actual.add(*r.cost);
        for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
            saved.steps[i].requests += r.waterfall->saved[i].value() != 0 ? 1 : 0;
        }
    }
    const auto report = build_report(db, query);
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_EQ(report->totals, total);
    ASSERT_EQ(report->rows.size(), expected.size());
    for (const ReportRow& row : report->rows) {
        EXPECT_EQ(row.totals, expected.at(row.groups[0])) << row.groups[0];
    }
    const auto savings = build_savings(db, query);
    ASSERT_TRUE(savings) << savings.error().text();
    EXPECT_EQ(savings->known, saved.known);
    EXPECT_EQ(savings->unknown, saved.unknown);
    EXPECT_EQ(savings->baseline, saved.baseline);
    EXPECT_EQ(savings->actual, saved.actual);
    for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
        EXPECT_EQ(savings->steps[i].requests, saved.steps[i].requests) << i;
    }
}

constexpr std::int64_t kFirstUs = 1'699'920'000'000'000;

ReportQuery query_of(std::mt19937_64& rng, std::int64_t from_day, std::int64_t days) {
    ReportQuery query;
    query.by = {kBys[rng() % kBys.size()]};
    const auto moment = [&] {
        const std::int64_t us =
            static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(days * kDayUs));
        const std::int64_t whole = rng() % 3 == 0 ? kDayUs : rng() % 2 == 0 ? kHourUs : 1;
        return kFirstUs + from_day * kDayUs + span_start(us, whole);
    };
    if (rng() % 4 != 0) query.since_us = moment();
    if (rng() % 3 != 0) query.until_us = moment();
    return query;
}

TEST_P(Rollups, ReportsAgreeWithTheRowsWhateverCameLate) {
    std::mt19937_64 rng(12);
    const auto batches = batches_of(rng, 300);
    std::vector<RequestRecord> records;
    auto ours = writer();
    for (std::size_t i = 0; i < batches.size(); ++i) {
        write(*ours, batches[i]);
        if (i % 20 == 19) ours = writer();  // as after a restart
        records.insert(records.end(), batches[i].begin(), batches[i].end());
    }
    const std::int64_t newest = count("SELECT max(start) FROM rollup_group WHERE hours = 1");
    EXPECT_EQ(count("SELECT before_hour FROM rollup_folded"), newest);
    EXPECT_EQ(count("SELECT hours_from FROM rollup_folded"),
              span_start(newest, kDayHours) - kHoursKeptDays * kDayHours);
    EXPECT_EQ(count("SELECT count(*) FROM rollup_label WHERE hours = 1 AND start <"
                    " (SELECT hours_from FROM rollup_folded)"),
              0);
    for (const char* table : {"rollup_group", "rollup_saving", "rollup_arm", "rollup_label"}) {
        const auto sum = [&](const char* hours) {
            return count(std::string("SELECT sum(requests) FROM ") + table + " WHERE hours = " +
                         hours + " AND start < (SELECT before_hour / 24 * 24 FROM rollup_folded)");
        };
        EXPECT_GT(sum("24"), 0) << table;
        EXPECT_EQ(sum("192"), sum("24")) << table;
        EXPECT_EQ(sum("1536"), sum("24")) << table;
    }
    auto db = Database::open(target());
    ASSERT_TRUE(db);
    for (int i = 0; i < 150; ++i) {
        const ReportQuery query = i % 2 == 0 ? query_of(rng, 0, 310) : query_of(rng, 230, 75);
        SCOPED_TRACE(i);
        expect_same(*db, query, records, query.since_us.value_or(INT64_MIN),
                    query.until_us.value_or(INT64_MAX));
    }
}

TEST_P(Rollups, WithoutRowsWindowsAreRoundedToHoursOrDays) {
    std::mt19937_64 rng(21);
    std::vector<RequestRecord> records;
    auto ours = writer();
    for (const auto& batch : batches_of(rng, 120)) {
        write(*ours, batch);
        records.insert(records.end(), batch.begin(), batch.end());
    }
    const std::int64_t hours_from = count("SELECT hours_from FROM rollup_folded");
    const std::int64_t kept_us = (hours_from + 40 * kDayHours) * kHourUs;
    auto db = Database::open(target());
    ASSERT_TRUE(db);
    const std::string old = "ts_us < " + std::to_string(kept_us);
    ASSERT_TRUE(db->exec(("DELETE FROM attempt WHERE request_id IN (SELECT id FROM request WHERE " +
                          old + "); DELETE FROM request WHERE " + old)
                             .c_str()));
    const auto unit = [&](std::int64_t us) {
        return us >= kept_us ? 1 : us >= hours_from * kHourUs ? kHourUs : kDayUs;
    };
    int notes = 0;
    for (int i = 0; i < 150; ++i) {
        const ReportQuery query = query_of(rng, 0, 125);
        // Hours from before hours are kept are known to the rows only.
        const std::int64_t since = query.since_us.value_or(kFirstUs);
        if (query.by[0] == ReportBy::kHour && since < hours_from * kHourUs) continue;
        const std::int64_t until = query.until_us.value_or(INT64_MAX - kDayUs);
        if (since >= until) continue;
        SCOPED_TRACE(i);
        expect_same(*db, query, records, span_start(since, unit(since)),
                    span_start(until + unit(until) - 1, unit(until)));
        notes += static_cast<int>(build_report(*db, query)->notes.size());
    }
    EXPECT_GT(notes, 20);
}

/// What the attempts of the records cost, by day, provider and model.
using AttemptSums = std::map<std::tuple<std::int64_t, std::string, std::string>,
                             std::tuple<std::int64_t, std::int64_t, PicoUsdSum>>;

AttemptSums sums_of(const std::vector<RequestRecord>& records) {
    AttemptSums out;
    for (const RequestRecord& r : records) {
        for (const AttemptRow& a : r.attempts) {
            auto& [attempts, unknown, spent] = out[{day_of(r.ts_us), a.provider, a.model}];
            ++attempts;
            unknown += a.cost ? 0 : 1;
            if (a.cost) spent.add(*a.cost);
        }
    }
    return out;
}

AttemptSums sums_in(const Target& target) {
    AttemptSums out;
    auto db = Database::open(target);
    if (!db) return out;
    auto rows = db->prepare(
        "SELECT day, p.text, m.text, attempts, unknown_cost, spent_hi, spent_lo FROM "
        "rollup_attempt a"
        " JOIN name p ON p.id = a.provider JOIN name m ON m.id = a.model");
    if (!rows) return out;
    while (rows->step().value_or(false)) {
        out[{rows->int64(0), std::string(rows->text(1)), std::string(rows->text(2))}] = {
            rows->int64(3), rows->int64(4), join({rows->int64(5), rows->int64(6)})};
    }
    return out;
}

TEST_P(Rollups, AttemptsAddUpByProviderAndModel) {
    std::mt19937_64 rng(3);
    std::vector<RequestRecord> records;
    for (int i = 0; i < 600; ++i) records.push_back(record_of(rng));
    auto ours = writer();
    write(*ours, records);
    write(*ours, records);  // all are there already
    EXPECT_EQ(sums_in(target()), sums_of(records));
}

/// Takes a ledger back to schema 6 or 7: sums of days, as those wrote them.
std::string downgrade_sql(int version) {
    std::string sums;
    for (const char* sum : {"requests", "errors", "hits", "unknown_cost", "known_baseline",
                            "known_saved", "input_tokens", "output_tokens", "spent_hi", "spent_lo",
                            "baseline_hi", "baseline_lo", "saved_hi", "saved_lo"}) {
        sums += std::string(", CAST(sum(") + sum + ") AS BIGINT) AS " + sum;
    }
    const std::string every =
        " WHERE hours = 24 OR (hours = 1 AND start >= (SELECT before_hour FROM rollup_folded))";
    const std::string day = " start / 24 AS day, ";
    std::string sql = "CREATE TABLE rollup_day AS SELECT" + day + "key, route, model, provider" +
                      sums + " FROM rollup_group" + every +
                      " GROUP BY 1, key, route, model, provider;"
                      "CREATE TABLE old_label AS SELECT kind," +
                      day + "label" + sums + " FROM rollup_label" + every +
                      " GROUP BY kind, 2, label;"
                      "CREATE TABLE old_saving AS SELECT" +
                      day +
                      "route, step, label, CAST(sum(requests) AS BIGINT) AS requests,"
                      " CAST(sum(hi) AS BIGINT) AS hi, CAST(sum(lo) AS BIGINT) AS lo"
                      " FROM rollup_saving" +
                      every +
                      " GROUP BY 1, route, step, label;"
                      "CREATE TABLE old_arm AS SELECT" +
                      day +
                      "route, arm, CAST(sum(requests) AS BIGINT) AS requests,"
                      " CAST(sum(errors) AS BIGINT) AS errors, CAST(sum(known) AS BIGINT) AS known,"
                      " CAST(sum(spent_hi) AS BIGINT) AS spent_hi,"
                      " CAST(sum(spent_lo) AS BIGINT) AS spent_lo,"
                      " sum(squares_usd2) AS squares_usd2 FROM rollup_arm" +
                      every + " GROUP BY 1, route, arm; DROP TABLE rollup_group;";
    for (const std::string name : {"label", "saving", "arm"}) {
        sql.append("DROP TABLE rollup_").append(name).append("; ALTER TABLE old_").append(name);
        sql.append(" RENAME TO rollup_").append(name).append(";");
    }
    sql += "DROP TABLE rollup_folded;";
    // What schema 8 takes away unread.
    sql += version == 6 ? "DROP TABLE rollup_attempt;"
                        : "CREATE TABLE rollup_folded (one BIGINT);"
                          "CREATE TABLE rollup_day_span (days BIGINT);"
                          "CREATE TABLE rollup_label_span (days BIGINT);";
    return sql + "UPDATE schema_version SET version = " + std::to_string(version);
}

void Rollups::upgrade_from(int version) {
    std::mt19937_64 rng(8);
    std::vector<RequestRecord> records;
    for (auto& batch : batches_of(rng, 200)) {
        write(*writer(), batch);
        records.insert(records.end(), batch.begin(), batch.end());
    }
    const AttemptSums attempts = sums_in(target());
    const auto fingerprint = [&](const char* table, const char* of, std::int64_t from) {
        // How far the low halves have been carried over depends on the batches.
        return count(std::string("SELECT sum(start * 7 + ") + of + ") % 4294967296 FROM " + table +
                     " WHERE hours = 1 AND start >= " + std::to_string(from));
    };
    const std::int64_t newest = count("SELECT max(start) FROM rollup_group WHERE hours = 1");
    const std::int64_t from = span_start(newest, 24) - (kHoursKeptDays - 1) * kDayHours;
    const std::tuple<const char*, const char*> tables[] = {
        {"rollup_group", "requests * 3 + key + model + input_tokens + saved_lo + provider"},
        {"rollup_label", "requests * 3 + kind + label * 5 + output_tokens + baseline_lo"},
        {"rollup_saving", "requests * 3 + route + step * 5 + label + lo"},
        {"rollup_arm", "requests * 3 + arm + known * 5 + errors + spent_lo"}};
    std::vector<std::int64_t> hours;
    for (const auto& [table, of] : tables) hours.push_back(fingerprint(table, of, from));
    {
        auto db = Database::open(target());
        ASSERT_TRUE(db);
        const auto done = db->exec(downgrade_sql(version).c_str());
        ASSERT_TRUE(done) << done.error().text();
    }
    auto ours = writer();
    ASSERT_TRUE(ours);
    EXPECT_EQ(count("SELECT version FROM schema_version"), 8);
    EXPECT_EQ(count("SELECT hours_from FROM rollup_folded"), from);
    EXPECT_EQ(sums_in(target()), attempts);
    for (std::size_t i = 0; i < hours.size(); ++i) {
        const auto& [table, of] = tables[i];
        EXPECT_EQ(fingerprint(table, of, from), hours[i]) << table;
    }
    // And it goes on: the newest day, late ones and new ones.
    for (int i = 0; i < 8; ++i) {
        std::vector<RequestRecord> batch;
        for (int n = 0; n < 20; ++n) {
            RequestRecord r = record_of(rng);
            r.ts_us = kFirstUs + (180 + static_cast<std::int64_t>(rng() % 24)) * kDayUs +
                      static_cast<std::int64_t>(rng() % kDayUs);
            r.id = RequestId::make(r.ts_us / 1000);
            batch.push_back(r);
        }
        write(*ours, batch);
        records.insert(records.end(), batch.begin(), batch.end());
    }
    auto db = Database::open(target());
    ASSERT_TRUE(db);
    for (int i = 0; i < 40; ++i) {
        const ReportQuery query = query_of(rng, 0, 210);
        expect_same(*db, query, records, query.since_us.value_or(INT64_MIN),
                    query.until_us.value_or(INT64_MAX));
    }
}

TEST_P(Rollups, LedgersOfSchema6GetHoursAndSpansAtTheNextStart) { upgrade_from(6); }

TEST_P(Rollups, LedgersOfSchema7GetHoursAtTheNextStart) { upgrade_from(7); }

TEST_P(Rollups, AttemptsOfDaysWithoutRowsCostWhatTheirRequestsDid) {
    std::vector<RequestRecord> records;
    for (int i = 0; i < 50; ++i) {
        RequestRecord r = testing::ordinary_record(1'700'000'000'000'000 + (i % 5) * kDayUs);
        r.model = r.attempts[0].model = i % 2 == 0 ? "small" : "large";
        r.provider = r.attempts[0].provider = "openai";
        if (i % 7 == 0) r.cost = r.attempts[0].cost = std::nullopt;
        if (i % 11 == 0) {
            r.source = Source::kExactCache;
            r.attempts.clear();
            r.cost = PicoUsd(0);
        }
        records.push_back(std::move(r));
    }
    write(*writer(), records);
    const AttemptSums before = sums_in(target());
    {
        auto db = Database::open(target());
        ASSERT_TRUE(db);
        ASSERT_TRUE(
            db->exec("DELETE FROM attempt WHERE request_id IN (SELECT id FROM request WHERE"
                     " ts_us < 1700179200000000);"
                     "DELETE FROM request WHERE ts_us < 1700179200000000;"));
        ASSERT_TRUE(db->exec(downgrade_sql(6).c_str()));
    }
    EXPECT_TRUE(writer());
    EXPECT_LT(count("SELECT count(*) FROM request"), 50);
    EXPECT_EQ(count("SELECT hours_from FROM rollup_folded"), 1'700'179'200 / 3600)
        << "hours begin where the rows do";
    EXPECT_EQ(sums_in(target()), before);
}

INSTANTIATE_TEST_SUITE_P(Ledger, Rollups, ::testing::Values(false, true),
                         [](const auto& on) { return on.param ? "Postgres" : "Sqlite"; });

}  // namespace
}  // namespace leeway::ledger
