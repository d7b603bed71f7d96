#include "store/postgres/database.hpp"

#include "base/strings.hpp"
#include "store/postgres/connection.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace leeway::store::postgres {
namespace {

constexpr Oid kBytea = 17;
constexpr Oid kInt8 = 20;
constexpr Oid kText = 25;
constexpr int kRowsPerFetch = 1000;

std::uint64_t big_endian(std::int64_t value) noexcept {
    return __builtin_bswap64(static_cast<std::uint64_t>(value));
}

int hex_value(char c) noexcept { return c <= '9' ? c - '0' : c - 'a' + 10; }

}  // namespace

void Statement::Clear::operator()(pg_result* result) const noexcept { PQclear(result); }

Database::Database(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Database::Database(Database&& other) noexcept = default;
Database& Database::operator=(Database&& other) noexcept = default;
Database::~Database() = default;

Result<Database> Database::open(const Secret& url, const OpenOptions& options) {
    auto connection = std::make_unique<Connection>();
    if (auto made = connection->connect(url, options); !made) return fail(std::move(made.error()));
    Database db(std::move(connection));
    // A gateway that vanishes in the middle of a transaction must not keep the others waiting.
    auto set = db.exec(
        "SET idle_in_transaction_session_timeout = '60s'; SET lock_timeout = '20s';"
        " SET standard_conforming_strings = on; SET bytea_output = 'hex'; SET extra_float_digits = "
        "1");
    if (set && options.read_only) set = db.exec("SET default_transaction_read_only = on");
    if (!set) return fail(std::move(set.error()));
    return db;
}

Result<void> Database::exec(const char* sql) {
    const bool sent = PQsendQuery(connection_->pg, translate(sql).c_str()) == 1;
    auto done = connection_->answer(sent, "database statement failed");
    if (!done) return fail(std::move(done.error()));
    return {};
}

Result<Statement> Database::prepare(std::string_view sql, bool many_rows) {
    Connection& c = *connection_;
    constexpr const char* kDoing = "cannot prepare a database statement";
    std::string name = fmt::format("s{}", ++c.statements);
    std::string text = translate(sql);
    auto made = c.answer(PQsendPrepare(c.pg, name.c_str(), text.c_str(), 0, nullptr) == 1, kDoing);
    if (!made) return fail(std::move(made.error()));
    auto described = c.answer(PQsendDescribePrepared(c.pg, name.c_str()) == 1, kDoing);
    if (!described) return fail(std::move(described.error()));
    std::string scan;
    if (many_rows) {
        scan = fmt::format("DECLARE {} NO SCROLL CURSOR FOR {}", name, text);
    }
    Statement out(connection_.get(), std::move(name), std::move(scan));
    const int count = PQnparams(described->get());
    for (int i = 0; i < count; ++i) {
        const Oid type = PQparamtype(described->get(), i);
        out.types_.push_back(type);
        out.parameters_.emplace_back().takes_binary = type == kInt8;
    }
    const auto size = static_cast<std::size_t>(count);
    out.values_.resize(size);
    out.lengths_.resize(size);
    out.formats_.resize(size);
    out.integers_.resize(size);
    out.texts_.resize(size);
    return out;
}

Result<bool> Database::has_table(std::string_view name) {
    // to_regclass may answer from a cache that has not heard of another session's commit.
    auto rows = prepare(
        "SELECT count(*) FROM pg_catalog.pg_class AS c WHERE c.relname = CAST(?1 AS TEXT) AND"
        " c.relkind = 'r' AND pg_catalog.pg_table_is_visible(c.oid)");
    if (!rows) return fail(std::move(rows.error()));
    rows->bind(1, name);
    const auto row = rows->step();
    if (!row) return fail(row.error());
    return *row && rows->int64(0) != 0;
}

std::int64_t Database::changes() const noexcept { return connection_->changes; }

bool Database::in_transaction() const noexcept {
    return PQtransactionStatus(connection_->pg) != PQTRANS_IDLE;
}

const std::string& Database::name() const noexcept { return connection_->name; }

Result<void> Database::begin_queue() {
    if (PQenterPipelineMode(connection_->pg) != 1) {
        return fail(connection_->error_of(nullptr, "cannot queue statements"));
    }
    connection_->queueing = true;
    return {};
}

Result<void> Database::end_queue() {
    auto done = connection_->drain();
    if (!done) return fail(std::move(done.error()));
    connection_->queueing = false;
    if (PQexitPipelineMode(connection_->pg) != 1) {
        return fail(connection_->error_of(nullptr, "cannot end the queue of statements"));
    }
    return {};
}

Statement::Statement(Statement&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)),
      name_(std::move(other.name_)),
      scan_sql_(std::move(other.scan_sql_)),
      scanning_(other.scanning_),
      parameters_(std::move(other.parameters_)),
      types_(std::move(other.types_)),
      values_(std::move(other.values_)),
      lengths_(std::move(other.lengths_)),
      formats_(std::move(other.formats_)),
      integers_(std::move(other.integers_)),
      texts_(std::move(other.texts_)),
      rows_(std::move(other.rows_)),
      row_(other.row_),
      blobs_(std::move(other.blobs_)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
    if (this != &other) {
        std::destroy_at(this);
        std::construct_at(this, std::move(other));
    }
    return *this;
}

