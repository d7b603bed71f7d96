#include "ledger/reconcile.hpp"

#include "base/clock.hpp"
#include "json/write.hpp"
#include "ledger/reader.hpp"
#include "ledger/report.hpp"
#include "ledger/report_parts.hpp"
#include "ledger/report_scan.hpp"
#include "ledger/schema.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Transaction;

using Key = std::pair<std::int64_t, std::string>;

/// "gpt-4o-2024-08-06" is our "gpt-4o": the rest is a date or a number of a version.
bool is_version_of(std::string_view billed, std::string_view ours) {
    if (ours.empty() || billed.size() <= ours.size() || !billed.starts_with(ours)) return false;
    const std::string_view rest = billed.substr(ours.size());
    return (rest[0] == '-' || rest[0] == '@') &&
           std::all_of(rest.begin() + 1, rest.end(),
                       [](char c) { return (c >= '0' && c <= '9') || c == '-'; });
}

/// Under which name the bill may know a call.
class NameOf {
public:
    explicit NameOf(const Bill& bill) {
        for (const auto& [key, line] : bill.lines) names_.insert(key.second);
    }
    std::string operator()(const std::string& ours, const std::string& reported) const {
        if (names_.size() == 1 && names_.contains("")) return "";
        if (names_.contains(reported)) return reported;
        if (names_.contains(ours)) return ours;
        for (const std::string& name : names_) {
            if (is_version_of(name, ours) || is_version_of(reported, name)) return name;
        }
        return reported;
    }

private:
    std::set<std::string> names_;
};

/// part / whole of `amount`, towards zero.
PicoUsdSum share_of(PicoUsdSum amount, std::int64_t part, std::int64_t whole) {
    if (whole == 0) return {};
    return PicoUsdSum(amount.value() * part / whole);
}

std::int64_t tokens_of(const BillLine& line) {
    return line.input_tokens.value_or(0) + line.output_tokens.value_or(0);
}

void explain(ReconcileRow& row) {
    const LedgerSide& ours = row.ledger;
    const bool has_tokens = row.bill.input_tokens || row.bill.output_tokens;
    const std::int64_t billed_tokens = tokens_of(row.bill);
    if (row.billed && has_tokens) {
        row.token_difference = billed_tokens - ours.input_tokens - ours.output_tokens;
    }
    if (row.billed && !row.bill.cost) return;
    const PicoUsdSum billed = row.bill.cost.value_or(PicoUsdSum());
    row.difference = billed.minus(ours.cost);
    PicoUsdSum rest = row.difference;
    const auto take = [&](Cause cause, PicoUsdSum amount) {
        row.causes[static_cast<std::size_t>(cause)].add(amount);
        rest = rest.minus(amount);
    };
    if (!row.billed) {
        take(Cause::kNotBilled, rest);
        return;
    }
    if (ours.requests == 0) {
        take(Cause::kMissingCalls, rest);
        return;
    }
    std::int64_t explained_tokens = 0;
    if (row.bill.requests && *row.bill.requests > 0) {
        const std::int64_t missing = *row.bill.requests - ours.requests;
        explained_tokens =
            static_cast<std::int64_t>(Int128{billed_tokens} * missing / *row.bill.requests);
        if (missing != 0) {
            take(missing > 0 ? Cause::kMissingCalls : Cause::kNotBilled,
                 share_of(billed, missing, *row.bill.requests));
        }
        if (ours.unpriced > 0) {
            take(Cause::kUnpriced,
                 share_of(billed, std::min(ours.unpriced, *row.bill.requests), *row.bill.requests));
        }
    } else if (ours.unpriced > 0) {
        take(Cause::kUnpriced, rest);
    }
    if (has_tokens && billed_tokens > 0) {
        take(Cause::kTokens,
             share_of(billed, row.token_difference - explained_tokens, billed_tokens));
    }
    const Int128 size = rest.value() < 0 ? -rest.value() : rest.value();
    const Int128 shown = row.bill.smallest_unit.value() * row.bill.amounts / 2 + ours.requests;
    take(size <= shown ? Cause::kRounding : Cause::kPrice, rest);
}

