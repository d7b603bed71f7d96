#include "ledger/row_writer.hpp"

#include "ledger/schema.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Statement;
using store::sql::Transaction;

// The buckets of usage come last: from the parameters below on, one for each.
constexpr const char* kRequestColumns =
    "id, ts_us, key, route, endpoint, model, model_asked, http_status, end, source, stream,"
    " usage_state, cost_pico_usd, baseline_pico_usd, total_us, first_byte_us, notes, error,"
    " provider, user, tags, session, agent, arm, usage_quality, saved_exact_cache_pico_usd, "
    "saved_tier_pico_usd,"
    " saved_route_pico_usd, saved_prompt_cache_pico_usd, saved_billing_pico_usd,"
    " saved_attempts_pico_usd, saved_gateway_pico_usd, saving_labels";
constexpr std::size_t kRequestSaved = 26;
constexpr std::size_t kRequestUsage = kRequestSaved + prices::kSavingSteps + 1;
constexpr const char* kAttemptColumns =
    "request_id, number, provider, model, model_reported, http_status, end, finish_reason,"
    " usage_state, cost_pico_usd, reported_cost_pico_usd, computed_cost_pico_usd, price_id, tier,"
    " first_byte_us, total_us, usage_quality";
constexpr std::size_t kAttemptUsage = 18;
// PostgreSQL: the texts of labels that have no number.
constexpr const char* kLabelTexts = ", user_text, tags_text, agent_text";
constexpr std::size_t kRequestTexts = kRequestUsage + prices::kBucketCount;

std::string insert_sql(const char* table, const char* columns, std::size_t first_bucket,
                       const char* last_columns, const char* key) {
    const std::size_t texts = std::string_view(last_columns).empty() ? 0 : 3;
    const std::size_t last = first_bucket + prices::kBucketCount - 1 + texts;
    std::string sql = std::string("INSERT INTO ") + table + " (" + columns + ", " +
                      bucket_columns() + last_columns + ") VALUES (?1";
    for (std::size_t i = 2; i <= last; ++i) sql += ", ?" + std::to_string(i);
    return sql + ") ON CONFLICT (" + key + ") DO NOTHING";
}

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

void RowWriter::IntBinder::label(std::size_t index, std::size_t text_index, std::int64_t id,
                                 std::string_view text) noexcept {
    if (text_index != 0) {
        (*this)(index, id);
        if (id == kOtherLabel) {
            statement_.bind(static_cast<int>(text_index), text);
        } else {
            statement_.bind_null(static_cast<int>(text_index));
        }
        return;
    }
    if (id != kOtherLabel) {
        (*this)(index, id);
        return;
    }
    statement_.bind(static_cast<int>(index), text);
    bound_[index] = INT64_MIN;  // no id: whatever comes next is bound
}

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

Result<std::unique_ptr<RowWriter>> RowWriter::open(const store::sql::Target& target,
                                                   store::sqlite::Durability durability,
                                                   std::string gateway) {
    auto db = Database::open(
        target,
        {.durability = durability, .wal_autocheckpoint = kWalPages, .cache_kib = kCacheKib});
    if (!db) return fail(std::move(db.error()));
    if (auto done = store::migrate(*db, "ledger", migrations()); !done) {
        return fail(std::move(done.error()));
    }
    std::unique_ptr<RowWriter> writer(new RowWriter(std::move(*db)));
    if (auto done = writer->prepare(std::move(gateway)); !done)
        return fail(std::move(done.error()));
    if (auto done = writer->catch_up(); !done) return fail(std::move(done.error()));
    return writer;
}

Result<void> RowWriter::prepare(std::string gateway) {
    const std::string insert_request = insert_sql("request", kRequestColumns, kRequestUsage,
                                                  db_.is_postgres() ? kLabelTexts : "", "id");
    const std::string insert_attempt =
        insert_sql("attempt", kAttemptColumns, kAttemptUsage, "", "request_id, number");
    const std::pair<const char*, std::optional<Statement>*> statements[] = {
        {"INSERT INTO name (text) VALUES (?1)"
         " ON CONFLICT (text) DO UPDATE SET text = excluded.text RETURNING id",
         &insert_name_},
        {insert_request.c_str(), &insert_request_},
        {insert_attempt.c_str(), &insert_attempt_},
        {"INSERT INTO label (kind, text) VALUES (?1, ?2)"
         " ON CONFLICT (kind, text) DO UPDATE SET text = excluded.text RETURNING id",
         &insert_label_}};
    for (const auto& [sql, statement] : statements) {
        if (auto done = prepare_into(db_, sql, *statement); !done) return done;
    }
    rollups_.emplace(db_);
    if (auto done = rollups_->prepare(); !done) return done;
    if (db_.is_postgres()) {
        const char* sql = "SELECT id FROM request WHERE id = SOME (CAST(?1 AS BYTEA[]))";
        if (auto done = prepare_into(db_, sql, find_requests_); !done) return done;
    }
    request_.emplace(*insert_request_);
    attempt_.emplace(*insert_attempt_);
    auto intents = IntentTable::open(db_, std::move(gateway));
    if (!intents) return fail(std::move(intents.error()));
    intents_ = std::move(*intents);
    auto all = db_.prepare("SELECT id, text FROM name");
    if (!all) return fail(std::move(all.error()));
    while (true) {
        const auto row = all->step();
        if (!row) return fail(row.error());
        if (!*row) break;
        names_.emplace(all->text(1), all->int64(0));
    }
    auto labels = db_.prepare("SELECT id, kind, text FROM label");
    if (!labels) return fail(std::move(labels.error()));
    while (true) {
        const auto row = labels->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        const auto kind = static_cast<std::size_t>(labels->int64(1));
        if (kind < labels_.size()) labels_[kind].emplace(labels->text(2), labels->int64(0));
    }
}

