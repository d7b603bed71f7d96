#include "ledger/schema.hpp"

#include "prices/usage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace leeway::ledger {
namespace {

// Names repeat in every row, so rows hold numbers of `name`: a fifth less CPU per insert and a third
// less disk than text (measured with 200,000 rows). Text that callers or providers choose freely
// stays text; otherwise they could fill the dictionary. NULL in model_asked and model_reported:
// the same as `model`. NULL counts: the usage is missing.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE name (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO name (id, text) VALUES (0, '');

CREATE TABLE request (
    id                BLOB    NOT NULL PRIMARY KEY,
    ts_us             INTEGER NOT NULL,
    key               INTEGER NOT NULL,
    route             INTEGER NOT NULL,
    endpoint          INTEGER NOT NULL,
    model             INTEGER NOT NULL,
    model_asked       TEXT,
    http_status       INTEGER NOT NULL,
    end               INTEGER NOT NULL,
    source            INTEGER NOT NULL,
    stream            INTEGER NOT NULL,
    usage_state       INTEGER NOT NULL,
    input             INTEGER,
    cached_input      INTEGER,
    cache_write_input INTEGER,
    audio_input       INTEGER,
    output            INTEGER,
    reasoning_output  INTEGER,
    audio_output      INTEGER,
    cost_pico_usd     INTEGER,
    baseline_pico_usd INTEGER,
    total_us          INTEGER NOT NULL,
    first_byte_us     INTEGER NOT NULL,
    notes             TEXT,
    error             TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
    request_id        BLOB    NOT NULL,
    number            INTEGER NOT NULL,
    provider          INTEGER NOT NULL,
    model             INTEGER NOT NULL,
    model_reported    TEXT,
    http_status       INTEGER NOT NULL,
    end               INTEGER NOT NULL,
    finish_reason     TEXT,
    usage_state       INTEGER NOT NULL,
    input             INTEGER,
    cached_input      INTEGER,
    cache_write_input INTEGER,
    audio_input       INTEGER,
    output            INTEGER,
    reasoning_output  INTEGER,
    audio_output      INTEGER,
    cost_pico_usd     INTEGER,
    first_byte_us     INTEGER NOT NULL,
    total_us          INTEGER NOT NULL,
    PRIMARY KEY (request_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_day (
    day              INTEGER NOT NULL,
    key              INTEGER NOT NULL,
    route            INTEGER NOT NULL,
    model            INTEGER NOT NULL,
    requests         INTEGER NOT NULL,
    errors           INTEGER NOT NULL,
    hits             INTEGER NOT NULL,
    unknown_cost     INTEGER NOT NULL,
    known_baseline   INTEGER NOT NULL,
    known_saved      INTEGER NOT NULL,
    input_tokens     INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    spent_hi         INTEGER NOT NULL,
    spent_lo         INTEGER NOT NULL,
    baseline_hi      INTEGER NOT NULL,
    baseline_lo      INTEGER NOT NULL,
    saved_hi         INTEGER NOT NULL,
    saved_lo         INTEGER NOT NULL,
    PRIMARY KEY (day, key, route, model)
) STRICT, WITHOUT ROWID;
)sql";

// The buckets of usage that version 1 did not have; in rows from before NULL, as nobody counted them.
// computed_cost_pico_usd: what our price says where the provider told its own figure, which then is the
// cost. price_id: the 64 bits of the price's id, signed.
constexpr const char* kVersion2 = R"sql(
ALTER TABLE request ADD COLUMN cache_write_5m_input INTEGER;
ALTER TABLE request ADD COLUMN cache_write_1h_input INTEGER;
ALTER TABLE request ADD COLUMN image_input INTEGER;
ALTER TABLE request ADD COLUMN video_input INTEGER;
ALTER TABLE request ADD COLUMN document_input INTEGER;
ALTER TABLE request ADD COLUMN tool_prompt_input INTEGER;
ALTER TABLE request ADD COLUMN cached_audio_input INTEGER;
ALTER TABLE request ADD COLUMN cached_image_input INTEGER;
ALTER TABLE request ADD COLUMN image_output INTEGER;
ALTER TABLE request ADD COLUMN accepted_prediction_output INTEGER;
ALTER TABLE request ADD COLUMN rejected_prediction_output INTEGER;
ALTER TABLE request ADD COLUMN web_search INTEGER;
ALTER TABLE request ADD COLUMN file_search INTEGER;
ALTER TABLE request ADD COLUMN code_execution INTEGER;
ALTER TABLE request ADD COLUMN grounding INTEGER;
ALTER TABLE request ADD COLUMN requests INTEGER;
ALTER TABLE request ADD COLUMN images INTEGER;
ALTER TABLE request ADD COLUMN audio_ms INTEGER;
ALTER TABLE request ADD COLUMN web_fetch INTEGER;
ALTER TABLE request ADD COLUMN citations INTEGER;
ALTER TABLE request ADD COLUMN pages INTEGER;
ALTER TABLE attempt ADD COLUMN cache_write_5m_input INTEGER;
ALTER TABLE attempt ADD COLUMN cache_write_1h_input INTEGER;
ALTER TABLE attempt ADD COLUMN image_input INTEGER;
ALTER TABLE attempt ADD COLUMN video_input INTEGER;
ALTER TABLE attempt ADD COLUMN document_input INTEGER;
ALTER TABLE attempt ADD COLUMN tool_prompt_input INTEGER;
ALTER TABLE attempt ADD COLUMN cached_audio_input INTEGER;
ALTER TABLE attempt ADD COLUMN cached_image_input INTEGER;
ALTER TABLE attempt ADD COLUMN image_output INTEGER;
ALTER TABLE attempt ADD COLUMN accepted_prediction_output INTEGER;
ALTER TABLE attempt ADD COLUMN rejected_prediction_output INTEGER;
ALTER TABLE attempt ADD COLUMN web_search INTEGER;
ALTER TABLE attempt ADD COLUMN file_search INTEGER;
ALTER TABLE attempt ADD COLUMN code_execution INTEGER;
ALTER TABLE attempt ADD COLUMN grounding INTEGER;
ALTER TABLE attempt ADD COLUMN requests INTEGER;
ALTER TABLE attempt ADD COLUMN images INTEGER;
ALTER TABLE attempt ADD COLUMN audio_ms INTEGER;
ALTER TABLE attempt ADD COLUMN web_fetch INTEGER;
ALTER TABLE attempt ADD COLUMN citations INTEGER;
ALTER TABLE attempt ADD COLUMN pages INTEGER;
ALTER TABLE attempt ADD COLUMN reported_cost_pico_usd INTEGER;
ALTER TABLE attempt ADD COLUMN computed_cost_pico_usd INTEGER;
ALTER TABLE attempt ADD COLUMN price_id INTEGER;
ALTER TABLE attempt ADD COLUMN tier INTEGER NOT NULL DEFAULT 0;
)sql";

// Who and what for: `label` holds what callers choose (a kind is 1 user, 2 tag, 3 set of tags, 4 agent);
// it is bounded, and `user`, `tags` and `agent` of a row hold the text itself where it is full, hence ANY.
// Of rows from before, the provider is that of the model's attempts; their waterfall is unknown. The last
// column's constraint says that the steps of a waterfall are all there or none, and that they add up.
constexpr const char* kVersion3 = R"sql(
CREATE TABLE label (
    id   INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    text TEXT    NOT NULL,
    UNIQUE (kind, text)
) STRICT;
ALTER TABLE request ADD COLUMN provider INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN user ANY NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN tags ANY NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN session TEXT;
ALTER TABLE request ADD COLUMN agent ANY NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN arm INTEGER NOT NULL DEFAULT 0;
ALTER TABLE request ADD COLUMN saved_exact_cache_pico_usd INTEGER;
ALTER TABLE request ADD COLUMN saved_tier_pico_usd INTEGER;
ALTER TABLE request ADD COLUMN saved_route_pico_usd INTEGER;
ALTER TABLE request ADD COLUMN saved_prompt_cache_pico_usd INTEGER;
ALTER TABLE request ADD COLUMN saved_billing_pico_usd INTEGER;
ALTER TABLE request ADD COLUMN saved_attempts_pico_usd INTEGER;
ALTER TABLE request ADD COLUMN saved_gateway_pico_usd INTEGER;
ALTER TABLE request ADD COLUMN saving_labels INTEGER CONSTRAINT waterfall_adds_up CHECK (
    CASE WHEN saving_labels IS NULL
    THEN coalesce(saved_exact_cache_pico_usd, saved_tier_pico_usd, saved_route_pico_usd,
                  saved_prompt_cache_pico_usd, saved_billing_pico_usd, saved_attempts_pico_usd,
                  saved_gateway_pico_usd) IS NULL
    ELSE (saved_exact_cache_pico_usd + saved_tier_pico_usd + saved_route_pico_usd +
          saved_prompt_cache_pico_usd + saved_billing_pico_usd + saved_attempts_pico_usd +
          saved_gateway_pico_usd + cost_pico_usd = baseline_pico_usd) IS TRUE
    END);

CREATE TABLE provider_of AS SELECT model, max(provider) AS provider FROM attempt GROUP BY model;
CREATE UNIQUE INDEX provider_of_model ON provider_of (model);
UPDATE request SET provider = (SELECT p.provider FROM provider_of p WHERE p.model = request.model)
    WHERE model IN (SELECT model FROM provider_of);
CREATE TABLE rollup_new (
    day            INTEGER NOT NULL,
    key            INTEGER NOT NULL,
    route          INTEGER NOT NULL,
    model          INTEGER NOT NULL,
    provider       INTEGER NOT NULL,
    requests       INTEGER NOT NULL,
    errors         INTEGER NOT NULL,
    hits           INTEGER NOT NULL,
    unknown_cost   INTEGER NOT NULL,
    known_baseline INTEGER NOT NULL,
    known_saved    INTEGER NOT NULL,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    spent_hi       INTEGER NOT NULL,
    spent_lo       INTEGER NOT NULL,
    baseline_hi    INTEGER NOT NULL,
    baseline_lo    INTEGER NOT NULL,
    saved_hi       INTEGER NOT NULL,
    saved_lo       INTEGER NOT NULL,
    PRIMARY KEY (day, key, route, model, provider)
) STRICT, WITHOUT ROWID;
INSERT INTO rollup_new SELECT day, key, route, model,
    coalesce((SELECT p.provider FROM provider_of p WHERE p.model = rollup_day.model), 0),
    requests, errors, hits, unknown_cost, known_baseline, known_saved, input_tokens,
    output_tokens, spent_hi, spent_lo, baseline_hi, baseline_lo, saved_hi, saved_lo FROM rollup_day;
DROP TABLE rollup_day;
ALTER TABLE rollup_new RENAME TO rollup_day;
DROP TABLE provider_of;

CREATE TABLE rollup_label (
    kind           INTEGER NOT NULL,
    day            INTEGER NOT NULL,
    label          INTEGER NOT NULL,
    requests       INTEGER NOT NULL,
    errors         INTEGER NOT NULL,
    hits           INTEGER NOT NULL,
    unknown_cost   INTEGER NOT NULL,
    known_baseline INTEGER NOT NULL,
    known_saved    INTEGER NOT NULL,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    spent_hi       INTEGER NOT NULL,
    spent_lo       INTEGER NOT NULL,
    baseline_hi    INTEGER NOT NULL,
    baseline_lo    INTEGER NOT NULL,
    saved_hi       INTEGER NOT NULL,
    saved_lo       INTEGER NOT NULL,
    PRIMARY KEY (kind, day, label)
) STRICT, WITHOUT ROWID;
INSERT INTO rollup_label SELECT k.kind, day, 0, sum(requests), sum(errors), sum(hits), sum(unknown_cost),
    sum(known_baseline), sum(known_saved), sum(input_tokens),
    sum(output_tokens), sum(spent_hi), sum(spent_lo), sum(baseline_hi),
    sum(baseline_lo), sum(saved_hi), sum(saved_lo)
    FROM rollup_day, (SELECT 1 AS kind UNION ALL SELECT 2 UNION ALL SELECT 4) AS k
    GROUP BY k.kind, day;

CREATE TABLE rollup_saving (
    day      INTEGER NOT NULL,
    route    INTEGER NOT NULL,
    step     INTEGER NOT NULL,
    label    INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    hi       INTEGER NOT NULL,
    lo       INTEGER NOT NULL,
    PRIMARY KEY (day, route, step, label)
) STRICT, WITHOUT ROWID;
INSERT INTO rollup_saving SELECT day, route, 9, 0, sum(requests), 0, 0 FROM rollup_day
    GROUP BY day, route;

CREATE TABLE rollup_arm (
    day          INTEGER NOT NULL,
    route        INTEGER NOT NULL,
    arm          INTEGER NOT NULL,
    requests     INTEGER NOT NULL,
    errors       INTEGER NOT NULL,
    known        INTEGER NOT NULL,
    spent_hi     INTEGER NOT NULL,
    spent_lo     INTEGER NOT NULL,
    squares_usd2 REAL    NOT NULL,
    PRIMARY KEY (day, route, arm)
) STRICT, WITHOUT ROWID;
)sql";

