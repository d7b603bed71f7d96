#include "store/vectors/vector_file.hpp"

#include "base/hash.hpp"
#include "base/random.hpp"
#include "store/migrations.hpp"
#include "store/sqlite/cache_file.hpp"
#include "store/vectors/encoding.hpp"

#include <array>
#include <cstring>
#include <utility>

namespace leeway::store::vectors {
namespace {

// Stamps and numbers are never used again: graph files name them. An index on a column has the stamp, too.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE store (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    identity INTEGER NOT NULL
) STRICT;
CREATE TABLE partition (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    key         BLOB    NOT NULL,
    fingerprint TEXT    NOT NULL,
    dimension   INTEGER NOT NULL,
    UNIQUE (key, fingerprint, dimension)
) STRICT;
CREATE TABLE entry (
    stamp     INTEGER PRIMARY KEY AUTOINCREMENT,
    partition INTEGER NOT NULL,
    id        INTEGER NOT NULL,
    used_s    INTEGER NOT NULL,
    expires_s INTEGER NOT NULL,
    checked   INTEGER NOT NULL,
    payload   BLOB    NOT NULL,
    vector    BLOB    NOT NULL,
    UNIQUE (partition, id)
) STRICT;
CREATE INDEX entry_by_partition ON entry (partition);
CREATE INDEX entry_by_use ON entry (used_s);
CREATE INDEX entry_by_expiry ON entry (expires_s) WHERE expires_s > 0;
)sql";

constexpr std::array kMigrations = {Migration{1, kVersion1}};