/// Providers bill attempts that got an answer, whoever then had it.
Result<std::map<Key, LedgerSide>> ledger_sides(Database& db, const Bill& bill,
                                               std::string_view provider, std::int64_t first_day,
                                               std::int64_t end_day) {
    std::string input;
    std::string output;
    for (const prices::BucketInfo& info : prices::kBuckets) {
        if (!prices::is_tokens(info.kind)) continue;
        std::string& sum = info.kind == prices::BucketKind::kInputTokens ? input : output;
        sum += fmt::format("{}coalesce(a.{}, 0)", sum.empty() ? "" : " + ", info.name);
    }
    auto rows = db.prepare_scan(fmt::format(
        "SELECT r.ts_us, a.model, a.model_reported, a.cost_pico_usd, {}, {},"
        " coalesce(a.cached_input, 0) + coalesce(a.cached_audio_input, 0) +"
        " coalesce(a.cached_image_input, 0) FROM attempt a JOIN request r ON r.id = a.request_id"
        " WHERE a.request_id >= ?1 AND a.request_id < ?2 AND r.ts_us >= ?3 AND r.ts_us < ?4 AND"
        " a.http_status < 400 AND NOT (a.http_status = 0 AND a.cost_pico_usd = 0) AND"
        " (?5 = '' OR a.provider = (SELECT id FROM name WHERE text = ?5))",
        input, output));
    if (!rows) return fail(std::move(rows.error()));
    const auto low = id_bound(first_day * kDayUs - kHourUs);
    const auto high = id_bound(end_day * kDayUs + kHourUs);
    rows->bind_blob(1, low.bytes).bind_blob(2, high.bytes);
    rows->bind(3, first_day * kDayUs).bind(4, end_day * kDayUs).bind(5, provider);
    const NameOf name_of(bill);
    Names names(db);
    std::map<Key, LedgerSide> out;
    while (true) {
        const auto row = rows->step();
        if (!row) return fail(row.error());
        if (!*row) return out;
        const std::string& model = names.text(rows->int64(1));
        const std::string reported = rows->is_null(2) ? model : std::string(rows->text(2));
        LedgerSide& side = out[{day_of(rows->int64(0)), name_of(model, reported)}];
        ++side.requests;
        side.input_tokens += rows->int64(4);
        side.output_tokens += rows->int64(5);
        side.cached_tokens += rows->int64(6);
        if (const auto cost = rows->optional_int64(3)) {
            side.cost.add(PicoUsd(*cost));
        } else {
            ++side.unpriced;
        }
    }
}

std::string causes_text(const std::array<PicoUsdSum, 6>& causes) {
    std::string out;
    for (std::size_t i = 0; i < causes.size(); ++i) {
        if (causes[i].value() == 0) continue;
        out += fmt::format("{}{} {}", out.empty() ? "" : ", ", kCauseNames[i], usd_cell(causes[i]));
    }
    return out;
}

void causes_json(json::Writer& out, const std::array<PicoUsdSum, 6>& causes) {
    out.key("causes").object();
    for (std::size_t i = 0; i < causes.size(); ++i) {
        if (causes[i].value() == 0) continue;
        out.key(std::string(kCauseNames[i]) + "_pico_usd").raw(to_pico_string(causes[i]));
    }
    out.close_object();
}

Result<Reconciliation> run(const ReconcileOptions& options, std::FILE* err) {
    std::ifstream file(options.file, std::ios::binary);
    if (!file) return fail(ErrorCode::kConfig, fmt::format("cannot read {}", options.file));
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    auto bill = read_bill(text);
    if (!bill) return fail(std::move(bill.error()));
    if (bill->lines.empty()) {
        return fail(ErrorCode::kInvalidRequest, "the file holds no usage and no costs");
    }
    std::int64_t first_day = bill->lines.begin()->first.first;
    std::int64_t end_day = bill->lines.rbegin()->first.first + 1;
    for (const auto& [word, day, up] : {std::tuple{&options.since, &first_day, false},
                                        std::tuple{&options.until, &end_day, true}}) {
        if (word->empty()) continue;
        const auto time = parse_time(*word, unix_now_us());
        if (!time) return fail(time.error());
        *day = day_of(*time + (up ? kDayUs - 1 : 0));
    }
    replay_for_reader(options.state_dir, options.database, err);
    auto db = open_for_reading(options.state_dir, options.database);
    if (!db) return fail(std::move(db.error()));
    if (!*db) return fail(ErrorCode::kConfig, "there is no ledger yet");
    return reconcile(**db, *bill, options.provider, first_day, end_day);
}

}  // namespace

std::int64_t Reconciliation::off_ppm() const noexcept {
    const Int128 part = has_cost ? off.value() : Int128{tokens_off};
    const Int128 whole = has_cost ? billed.value() : Int128{billed_tokens};
    if (part == 0) return 0;
    if (whole <= 0) return INT64_MAX;
    const Int128 ppm = (part * 1'000'000 + whole - 1) / whole;
    return ppm > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(ppm);
}

Result<Reconciliation> reconcile(Database& db, const Bill& bill, std::string_view provider,
                                 std::int64_t first_day, std::int64_t end_day) {
    auto snapshot = Transaction::begin_read(db);
    if (!snapshot) return fail(std::move(snapshot.error()));
    auto sides = ledger_sides(db, bill, provider, first_day, end_day);
    if (!sides) return fail(std::move(sides.error()));
    Reconciliation out;
    out.form = bill.form;
    std::map<Key, ReconcileRow> rows;
    for (const auto& [key, line] : bill.lines) {
        if (key.first < first_day || key.first >= end_day) continue;
        ReconcileRow& row = rows[key];
        row.billed = true;
        row.bill = line;
        out.has_cost |= line.cost.has_value();
    }
    for (const auto& [key, side] : *sides) rows[key].ledger = side;
    for (auto& [key, row] : rows) {
        row.day = key.first;
        row.model = key.second;
        if (!row.billed && !out.has_cost) {
            row.token_difference = -row.ledger.input_tokens - row.ledger.output_tokens;
        } else {
            explain(row);
        }
        out.billed.add(row.bill.cost.value_or(PicoUsdSum()));
        out.ledger.add(row.ledger.cost);
        out.billed_tokens += tokens_of(row.bill);
        for (std::size_t i = 0; i < row.causes.size(); ++i) out.causes[i].add(row.causes[i]);
        const Int128 off = row.difference.value();
        out.off.add(PicoUsdSum(off < 0 ? -off : off));
        out.tokens_off += row.token_difference < 0 ? -row.token_difference : row.token_difference;
        out.rows.push_back(std::move(row));
    }
    return out;
}