// Open intents (docs/formats/budgets.md) and what was posted to each scope per quarter of an hour.
constexpr const char* kVersion4 = R"sql(
CREATE TABLE intent (
    request_id BLOB    NOT NULL,
    attempt    INTEGER NOT NULL,
    record     BLOB    NOT NULL,
    PRIMARY KEY (request_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE budget_spent (
    scope    TEXT    NOT NULL,
    slot     INTEGER NOT NULL,
    spent_hi INTEGER NOT NULL,
    spent_lo INTEGER NOT NULL,
    tokens   INTEGER NOT NULL,
    PRIMARY KEY (scope, slot)
) STRICT, WITHOUT ROWID;
)sql";

// Who counted the tokens of a row: 4 the provider, else we, as an answer was cut before it told: 1 exactly, 2 by
// a fit, 3 by a rule of thumb. Means nothing where the usage is missing.
constexpr const char* kVersion5 = R"sql(
ALTER TABLE request ADD COLUMN usage_quality INTEGER NOT NULL DEFAULT 4;
ALTER TABLE attempt ADD COLUMN usage_quality INTEGER NOT NULL DEFAULT 4;
)sql";

// The texts of labels without a number, see label_text_sql.
constexpr const char* kPostgresVersion3 = R"sql(
ALTER TABLE request ADD COLUMN user_text TEXT;
ALTER TABLE request ADD COLUMN tags_text TEXT;
ALTER TABLE request ADD COLUMN agent_text TEXT;
)sql";

