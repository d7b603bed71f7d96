#include "ledger/commitments.hpp"
#include "ledger/cost_differences.hpp"
#include "ledger/export.hpp"
#include "ledger/intent.hpp"
#include "ledger/ledger.hpp"
#include "ledger/postgres_testing.hpp"
#include "ledger/reader.hpp"
#include "ledger/reconcile.hpp"
#include "ledger/report.hpp"
#include "ledger/savings.hpp"
#include "ledger/schema.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <set>

namespace leeway::ledger {
namespace {

using namespace std::chrono_literals;
using testing::ordinary_record;
using testing::PostgresServer;
using testing::random_record;
using testing::TemporaryFolder;

/// Each test has a database of its own on the one server.
class LedgerPostgres : public ::testing::Test {
protected:
    void SetUp() override {
        if (!server_.missing().empty()) GTEST_SKIP() << server_.missing();
        url_ = server_.make_database();
    }
    [[nodiscard]] std::unique_ptr<Ledger> open(const TemporaryFolder& folder,
                                               std::uint64_t ring_bytes = 4 << 20) const {
        auto ledger =
            Ledger::open({.state_dir = folder.path(), .database = url_, .ring_bytes = ring_bytes});
        EXPECT_TRUE(ledger) << ledger.error().text();
        return ledger ? std::move(*ledger) : nullptr;
    }
    [[nodiscard]] std::int64_t count(std::string_view sql) const {
        auto db = store::sql::Database::open(store::sql::Target(url_));
        if (!db) return -1;
        const auto value = db->query_int(sql);
        return value ? value->value_or(-1) : -2;
    }
    PostgresServer& server_ = PostgresServer::get();
    Secret url_;
};

std::string text_of(const std::function<int(std::FILE*)>& write) {
    char* data = nullptr;
    std::size_t size = 0;
    std::FILE* file = ::open_memstream(&data, &size);
    EXPECT_EQ(write(file), 0);
    std::fclose(file);
    std::string out(data, size);
    ::free(data);
    return out;
}

bool eventually(const std::function<bool()>& holds, Duration patience = 20s) {
    const TimePoint until = monotonic_now() + patience;
    while (!holds()) {
        if (monotonic_now() > until) return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

/// Every report, savings, export and reconciliation of one ledger, in one text.
std::string everything(const std::string& state_dir, const Secret& database,
                       const std::string& bill) {
    std::string out;
    std::vector<std::vector<ReportBy>> groups;
    for (std::size_t i = 0; i < kReportByNames.size(); ++i) {
        groups.push_back({static_cast<ReportBy>(i)});
        groups.push_back({static_cast<ReportBy>(i), static_cast<ReportBy>((i + 3) % 10)});
    }
    const std::vector<std::vector<ReportFilter>> filters = {
        {},
        {{ReportBy::kTag, "beta"}},
        {{ReportBy::kUser, "ada"}, {ReportBy::kRoute, "cheap"}},
        {{ReportBy::kSession, "s7"}, {ReportBy::kAgent, ""}},
        {{ReportBy::kUser, ""}, {ReportBy::kModel, "größer"}},
        {{ReportBy::kTag, ""}, {ReportBy::kKey, "alpha"}}};
    std::vector<prices::Commitment> promised(3);
    promised[0] = {.name = "all", .provider = "openai", .amount = PicoUsd(1'000'000'000'000)};
    promised[1] = {
        .name = "some", .provider = "local", .amount = PicoUsd(7), .models = {"*g*", "sm*"}};
    promised[2] = {.name = "none", .provider = "nobody", .amount = PicoUsd(1)};
    const std::pair<const char*, const char*> ranges[] = {
        {"", ""}, {"2023-11-16T05:00:00Z", "2023-11-20T11:30:00Z"}};
    for (const auto& [since, until] : ranges) {
        for (const auto& filter : filters) {
            for (const auto format :
                 {ReportFormat::kTable, ReportFormat::kJson, ReportFormat::kCsv}) {
                ReportOptions options;
                options.state_dir = state_dir;
                options.database = database;
                options.filters = filter;
                options.since = since;
                options.until = until;
                options.format = format;
                for (const auto& by : groups) {
                    // The forms are those of one result: once is enough of two.
                    if (format != ReportFormat::kTable && (!filter.empty() || *since != '\0'))
                        break;
                    options.by = by;
                    out += text_of([&](std::FILE* to) { return run_report(options, to, to); });
                }
                out += text_of([&](std::FILE* to) { return run_savings(options, to, to); });
                out += text_of(
                    [&](std::FILE* to) { return run_cost_differences(options, 100, 3, to, to); });
                out += text_of([&](std::FILE* to) {
                    // A fixed moment; without one the text would hold the time of day.
                    options.until = "2023-11-22";
                    return run_commitments(options, promised, to, to);
                });
            }
        }
        out += text_of([&](std::FILE* to) {
            return run_export({.state_dir = state_dir, .database = database, .since = since}, to,
                              to);
        });
    }
    for (const bool json : {false, true}) {
        ReconcileOptions options;
        options.state_dir = state_dir;
        options.database = database;
        options.file = bill;
        options.json = json;
        out += text_of([&](std::FILE* to) { return run_reconcile(options, to, to); });
    }
    return out;
}

TEST_F(LedgerPostgres, ShowsTheSameAsSqliteByteForByte) {
    const TemporaryFolder sqlite_folder;
    const TemporaryFolder postgres_folder;
    std::mt19937_64 rng(4);
    std::vector<RequestRecord> records;
    for (int i = 0; i < 2500; ++i) records.push_back(random_record(rng));
    records.push_back(records[7]);  // comes twice, counts once
    const auto fill = [&](const std::string& folder, const Secret& database) {
        auto ledger = Ledger::open({.state_dir = folder, .database = database});
        ASSERT_TRUE(ledger) << ledger.error().text();
        for (std::size_t i = 0; i < records.size(); ++i) {
            ASSERT_TRUE((*ledger)->sink(0).append(records[i]));
            // The same batches, so that even the floating point of the squares adds up in the same order.
            if (i % 500 == 0) {
                ASSERT_TRUE((*ledger)->flush());
            }
        }
        ASSERT_TRUE((*ledger)->flush());
        EXPECT_EQ((*ledger)->stats().quarantined, 0U) << (*ledger)->stats().last_error;
        EXPECT_EQ((*ledger)->stats().rows_written, 2500U);
        EXPECT_EQ((*ledger)->stats().replayed, 1U);
    };
    fill(sqlite_folder.path(), {});
    fill(postgres_folder.path(), url_);
    const std::string bill = sqlite_folder.path() + "/bill.csv";
    std::ofstream(bill) << "date,model,requests,input_tokens,output_tokens,cost_usd\n"
                           "2023-11-17,small,30,300000,200000,0.09\n"
                           "2023-11-18,large,12,100000,90000,0.04\n";
    const std::string one = everything(sqlite_folder.path(), {}, bill);
    const std::string two = everything(postgres_folder.path(), url_, bill);
    EXPECT_GT(one.size(), 1'000'000U);
    const auto [a, b] = std::mismatch(one.begin(), one.end(), two.begin(), two.end());
    const auto at = static_cast<std::size_t>(a - one.begin());
    const std::size_t from = at < 200 ? 0 : at - 200;
    EXPECT_TRUE(one == two) << "SQLite:\n"
                            << one.substr(from, 400) << "\nPostgreSQL:\n"
                            << two.substr(from, 400);
}

TEST_F(LedgerPostgres, LabelsBeyondTheBoundKeepTheirText) {
    const TemporaryFolder folder;
    auto writer =
        RowWriter::open(store::sql::Target(url_), store::sqlite::Durability::kNormal, "g");
    ASSERT_TRUE(writer) << writer.error().text();
    auto db = store::sql::Database::open(store::sql::Target(url_));
    ASSERT_TRUE(db && db->exec("INSERT INTO label (kind, text) SELECT 1, 'u' || n FROM"
                               " generate_series(1, 100000) AS n"));
    writer = RowWriter::open(store::sql::Target(url_), store::sqlite::Durability::kNormal, "g");
    ASSERT_TRUE(writer && (*writer)->begin());
    auto record = ordinary_record();
    record.user = "one too many";
    ASSERT_TRUE((*writer)->add(record) && (*writer)->commit());
    EXPECT_EQ(count("SELECT count(*) FROM request WHERE user = -1 AND user_text = 'one too many'"),
              1);
    ReportQuery query;
    query.by = {ReportBy::kUser};
    query.filters = {{ReportBy::kUser, "one too many"}};
    const auto report = build_report(*db, query);
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_EQ(report->totals.requests, 1);
}

TEST_F(LedgerPostgres, GoneAndBackLosesAndDoublesNothing) {
    const TemporaryFolder folder;
    const auto ledger = open(folder, 16384);
    std::set<std::string> sent;
    const auto append = [&](int records) {
        for (int i = 0; i < records; ++i) {
            const auto record = ordinary_record();
            sent.insert(record.id.text());
            ASSERT_TRUE(ledger->sink(0).append(record));
        }
    };
    for (int round = 0; round < 3; ++round) {
        append(300);
        if (round == 0) {
            ASSERT_TRUE(ledger->flush());
        }
        server_.stop();  // in the later rounds while a batch is under way
        append(300);
        EXPECT_TRUE(eventually([&] { return ledger->stats().failing; }));
        EXPECT_NE(ledger->stats().last_error.find("postgres://"), std::string::npos);
        EXPECT_TRUE(ledger->healthy()) << "the journal has room";
        EXPECT_GT(ledger->stats().pending_bytes, 0U);
        EXPECT_GT(ledger->stats().spilled_bytes, 0U);
        ASSERT_TRUE(server_.start());
        ASSERT_TRUE(ledger->flush(30s)) << ledger->stats().last_error;
        EXPECT_FALSE(ledger->stats().failing);
    }
    EXPECT_EQ(count("SELECT count(*) FROM request"), static_cast<std::int64_t>(sent.size()));
    EXPECT_EQ(count("SELECT count(*) FROM attempt"), static_cast<std::int64_t>(sent.size()));
    EXPECT_EQ(count("SELECT sum(requests) FROM rollup_day"),
              static_cast<std::int64_t>(sent.size()));
    EXPECT_EQ(ledger->stats().quarantined, 0U);
}

TEST_F(LedgerPostgres, AGatewayThatStartsBeforeItsDatabaseJoinsLater) {
    const TemporaryFolder folder;
    server_.stop();
    const auto ledger = open(folder);
    const bool opened = ledger != nullptr;
    bool appended = false;
    bool recovered = true;
    std::string error;
    if (opened) {
        appended = ledger->sink(0).append(ordinary_record());
        recovered = ledger->wait_recovered(50ms).has_value();
        error = ledger->stats().last_error;
    }
    ASSERT_TRUE(server_.start());
    ASSERT_TRUE(opened);
    EXPECT_TRUE(appended);
    EXPECT_FALSE(recovered);
    EXPECT_NE(error.find("cannot reach"), std::string::npos) << error;
    ASSERT_TRUE(ledger->wait_recovered(20s));
    ASSERT_TRUE(ledger->flush(20s)) << ledger->stats().last_error;
    EXPECT_EQ(count("SELECT count(*) FROM request"), 1);
}

Intent intent_for(const RequestRecord& record) {
    Intent out;
    out.id = record.id;
    out.ts_us = record.ts_us;
    out.worst = PicoUsd(5'000'000);
    out.worst_tokens = 70;
    out.key = record.key;
    out.model = record.model;
    out.provider = record.provider;
    out.scopes = {"global", "key:" + record.key};
    return out;
}

TEST_F(LedgerPostgres, EachGatewayBooksItsOwnOpenIntents) {
    const TemporaryFolder first_folder;
    const TemporaryFolder second_folder;
    const auto open_record = ordinary_record();
    {
        const auto first = open(first_folder);
        ASSERT_TRUE(first->wait_recovered(10s));
        ASSERT_TRUE(first->sink(0).append(intent_for(open_record)));
        const auto done = ordinary_record();
        ASSERT_TRUE(first->sink(0).append(intent_for(done)));
        ASSERT_TRUE(first->sink(0).append(done));
        ASSERT_TRUE(first->flush());
        EXPECT_EQ(first->stats().open_intents, 1U);
        const auto second = open(second_folder);
        ASSERT_TRUE(second->wait_recovered(10s));
        EXPECT_EQ(second->stats().unknown, 0U) << "the other gateway is alive";
        EXPECT_EQ(count("SELECT count(*) FROM request"), 1);
    }
    const auto again = open(first_folder);
    ASSERT_TRUE(again->wait_recovered(10s));
    EXPECT_EQ(again->stats().unknown, 1U);
    EXPECT_EQ(count("SELECT count(*) FROM request WHERE end = 5"), 1);
    EXPECT_EQ(count("SELECT count(*) FROM intent"), 0);
    const auto spent = read_spending(first_folder.path(), url_, 0);
    ASSERT_TRUE(spent);
    PicoUsdSum global;
    for (const ScopeSpending& one : *spent) {
        if (one.scope == "global") global.add(one.spent);
    }
    EXPECT_EQ(global, PicoUsdSum(5'000'000 + ordinary_record().cost->value()));
}

TEST_F(LedgerPostgres, TwoGatewaysWriteOneDatabase) {
    const TemporaryFolder folders[2];
    std::vector<std::thread> gateways;
    for (const TemporaryFolder& folder : folders) {
        gateways.emplace_back([&] {
            const auto ledger = open(folder);  // both make the tables
            ASSERT_TRUE(ledger);
            for (int i = 0; i < 1000; ++i) {
                auto record = ordinary_record();
                record.model = "model-" + std::to_string(i % 50);
                record.user = "user-" + std::to_string(i % 70);
                EXPECT_TRUE(ledger->sink(0).append(record));
                if (i % 100 == 0) {
                    EXPECT_TRUE(ledger->flush());
                }
            }
            EXPECT_TRUE(ledger->flush());
            EXPECT_EQ(ledger->stats().quarantined, 0U);
        });
    }
    for (std::thread& gateway : gateways) gateway.join();
    EXPECT_EQ(count("SELECT count(*) FROM request"), 2000);
    EXPECT_EQ(count("SELECT sum(requests) FROM rollup_day"), 2000);
    EXPECT_EQ(count("SELECT count(*) FROM label WHERE kind = 1"), 70);
    EXPECT_EQ(count("SELECT min(requests) FROM rollup_day"), 40);
}

TEST_F(LedgerPostgres, OldSchemasAreBroughtUpToDateAndNewerOnesRefused) {
    {
        auto db = store::sql::Database::open(store::sql::Target(url_));
        ASSERT_TRUE(db);
        ASSERT_TRUE(store::migrate(*db, "ledger", migrations().first(1)));
        ASSERT_TRUE(db->exec(
            "INSERT INTO request VALUES ('\\x00000000000000000000000000000001', 1, 0, 0, 0,"
            " 0, NULL, 200, 0, 0, 0, 1, 11, 0, 0, 0, 12, 0, 0, 5, 6, 1, 1, NULL, NULL)"));
    }
    const TemporaryFolder folder;
    {
        const auto ledger = open(folder);
        ASSERT_TRUE(ledger->sink(0).append(ordinary_record()));
        ASSERT_TRUE(ledger->flush());
    }
    EXPECT_EQ(count("SELECT count(*) FROM request WHERE input = 11 AND web_search IS NULL"), 1);
    {
        auto db = store::sql::Database::open(store::sql::Target(url_));
        ASSERT_TRUE(db && db->exec("UPDATE schema_version SET version = 999"));
    }
    const auto refused = Ledger::open({.state_dir = folder.path(), .database = url_});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "newer_state");
}

TEST_F(LedgerPostgres, WrongUserAndDatabaseAreRefusedWithoutThePassword) {
    std::string wrong = url_.expose();
    wrong.replace(wrong.find("leeway@"), 7, "nobody:hunter2@");
    const TemporaryFolder folder;
    const auto refused = Ledger::open({.state_dir = folder.path(), .database = Secret(wrong)});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "denied");
    EXPECT_EQ(refused.error().text().find("hunter2"), std::string::npos) << refused.error().text();
}

}  // namespace
}  // namespace leeway::ledger