/// Of a ledger from before the spans, or whose days ended while nobody wrote.
Result<void> RowWriter::catch_up() {
    const auto behind = rollups_->behind();
    if (!behind) return fail(behind.error());
    if (!*behind) return {};
    if (auto done = begin(); !done) return done;
    if (auto done = rollups_->fold(); !done) return done;
    auto done = transaction_->commit();
    transaction_.reset();
    return done;
}

Result<std::int64_t> RowWriter::label_id(LabelKind kind, std::string_view text) {
    if (text.empty()) return 0;
    Texts& texts = labels_[static_cast<std::size_t>(kind)];
    const auto known = texts.find(text);
    if (known != texts.end()) return known->second;
    if (texts.size() >= kMaxLabels) return kOtherLabel;
    insert_label_->bind(1, static_cast<std::int64_t>(kind)).bind(2, text);
    const auto row = insert_label_->step();
    if (!row) return fail(row.error());
    const std::int64_t id = insert_label_->int64(0);
    insert_label_->reset();
    texts.emplace(text, id);
    return id;
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
    waiting_.clear();
    transaction_.reset();
    auto begun = Transaction::begin(db_);
    if (!begun) return fail(std::move(begun.error()));
    transaction_.emplace(std::move(*begun));
    return rollups_->begin();
}

Result<bool> RowWriter::add(const RequestRecord& r) {
    if (!db_.is_postgres()) return add_now(r);
    waiting_.emplace_back(r);
    return true;
}

void RowWriter::add(const Intent& intent) {
    if (db_.is_postgres()) {
        waiting_.emplace_back(intent);
    } else {
        intents_->add(intent);
    }
}

/// One question tells which of the batch are there already; then all statements go out without a wait for
/// each. Nobody else adds them meanwhile: they come from this process, and it holds the writers' lock.
Result<std::size_t> RowWriter::add_waiting() {
    if (waiting_.empty()) return 0;
    std::string ids;  // an array as PostgreSQL writes it
    for (const auto& one : waiting_) {
        ids += ids.empty() ? '{' : ',';
        ids += "\"\\\\x";
        const RequestId id = std::visit([](const auto& of) { return of.id; }, one);
        for (const std::uint8_t byte : id.bytes) {
            ids += "0123456789abcdef"[byte >> 4];
            ids += "0123456789abcdef"[byte & 15];
        }
        ids += '"';
    }
    ids += '}';
    std::set<std::vector<std::uint8_t>> known;
    find_requests_->bind(1, std::string_view(ids));
    while (true) {
        const auto row = find_requests_->step();
        if (!row) return fail(row.error());
        if (!*row) break;
        const auto blob = find_requests_->blob(0);
        known.emplace(blob.begin(), blob.end());
    }
    std::size_t repeated = 0;
    for (const auto& one : waiting_) {
        const auto* intent = std::get_if<Intent>(&one);
        const RequestId& id = intent != nullptr ? intent->id : std::get<RequestRecord>(one).id;
        std::vector<std::uint8_t> bytes(id.bytes.begin(), id.bytes.end());
        if (intent != nullptr) {
            if (known.contains(bytes)) continue;
            intents_->add(*intent);
        } else if (known.insert(std::move(bytes)).second) {
            const auto added = add_now(std::get<RequestRecord>(one));
            if (!added) return fail(added.error());
        } else {
            ++repeated;
        }
    }
    waiting_.clear();
    return repeated;
}