// Whose intent it is: several gateways may write one database. Empty: the only one of its state folder.
constexpr const char* kVersion6 = R"sql(
ALTER TABLE intent ADD COLUMN gateway TEXT NOT NULL DEFAULT '';
)sql";

// What gateways leased of shared budgets, see docs/formats/budgets.md.
constexpr const char* kPostgresVersion6 = R"sql(
CREATE TABLE budget_pool (
    account TEXT   NOT NULL,
    period  BIGINT NOT NULL,
    taken   BIGINT NOT NULL,
    PRIMARY KEY (account, period)
);
)sql";

// Sums of `days` days from `start` on, of the days before `before_day`: what is older than the table is added at
// the next start (RollupWriter::fold). And what each provider's models cost, attempt by attempt: of days whose
// rows are gone as the requests' sums tell, which had one attempt each.
constexpr const char* kVersion7 = R"sql(
CREATE TABLE rollup_folded (
    one        INTEGER NOT NULL CHECK (one = 1),
    before_day INTEGER NOT NULL,
    PRIMARY KEY (one)
) STRICT, WITHOUT ROWID;
INSERT INTO rollup_folded (one, before_day) VALUES (1, -1000000000);
CREATE TABLE rollup_day_span (
    days           INTEGER NOT NULL,
    start          INTEGER NOT NULL,
    key            INTEGER NOT NULL,
    route          INTEGER NOT NULL,
    model          INTEGER NOT NULL,
    provider       INTEGER NOT NULL,
    requests       INTEGER NOT NULL,
    errors         INTEGER NOT NULL,
    hits           INTEGER NOT NULL,
    unknown_cost   INTEGER NOT NULL,
    known_baseline INTEGER NOT NULL,
    known_saved    INTEGER NOT NULL,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    spent_hi       INTEGER NOT NULL,
    spent_lo       INTEGER NOT NULL,
    baseline_hi    INTEGER NOT NULL,
    baseline_lo    INTEGER NOT NULL,
    saved_hi       INTEGER NOT NULL,
    saved_lo       INTEGER NOT NULL,
    PRIMARY KEY (days, start, key, route, model, provider)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup_label_span (
    kind           INTEGER NOT NULL,
    days           INTEGER NOT NULL,
    start          INTEGER NOT NULL,
    label          INTEGER NOT NULL,
    requests       INTEGER NOT NULL,
    errors         INTEGER NOT NULL,
    hits           INTEGER NOT NULL,
    unknown_cost   INTEGER NOT NULL,
    known_baseline INTEGER NOT NULL,
    known_saved    INTEGER NOT NULL,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    spent_hi       INTEGER NOT NULL,
    spent_lo       INTEGER NOT NULL,
    baseline_hi    INTEGER NOT NULL,
    baseline_lo    INTEGER NOT NULL,
    saved_hi       INTEGER NOT NULL,
    saved_lo       INTEGER NOT NULL,
    PRIMARY KEY (kind, days, start, label)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_attempt (
    day          INTEGER NOT NULL,
    provider     INTEGER NOT NULL,
    model        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    unknown_cost INTEGER NOT NULL,
    spent_hi     INTEGER NOT NULL,
    spent_lo     INTEGER NOT NULL,
    PRIMARY KEY (day, provider, model)
) STRICT, WITHOUT ROWID;
INSERT INTO rollup_attempt SELECT r.ts_us / 86400000000
    - CASE WHEN r.ts_us % 86400000000 < 0 THEN 1 ELSE 0 END AS day, a.provider, a.model, count(*),
    count(*) - count(a.cost_pico_usd), coalesce(sum(a.cost_pico_usd >> 32), 0),
    coalesce(sum(a.cost_pico_usd & 4294967295), 0)
    FROM attempt a JOIN request r ON r.id = a.request_id GROUP BY 1, 2, 3;
INSERT INTO rollup_attempt SELECT d.day, d.provider, d.model, sum(d.requests) - sum(d.hits),
    sum(d.unknown_cost), sum(d.spent_hi), sum(d.spent_lo) FROM rollup_day d
    WHERE NOT EXISTS (SELECT 1 FROM rollup_attempt a WHERE a.day = d.day)
    GROUP BY d.day, d.provider, d.model HAVING sum(d.requests) > sum(d.hits);
)sql";

constexpr std::array<store::Migration, 7> kMigrations{{{1, kVersion1},
                                                       {2, kVersion2},
                                                       {3, kVersion3, kPostgresVersion3},
                                                       {4, kVersion4},
                                                       {5, kVersion5},
                                                       {6, kVersion6, kPostgresVersion6},
                                                       {7, kVersion7}}};

}  // namespace

