#include "ledger/row_writer.hpp"

#include "ledger/schema.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace leeway::ledger {
namespace {

using store::sqlite::Database;
using store::sqlite::Statement;

// The buckets of usage come last: from the parameters below on, one for each.
constexpr const char* kRequestColumns =
    "id, ts_us, key, route, endpoint, model, model_asked, http_status, end, source, stream,"
    " usage_state, cost_pico_usd, baseline_pico_usd, total_us, first_byte_us, notes, error";
constexpr std::size_t kRequestUsage = 19;
constexpr const char* kAttemptColumns =
    "request_id, number, provider, model, model_reported, http_status, end, finish_reason,"
    " usage_state, cost_pico_usd, reported_cost_pico_usd, computed_cost_pico_usd, price_id, tier,"
    " first_byte_us, total_us";
constexpr std::size_t kAttemptUsage = 17;

std::string insert_sql(const char* verb, const char* table, const char* columns,
                       std::size_t first_bucket) {
    std::string sql = std::string(verb) + " INTO " + table + " (" + columns + ", " +
                      bucket_columns() + ") VALUES (?1";
    for (std::size_t i = 2; i < first_bucket + prices::kBucketCount; ++i) {
        sql += ", ?" + std::to_string(i);
    }
    return sql + ")";
}
// 4e18 is kMaxTokenSum: two such values still add up to less than 2⁶³.
constexpr const char* kUpsertRollup =
    "INSERT INTO rollup_day VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
    " ?15, ?16, ?17, ?18) ON CONFLICT (day, key, route, model) DO UPDATE SET"
    " requests = requests + excluded.requests, errors = errors + excluded.errors,"
    " hits = hits + excluded.hits, unknown_cost = unknown_cost + excluded.unknown_cost,"
    " known_baseline = known_baseline + excluded.known_baseline,"
    " known_saved = known_saved + excluded.known_saved,"
    " input_tokens = min(input_tokens + excluded.input_tokens, 4000000000000000000),"
    " output_tokens = min(output_tokens + excluded.output_tokens, 4000000000000000000),"
    " spent_hi = spent_hi + excluded.spent_hi, spent_lo = spent_lo + excluded.spent_lo,"
    " baseline_hi = baseline_hi + excluded.baseline_hi,"
    " baseline_lo = baseline_lo + excluded.baseline_lo,"
    " saved_hi = saved_hi + excluded.saved_hi, saved_lo = saved_lo + excluded.saved_lo";

// 4 MiB hold the hot pages of both tables; 16 MiB of WAL make a checkpoint rare enough that a page
// of the tables is copied back about once.
constexpr int kCacheKib = 4096;
constexpr int kWalPages = 4000;

Result<void> prepare_into(Database& db, const char* sql, std::optional<Statement>& out) {
    auto statement = db.prepare(sql);
    if (!statement) return fail(std::move(statement.error()));
    out.emplace(std::move(*statement));
    return {};
}

/// Binds text, or NULL when there is none.
void bind_text(Statement& statement, int index, std::string_view text) {
    if (text.empty()) {
        statement.bind_null(index);
    } else {
        statement.bind(index, text);
    }
}

/// Binds `text`, or NULL when it only repeats `usual`. An empty text is kept apart from that.
void bind_unless_same(Statement& statement, int index, std::string_view text,
                      std::string_view usual) {
    if (text == usual) {
        statement.bind_null(index);
    } else {
        statement.bind(index, text);
    }
}

}  // namespace

void RowWriter::IntBinder::usage(std::size_t first, prices::UsageState state,
                                 const prices::Usage& usage) noexcept {
    const bool missing = state == prices::UsageState::kMissing;
    for (std::size_t i = 0; i < prices::kBucketCount; ++i) {
        if (missing) {
            null(first + i);
        } else {
            (*this)(first + i, stored_tokens(usage[prices::kBuckets[i].bucket]));
        }
    }
}

Result<std::unique_ptr<RowWriter>> RowWriter::open(const std::string& path,
                                                   store::sqlite::Durability durability) {
    auto db = Database::open(
        path, {.durability = durability, .wal_autocheckpoint = kWalPages, .cache_kib = kCacheKib});
    if (!db) return fail(std::move(db.error()));
    if (auto done = store::sqlite::migrate(*db, "ledger", migrations()); !done) {
        return fail(std::move(done.error()));
    }
    std::unique_ptr<RowWriter> writer(new RowWriter(std::move(*db)));
    if (auto done = writer->prepare(); !done) return fail(std::move(done.error()));
    return writer;
}

Result<void> RowWriter::prepare() {
    const std::string insert_request =
        insert_sql("INSERT OR IGNORE", "request", kRequestColumns, kRequestUsage);
    const std::string insert_attempt =
        insert_sql("INSERT", "attempt", kAttemptColumns, kAttemptUsage);
    const std::pair<const char*, std::optional<Statement>*> statements[] = {
        {"BEGIN IMMEDIATE", &begin_},
        {"COMMIT", &commit_},
        {"INSERT INTO name (text) VALUES (?1) RETURNING id", &insert_name_},
        {insert_request.c_str(), &insert_request_},
        {insert_attempt.c_str(), &insert_attempt_},
        {kUpsertRollup, &upsert_rollup_}};
    for (const auto& [sql, statement] : statements) {
        if (auto done = prepare_into(db_, sql, *statement); !done) return done;
    }
    request_.emplace(*insert_request_);
    attempt_.emplace(*insert_attempt_);
    auto intents = IntentTable::open(db_);
    if (!intents) return fail(std::move(intents.error()));
    intents_ = std::move(*intents);
    auto all = db_.prepare("SELECT id, text FROM name");
    if (!all) return fail(std::move(all.error()));
    while (true) {
        const auto row = all->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        names_.emplace(all->text(1), all->int64(0));
    }
}

