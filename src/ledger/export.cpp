#include "ledger/export.hpp"

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "json/write.hpp"
#include "ledger/reader.hpp"
#include "ledger/record.hpp"
#include "ledger/request_pages.hpp"
#include "ledger/schema.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Statement;

// The buckets of usage come last.
std::string request_columns(const Database& db) {
    std::string out =
        "id, ts_us, key, route, endpoint, model, model_asked, http_status, end, source, stream,"
        " baseline_pico_usd, total_us, error";
    for (const char* label : {"user", "tags", "agent"}) {
        out += ", " + label_number_sql(db, label) + ", " + label_text_sql(db, label);
    }
    return out +
           ", session, arm, cost_pico_usd, saving_labels, saved_exact_cache_pico_usd,"
           " saved_tier_pico_usd, saved_route_pico_usd, saved_prompt_cache_pico_usd,"
           " saved_billing_pico_usd, saved_attempts_pico_usd, saved_gateway_pico_usd, "
           "usage_quality, usage_state";
}
constexpr int kRequestLabels = 14;
constexpr int kRequestSession = 20;
constexpr int kRequestArm = 21;
constexpr int kRequestSaved = 23;
constexpr int kRequestUsage = 32;
constexpr const char* kAttemptColumns =
    "number, provider, model, model_reported, http_status, end, finish_reason, cost_pico_usd,"
    " total_us, reported_cost_pico_usd, computed_cost_pico_usd, price_id, tier, usage_quality,"
    " usage_state";
constexpr int kAttemptUsage = 14;

std::string select_sql(const std::string& columns, const char* rest) {
    return "SELECT " + columns + ", " + bucket_columns() + " FROM " + rest;
}

std::string_view end_text(std::int64_t end) {
    switch (static_cast<EndState>(end)) {
        case EndState::kOk: return "ok";
        case EndState::kError: return "error";
        case EndState::kCut: return "cut";
        case EndState::kClientGone: return "client_gone";
        case EndState::kTimeout: return "timeout";
        case EndState::kUnknown: return "unknown";
    }
    return "error";
}

void optional_int(json::Writer& out, const char* name, std::optional<std::int64_t> value) {
    out.key(name);
    value ? out.integer(*value) : out.null();
}

void optional_text(json::Writer& out, const char* name, std::string_view text) {
    out.key(name);
    text.empty() ? out.null() : out.string(text);
}

/// Names that are there in every line, also as 0: readers of the first version rely on them.
constexpr std::size_t kAlwaysShown = 7;

/// `first` is the column of usage_state; the quality is before it, the buckets follow it.
void usage_json(json::Writer& out, const Statement& row, int first) {
    out.key("usage");
    const auto state = static_cast<prices::UsageState>(row.int64(first));
    if (state == prices::UsageState::kMissing) {
        out.null();
        return;
    }
    const auto quality = static_cast<tokens::Quality>(row.int64(first - 1));
    prices::Usage u;
    for (const prices::BucketInfo& info : prices::kBuckets) u[info.bucket] = row.int64(++first);
    out.object().key("state").string(prices::to_string(state));
    if (quality != tokens::Quality::kProvider) {
        out.key("quality").string(tokens::to_string(quality));
    }
    out.key("prompt_tokens").integer(u.input_total());
    out.key("completion_tokens").integer(u.output_total());
    out.key("total_tokens").integer(u.input_total() + u.output_total());
    out.key("buckets").object();
    for (std::size_t i = 0; i < prices::kBucketCount; ++i) {
        const auto [bucket, name, kind] = prices::kBuckets[i];
        if (i < kAlwaysShown || u[bucket] != 0) out.key(name).integer(u[bucket]);
    }
    out.close_object().close_object();
}

/// Reads page after page and keeps the place in between.
class Exporter {
public:
    Exporter(Database& db, std::FILE* out) : db_(db), names_(db), labels_(db, "label"), out_(out) {}