std::string render_reconciliation_table(const Reconciliation& result) {
    std::string out =
        fmt::format("{:<11} {:<28} {:>9} {:>9} {:>14} {:>14} {:>14}  {}\n", "day", "model",
                    "billed", "ours", "bill", "ledger", "difference", "because of");
    for (const ReconcileRow& row : result.rows) {
        std::string causes = causes_text(row.causes);
        if (row.token_difference != 0) {
            causes +=
                fmt::format("{}{:+} tokens", causes.empty() ? "" : ", ", row.token_difference);
        }
        out +=
            fmt::format("{:<11} {:<28} {:>9} {:>9} {:>14} {:>14} {:>14}  {}\n", iso_day(row.day),
                        row.model.empty() ? "(all)" : row.model,
                        row.bill.requests ? std::to_string(*row.bill.requests)
                        : row.billed      ? "?"
                                          : "-",
                        row.ledger.requests, row.bill.cost ? usd_cell(row.bill.cost) : "-",
                        usd_cell(row.ledger.cost), result.has_cost ? usd_cell(row.difference) : "-",
                        causes.empty() ? "equal" : causes);
    }
    out += fmt::format("total: bill {}, ledger {}, difference {} ({}.{:04} % off)\n",
                       result.has_cost ? usd_cell(result.billed) : "-", usd_cell(result.ledger),
                       result.has_cost ? usd_cell(result.billed.minus(result.ledger)) : "-",
                       result.off_ppm() / 10'000, result.off_ppm() % 10'000);
    return out;
}

std::string render_reconciliation_json(const Reconciliation& result) {
    std::string text;
    json::Writer out(text);
    const auto optional = [&out](const char* name, std::optional<std::int64_t> value) {
        out.key(name);
        value ? out.integer(*value) : out.null();
    };
    out.object().key("form").string(result.form).key("rows").array();
    for (const ReconcileRow& row : result.rows) {
        out.object().key("day").string(iso_day(row.day)).key("model").string(row.model);
        optional("billed_requests", row.bill.requests);
        optional("billed_input_tokens", row.bill.input_tokens);
        optional("billed_cached_tokens", row.bill.cached_tokens);
        optional("billed_output_tokens", row.bill.output_tokens);
        out.key("billed_pico_usd");
        row.bill.cost ? out.raw(to_pico_string(*row.bill.cost)) : out.null();
        out.key("ledger_requests").integer(row.ledger.requests);
        out.key("ledger_unpriced_requests").integer(row.ledger.unpriced);
        out.key("ledger_input_tokens").integer(row.ledger.input_tokens);
        out.key("ledger_cached_tokens").integer(row.ledger.cached_tokens);
        out.key("ledger_output_tokens").integer(row.ledger.output_tokens);
        out.key("ledger_pico_usd").raw(to_pico_string(row.ledger.cost));
        out.key("difference_pico_usd");
        result.has_cost ? out.raw(to_pico_string(row.difference)) : out.null();
        out.key("difference_tokens").integer(row.token_difference);
        causes_json(out, row.causes);
        out.close_object();
    }
    out.close_array();
    out.key("billed_pico_usd");
    result.has_cost ? out.raw(to_pico_string(result.billed)) : out.null();
    out.key("ledger_pico_usd").raw(to_pico_string(result.ledger));
    causes_json(out, result.causes);
    out.key("off_ppm").integer(result.off_ppm()).close_object();
    return text + "\n";
}

int run_reconcile(const ReconcileOptions& options, std::FILE* out, std::FILE* err) {
    // Percent with up to four decimals are parts per million.
    std::optional<std::int64_t> limit_ppm;
    if (!options.fail_above.empty()) {
        const auto percent = parse_usd(options.fail_above);
        if (!percent || percent->value() < 0) {
            fmt::print(err, "leeway reconcile: --fail-above: '{}' is no percentage\n",
                       options.fail_above);
            return 1;
        }
        limit_ppm = percent->value() / 100'000'000;
    }
    const auto result = run(options, err);
    if (!result) {
        fmt::print(err, "leeway reconcile: {}\n", result.error().text());
        return 1;
    }
    const std::string text =
        options.json ? render_reconciliation_json(*result) : render_reconciliation_table(*result);
    const bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size();
    if (!written || std::fflush(out) != 0) return 1;
    return limit_ppm && result->off_ppm() > *limit_ppm ? 1 : 0;
}

}  // namespace leeway::ledger
