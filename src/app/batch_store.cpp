#include "app/batch_store.hpp"

#include "base/strings.hpp"
#include "store/migrations.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace leeway::app {
namespace {

using store::sqlite::Database;
using store::sqlite::Statement;

// Scopes are joined by line breaks; none holds one.
constexpr std::array<store::Migration, 2> kMigrations{{{1, R"sql(
CREATE TABLE file (
    provider      TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    key           TEXT    NOT NULL,
    endpoint      TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    lines         INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    unbounded     INTEGER NOT NULL,
    PRIMARY KEY (id, key, provider)
) STRICT;
CREATE TABLE batch (
    record         BLOB    NOT NULL PRIMARY KEY,
    provider       TEXT    NOT NULL,
    id             TEXT    NOT NULL,
    key            TEXT    NOT NULL,
    ts_us          INTEGER NOT NULL,
    endpoint       TEXT    NOT NULL,
    model          TEXT    NOT NULL,
    asked          TEXT    NOT NULL,
    user           TEXT    NOT NULL,
    tags           TEXT    NOT NULL,
    session        TEXT    NOT NULL,
    agent          TEXT    NOT NULL,
    worst_pico_usd INTEGER NOT NULL,
    worst_tokens   INTEGER NOT NULL,
    scopes         TEXT    NOT NULL,
    settled        INTEGER NOT NULL
) STRICT;
CREATE INDEX batch_by_id ON batch (id, key);
CREATE INDEX batch_open ON batch (settled) WHERE settled = 0;
)sql"},
                                                       {2, R"sql(
ALTER TABLE batch ADD COLUMN state TEXT NOT NULL DEFAULT '';
ALTER TABLE batch ADD COLUMN expires_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batch ADD COLUMN line TEXT NOT NULL DEFAULT '';
ALTER TABLE batch ADD COLUMN route TEXT NOT NULL DEFAULT '';
)sql"}}};

constexpr const char* kBatchColumns =
    "record, provider, id, key, ts_us, endpoint, model, asked, user, tags, session, agent, "
    "worst_pico_usd, worst_tokens, scopes, settled, state, expires_s, line, route";

std::string database_path(const std::string& state_folder) { return state_folder + "/batches.db"; }

StoredBatch batch_of(const Statement& row) {
    StoredBatch out;
    const auto record = row.blob(0);
    if (record.size() == out.record.bytes.size())
        std::copy(record.begin(), record.end(), out.record.bytes.begin());
    out.provider = row.text(1);
    out.id = row.text(2);
    out.key = row.text(3);
    out.ts_us = row.int64(4);
    out.endpoint = row.text(5);
    out.model = row.text(6);
    out.asked = row.text(7);
    out.user = row.text(8);
    out.tags = row.text(9);
    out.session = row.text(10);
    out.agent = row.text(11);
    out.worst_pico_usd = row.int64(12);
    out.worst_tokens = row.int64(13);
    out.scopes = split_lines(row.text(14));
    out.settled = row.int64(15) != 0;
    out.state = row.text(16);
    out.expires_unix_s = row.int64(17);
    out.line = row.text(18);
    out.route = row.text(19);
    return out;
}

}  // namespace

Result<std::unique_ptr<BatchStore>> BatchStore::open(const std::string& state_folder) {
    store::sqlite::OpenOptions options;
    // A batch that is paid for must not be forgotten in a power cut.
    options.durability = store::sqlite::Durability::kFull;
    auto db = Database::open(database_path(state_folder), options);
    if (!db) return fail(db.error());
    if (auto ok = store::migrate(*db, "batches", kMigrations); !ok) return fail(ok.error());
    return std::unique_ptr<BatchStore>(new BatchStore(std::move(*db)));
}

Result<std::unique_ptr<BatchStore>> BatchStore::open_to_read(const std::string& state_folder) {
    store::sqlite::OpenOptions options;
    options.access = store::sqlite::Access::kReadOnly;
    auto db = Database::open(database_path(state_folder), options);
    if (!db) return fail(db.error());
    if (auto ok = store::require_version(*db, "batches", kMigrations); !ok) return fail(ok.error());
    return std::unique_ptr<BatchStore>(new BatchStore(std::move(*db)));
}

bool BatchStore::exists(const std::string& state_folder) {
    return access(database_path(state_folder).c_str(), F_OK) == 0;
}

Result<void> BatchStore::add_file(const StoredFile& file) {
    const std::scoped_lock lock(mutex_);
    auto insert =
        db_.prepare("INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
    if (!insert) return fail(insert.error());
    const BatchBound& bound = file.bound;
    insert->bind(1, std::string_view(file.provider)).bind(2, std::string_view(file.id));
    insert->bind(3, std::string_view(file.key)).bind(4, std::string_view(bound.endpoint));
    insert->bind(5, std::string_view(bound.model)).bind(6, bound.lines);
    insert->bind(7, bound.input_tokens).bind(8, bound.output_tokens).bind(9, bound.unbounded);
    return insert->run();
}

Result<std::optional<StoredFile>> BatchStore::find_file(std::string_view id, std::string_view key) {
    const std::scoped_lock lock(mutex_);
    auto query = db_.prepare("SELECT * FROM file WHERE id = ? AND key = ?");
    if (!query) return fail(query.error());
    query->bind(1, id).bind(2, key);
    const auto row = query->step();
    if (!row) return fail(row.error());
    if (!*row) return std::nullopt;
    StoredFile out;
    out.provider = query->text(0);
    out.id = query->text(1);
    out.key = query->text(2);
    out.bound.endpoint = query->text(3);
    out.bound.model = query->text(4);
    out.bound.lines = query->int64(5);
    out.bound.input_tokens = query->int64(6);
    out.bound.output_tokens = query->int64(7);
    out.bound.unbounded = query->int64(8);
    return out;
}

Result<void> BatchStore::remove_file(const StoredFile& file) {
    const std::scoped_lock lock(mutex_);
    auto remove = db_.prepare("DELETE FROM file WHERE id = ? AND key = ? AND provider = ?");
    if (!remove) return fail(remove.error());
    remove->bind(1, std::string_view(file.id)).bind(2, std::string_view(file.key));
    remove->bind(3, std::string_view(file.provider));
    return remove->run();
}

template <class Run>
Result<std::vector<bool>> BatchStore::for_each(std::span<const StoredBatch> batches,
                                               const char* sql, Run&& run) {
    const std::scoped_lock lock(mutex_);
    auto transaction = store::sqlite::Transaction::begin(db_);
    if (!transaction) return fail(transaction.error());
    std::vector<bool> changed;
    for (const StoredBatch& batch : batches) {
        auto statement = db_.prepare(sql);
        if (!statement) return fail(statement.error());
        statement->bind_blob(1, batch.record.bytes);
        if (auto done = run(*statement, batch); !done) return fail(std::move(done.error()));
        changed.push_back(db_.changes() > 0);
    }
    if (auto done = transaction->commit(); !done) return fail(std::move(done.error()));
    return changed;
}

namespace {

Result<void> run_alone(Statement& statement, const StoredBatch& /*batch*/) {
    return statement.run();
}

/// Only whether it went well.
Result<void> done(const Result<std::vector<bool>>& changed) {
    if (!changed) return fail(changed.error());
    return {};
}

}  // namespace

Result<void> BatchStore::begin_batches(std::span<const StoredBatch> batches) {
    return done(for_each(
        batches,
        "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', 0, ?, ?)",
        [](Statement& insert, const StoredBatch& batch) {
            const std::string scopes = join_lines(batch.scopes);
            insert.bind(2, std::string_view(batch.provider)).bind(3, std::string_view(batch.id));
            insert.bind(4, std::string_view(batch.key)).bind(5, batch.ts_us);
            insert.bind(6, std::string_view(batch.endpoint));
            insert.bind(7, std::string_view(batch.model)).bind(8, std::string_view(batch.asked));
            insert.bind(9, std::string_view(batch.user)).bind(10, std::string_view(batch.tags));
            insert.bind(11, std::string_view(batch.session));
            insert.bind(12, std::string_view(batch.agent));
            insert.bind(13, batch.worst_pico_usd).bind(14, batch.worst_tokens);
            insert.bind(15, std::string_view(scopes)).bind(16, std::string_view(batch.line));
            return insert.bind(17, std::string_view(batch.route)).run();
        }));
}

Result<void> BatchStore::name_batches(std::span<const StoredBatch> batches) {
    return done(for_each(batches,
                         "UPDATE batch SET id = ?2, state = ?3, expires_s = ?4 WHERE record = ?1",
                         [](Statement& update, const StoredBatch& batch) {
                             update.bind(2, std::string_view(batch.id));
                             update.bind(3, std::string_view(batch.state));
                             return update.bind(4, batch.expires_unix_s).run();
                         }));
}

Result<void> BatchStore::drop_batches(std::span<const StoredBatch> batches) {
    return done(for_each(batches, "DELETE FROM batch WHERE record = ?1", &run_alone));
}

Result<void> BatchStore::note_state(std::span<const StoredBatch> batches, std::string_view state,
                                    std::int64_t expires_unix_s) {
    return done(for_each(batches, "UPDATE batch SET state = ?2, expires_s = ?3 WHERE record = ?1",
                         [&](Statement& update, const StoredBatch& /*batch*/) {
                             return update.bind(2, state).bind(3, expires_unix_s).run();
                         }));
}

Result<std::vector<bool>> BatchStore::settle_batches(std::span<const StoredBatch> batches) {
    return for_each(batches, "UPDATE batch SET settled = 1 WHERE record = ?1 AND settled = 0",
                    &run_alone);
}

Result<std::optional<StoredBatch>> BatchStore::find_batch(std::string_view id,
                                                          std::string_view key) {
    if (id.empty()) return std::nullopt;
    const std::scoped_lock lock(mutex_);
    auto query = db_.prepare(
        fmt::format("SELECT {} FROM batch WHERE id = ? AND key = ? AND line = ''", kBatchColumns));
    if (!query) return fail(query.error());
    query->bind(1, id).bind(2, key);
    const auto row = query->step();
    if (!row) return fail(row.error());
    if (!*row) return std::nullopt;
    return batch_of(*query);
}

Result<std::vector<StoredBatch>> BatchStore::select(const char* where) {
    const std::scoped_lock lock(mutex_);
    auto query =
        db_.prepare(fmt::format("SELECT {} FROM batch {} ORDER BY ts_us", kBatchColumns, where));
    if (!query) return fail(query.error());
    std::vector<StoredBatch> out;
    for (;;) {
        const auto row = query->step();
        if (!row) return fail(row.error());
        if (!*row) return out;
        out.push_back(batch_of(*query));
    }
}

Result<std::vector<StoredBatch>> BatchStore::unsettled() { return select("WHERE settled = 0"); }

Result<std::vector<StoredBatch>> BatchStore::all() { return select(""); }

Result<std::vector<std::pair<std::string, std::int64_t>>> BatchStore::standings() {
    const std::scoped_lock lock(mutex_);
    auto query = db_.prepare(
        "SELECT state, count(*) FROM batch WHERE settled = 0 GROUP BY state ORDER BY 1");
    if (!query) return fail(query.error());
    std::vector<std::pair<std::string, std::int64_t>> out;
    for (;;) {
        const auto row = query->step();
        if (!row) return fail(row.error());
        if (!*row) return out;
        out.emplace_back(query->text(0), query->int64(1));
    }
}

}  // namespace leeway::app