    Result<void> run(std::optional<std::int64_t> since_us) {
        const std::string requests = select_sql(
            request_columns(db_), "request WHERE id > ?1 AND ts_us >= ?2 ORDER BY id LIMIT ?3");
        const std::string attempts =
            select_sql(kAttemptColumns, "attempt WHERE request_id = ?1 ORDER BY number");
        for (const auto& [sql, statement] :
             {std::pair{&requests, &requests_}, std::pair{&attempts, &attempts_}}) {
            auto prepared = db_.prepare(sql->c_str());
            if (!prepared) return fail(std::move(prepared.error()));
            statement->emplace(std::move(*prepared));
        }
        auto read = each_request_row(
            db_, *requests_, since_us, [](Statement&) {},
            [this](const RequestId& id) { return request_lines(id); });
        if (!read) return read;
        if (std::fflush(out_) != 0) return write_error();
        return {};
    }

private:
    Result<void> request_lines(const RequestId& id) {
        Statement& a = *attempts_;
        a.bind_blob(1, id.bytes);
        auto row = a.step();
        if (!row) return fail(row.error());
        if (!*row) return no_attempt_line(id);
        while (*row) {
            // The baseline belongs to the last line only, so a line is written when it is known
            // whether another one follows.
            line_.clear();
            json::Writer out(line_);
            attempt_fields(out, id, a);
            row = a.step();
            if (!row) return fail(row.error());
            if (auto done = finish_line(out, !*row); !done) {
                a.reset();
                return done;
            }
        }
        return {};
    }

    void common_fields(json::Writer& out, const RequestId& id, std::int64_t attempt) {
        const Statement& r = *requests_;
        out.object().key("id").string(id.text()).key("attempt").integer(attempt);
        out.key("ts").string(iso_time(r.int64(1)));
        optional_text(out, "key", names_.text(r.int64(2)));
        optional_text(out, "route", names_.text(r.int64(3)));
        optional_text(out, "endpoint", names_.text(r.int64(4)));
        const auto label = [&](int column) {
            return r.is_null(column) ? r.text(column + 1)
                                     : std::string_view(labels_.text(r.int64(column)));
        };
        // Only what the caller told, so that most lines stay short.
        const auto told = [&](const char* name, std::string_view text) {
            if (!text.empty()) out.key(name).string(text);
        };
        told("user", label(kRequestLabels));
        if (std::string_view rest = label(kRequestLabels + 2); !rest.empty()) {
            out.key("tags").array();
            while (!rest.empty()) {
                const std::size_t comma = std::min(rest.find(','), rest.size());
                out.string(rest.substr(0, comma));
                rest.remove_prefix(std::min(comma + 1, rest.size()));
            }
            out.close_array();
        }
        told("session", r.text(kRequestSession));
        told("agent", label(kRequestLabels + 4));
    }

    void attempt_fields(json::Writer& out, const RequestId& id, const Statement& a) {
        common_fields(out, id, a.int64(0));
        const std::string& model = names_.text(a.int64(2));
        optional_text(out, "provider", names_.text(a.int64(1)));
        optional_text(out, "model", model);
        optional_text(out, "model_reported", a.is_null(3) ? model : a.text(3));
        out.key("status").integer(a.int64(4)).key("end").string(end_text(a.int64(5)));
        usage_json(out, a, kAttemptUsage);
        optional_int(out, "cost_pico_usd", a.optional_int64(7));
        price_fields(out, a);
        optional_text(out, "finish_reason", a.text(6));
        out.key("latency_ms").number(static_cast<double>(a.int64(8)) / 1000.0);
    }

    /// Only what is out of the ordinary, so that most lines stay short.
    void price_fields(json::Writer& out, const Statement& a) {
        if (const auto reported = a.optional_int64(9)) {
            out.key("reported_cost_pico_usd").integer(*reported);
            optional_int(out, "computed_cost_pico_usd", a.optional_int64(10));
        }
        if (const auto id = a.optional_int64(11)) {
            out.key("price_id").string(fmt::format("{:016x}", static_cast<std::uint64_t>(*id)));
        }
        const auto tier = static_cast<std::size_t>(a.int64(12));
        if (tier > 0 && tier < prices::kTierNames.size()) {
            out.key("tier").string(prices::kTierNames[tier]);
        }
    }