Statement::~Statement() {
    if (connection_ == nullptr) return;
    reset();
    // In a queue or a failed transaction it stays until the connection ends, which then is near.
    const auto status = PQtransactionStatus(connection_->pg);
    if (connection_->queueing || (status != PQTRANS_IDLE && status != PQTRANS_INTRANS)) return;
    const std::string sql = "DEALLOCATE " + name_;
    (void)connection_->answer(PQsendQuery(connection_->pg, sql.c_str()) == 1, "");
}

// A wrong index is a bug that the tests of each statement show: the parameter stays NULL.
Statement& Statement::bind(int index, std::int64_t value) noexcept {
    if (index < 1 || static_cast<std::size_t>(index) > parameters_.size()) return *this;
    Parameter& to = parameters_[static_cast<std::size_t>(index - 1)];
    to.kind = Parameter::Kind::kInteger;
    to.integer = value;
    return *this;
}

Statement& Statement::bind(int index, std::string_view text) noexcept {
    if (index < 1 || static_cast<std::size_t>(index) > parameters_.size()) return *this;
    Parameter& to = parameters_[static_cast<std::size_t>(index - 1)];
    to.kind = Parameter::Kind::kText;
    to.bytes = text;
    return *this;
}

Statement& Statement::bind_blob(int index, std::span<const std::uint8_t> bytes) noexcept {
    bind(index, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    parameters_[static_cast<std::size_t>(index - 1)].kind = Parameter::Kind::kBlob;
    return *this;
}

Statement& Statement::bind_null(int index) noexcept {
    if (index < 1 || static_cast<std::size_t>(index) > parameters_.size()) return *this;
    parameters_[static_cast<std::size_t>(index - 1)].kind = Parameter::Kind::kNull;
    return *this;
}

void Statement::encode() {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
        const Parameter& from = parameters_[i];
        formats_[i] = 0;
        switch (from.kind) {
            case Parameter::Kind::kNull: values_[i] = nullptr; break;
            case Parameter::Kind::kInteger:
                if (from.takes_binary) {
                    integers_[i] = big_endian(from.integer);
                    values_[i] = reinterpret_cast<const char*>(&integers_[i]);
                    lengths_[i] = sizeof integers_[i];
                    formats_[i] = 1;
                } else {
                    texts_[i] = std::to_string(from.integer);
                    values_[i] = texts_[i].c_str();
                }
                break;
            case Parameter::Kind::kText:
            case Parameter::Kind::kBlob:
                if (types_[i] != kText && types_[i] != kBytea) {
                    texts_[i] = from.bytes;
                    values_[i] = texts_[i].c_str();
                    break;
                }
                // Binary also for text: then the length counts, not a NUL at the end.
                values_[i] = from.bytes.data() == nullptr ? "" : from.bytes.data();
                lengths_[i] = static_cast<int>(from.bytes.size());
                formats_[i] = 1;
                break;
        }
    }
}