Result<std::int64_t> RowWriter::name_id(std::string_view text, Memo& memo) {
    if (text == memo.text) return memo.id;
    auto known = names_.find(text);
    if (known == names_.end()) {
        insert_name_->bind(1, text);
        const auto row = insert_name_->step();
        if (!row) return fail(row.error());
        const std::int64_t id = insert_name_->int64(0);
        insert_name_->reset();
        known = names_.emplace(text, id).first;
    }
    memo.text.assign(text);
    memo.id = known->second;
    return memo.id;
}

Result<void> RowWriter::begin() {
    groups_.clear();
    return begin_->run();
}

Result<bool> RowWriter::add(const RequestRecord& r) {
    GroupKey group{.day = day_of(r.ts_us), .key = 0, .route = 0, .model = 0};
    std::int64_t endpoint = 0;
    const std::tuple<std::string_view, Memo*, std::int64_t*> columns[] = {
        {r.key, &key_, &group.key},
        {r.route, &route_, &group.route},
        {r.endpoint, &endpoint_, &endpoint},
        {r.model, &model_, &group.model}};
    for (const auto& [text, memo, id] : columns) {
        const auto found = name_id(text, *memo);
        if (!found) return fail(found.error());
        *id = *found;
    }
    auto& put = *request_;
    insert_request_->bind_blob(1, r.id.bytes);
    put(2, r.ts_us);
    put(3, group.key);
    put(4, group.route);
    put(5, endpoint);
    put(6, group.model);
    bind_unless_same(*insert_request_, 7, r.model_asked, r.model);
    put(8, r.http_status);
    put(9, static_cast<std::int64_t>(r.end));
    put(10, static_cast<std::int64_t>(r.source));
    put(11, r.stream ? 1 : 0);
    put(12, static_cast<std::int64_t>(r.usage_state));
    put(13, r.cost);
    put(14, r.baseline);
    put(15, r.total_us);
    put(16, r.first_byte_us);
    bind_text(*insert_request_, 17, r.notes);
    bind_text(*insert_request_, 18, r.error);
    put.usage(kRequestUsage, r.usage_state, r.usage);
    if (auto done = insert_request_->run(); !done) return fail(std::move(done.error()));
    if (db_.changes() == 0) return false;

    std::uint32_t number = 0;
    for (const AttemptRow& attempt : r.attempts) {
        number = std::max(attempt.number, number + 1);
        if (auto done = add_attempt(r, attempt, number); !done)
            return fail(std::move(done.error()));
    }
    if (intents_->any()) {
        if (auto done = intents_->close(r); !done) return fail(std::move(done.error()));
    }
    add_to_group(group, r);
    return true;
}

Result<void> RowWriter::add_attempt(const RequestRecord& record, const AttemptRow& a,
                                    std::uint32_t number) {
    const auto provider = name_id(a.provider, provider_);
    if (!provider) return fail(provider.error());
    const auto model = name_id(a.model, attempt_model_);
    if (!model) return fail(model.error());
    auto& put = *attempt_;
    insert_attempt_->bind_blob(1, record.id.bytes);
    put(2, number);
    put(3, *provider);
    put(4, *model);
    bind_unless_same(*insert_attempt_, 5, a.model_reported, a.model);
    put(6, a.http_status);
    put(7, static_cast<std::int64_t>(a.end));
    bind_text(*insert_attempt_, 8, a.finish_reason);
    put(9, static_cast<std::int64_t>(a.usage_state));
    put(10, a.cost);
    put(11, a.reported_cost);
    put(12, a.computed_cost);
    if (a.price_id == 0) {
        put.null(13);
    } else {
        put(13, static_cast<std::int64_t>(a.price_id));
    }
    put(14, static_cast<std::int64_t>(a.tier));
    put(15, a.first_byte_us);
    put(16, a.total_us);
    put.usage(kAttemptUsage, a.usage_state, a.usage);
    return insert_attempt_->run();
}

void RowWriter::add_to_group(const GroupKey& key, const RequestRecord& record) {
    // A batch has few groups, and the last one is the likeliest.
    const auto found = std::find_if(groups_.rbegin(), groups_.rend(),
                                    [&](const Group& group) { return group.key == key; });
    Group& group = found != groups_.rend() ? *found : groups_.emplace_back(Group{key, {}});
    group.totals.add(record);
}

Result<void> RowWriter::write_groups() {
    for (const Group& group : groups_) {
        const Totals& t = group.totals;
        const SplitSum spent = split(t.spent);
        const SplitSum baseline = split(t.baseline);
        const SplitSum saved = split(t.saved);
        const std::int64_t values[] = {
            group.key.day,  group.key.key,   group.key.route, group.key.model,  t.requests,
            t.errors,       t.hits,          t.unknown_cost,  t.known_baseline, t.known_saved,
            t.input_tokens, t.output_tokens, spent.hi,        spent.lo,         baseline.hi,
            baseline.lo,    saved.hi,        saved.lo};
        int index = 0;
        for (const std::int64_t value : values) upsert_rollup_->bind(++index, value);
        if (auto done = upsert_rollup_->run(); !done) return done;
    }
    groups_.clear();
    return {};
}

Result<void> RowWriter::commit() {
    if (auto done = write_groups(); !done) return done;
    return commit_->run();
}

}  // namespace leeway::ledger
