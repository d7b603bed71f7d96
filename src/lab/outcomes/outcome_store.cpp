#include "lab/outcomes/outcome_store.hpp"

#include "lab/outcomes/outcome_columns.hpp"
#include "store/migrations.hpp"
#include "store/sqlite/rows.hpp"
#include "store/sqlite/tenant_file.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_map>

namespace leeway::lab {
namespace {

using store::Migration;
using store::sqlite::Access;
using store::sqlite::each_row;
using store::sqlite::run;
using store::sqlite::Statement;

constexpr const char* kVersion1 = R"sql(
CREATE TABLE query (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT    NOT NULL,
    text   BLOB    NOT NULL,
    task   TEXT    NOT NULL,
    split  TEXT    NOT NULL,
    bytes  INTEGER NOT NULL,
    cues   BLOB    NOT NULL,
    UNIQUE (tenant, text)
) STRICT;
CREATE TABLE embedding (
    query       INTEGER NOT NULL REFERENCES query (number),
    fingerprint TEXT    NOT NULL,
    vector      BLOB    NOT NULL,
    PRIMARY KEY (query, fingerprint)
) STRICT;
CREATE TABLE outcome (
    query          INTEGER NOT NULL REFERENCES query (number),
    model          TEXT    NOT NULL,
    source         INTEGER NOT NULL,
    quality        INTEGER NOT NULL,
    cost_pico_usd  INTEGER,
    tokens_in      INTEGER,
    tokens_out     INTEGER,
    latency_us     INTEGER,
    mean_logprob   INTEGER,
    propensity     INTEGER NOT NULL,
    at_s           INTEGER NOT NULL,
    PRIMARY KEY (query, model, source)
) STRICT, WITHOUT ROWID;
)sql";
// Answers of live traffic, and what callers say of them. Log-probabilities in 1e-12 instead of millionths: many are so
// near to 0 that thresholds could not tell them apart.
constexpr const char* kVersion2 = R"sql(
UPDATE outcome SET mean_logprob = mean_logprob * 1000000;
CREATE TABLE answer (
    id            BLOB    PRIMARY KEY,
    query         INTEGER NOT NULL REFERENCES query (number),
    model         TEXT    NOT NULL,
    cost_pico_usd INTEGER,
    tokens_in     INTEGER,
    tokens_out    INTEGER,
    latency_us    INTEGER,
    mean_logprob  INTEGER,
    propensity    INTEGER NOT NULL,
    at_s          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_by_query ON answer (query);
CREATE INDEX answer_by_time ON answer (at_s);
CREATE INDEX outcome_by_time ON outcome (at_s) WHERE source > 0;
CREATE TABLE feedback (
    answer     BLOB    PRIMARY KEY REFERENCES answer (id) ON DELETE CASCADE,
    quality    INTEGER,
    comment    TEXT,
    correction TEXT,
    at_s       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";
constexpr std::array kMigrations = {Migration{1, kVersion1}, Migration{2, kVersion2}};

template <class T>
std::span<const std::uint8_t> bytes_of(std::span<const T> values) {
    return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}

StoredOutcome outcome_of(const ModelOutcomes& of, std::size_t query, std::int64_t at_s) {
    StoredOutcome out;
    out.model = of.model;
    out.quality = static_cast<double>(of.quality[query]);
    if (of.has_cost) out.cost = of.cost[query];
    if (of.tokens_in[query] >= 0) out.tokens_in = of.tokens_in[query];
    if (of.tokens_out[query] >= 0) out.tokens_out = of.tokens_out[query];
    if (!std::isnan(of.latency_ms[query]))
        out.latency_ms = static_cast<double>(of.latency_ms[query]);
    if (const auto logprob = of.logprob(query)) out.mean_logprob = static_cast<double>(*logprob);
    out.at_s = at_s;
    return out;
}

/// Puts rows together from what the database tells.
class RowsReader {
public:
    void query(const Statement& row) {
        const std::span<const std::uint8_t> vector = row.blob(2);
        const std::span<const std::uint8_t> cues = row.blob(1);
        const std::size_t dimension = vector.size() / sizeof(float);
        if (out.dimension == 0) out.dimension = dimension;
        // A damaged row is as good as none.
        if (dimension == 0 || dimension != out.dimension || cues.size() != sizeof(router::TextCues))
            return;
        numbers_.emplace(row.int64(0), out.cues.size());
        std::memcpy(out.cues.emplace_back().data(), cues.data(), cues.size());
        out.vectors.resize(out.vectors.size() + dimension);
        std::memcpy(out.vectors.data() + out.vectors.size() - dimension, vector.data(),
                    vector.size());
    }
    void outcome(const Statement& row) {
        const auto at = numbers_.find(row.int64(0));
        if (at == numbers_.end()) return;
        router::ModelRecord& record = record_of(row.text(1));
        record.quality[at->second] =
            static_cast<float>(static_cast<double>(row.int64(2)) / kMillionths);
        record.cost[at->second] = PicoUsd(row.int64(3));
        record.tokens_out[at->second] =
            static_cast<std::int32_t>(row.optional_int64(4).value_or(-1));
    }
    router::OutcomeRows out;

private:
    router::ModelRecord& record_of(std::string_view model) {
        for (router::ModelRecord& one : out.models)
            if (one.model == model) return one;
        return out.models.emplace_back(router::ModelRecord{
            std::string(model),
            std::vector<float>(out.size(), std::numeric_limits<float>::quiet_NaN()),
            std::vector<PicoUsd>(out.size()), std::vector<std::int32_t>(out.size(), -1)});
    }
    std::unordered_map<std::int64_t, std::size_t> numbers_;
};

}  // namespace

std::string_view source_name(OutcomeSource source) noexcept {
    switch (source) {
        case OutcomeSource::kImported: return "imported";
        case OutcomeSource::kFeedback: return "feedback";
        case OutcomeSource::kChecker: return "checker";
        case OutcomeSource::kJudge: return "judge";
        case OutcomeSource::kShadow: return "shadow";
    }
    return "unknown";
}

StoredQuery stored_query(std::string_view text) {
    StoredQuery out;
    out.text = sha256(text);
    out.bytes = text.size();
    out.cues = router::cues_of(text);
    return out;
}

Result<OutcomeStore> OutcomeStore::open(const std::string& path, Access access) {
    auto db = store::sqlite::open_tenant_file(path, access, "outcome store", kMigrations);
    if (!db) return fail(std::move(db.error()));
    return OutcomeStore(std::move(*db));
}

Result<std::int64_t> OutcomeStore::put(const StoredQuery& query) {
    std::int64_t number = 0;
    auto done = each_row(
        db_,
        "INSERT INTO query (tenant, text, task, split, bytes, cues) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (tenant, text) DO UPDATE SET task = excluded.task, split = excluded.split "
        "RETURNING number",
        [&](Statement& to) {
            to.bind(1, std::string_view(query.tenant)).bind_blob(2, query.text);
            to.bind(3, std::string_view(query.task)).bind(4, std::string_view(query.split));
            to.bind(5, static_cast<std::int64_t>(query.bytes));
            to.bind_blob(6, bytes_of<float>(query.cues));
        },
        [&](const Statement& row) { number = row.int64(0); });
    if (!done) return fail(std::move(done.error()));
    return number;
}

Result<void> OutcomeStore::put(std::int64_t query, const StoredOutcome& outcome) {
    if (!(outcome.quality >= 0 && outcome.quality <= 1) || !is_sound(outcome)) {
        return fail(ErrorCode::kInvalidRequest,
                    "an outcome has a quality and a propensity up to 1 and no negative cost");
    }
    return run(db_,
               "INSERT OR REPLACE INTO outcome (query, model, cost_pico_usd, tokens_in, "
               "tokens_out, latency_us, mean_logprob, propensity, at_s, source, quality) "
               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
               [&](Statement& to) {
                   to.bind(1, query);
                   bind_call(to, outcome);
                   to.bind(10, static_cast<std::int64_t>(outcome.source));
                   to.bind(11, in_millionths(outcome.quality));
               });
}

Result<void> OutcomeStore::put(std::int64_t query, std::string_view fingerprint,
                               std::span<const float> vector) {
    return run(db_, "INSERT OR REPLACE INTO embedding VALUES (?1, ?2, ?3)", [&](Statement& to) {
        to.bind(1, query).bind(2, fingerprint).bind_blob(3, bytes_of(vector));
    });
}

Result<std::size_t> OutcomeStore::import(const OutcomeTable& table, std::int64_t at_s,
                                         std::string_view fingerprint,
                                         std::span<const float> vectors,
                                         const std::function<void(std::size_t)>& progress) {
    auto transaction = begin();
    if (!transaction) return fail(std::move(transaction.error()));
    std::size_t outcomes = 0;
    const std::size_t rows = table.queries.size();
    const std::size_t dimension = rows == 0 ? 0 : vectors.size() / rows;
    for (std::size_t q = 0; q < rows; ++q) {
        StoredQuery query = stored_query(table.queries[q].text);
        query.task = table.queries[q].task;
        query.split = table.queries[q].split;
        const auto number = put(query);
        if (!number) return fail(number.error());
        if (dimension > 0) {
            auto done = put(*number, fingerprint, vectors.subspan(q * dimension, dimension));
            if (!done) return fail(std::move(done.error()));
        }
        for (const ModelOutcomes& one : table.models) {
            if (!one.known(q)) continue;
            auto done = put(*number, outcome_of(one, q, at_s));
            if (!done) return fail(std::move(done.error()));
            ++outcomes;
        }
        if (progress && q % 500 == 0) progress(q);
    }
    if (auto done = transaction->commit(); !done) return fail(std::move(done.error()));
    return outcomes;
}

Result<router::OutcomeRows> OutcomeStore::rows(std::string_view tenant,
                                               std::string_view fingerprint) {
    auto snapshot = Transaction::begin_read(db_);
    if (!snapshot) return fail(std::move(snapshot.error()));
    RowsReader reader;
    auto done = each_row(
        db_,
        "SELECT q.number, q.cues, e.vector FROM query q JOIN embedding e ON e.query = q.number "
        "WHERE q.tenant = ?1 AND e.fingerprint = ?2 ORDER BY q.number",
        [&](Statement& to) { to.bind(1, tenant).bind(2, fingerprint); },
        [&](const Statement& row) { reader.query(row); });
    if (!done) return fail(std::move(done.error()));
    // The latest comes last and so replaces what was said before.
    done = each_row(
        db_,
        "SELECT o.query, o.model, o.quality, o.cost_pico_usd, o.tokens_out FROM outcome o "
        "JOIN query q ON q.number = o.query "
        "WHERE q.tenant = ?1 AND o.cost_pico_usd IS NOT NULL ORDER BY o.model, o.at_s, o.source",
        [&](Statement& to) { to.bind(1, tenant); },
        [&](const Statement& row) { reader.outcome(row); });
    if (!done) return fail(std::move(done.error()));
    return std::move(reader.out);
}

Result<StoreStatistics> OutcomeStore::statistics() {
    auto snapshot = Transaction::begin_read(db_);
    if (!snapshot) return fail(std::move(snapshot.error()));
    StoreStatistics out;
    const auto nothing = [](Statement&) {
    };
    auto queries = db_.query_int("SELECT count(*) FROM query");
    if (!queries) return fail(std::move(queries.error()));
    out.queries = queries->value_or(0);
    for (const auto& [sql, to] : {std::pair("SELECT count(*) FROM answer", &out.answers),
                                  std::pair("SELECT count(*) FROM feedback", &out.feedback)}) {
        const auto count = db_.query_int(sql);
        if (!count) return fail(count.error());
        *to = count->value_or(0);
    }
    auto done = each_row(db_, "SELECT fingerprint, count(*) FROM embedding GROUP BY 1 ORDER BY 1",
                         nothing, [&](const Statement& row) {
                             out.embeddings.emplace_back(std::string(row.text(0)), row.int64(1));
                         });
    if (!done) return fail(std::move(done.error()));
    // Not sum(): SQLite's fails beyond 64 bits. Two halves cannot.
    done = each_row(
        db_,
        "SELECT model, source, count(*), avg(quality), count(cost_pico_usd), "
        "coalesce(sum(cost_pico_usd / 1000000), 0), coalesce(sum(cost_pico_usd % 1000000), 0) "
        "FROM outcome GROUP BY 1, 2 ORDER BY 1, 2",
        nothing, [&](const Statement& row) {
            OutcomeStatistic& one = out.outcomes.emplace_back();
            one.model = row.text(0);
            one.source = static_cast<OutcomeSource>(row.int64(1));
            one.outcomes = row.int64(2);
            one.mean_quality = row.real(3) / kMillionths;
            one.with_cost = row.int64(4);
            one.cost = PicoUsdSum(Int128{row.int64(5)} * 1'000'000 + row.int64(6));
        });
    if (!done) return fail(std::move(done.error()));
    return out;
}

Result<void> OutcomeStore::erase(std::string_view tenant) {
    auto transaction = begin();
    if (!transaction) return fail(std::move(transaction.error()));
    for (const char* sql :
         {"DELETE FROM answer WHERE query IN (SELECT number FROM query WHERE tenant = ?1)",
          "DELETE FROM outcome WHERE query IN (SELECT number FROM query WHERE tenant = ?1)",
          "DELETE FROM embedding WHERE query IN (SELECT number FROM query WHERE tenant = ?1)",
          "DELETE FROM query WHERE tenant = ?1"}) {
        auto done = run(db_, sql, [&](Statement& to) { to.bind(1, tenant); });
        if (!done) return done;
    }
    if (auto done = transaction->commit(); !done) return done;
    // What was deleted still stands in the log until it is written back.
    return db_.exec("PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace leeway::lab
