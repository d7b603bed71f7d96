// What live traffic puts into the store of outcomes: answers, and what is said of them.
#include "lab/outcomes/outcome_columns.hpp"
#include "lab/outcomes/outcome_store.hpp"
#include "store/sqlite/rows.hpp"

#include <algorithm>
#include <cstring>
#include <set>

namespace leeway::lab {
namespace {

using store::sqlite::Database;
using store::sqlite::each_row;
using store::sqlite::run;
using store::sqlite::Statement;

std::optional<std::string> optional_text(const Statement& row, int column) {
    if (row.is_null(column)) return std::nullopt;
    return std::string(row.text(column));
}

/// Deletes by `sql`, whose parameters are two numbers, and notes of which queries.
Result<std::size_t> drop(Database& db, std::string_view sql, std::int64_t first, std::int64_t most,
                         std::set<std::int64_t>& queries) {
    std::size_t count = 0;
    auto done = each_row(
        db, sql, [&](Statement& to) { to.bind(1, first).bind(2, most); },
        [&](const Statement& row) {
            queries.insert(row.int64(0));
            ++count;
        });
    if (!done) return fail(std::move(done.error()));
    return count;
}

/// Forgets queries of which nothing is known any more.
Result<void> drop_bare(Database& db, const std::set<std::int64_t>& queries) {
    for (const std::int64_t query : queries) {
        for (const char* sql : {"DELETE FROM embedding WHERE query = ?1 "
                                "AND NOT EXISTS (SELECT 1 FROM outcome WHERE query = ?1) "
                                "AND NOT EXISTS (SELECT 1 FROM answer WHERE query = ?1)",
                                "DELETE FROM query WHERE number = ?1 "
                                "AND NOT EXISTS (SELECT 1 FROM outcome WHERE query = ?1) "
                                "AND NOT EXISTS (SELECT 1 FROM answer WHERE query = ?1)"}) {
            auto done = run(db, sql, [&](Statement& to) { to.bind(1, query); });
            if (!done) return done;
        }
    }
    return {};
}

}  // namespace

Result<void> OutcomeStore::put(std::int64_t query, const StoredAnswer& answer) {
    if (!is_sound(answer)) {
        return fail(ErrorCode::kInvalidRequest,
                    "an answer has a propensity up to 1 and no negative cost");
    }
    return run(db_,
               "INSERT OR IGNORE INTO answer (query, model, cost_pico_usd, tokens_in, tokens_out, "
               "latency_us, mean_logprob, propensity, at_s, id) "
               "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
               [&](Statement& to) {
                   to.bind(1, query);
                   bind_call(to, answer);
                   to.bind_blob(10, answer.id.bytes);
               });
}

Result<std::optional<FoundAnswer>> OutcomeStore::find_answer(const RequestId& id,
                                                             std::string_view tenant) {
    std::optional<FoundAnswer> out;
    auto done = each_row(
        db_,
        "SELECT a.query, a.model, a.cost_pico_usd, a.tokens_in, a.tokens_out, a.latency_us, "
        "a.mean_logprob, a.propensity, a.at_s FROM answer a JOIN query q ON q.number = a.query "
        "WHERE a.id = ?1 AND q.tenant = ?2",
        [&](Statement& to) { to.bind_blob(1, id.bytes).bind(2, tenant); },
        [&](const Statement& row) { out = FoundAnswer{row.int64(0), read_call(row, 1)}; });
    if (!done) return fail(std::move(done.error()));
    return out;
}

Result<void> OutcomeStore::put(const RequestId& answer, const StoredFeedback& feedback) {
    return run(db_,
               "INSERT INTO feedback VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (answer) DO UPDATE "
               "SET quality = coalesce(?2, quality), comment = coalesce(?3, comment), "
               "correction = coalesce(?4, correction), at_s = ?5",
               [&](Statement& to) {
                   const auto bind = [&](int index, const std::optional<std::string>& text) {
                       text ? to.bind(index, std::string_view(*text)) : to.bind_null(index);
                   };
                   to.bind_blob(1, answer.bytes).bind(2, in_millionths(feedback.quality));
                   bind(3, feedback.comment);
                   bind(4, feedback.correction);
                   to.bind(5, feedback.at_s);
               });
}

Result<void> OutcomeStore::each_feedback(const std::optional<std::string>& tenant,
                                         const std::function<void(const ListedFeedback&)>& take) {
    return each_row(
        db_,
        "SELECT f.answer, q.tenant, q.task, a.model, f.quality, f.comment, f.correction, f.at_s "
        "FROM feedback f JOIN answer a ON a.id = f.answer JOIN query q ON q.number = a.query "
        "WHERE ?1 IS NULL OR q.tenant = ?1 ORDER BY f.at_s, f.answer",
        [&](Statement& to) { tenant ? to.bind(1, std::string_view(*tenant)) : to.bind_null(1); },
        [&](const Statement& row) {
            ListedFeedback one;
            const auto id = row.blob(0);
            std::memcpy(one.id.bytes.data(), id.data(), std::min(id.size(), one.id.bytes.size()));
            one.tenant = row.text(1);
            one.task = row.text(2);
            one.model = row.text(3);
            if (const auto quality = row.optional_int64(4))
                one.quality = static_cast<double>(*quality) / kMillionths;
            one.comment = optional_text(row, 5);
            one.correction = optional_text(row, 6);
            one.at_s = row.int64(7);
            take(one);
        });
}

Result<void> OutcomeStore::each_live_outcome(
    const std::function<void(const RequestId&, const StoredOutcome&)>& take) {
    return each_row(
        db_,
        "SELECT a.id, o.source, o.quality, o.model, o.cost_pico_usd, o.tokens_in, o.tokens_out,"
        " o.latency_us, o.mean_logprob, o.propensity, o.at_s "
        "FROM answer a JOIN outcome o ON o.query = a.query ORDER BY a.id, o.model, o.at_s",
        [](Statement&) {},
        [&](const Statement& row) {
            StoredOutcome one;
            static_cast<StoredCall&>(one) = read_call(row, 3);
            one.source = static_cast<OutcomeSource>(row.int64(1));
            one.quality = static_cast<double>(row.int64(2)) / kMillionths;
            RequestId id;
            const auto bytes = row.blob(0);
            std::memcpy(id.bytes.data(), bytes.data(), std::min(bytes.size(), id.bytes.size()));
            take(id, one);
        });
}

Result<std::optional<StoredVector>> OutcomeStore::find_vector(const RequestId& answer,
                                                              std::string_view fingerprint) {
    std::optional<StoredVector> out;
    auto done = each_row(
        db_,
        "SELECT q.cues, e.vector FROM answer a JOIN query q ON q.number = a.query "
        "JOIN embedding e ON e.query = q.number WHERE a.id = ?1 AND e.fingerprint = ?2",
        [&](Statement& to) { to.bind_blob(1, answer.bytes).bind(2, fingerprint); },
        [&](const Statement& row) {
            const auto cues = row.blob(0);
            const auto vector = row.blob(1);
            // A damaged row is as good as none.
            if (cues.size() != sizeof(router::TextCues) || vector.size() < sizeof(float)) return;
            StoredVector& one = out.emplace();
            std::memcpy(one.cues.data(), cues.data(), cues.size());
            one.vector.resize(vector.size() / sizeof(float));
            std::memcpy(one.vector.data(), vector.data(), one.vector.size() * sizeof(float));
        });
    if (!done) return fail(std::move(done.error()));
    return out;
}

Result<std::size_t> OutcomeStore::sweep(const StoreBounds& bounds, std::int64_t most) {
    struct Kind {
        const char* count;
        const char* by_age;
        const char* by_number;
    };
    static constexpr std::array kKinds{
        Kind{"SELECT count(*) FROM answer",
             "DELETE FROM answer WHERE id IN (SELECT id FROM answer WHERE at_s < ?1 LIMIT ?2) "
             "RETURNING query",
             "DELETE FROM answer WHERE id IN (SELECT id FROM answer ORDER BY at_s, id "
             "LIMIT min(?1, ?2)) RETURNING query"},
        Kind{"SELECT count(*) FROM outcome WHERE source > 0",
             "DELETE FROM outcome WHERE (query, model, source) IN (SELECT query, model, source "
             "FROM outcome WHERE source > 0 AND at_s < ?1 LIMIT ?2) RETURNING query",
             "DELETE FROM outcome WHERE (query, model, source) IN (SELECT query, model, source "
             "FROM outcome WHERE source > 0 ORDER BY at_s LIMIT min(?1, ?2)) RETURNING query"}};
    auto transaction = begin();
    if (!transaction) return fail(std::move(transaction.error()));
    std::set<std::int64_t> queries;
    std::size_t dropped = 0;
    for (const Kind& kind : kKinds) {
        const auto old = drop(db_, kind.by_age, bounds.oldest_s, most, queries);
        if (!old) return fail(old.error());
        const auto count = db_.query_int(kind.count);
        if (!count) return fail(count.error());
        dropped += *old;
        const std::int64_t over = count->value_or(0) - bounds.rows;
        if (over <= 0) continue;
        const auto more = drop(db_, kind.by_number, over, most, queries);
        if (!more) return fail(more.error());
        dropped += *more;
    }
    if (auto done = drop_bare(db_, queries); !done) return fail(std::move(done.error()));
    if (auto done = transaction->commit(); !done) return fail(std::move(done.error()));
    return dropped;
}

}  // namespace leeway::lab