Result<Statement::Rows> Statement::execute() {
    encode();
    const auto count = static_cast<int>(parameters_.size());
    const bool scan = !scan_sql_.empty();
    const bool sent =
        (scan ? PQsendQueryParams(connection_->pg, scan_sql_.c_str(), count, types_.data(),
                                  values_.data(), lengths_.data(), formats_.data(), 0)
              : PQsendQueryPrepared(connection_->pg, name_.c_str(), count, values_.data(),
                                    lengths_.data(), formats_.data(), 0)) == 1;
    auto result = connection_->answer(sent, "database statement failed");
    if (!result) return fail(std::move(result.error()));
    scanning_ = scan;
    return Rows(result->release());
}

/// The next rows of the cursor.
Result<void> Statement::fetch() {
    const std::string sql = fmt::format("FETCH {} FROM {}", kRowsPerFetch, name_);
    auto result = connection_->answer(PQsendQuery(connection_->pg, sql.c_str()) == 1,
                                      "database statement failed");
    if (!result) return fail(std::move(result.error()));
    rows_.reset(result->release());
    row_ = -1;
    return {};
}

Result<bool> Statement::step() {
    if (!rows_) {
        auto rows = execute();
        if (!rows) return fail(std::move(rows.error()));
        rows_ = std::move(*rows);
        row_ = -1;
        connection_->changes =
            static_cast<std::int64_t>(parse_u64(PQcmdTuples(rows_.get())).value_or(0));
        if (scanning_) {
            if (auto fetched = fetch(); !fetched) {
                reset();
                return fail(std::move(fetched.error()));
            }
        }
    } else if (scanning_ && row_ + 1 == PQntuples(rows_.get()) && row_ + 1 == kRowsPerFetch) {
        if (auto fetched = fetch(); !fetched) {
            reset();
            return fail(std::move(fetched.error()));
        }
    }
    if (++row_ < PQntuples(rows_.get())) {
        for (auto& blob : blobs_) blob.clear();
        return true;
    }
    reset();
    return false;
}

Result<void> Statement::run() {
    if (connection_->queueing) {
        encode();
        return connection_->queued(PQsendQueryPrepared(connection_->pg, name_.c_str(),
                                                       static_cast<int>(parameters_.size()),
                                                       values_.data(), lengths_.data(),
                                                       formats_.data(), 0) == 1);
    }
    const auto row = step();
    if (!row) return fail(row.error());
    reset();
    return {};
}

void Statement::reset() noexcept {
    rows_.reset();
    row_ = -1;
    if (!std::exchange(scanning_, false)) return;
    const std::string sql = "CLOSE " + name_;
    (void)connection_->answer(PQsendQuery(connection_->pg, sql.c_str()) == 1, "");
}

std::int64_t Statement::int64(int column) const noexcept {
    const std::string_view value = text(column);
    if (value == "t") return 1;
    std::int64_t out = 0;
    std::from_chars(value.data(), value.data() + value.size(), out);
    return out;
}

double Statement::real(int column) const noexcept {
    return is_null(column) ? 0 : std::strtod(PQgetvalue(rows_.get(), row_, column), nullptr);
}

std::string_view Statement::text(int column) const noexcept {
    if (!rows_) return {};
    return {PQgetvalue(rows_.get(), row_, column),
            static_cast<std::size_t>(PQgetlength(rows_.get(), row_, column))};
}

std::span<const std::uint8_t> Statement::blob(int column) const noexcept {
    std::string_view hex = text(column);
    if (!hex.starts_with("\\x")) return {};
    hex.remove_prefix(2);
    const auto index = static_cast<std::size_t>(column);
    if (blobs_.size() <= index) blobs_.resize(index + 1);
    std::vector<std::uint8_t>& out = blobs_[index];
    if (out.empty()) {
        out.reserve(hex.size() / 2);
        for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
            out.push_back(
                static_cast<std::uint8_t>(hex_value(hex[i]) * 16 + hex_value(hex[i + 1])));
        }
    }
    return out;
}

bool Statement::is_null(int column) const noexcept {
    return !rows_ || PQgetisnull(rows_.get(), row_, column) == 1;
}

}  // namespace leeway::store::postgres