std::span<const std::uint8_t> bytes_of(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::int64_t as_signed(std::uint64_t value) noexcept { return static_cast<std::int64_t>(value); }
std::uint64_t as_unsigned(std::int64_t value) noexcept { return static_cast<std::uint64_t>(value); }

template <class T>
void append(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Of all that must belong together.
std::int64_t check_of(std::int64_t partition, std::uint64_t id, std::uint64_t stamp,
                      std::string_view payload, std::string_view vector) {
    std::string all;
    all.reserve(32 + payload.size() + vector.size());
    append(all, partition);
    append(all, id);
    append(all, stamp);
    append(all, std::uint64_t{payload.size()});
    all.append(payload).append(vector);
    return as_signed(checksum64(all));
}

std::string vector_bytes(std::span<const float> vector, Precision precision) {
    std::string out;
    if (precision == Precision::kFloat32) {
        out.assign(reinterpret_cast<const char*>(vector.data()), vector.size_bytes());
        return out;
    }
    out.reserve(vector.size() * sizeof(std::uint16_t));
    for (const float x : vector) append(out, to_half(x));
    return out;
}

/// Empty: the length fits neither kind.
std::vector<float> vector_of(std::string_view bytes, std::uint32_t dimension) {
    std::vector<float> out;
    if (bytes.size() == dimension * sizeof(float)) {
        out.resize(dimension);
        std::memcpy(out.data(), bytes.data(), bytes.size());
    } else if (bytes.size() == dimension * sizeof(std::uint16_t)) {
        std::vector<std::uint16_t> halves(dimension);
        std::memcpy(halves.data(), bytes.data(), bytes.size());
        out.reserve(dimension);
        for (const std::uint16_t half : halves) out.push_back(from_half(half));
    }
    return out;
}

std::string_view text_of(std::span<const std::uint8_t> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

struct VectorFile::Statements {
    Statement load;
    Statement add_partition;
    Statement forget_partition;
    Statement insert;
    Statement erase;
    Statement erase_stamp;
    Statement note_use;
    Statement erase_of;
    Statement erase_expired;
    Statement erase_oldest;
};

void VectorFile::Drop::operator()(Statements* statements) const noexcept { delete statements; }

Result<std::unique_ptr<VectorFile>> VectorFile::open(const std::string& path, Precision precision) {
    auto db = sqlite::Database::open(path);
    if (!db) return fail(std::move(db.error()));
    const auto version = schema_version(*db);
    if (!version) return fail(version.error());
    if (*version == 0) {
        // Only possible while there are no tables, and in WAL mode only through VACUUM.
        auto made = db->exec("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;");
        if (!made) return fail(std::move(made.error()));
    }
    // What was erased should not be readable in the file where that costs no extra writes.
    auto done = db->exec("PRAGMA secure_delete = FAST");
    if (done) done = migrate(*db, "vectors", kMigrations);
    if (!done) return fail(std::move(done.error()));
    std::unique_ptr<VectorFile> file(new VectorFile(std::move(*db), precision));
    done = file->prepare();
    if (!done) return fail(std::move(done.error()));
    return file;
}

Result<void> VectorFile::prepare() {
    {
        auto made = db_.prepare("INSERT OR IGNORE INTO store VALUES (1, ?1)");
        if (!made) return fail(std::move(made.error()));
        std::array<std::uint8_t, sizeof(std::int64_t)> random{};
        secure_random(random);
        std::int64_t value = 0;
        std::memcpy(&value, random.data(), sizeof value);
        made->bind(1, value);
        if (auto done = made->run(); !done) return done;
    }
    const auto identity = db_.query_int("SELECT identity FROM store");
    if (!identity) return fail(identity.error());
    identity_ = as_unsigned(identity->value_or(0));
    // Nothing but their names is left of these.
    auto swept = db_.exec(
        "DELETE FROM partition WHERE NOT EXISTS"
        " (SELECT 1 FROM entry WHERE entry.partition = partition.number)");
    if (!swept) return swept;
    // The order of Statements.
    constexpr std::array kSql = {
        "SELECT stamp, id, used_s, expires_s, checked, payload, vector FROM entry"
        " INDEXED BY entry_by_partition WHERE partition = ?1 ORDER BY stamp",
        "INSERT OR IGNORE INTO partition VALUES (?1, ?2, ?3, ?4)",
        "DELETE FROM partition WHERE number = ?1",
        "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        "DELETE FROM entry WHERE partition = ?1 AND id = ?2",
        "DELETE FROM entry WHERE stamp = ?1",
        "UPDATE entry SET used_s = ?2 WHERE stamp = ?1 AND used_s < ?2",
        "DELETE FROM entry WHERE stamp IN (SELECT stamp FROM entry INDEXED BY entry_by_partition"
        " WHERE partition = ?1 LIMIT ?2) RETURNING partition, id, stamp",
        "DELETE FROM entry WHERE stamp IN (SELECT stamp FROM entry INDEXED BY entry_by_expiry"
        " WHERE expires_s > 0 AND expires_s <= ?1 LIMIT ?2) RETURNING partition, id, stamp",
        "DELETE FROM entry WHERE stamp IN (SELECT stamp FROM entry INDEXED BY entry_by_use"
        " ORDER BY used_s, stamp LIMIT ?1) RETURNING partition, id, stamp",
    };
    auto all = db_.prepare_all(kSql);
    if (!all) return fail(std::move(all.error()));
    std::vector<Statement>& made = *all;
    sql_.reset(new Statements{std::move(made[0]), std::move(made[1]), std::move(made[2]),
                              std::move(made[3]), std::move(made[4]), std::move(made[5]),
                              std::move(made[6]), std::move(made[7]), std::move(made[8]),
                              std::move(made[9])});
    return {};
}

Result<void> VectorFile::each_partition(
    const std::function<void(std::int64_t, const Partition&)>& on_partition) {
    auto all = db_.prepare("SELECT number, key, fingerprint, dimension FROM partition");
    if (!all) return fail(std::move(all.error()));
    for (;;) {
        const auto row = all->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        const Partition partition{.key = std::string(text_of(all->blob(1))),
                                  .fingerprint = std::string(all->text(2)),
                                  .dimension = static_cast<std::uint32_t>(all->int64(3))};
        on_partition(all->int64(0), partition);
    }
}

Result<std::vector<std::int64_t>> VectorFile::left_behind() {
    auto all = db_.prepare(
        "SELECT DISTINCT partition FROM entry WHERE partition NOT IN (SELECT number FROM "
        "partition)");
    if (!all) return fail(std::move(all.error()));
    std::vector<std::int64_t> numbers;
    for (;;) {
        const auto row = all->step();
        if (!row) return fail(row.error());
        if (!*row) return numbers;
        numbers.push_back(all->int64(0));
    }
}

Result<std::uint64_t> VectorFile::count() {
    const auto rows = db_.query_int("SELECT count(*) FROM entry INDEXED BY entry_by_partition");
    if (!rows) return fail(rows.error());
    return as_unsigned(rows->value_or(0));
}

Result<bool> VectorFile::is_empty(std::int64_t partition) {
    auto one = db_.prepare(
        "SELECT 1 FROM entry INDEXED BY entry_by_partition WHERE partition = ?1 LIMIT 1");
    if (!one) return fail(std::move(one.error()));
    one->bind(1, partition);
    const auto row = one->step();
    if (!row) return fail(row.error());
    return !*row;
}

Result<std::uint64_t> VectorFile::next_stamp() {
    const auto last = db_.query_int("SELECT seq FROM sqlite_sequence WHERE name = 'entry'");
    if (!last) return fail(last.error());
    return as_unsigned(last->value_or(0)) + 1;
}

Result<std::int64_t> VectorFile::next_partition() {
    const auto last = db_.query_int("SELECT seq FROM sqlite_sequence WHERE name = 'partition'");
    if (!last) return fail(last.error());
    return last->value_or(0) + 1;
}

Result<void> VectorFile::load(std::int64_t partition, std::uint32_t dimension,
                              const std::function<void(Row&&)>& on_row,
                              const OnErased& on_damaged) {
    Statement& all = sql_->load;
    all.reset();
    all.bind(1, partition);
    for (;;) {
        const auto step = all.step();
        if (!step) return fail(step.error());
        if (!*step) return {};
        Row row{.partition = partition,
                .id = as_unsigned(all.int64(1)),
                .stamp = as_unsigned(all.int64(0)),
                .used_unix_s = static_cast<std::uint32_t>(all.int64(2)),
                .expires_unix_s = all.int64(3),
                .vector = {},
                .payload = {}};
        const std::string_view payload = text_of(all.blob(5));
        const std::string_view vector = text_of(all.blob(6));
        if (check_of(partition, row.id, row.stamp, payload, vector) == all.int64(4)) {
            row.vector = vector_of(vector, dimension);
            row.payload = payload;
        }
        if (row.vector.empty()) {
            on_damaged({partition, row.id, row.stamp});
        } else {
            on_row(std::move(row));
        }
    }
}

Result<sqlite::Transaction> VectorFile::begin() { return sqlite::Transaction::begin(db_); }

Result<void> VectorFile::add_partition(std::int64_t number, const Partition& partition) {
    Statement& add = sql_->add_partition;
    add.bind(1, number).bind_blob(2, bytes_of(partition.key));
    add.bind(3, std::string_view(partition.fingerprint)).bind(4, std::int64_t{partition.dimension});
    return add.run();
}

Result<void> VectorFile::forget_partition(std::int64_t number) {
    sql_->forget_partition.bind(1, number);
    return sql_->forget_partition.run();
}

Result<bool> VectorFile::write(const Row& row) {
    auto replaced = erase(row.partition, row.id);
    if (!replaced) return replaced;
    const std::string vector = vector_bytes(row.vector, precision_);
    Statement& insert = sql_->insert;
    insert.bind(1, as_signed(row.stamp)).bind(2, row.partition).bind(3, as_signed(row.id));
    insert.bind(4, std::int64_t{row.used_unix_s}).bind(5, row.expires_unix_s);
    insert.bind(6, check_of(row.partition, row.id, row.stamp, row.payload, vector));
    insert.bind_blob(7, bytes_of(row.payload)).bind_blob(8, bytes_of(vector));
    if (auto done = insert.run(); !done) return fail(std::move(done.error()));
    return replaced;
}

Result<bool> VectorFile::erase(std::int64_t partition, std::uint64_t id) {
    sql_->erase.bind(1, partition).bind(2, as_signed(id));
    if (auto done = sql_->erase.run(); !done) return fail(std::move(done.error()));
    return db_.changes() > 0;
}

Result<bool> VectorFile::erase_stamp(std::uint64_t stamp) {
    sql_->erase_stamp.bind(1, as_signed(stamp));
    if (auto done = sql_->erase_stamp.run(); !done) return fail(std::move(done.error()));
    return db_.changes() > 0;
}

Result<void> VectorFile::note_use(std::uint64_t stamp, std::uint32_t unix_s) {
    sql_->note_use.bind(1, as_signed(stamp)).bind(2, std::int64_t{unix_s});
    return sql_->note_use.run();
}

Result<int> VectorFile::run(Statement& statement, const OnErased& on_row) {
    for (int count = 0;; ++count) {
        const auto row = statement.step();
        if (!row) return fail(row.error());
        if (!*row) return count;
        if (on_row) {
            on_row({statement.int64(0), as_unsigned(statement.int64(1)),
                    as_unsigned(statement.int64(2))});
        }
    }
}

Result<int> VectorFile::erase_of(std::int64_t partition, int limit) {
    sql_->erase_of.bind(1, partition).bind(2, std::int64_t{limit});
    return run(sql_->erase_of, {});
}

Result<int> VectorFile::erase_expired(std::int64_t now_unix_s, int limit, const OnErased& erased) {
    sql_->erase_expired.bind(1, now_unix_s).bind(2, std::int64_t{limit});
    return run(sql_->erase_expired, erased);
}

Result<int> VectorFile::erase_oldest(int limit, const OnErased& erased) {
    sql_->erase_oldest.bind(1, std::int64_t{limit});
    return run(sql_->erase_oldest, erased);
}

Result<void> VectorFile::shrink() { return sqlite::shrink(db_); }

}  // namespace leeway::store::vectors
