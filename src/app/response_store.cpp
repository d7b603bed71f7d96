#include "app/response_store.hpp"

#include "store/migrations.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

namespace leeway::app {
namespace {

using store::sqlite::Database;
using store::sqlite::Transaction;

// What is continued has a smaller number, so that no chain comes round. A response's own items follow one another:
// first those of its input, then those of its output.
constexpr std::array<store::Migration, 1> kMigrations{{{1, R"sql(
CREATE TABLE response (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    key       TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    provider  TEXT    NOT NULL,
    previous  INTEGER NOT NULL CHECK (previous >= 0 AND previous < number),
    created_s INTEGER NOT NULL,
    expires_s INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    tokens    INTEGER NOT NULL,
    UNIQUE (key, id)
) STRICT;
CREATE INDEX response_by_previous ON response (previous) WHERE previous > 0;
CREATE INDEX response_by_expiry ON response (expires_s);
CREATE TABLE told (
    response INTEGER PRIMARY KEY REFERENCES response (number) ON DELETE CASCADE,
    head     TEXT    NOT NULL
) STRICT;
CREATE TABLE item (
    response INTEGER NOT NULL REFERENCES response (number) ON DELETE CASCADE,
    place    INTEGER NOT NULL,
    output   INTEGER NOT NULL,
    id       TEXT    NOT NULL,
    body     TEXT    NOT NULL,
    PRIMARY KEY (response, place)
) STRICT;
CREATE INDEX item_by_id ON item (id);
)sql"}}};

// What a row takes beside its texts, about.
constexpr std::int64_t kRowBytes = 256;
// So many rows are written or deleted at a time, as others wait for it.
constexpr std::size_t kMostItems = 4096;
constexpr int kStep = 8;
constexpr int kMostGivenUp = 64;
constexpr std::int64_t kSweepSeconds = 60;
constexpr std::int64_t kWriteSeconds = 2;

constexpr const char* kDeleteOldest =
    "DELETE FROM response WHERE number IN (SELECT number FROM response AS one WHERE number <> ?1 "
    "AND NOT EXISTS (SELECT 1 FROM response AS later WHERE later.previous = one.number) "
    "ORDER BY number LIMIT ?2) RETURNING bytes";
constexpr const char* kDeleteExpired =
    "DELETE FROM response WHERE number IN (SELECT number FROM response AS one WHERE expires_s <= "
    "?1 AND NOT EXISTS (SELECT 1 FROM response AS later WHERE later.previous = one.number) "
    "LIMIT ?2) RETURNING bytes";

std::int64_t size_of(const KeptResponse& response) {
    std::size_t sum = response.whole.head.size();
    for (const auto* items : {&response.input, &response.whole.output}) {
        for (const auto& item : *items) sum += item.body.size() + item.id.size();
    }
    const std::size_t rows = 1 + response.input.size() + response.whole.output.size();
    return static_cast<std::int64_t>(sum) + kRowBytes * static_cast<std::int64_t>(rows);
}

/// What may become a part of our own requests for it.
bool is_plain(std::string_view id) {
    constexpr std::size_t kLongest = 512;
    return !id.empty() && id.size() <= kLongest && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    });
}

Error previous_gone() {
    return Error{ErrorCode::kNotFound,
                 "a part of the conversation has been deleted",
                 {},
                 {},
                 "previous_gone"};
}

}  // namespace

Error responses_unavailable(const Error& why) {
    return Error{ErrorCode::kUnavailable,
                 "the store of responses cannot be used: " + why.message,
                 why.hint,
                 {},
                 "responses_unavailable"};
}

Error ResponseStore::too_long(std::string param) {
    return Error{ErrorCode::kPayloadTooLarge, "The conversation is too long to be continued.",
                 "begin a new one with what matters of it", std::move(param),
                 "conversation_too_long"};
}

struct ResponseStore::Row {
    std::string_view key;
    std::string_view id;
    std::string_view provider;
    std::int64_t previous = 0;
    std::int64_t created = 0;
    std::int64_t bytes = kRowBytes;
    std::int64_t tokens = -1;
};

Result<std::unique_ptr<ResponseStore>> ResponseStore::open(const std::string& state_folder,
                                                           const ResponsesConfig& config) {
    const std::string path = state_folder + "/responses.db";
    store::sqlite::OpenOptions options;
    options.wal_autocheckpoint = 0;  // `tend` does it, so that no request waits for the disk
    auto db = Database::open(path, options);
    if (!db) return fail(std::move(db.error()));
    if (auto ok = store::migrate(*db, "responses", kMigrations); !ok) return fail(ok.error());
    // What its owner deletes shall not be found in the file.
    if (auto ok = db->exec("PRAGMA secure_delete = ON"); !ok) return fail(ok.error());
    auto checkpoints = Database::open(path, options);
    if (!checkpoints) return fail(std::move(checkpoints.error()));
    std::unique_ptr<ResponseStore> out(
        new ResponseStore(std::move(*db), std::move(*checkpoints), config));
    const auto sum = out->db_.query_int("SELECT sum(bytes) FROM response");
    if (!sum) return fail(sum.error());
    out->bytes_ = sum->value_or(0);
    return out;
}

void ResponseStore::configure(const ResponsesConfig& config) {
    const std::scoped_lock lock(mutex_);
    config_ = config;
}

std::int64_t ResponseStore::bytes() {
    const std::scoped_lock lock(mutex_);
    return bytes_;
}

Result<std::int64_t> ResponseStore::add(const Row& row) {
    auto insert = db_.prepare(
        "INSERT INTO response (key, id, provider, previous, created_s, expires_s, bytes, tokens) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (key, id) DO UPDATE SET provider = "
        "?3, created_s = ?5, expires_s = ?6, tokens = ?8 WHERE provider <> '' AND ?3 <> '' "
        "RETURNING number");
    if (!insert) return fail(insert.error());
    insert->bind(1, row.key).bind(2, row.id).bind(3, row.provider).bind(4, row.previous);
    insert->bind(5, row.created).bind(6, row.created + config_.retention.count());
    insert->bind(7, row.bytes).bind(8, row.tokens);
    const auto added = insert->step();
    if (!added) return fail(added.error());
    const std::int64_t number = *added ? insert->int64(0) : 0;
    if (*added) {
        if (const auto done = insert->step(); !done) return fail(done.error());
    }
    return number;
}

Result<void> ResponseStore::add_texts(std::int64_t number, const KeptResponse& response) {
    auto told = db_.prepare("INSERT INTO told VALUES (?, ?)");
    if (!told) return fail(told.error());
    told->bind(1, number).bind(2, std::string_view(response.whole.head));
    if (auto done = told->run(); !done) return done;
    auto item = db_.prepare("INSERT INTO item VALUES (?, ?, ?, ?, ?)");
    if (!item) return fail(item.error());
    std::int64_t place = 0;
    for (const auto* items : {&response.input, &response.whole.output}) {
        for (const auto& one : *items) {
            item->bind(1, number).bind(2, place++);
            item->bind(3, std::int64_t{items == &response.whole.output});
            item->bind(4, std::string_view(one.id)).bind(5, std::string_view(one.body));
            if (auto done = item->run(); !done) return done;
        }
    }
    return {};
}

Result<std::int64_t> ResponseStore::number_of(const KeptResponse& response) {
    if (response.previous.empty()) return 0;
    auto query =
        db_.prepare("SELECT number FROM response WHERE key = ? AND id = ? AND provider = ''");
    if (!query) return fail(query.error());
    query->bind(1, std::string_view(response.key)).bind(2, std::string_view(response.previous));
    const auto row = query->step();
    if (!row) return fail(row.error());
    if (!*row) return fail(previous_gone());
    return query->int64(0);
}

Result<int> ResponseStore::erase(const char* sql, std::int64_t first, std::int64_t second) {
    auto erase = db_.prepare(sql);
    if (!erase) return fail(erase.error());
    erase->bind(1, first).bind(2, second);
    int count = 0;
    std::int64_t freed = 0;
    for (;;) {
        const auto row = erase->step();
        if (!row) return fail(row.error());
        if (!*row) break;
        freed += erase->int64(0);
        ++count;
    }
    bytes_ -= freed;
    changed_ = changed_ || count > 0;
    return count;
}

Result<void> ResponseStore::make_room(std::int64_t bytes, std::int64_t spared) {
    const auto most = static_cast<std::int64_t>(config_.disk_bytes);
    for (int i = 0; i < kMostGivenUp && bytes_ + bytes > most; ++i) {
        const auto erased = erase(kDeleteOldest, spared, 1);
        if (!erased) return fail(erased.error());
        if (*erased == 0) break;
    }
    if (bytes_ + bytes <= most) return {};
    return fail(Error{ErrorCode::kUnavailable, "responses.disk is used up", {}, {}, "no_room"});
}

Result<void> ResponseStore::keep(const KeptResponse& response) {
    const std::int64_t bytes = size_of(response);
    const std::scoped_lock lock(mutex_);
    const bool many = response.input.size() + response.whole.output.size() > kMostItems;
    if (many ||
        static_cast<std::uint64_t>(bytes) > std::min(config_.entry_bytes, config_.disk_bytes)) {
        return fail(Error{ErrorCode::kPayloadTooLarge,
                          many ? "the response has too many items"
                               : "the response is larger than responses.entry",
                          {},
                          {},
                          "too_large"});
    }
    auto previous = number_of(response);
    if (!previous) return fail(std::move(previous.error()));
    if (auto room = make_room(bytes, *previous); !room) return room;
    auto transaction = Transaction::begin(db_);
    if (!transaction) return fail(std::move(transaction.error()));
    auto number = add({.key = response.key,
                       .id = response.whole.id,
                       .provider = {},
                       .previous = *previous,
                       .created = response.created_unix_s,
                       .bytes = bytes});
    if (!number) return fail(std::move(number.error()));
    if (*number == 0)
        return fail(Error{ErrorCode::kInternal, "its id is taken", {}, {}, "id_taken"});
    if (auto added = add_texts(*number, response); !added) return added;
    if (auto done = transaction->commit(); !done) return done;
    bytes_ += bytes;
    changed_ = true;
    return {};
}

Result<void> ResponseStore::hold(const HeldResponse& response) {
    if (!is_plain(response.id) || response.provider.empty()) return {};
    const std::scoped_lock lock(mutex_);
    auto known = db_.prepare("SELECT number FROM response WHERE key = ? AND id = ?");
    if (!known) return fail(known.error());
    known->bind(1, std::string_view(response.key)).bind(2, std::string_view(response.id));
    const auto there = known->step();
    if (!there) return fail(there.error());
    known->reset();
    if (auto room = make_room(kRowBytes, 0); !room) return room;
    auto number = add({.key = response.key,
                       .id = response.id,
                       .provider = response.provider,
                       .created = response.created_unix_s,
                       .tokens = response.tokens});
    if (!number) return fail(std::move(number.error()));
    if (!*there) bytes_ += kRowBytes;
    changed_ = true;
    return {};
}

Result<std::optional<FoundResponse>> ResponseStore::find(std::string_view id, std::string_view key,
                                                         std::int64_t now_unix_s) {
    const std::scoped_lock lock(mutex_);
    auto query = db_.prepare(
        "SELECT number, provider, tokens FROM response WHERE key = ? AND id = ? AND expires_s > ?");
    if (!query) return fail(query.error());
    query->bind(1, key).bind(2, id).bind(3, now_unix_s);
    const auto row = query->step();
    if (!row) return fail(row.error());
    if (!*row) return std::nullopt;
    return FoundResponse{query->int64(0), std::string(query->text(1)), query->int64(2)};
}

/// Numbers of the responses that make up the conversation, oldest first.
Result<std::vector<std::int64_t>> ResponseStore::links(std::int64_t number) {
    auto query = db_.prepare("SELECT previous FROM response WHERE number = ?");
    if (!query) return fail(query.error());
    std::vector<std::int64_t> out;
    while (number > 0) {
        query->bind(1, number);
        const auto row = query->step();
        if (!row) return fail(row.error());
        if (!*row) return fail(previous_gone());
        out.push_back(number);
        number = query->int64(0);
        query->reset();
    }
    std::reverse(out.begin(), out.end());
    return out;
}

Result<std::vector<std::string>> ResponseStore::conversation(std::int64_t number,
                                                             std::size_t most) {
    const std::scoped_lock lock(mutex_);
    const auto chain = links(number);
    if (!chain) return fail(chain.error());
    auto query = db_.prepare("SELECT body FROM item WHERE response = ? ORDER BY place");
    if (!query) return fail(query.error());
    std::vector<std::string> out;
    std::size_t sum = 0;
    for (const std::int64_t link : *chain) {
        query->bind(1, link);
        for (;;) {
            const auto row = query->step();
            if (!row) return fail(row.error());
            if (!*row) break;
            sum += query->text(0).size();
            if (sum > most) {
                return fail(too_long("previous_response_id"));
            }
            out.emplace_back(query->text(0));
        }
    }
    return out;
}

Result<wire::openai::ItemsById> ResponseStore::find_items(std::span<const std::string> ids,
                                                          std::string_view key,
                                                          std::int64_t now_unix_s) {
    const std::scoped_lock lock(mutex_);
    auto query = db_.prepare(
        "SELECT item.body FROM item JOIN response ON response.number = item.response WHERE "
        "item.id = ?1 AND response.key = ?2 AND response.expires_s > ?3 ORDER BY item.rowid DESC "
        "LIMIT 1");
    if (!query) return fail(query.error());
    wire::openai::ItemsById out;
    for (const std::string& id : ids) {
        if (out.contains(id)) continue;
        query->bind(1, std::string_view(id)).bind(2, key).bind(3, now_unix_s);
        const auto row = query->step();
        if (!row) return fail(row.error());
        if (*row) out.emplace(id, query->text(0));
        query->reset();
    }
    return out;
}

Result<std::string> ResponseStore::read(std::int64_t number) {
    const std::scoped_lock lock(mutex_);
    auto told = db_.prepare("SELECT head FROM told WHERE response = ?");
    if (!told) return fail(told.error());
    told->bind(1, number);
    auto row = told->step();
    if (!row) return fail(row.error());
    if (!*row) return fail(previous_gone());
    auto items =
        db_.prepare("SELECT body FROM item WHERE response = ? AND output = 1 ORDER BY place");
    if (!items) return fail(items.error());
    items->bind(1, number);
    std::vector<std::string> output;
    for (;;) {
        row = items->step();
        if (!row) return fail(row.error());
        if (!*row) break;
        output.emplace_back(items->text(0));
    }
    return wire::openai::with_output(told->text(0), output);
}

Result<std::optional<ResponseStore::Page>> ResponseStore::input_page(std::int64_t number,
                                                                     std::string_view after,
                                                                     bool newest_first,
                                                                     std::size_t limit) {
    const std::scoped_lock lock(mutex_);
    auto chain = links(number);
    if (!chain) return fail(std::move(chain.error()));
    if (newest_first) std::reverse(chain->begin(), chain->end());
    // Its own output was not there yet.
    auto query =
        db_.prepare(newest_first ? "SELECT place, id FROM item WHERE response = ?1 AND (response "
                                   "<> ?2 OR output = 0) ORDER BY place DESC"
                                 : "SELECT place, id FROM item WHERE response = ?1 AND (response "
                                   "<> ?2 OR output = 0) ORDER BY place");
    auto body = db_.prepare("SELECT body FROM item WHERE response = ? AND place = ?");
    if (!query || !body) return fail(query ? body.error() : query.error());
    Page out;
    bool begun = after.empty();
    for (const std::int64_t link : *chain) {
        query->bind(1, link).bind(2, number);
        for (;;) {
            const auto row = query->step();
            if (!row) return fail(row.error());
            if (!*row) break;
            if (!begun) {
                begun = query->text(1) == after;
                continue;
            }
            if (out.items.size() == limit) {
                out.has_more = true;
                return out;
            }
            out.ids.emplace_back(query->text(1));
            body->bind(1, link).bind(2, query->int64(0));
            const auto found = body->step();
            if (!found) return fail(found.error());
            out.items.emplace_back(body->text(0));
            body->reset();
        }
    }
    if (!begun) return std::nullopt;
    return out;
}

Result<void> ResponseStore::remove(std::int64_t number) {
    const std::scoped_lock lock(mutex_);
    auto erased =
        erase("DELETE FROM response WHERE number = ?1 AND ?2 = 0 RETURNING bytes", number, 0);
    if (!erased) return fail(std::move(erased.error()));
    erased_ = true;
    return {};
}

void ResponseStore::tend(std::int64_t now_unix_s) {
    // Each step on its own, so that requests come between.
    const auto erase_while = [this](const char* sql, std::int64_t first, auto&& wanted) {
        for (;;) {
            const std::scoped_lock lock(mutex_);
            if (!wanted()) return;
            const auto erased = erase(sql, first, kStep);
            if (!erased) {
                spdlog::error("responses.db: what is over stays: {}", erased.error().text());
                return;
            }
            if (*erased == 0) return;
            erased_ = true;
        }
    };
    if (now_unix_s >= swept_unix_s_ + kSweepSeconds || now_unix_s < swept_unix_s_) {
        swept_unix_s_ = now_unix_s;
        erase_while(kDeleteExpired, now_unix_s, [] { return true; });
    }
    // Some room is made before it is needed: no request shall wait for that.
    erase_while(kDeleteOldest, 0, [this] {
        return static_cast<std::uint64_t>(bytes_) > config_.disk_bytes / 100 * 95;
    });
    if (now_unix_s < written_unix_s_ + kWriteSeconds && now_unix_s >= written_unix_s_) return;
    written_unix_s_ = now_unix_s;
    bool changed = false;
    bool erased = false;
    {
        const std::scoped_lock lock(mutex_);
        changed = std::exchange(changed_, false);
        erased = std::exchange(erased_, false);
    }
    if (!changed) return;
    // The WAL still has what was deleted.
    auto done = checkpoints_.exec(erased ? "PRAGMA wal_checkpoint(TRUNCATE)"
                                         : "PRAGMA wal_checkpoint(PASSIVE)");
    if (!done) spdlog::error("responses.db: {}", done.error().text());
}

}  // namespace leeway::app