std::span<const store::Migration> migrations() noexcept { return kMigrations; }

std::string ledger_folder(const std::string& state_dir) { return state_dir + "/ledger"; }

std::string database_path(const std::string& state_dir) {
    return ledger_folder(state_dir) + "/ledger.db";
}

store::sql::Target database_target(const std::string& state_dir, const Secret& database) {
    if (database.empty()) return {database_path(state_dir)};
    return store::sql::Target(database);
}

std::string label_number_sql(const store::sql::Database& db, std::string_view column) {
    if (db.is_postgres()) return fmt::format("nullif({}, {})", column, kOtherLabel);
    return fmt::format("iif(typeof({0}) = 'integer', {0}, NULL)", column);
}

std::string label_text_sql(const store::sql::Database& db, std::string_view column) {
    if (db.is_postgres()) return fmt::format("{}_text", column);
    return fmt::format("iif(typeof({0}) = 'text', {0}, NULL)", column);
}

std::string bucket_columns() {
    std::string out;
    for (const prices::BucketInfo& info : prices::kBuckets) {
        if (!out.empty()) out += ", ";
        out += info.name;
    }
    return out;
}

RequestId id_bound(std::int64_t ts_us) noexcept {
    constexpr std::int64_t kLastMs = (std::int64_t{1} << 48) - 1;
    const std::int64_t ms = std::clamp<std::int64_t>(ts_us / 1000, 0, kLastMs);
    RequestId id;
    for (std::size_t i = 0; i < 6; ++i) {
        id.bytes[i] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
    }
    return id;
}

}  // namespace leeway::ledger
