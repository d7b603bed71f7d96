#include "ledger/intent.hpp"

#include "ledger/codec.hpp"
#include "ledger/reader.hpp"
#include "ledger/schema.hpp"
#include "store/sqlite/database.hpp"

#include <cstring>

namespace leeway::ledger {
namespace {

// Records start with their version, which will not come near this.
constexpr char kMark = '\xf1';
constexpr std::size_t kFixed = 1 + 16 + 4 + 8 + 8 + 8 + 1 + 2;
constexpr std::size_t kMostScopes = 64;

template <class T>
void put(std::string& out, T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(bytes, sizeof value);
}
void put_text(std::string& out, std::string_view text) {
    text = text.substr(0, kMaxNameBytes);
    put(out, static_cast<std::uint16_t>(text.size()));
    out.append(text);
}

class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    void bytes(void* out, std::size_t size) noexcept {
        if (rest_.size() < size) {
            ok_ = false;
            rest_ = {};
            return;
        }
        std::memcpy(out, rest_.data(), size);
        rest_.remove_prefix(size);
    }
    template <class T>
    T number() noexcept {
        T value{};
        bytes(&value, sizeof value);
        return value;
    }
    void text(std::string& out) {
        const auto size = number<std::uint16_t>();
        if (size > rest_.size()) {
            ok_ = false;
            return;
        }
        out.assign(rest_.substr(0, size));
        rest_.remove_prefix(size);
    }
    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

private:
    std::string_view rest_;
    bool ok_ = true;
};

}  // namespace

bool is_intent(std::string_view bytes) noexcept { return !bytes.empty() && bytes[0] == kMark; }

std::string_view encode(const Intent& intent, std::string& buffer) {
    buffer.clear();
    buffer.reserve(kFixed + 512);
    buffer.push_back(kMark);
    buffer.append(reinterpret_cast<const char*>(intent.id.bytes.data()), intent.id.bytes.size());
    put(buffer, intent.attempt);
    put(buffer, intent.ts_us);
    put(buffer, intent.worst.value());
    put(buffer, intent.worst_tokens);
    put(buffer, static_cast<std::uint8_t>(intent.stream ? 1 : 0));
    for (const std::string* text : {&intent.key, &intent.route, &intent.endpoint,
                                    &intent.model_asked, &intent.model, &intent.provider}) {
        put_text(buffer, *text);
    }
    const std::size_t count = std::min(intent.scopes.size(), kMostScopes);
    put(buffer, static_cast<std::uint16_t>(count));
    for (std::size_t i = 0; i < count; ++i) put_text(buffer, intent.scopes[i]);
    return buffer;
}

Result<void> decode(std::string_view bytes, Intent& out) {
    const auto damaged = [] {
        return fail(ErrorCode::kInternal, "an intent of the journal is damaged");
    };
    if (!is_intent(bytes)) return damaged();
    Reader in(bytes.substr(1));
    in.bytes(out.id.bytes.data(), out.id.bytes.size());
    out.attempt = in.number<std::uint32_t>();
    out.ts_us = in.number<std::int64_t>();
    out.worst = PicoUsd(in.number<std::int64_t>());
    out.worst_tokens = in.number<std::int64_t>();
    out.stream = in.number<std::uint8_t>() != 0;
    for (std::string* text :
         {&out.key, &out.route, &out.endpoint, &out.model_asked, &out.model, &out.provider}) {
        in.text(*text);
    }
    const auto count = in.number<std::uint16_t>();
    if (!in.ok() || count > kMostScopes) return damaged();
    out.scopes.resize(count);
    for (std::string& scope : out.scopes) in.text(scope);
    if (!in.ok() || !in.empty()) return damaged();
    return {};
}

RequestRecord unknown_outcome(const Intent& intent) {
    RequestRecord out;
    out.id = intent.id;
    out.ts_us = intent.ts_us;
    out.key = intent.key;
    out.route = intent.route;
    out.endpoint = intent.endpoint;
    out.model_asked = intent.model_asked;
    out.model = intent.model;
    out.stream = intent.stream;
    out.end = EndState::kUnknown;
    out.cost = intent.worst;
    out.notes = "budget=reserved";
    out.error = "outcome_unknown";
    AttemptRow attempt;
    attempt.number = intent.attempt;
    attempt.provider = intent.provider;
    attempt.model = intent.model;
    attempt.end = EndState::kUnknown;
    attempt.cost = intent.worst;
    out.attempts.push_back(std::move(attempt));
    return out;
}

Result<std::vector<ScopeSpending>> read_spending(const std::string& state_dir,
                                                 std::int64_t since_unix_s) {
    std::vector<ScopeSpending> out;
    auto db = open_for_reading(state_dir);
    if (!db) return fail(std::move(db.error()));
    if (!*db) return out;
    auto rows = (*db)->prepare(
        "SELECT scope, slot, spent_hi, spent_lo, tokens FROM budget_spent WHERE slot >= ?1");
    if (!rows) return fail(std::move(rows.error()));
    rows->bind(1, since_unix_s / 900 - 1);
    while (true) {
        const auto row = rows->step();
        if (!row) return fail(row.error());
        if (!*row) return out;
        ScopeSpending one;
        one.scope = rows->text(0);
        one.slot = rows->int64(1);
        one.spent = join({rows->int64(2), rows->int64(3)});
        one.tokens = rows->int64(4);
        out.push_back(std::move(one));
    }
}

Result<std::vector<Intent>> read_open_intents(const std::string& state_dir) {
    std::vector<Intent> out;
    auto db = open_for_reading(state_dir);
    if (!db) return fail(std::move(db.error()));
    if (!*db) return out;
    auto rows = (*db)->prepare("SELECT record FROM intent");
    if (!rows) return fail(std::move(rows.error()));
    while (true) {
        const auto row = rows->step();
        if (!row) return fail(row.error());
        if (!*row) return out;
        const auto blob = rows->blob(0);
        const std::string_view bytes(reinterpret_cast<const char*>(blob.data()), blob.size());
        if (auto done = decode(bytes, out.emplace_back()); !done) return fail(done.error());
    }
}

}  // namespace leeway::ledger