Result<bool> RowWriter::add_now(const RequestRecord& r) {
    RollupGroup group;
    group.day = day_of(r.ts_us);
    std::int64_t endpoint = 0;
    const std::tuple<std::string_view, Memo*, std::int64_t*> columns[] = {
        {r.key, &key_, &group.key},
        {r.route, &route_, &group.route},
        {r.endpoint, &endpoint_, &endpoint},
        {r.model, &model_, &group.model},
        {r.provider, &provider_, &group.provider}};
    for (const auto& [text, memo, id] : columns) {
        const auto found = name_id(text, *memo);
        if (!found) return fail(found.error());
        *id = *found;
    }
    std::int64_t user = 0;
    std::int64_t tags = 0;
    std::int64_t agent = 0;
    const std::tuple<LabelKind, std::string_view, std::int64_t*> labels[] = {
        {LabelKind::kUser, r.user, &user},
        {LabelKind::kTagSet, r.tags, &tags},
        {LabelKind::kAgent, r.agent, &agent}};
    for (const auto& [kind, text, id] : labels) {
        const auto found = label_id(kind, text);
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
    put(19, group.provider);
    const std::size_t texts = db_.is_postgres() ? kRequestTexts : 0;
    put.label(20, texts, user, r.user);
    put.label(21, texts == 0 ? 0 : texts + 1, tags, r.tags);
    bind_text(*insert_request_, 22, r.session);
    put.label(23, texts == 0 ? 0 : texts + 2, agent, r.agent);
    put(24, static_cast<std::int64_t>(r.arm));
    put(25, static_cast<std::int64_t>(r.usage_quality));
    const bool closed = closes(r);
    for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
        if (closed) {
            put(kRequestSaved + i, r.waterfall->saved[i].value());
        } else {
            put.null(kRequestSaved + i);
        }
    }
    if (closed) {
        put(kRequestUsage - 1, r.waterfall->packed_labels());
    } else {
        put.null(kRequestUsage - 1);
    }
    put.usage(kRequestUsage, r.usage_state, r.usage);
    if (auto done = insert_request_->run(); !done) return fail(std::move(done.error()));
    if (!db_.is_postgres() && db_.changes() == 0) {
        intents_->forget(r.id);
        return false;
    }

    std::uint32_t number = 0;
    for (const AttemptRow& attempt : r.attempts) {
        number = std::max(attempt.number, number + 1);
        if (auto done = add_attempt(r, attempt, number, group.day); !done)
            return fail(std::move(done.error()));
    }
    intents_->close(r);
    Totals totals;
    totals.add(r);
    rollups_->add(r, group, totals);
    if (auto done = add_labels(r, group.day, user, agent, totals); !done) {
        return fail(std::move(done.error()));
    }
    return true;
}

Result<void> RowWriter::add_attempt(const RequestRecord& record, const AttemptRow& a,
                                    std::uint32_t number, std::int64_t day) {
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
    put(17, static_cast<std::int64_t>(a.usage_quality));
    put.usage(kAttemptUsage, a.usage_state, a.usage);
    rollups_->add_attempt(day, *provider, *model, a);
    return insert_attempt_->run();
}

/// A request counts once for its user and its agent, and once for each of its tags.
Result<void> RowWriter::add_labels(const RequestRecord& r, std::int64_t day, std::int64_t user,
                                   std::int64_t agent, const Totals& totals) {
    const auto add = [&](LabelKind kind, std::int64_t label) {
        rollups_->add_label(kind, day, label, totals);
    };
    add(LabelKind::kUser, user);
    add(LabelKind::kAgent, agent);
    if (r.tags.empty()) add(LabelKind::kTag, 0);
    std::string_view rest = r.tags;
    bool other = false;  // counted once, however many of its tags have no number
    while (!rest.empty()) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        const auto tag = label_id(LabelKind::kTag, rest.substr(0, comma));
        if (!tag) return fail(tag.error());
        if (*tag != kOtherLabel || !other) add(LabelKind::kTag, *tag);
        other |= *tag == kOtherLabel;
        rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    return {};
}

Result<std::size_t> RowWriter::commit() {
    if (auto begun = db_.begin_queue(); !begun) return fail(std::move(begun.error()));
    auto repeated = add_waiting();
    if (!repeated) return repeated;
    const bool look_up = !db_.is_postgres();  // add_waiting did
    if (auto done = intents_->write(look_up); !done) return fail(std::move(done.error()));
    if (auto done = rollups_->write(); !done) return fail(std::move(done.error()));
    if (auto done = db_.end_queue(); !done) return fail(std::move(done.error()));
    if (rollups_->day_over()) {
        if (auto done = rollups_->fold(); !done) return fail(std::move(done.error()));
    }
    if (auto done = transaction_->commit(); !done) return fail(std::move(done.error()));
    transaction_.reset();
    return repeated;
}

}  // namespace leeway::ledger
