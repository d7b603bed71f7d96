// Spans of days, roll-ups of attempts, and how ledgers from before get them.

#include "ledger/postgres_testing.hpp"
#include "ledger/reader.hpp"
#include "ledger/report.hpp"
#include "ledger/report_scan.hpp"
#include "ledger/row_writer.hpp"
#include "ledger/schema.hpp"
#include "ledger/testing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
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

TEST(DaySpans, HoldEachDayOfARangeOnce) {
    std::mt19937_64 rng(9);
    const auto day = [&] {
        return static_cast<std::int64_t>(rng() % 400) - 200;
    };
    std::size_t most = 0;
    for (int i = 0; i < 20'000; ++i) {
        const std::int64_t first = day();
        const std::int64_t end = day();
        const std::int64_t folded = day();
        std::map<std::int64_t, int> seen;
        const auto spans = cover_days(first, end, folded);
        std::size_t rows = 0;
        for (const DaySpan& span : spans) {
            ASSERT_EQ(span_start(span.first_day, span.days), span.first_day);
            ASSERT_TRUE(span.days == 1 || span_start(span.end_day, span.days) == span.end_day);
            rows += static_cast<std::size_t>((span.end_day - span.first_day) / span.days);
            for (std::int64_t d = span.first_day; d < span.end_day; ++d) {
                // Spans have nothing from `folded` on.
                if (span.days == 1 || d < folded) ++seen[d];
            }
        }
        if (first + 300 <= folded && end >= folded && end <= folded + 1)
            most = std::max(most, rows);
        std::map<std::int64_t, int> wanted;
        for (std::int64_t d = first; d < end; ++d) wanted[d] = 1;
        ASSERT_EQ(seen, wanted) << first << ".." << end << " folded before " << folded;
    }
    EXPECT_GT(most, 0U);
    EXPECT_LE(most, 7U + 7U + 6U + 1U) << "days, spans of 8 and of 64 up to now";
    const auto all = cover_days(-14'000'000, 14'000'000, 20'000);
    ASSERT_EQ(all.size(), 2U) << "however far the range reaches";
    EXPECT_EQ(all.back(), (DaySpan{1, 20'000, 14'000'000}));
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

TEST_P(Rollups, LongReportsAgreeWithTheRowsWhateverCameLate) {
    std::mt19937_64 rng(12);
    const auto batches = batches_of(rng, 300);
    std::vector<RequestRecord> records;
    auto ours = writer();
    for (std::size_t i = 0; i < batches.size(); ++i) {
        write(*ours, batches[i]);
        if (i % 20 == 19) ours = writer();  // as after a restart
        records.insert(records.end(), batches[i].begin(), batches[i].end());
    }
    EXPECT_EQ(count("SELECT before_day FROM rollup_folded"),
              count("SELECT max(day) FROM rollup_day"));
    const std::string old = " WHERE day < (SELECT before_day FROM rollup_folded)";
    for (const char* days : {"8", "64"}) {
        EXPECT_EQ(
            count(std::string("SELECT sum(requests) FROM rollup_day_span WHERE days = ") + days),
            count("SELECT sum(requests) FROM rollup_day" + old));
        EXPECT_EQ(
            count(std::string("SELECT sum(spent_lo) FROM rollup_label_span WHERE days = ") + days),
            count("SELECT sum(spent_lo) FROM rollup_label" + old));
    }
    auto db = Database::open(target());
    ASSERT_TRUE(db);
    for (int i = 0; i < 60; ++i) {
        ReportQuery query;
        const ReportBy bys[] = {ReportBy::kUser, ReportBy::kAgent, ReportBy::kModel,
                                ReportBy::kKey,  ReportBy::kRoute, ReportBy::kProvider};
        query.by = {bys[rng() % 6]};
        const auto moment = [&] {
            return 1'699'920'000'000'000 + static_cast<std::int64_t>(rng() % 310) * kDayUs +
                   (rng() % 2 == 0 ? 0 : 1234);
        };
        if (rng() % 3 != 0) query.since_us = moment();
        if (rng() % 3 != 0) query.until_us = moment();
        std::map<std::string, Totals> expected;
        for (const RequestRecord& r : records) {
            if (r.ts_us < query.since_us.value_or(INT64_MIN)) continue;
            if (r.ts_us >= query.until_us.value_or(INT64_MAX)) continue;
            const std::string* const names[] = {&r.user, &r.agent, &r.model,
                                                &r.key,  &r.route, &r.provider};
            expected[*names[std::find(bys, bys + 6, query.by[0]) - bys]].add(r);
        }
        const auto report = build_report(*db, query);
        ASSERT_TRUE(report) << report.error().text();
        ASSERT_EQ(report->rows.size(), expected.size());
        for (const ReportRow& row : report->rows) {
            EXPECT_EQ(row.totals, expected.at(row.groups[0])) << row.groups[0];
        }
    }
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

// A ledger as schema 6 left it: its rows and days, without what schema 7 adds.
TEST_P(Rollups, LedgersFromBeforeAreFoldedAtTheNextStart) {
    std::mt19937_64 rng(8);
    std::vector<RequestRecord> records;
    for (const auto& batch : batches_of(rng, 200)) {
        records.insert(records.end(), batch.begin(), batch.end());
    }
    write(*writer(), records);
    const AttemptSums before = sums_in(target());
    const std::string folded =
        "SELECT sum(requests * 7 + start + days + spent_lo) FROM rollup_label_span";
    const std::int64_t label_spans = count(folded);
    const std::int64_t day_spans =
        count("SELECT sum(requests * 7 + start + spent_lo) FROM rollup_day_span");
    EXPECT_GT(label_spans, 0);
    {
        auto db = Database::open(target());
        ASSERT_TRUE(db);
        ASSERT_TRUE(
            db->exec("DROP TABLE rollup_folded; DROP TABLE rollup_day_span;"
                     "DROP TABLE rollup_label_span; DROP TABLE rollup_attempt;"
                     "UPDATE schema_version SET version = 6"));
    }
    EXPECT_TRUE(writer());
    EXPECT_EQ(count("SELECT version FROM schema_version"), 7);
    EXPECT_EQ(sums_in(target()), before);
    EXPECT_EQ(count(folded), label_spans);
    EXPECT_EQ(count("SELECT sum(requests * 7 + start + spent_lo) FROM rollup_day_span"), day_spans);
}

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
                     "DELETE FROM request WHERE ts_us < 1700179200000000;"
                     "DROP TABLE rollup_folded; DROP TABLE rollup_day_span;"
                     "DROP TABLE rollup_label_span; DROP TABLE rollup_attempt;"
                     "UPDATE schema_version SET version = 6"));
    }
    EXPECT_TRUE(writer());
    EXPECT_LT(count("SELECT count(*) FROM request"), 50);
    EXPECT_EQ(sums_in(target()), before);
}

INSTANTIATE_TEST_SUITE_P(Ledger, Rollups, ::testing::Values(false, true),
                         [](const auto& on) { return on.param ? "Postgres" : "Sqlite"; });

}  // namespace
}  // namespace leeway::ledger