    /// The gateway answered by itself: that costs nothing.
    Result<void> no_attempt_line(const RequestId& id) {
        const Statement& r = *requests_;
        line_.clear();
        json::Writer out(line_);
        common_fields(out, id, 0);
        const std::string& model = names_.text(r.int64(5));
        optional_text(out, "provider", {});
        optional_text(out, "model", model.empty() && !r.is_null(6) ? r.text(6) : model);
        optional_text(out, "model_reported", {});
        out.key("status").integer(r.int64(7)).key("end").string(end_text(r.int64(8)));
        usage_json(out, r, kRequestUsage);
        out.key("cost_pico_usd").integer(0);
        optional_text(out, "finish_reason", {});
        out.key("latency_ms").number(static_cast<double>(r.int64(12)) / 1000.0);
        return finish_line(out, true);
    }

    Result<void> finish_line(json::Writer& out, bool last) {
        const Statement& r = *requests_;
        optional_int(out, "baseline_pico_usd", last ? r.optional_int64(11) : std::nullopt);
        if (last) savings(out);
        const auto source = static_cast<Source>(r.int64(9));
        optional_text(out, "cache",
                      source == Source::kExactCache      ? "exact"
                      : source == Source::kSemanticCache ? "semantic"
                                                         : "");
        out.key("stream").boolean(r.int64(10) != 0);
        optional_text(out, "error", r.text(13));
        out.close_object();
        line_ += '\n';
        if (std::fwrite(line_.data(), 1, line_.size(), out_) != line_.size()) return write_error();
        return {};
    }

    /// The steps from the baseline to the cost; null: unknown. What saved nothing is left out.
    void savings(json::Writer& out) {
        const Statement& r = *requests_;
        const auto arm = static_cast<Arm>(r.int64(kRequestArm));
        if (arm != Arm::kNone) out.key("held_out").boolean(arm == Arm::kHeldOut);
        if (r.is_null(kRequestSaved)) {
            out.key("waterfall").null();
            return;
        }
        prices::Waterfall labels;
        labels.unpack_labels(static_cast<std::uint32_t>(r.int64(kRequestSaved)));
        bool any = false;
        for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
            const std::int64_t saved = r.int64(kRequestSaved + 1 + static_cast<int>(i));
            if (saved == 0) continue;
            if (!any) out.key("waterfall").object();
            any = true;
            out.key(prices::kSavingStepNames[i]).object().key("saved_pico_usd").integer(saved);
            out.key("label").string(
                prices::kSavingLabelNames[static_cast<std::size_t>(labels.labels[i])]);
            out.close_object();
        }
        if (any) out.close_object();
    }

    static tl::unexpected<Error> write_error() {
        return fail(ErrorCode::kUnavailable,
                    fmt::format("cannot write the export: {}", std::strerror(errno)));
    }

    Database& db_;
    Names names_;
    Names labels_;
    std::FILE* out_;
    std::optional<Statement> requests_;
    std::optional<Statement> attempts_;
    std::string line_;
};

Result<void> run(const ExportOptions& options, std::FILE* out, std::FILE* err) {
    std::optional<std::int64_t> since_us;
    if (!options.since.empty()) {
        const auto parsed = parse_time(options.since, unix_now_us());
        if (!parsed) return fail(parsed.error());
        since_us = *parsed;
    }
    replay_for_reader(options.state_dir, options.database, err);
    auto db = open_for_reading(options.state_dir, options.database);
    if (!db) return fail(std::move(db.error()));
    if (!*db) return {};  // no ledger yet: no lines
    return export_jsonl(**db, since_us, out);
}

}  // namespace

Result<void> export_jsonl(Database& db, std::optional<std::int64_t> since_us, std::FILE* out) {
    return Exporter(db, out).run(since_us);
}

int run_export(const ExportOptions& options, std::FILE* out, std::FILE* err) {
    const auto done = run(options, out, err);
    if (done) return 0;
    fmt::print(err, "leeway ledger export: {}\n", done.error().text());
    return 1;
}

}  // namespace leeway::ledger
