#include "ledger/bill.hpp"

#include "base/strings.hpp"
#include "json/cursor.hpp"
#include "json/number.hpp"
#include "ledger/schema.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace leeway::ledger {
namespace {

using Fields = std::map<std::string, std::string, std::less<>>;

tl::unexpected<Error> bad(std::string message) {
    return fail(ErrorCode::kInvalidRequest, std::move(message),
                "`leeway reconcile --help` says what it reads");
}

/// Numbers and texts of an object, those of objects in it as "outer.inner". Lists are passed over.
bool read_fields(json::Cursor& cursor, const std::string& prefix, Fields& out) {
    if (!cursor.open_object()) return false;
    std::string_view raw;
    std::string scratch;
    while (cursor.next_member(raw)) {
        const std::string name =
            prefix + std::string(json::decoded(raw, cursor.escaped(), scratch));
        const char kind = cursor.kind();
        std::string_view value;
        if (kind == '{') {
            if (!read_fields(cursor, name + ".", out)) return false;
        } else if (kind == '"') {
            if (!cursor.string(value)) return false;
            out[name] = json::decoded(value, cursor.escaped(), scratch);
        } else if (kind == '-' || (kind >= '0' && kind <= '9')) {
            if (!cursor.number(value)) return false;
            out[name] = value;
        } else if (!cursor.skip()) {
            return false;
        }
    }
    return !cursor.failed();
}

std::string_view field(const Fields& fields, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
        const auto found = fields.find(name);
        if (found != fields.end() && !found->second.empty()) return found->second;
    }
    return {};
}

Result<void> add_count(std::optional<std::int64_t>& sum, std::string_view text,
                       std::string_view name) {
    if (text.empty()) return {};
    const auto value = json::to_int64(text);
    std::int64_t next = 0;
    if (!value || *value < 0 || __builtin_add_overflow(sum.value_or(0), *value, &next)) {
        return bad(fmt::format("{}: '{}' is no count", name, text.substr(0, 40)));
    }
    sum = next;
    return {};
}

/// Adds an amount that stands in `unit` ten-thousandths … of a dollar: 1 or 100 per dollar.
Result<void> add_amount(BillLine& line, std::string_view text, std::int64_t per_dollar) {
    if (text.empty()) return {};
    const auto value = parse_usd(text);
    if (!value) return bad(fmt::format("'{}' is no amount of money", text.substr(0, 40)));
    // Parts of a picodollar: half to even is beyond what any bill shows.
    PicoUsdSum sum = line.cost.value_or(PicoUsdSum());
    sum.add(PicoUsdSum(Int128{value->value()} / per_dollar));
    line.cost = sum;
    ++line.amounts;
    const std::size_t dot = text.find('.');
    std::size_t decimals = 0;
    if (dot != std::string_view::npos) {
        while (dot + 1 + decimals < text.size() && text[dot + 1 + decimals] >= '0' &&
               text[dot + 1 + decimals] <= '9') {
            ++decimals;
        }
    }
    Int128 unit = Int128{1'000'000'000'000} / per_dollar;
    for (std::size_t i = 0; i < decimals && unit > 1; ++i) unit /= 10;
    line.smallest_unit = std::max(line.smallest_unit, PicoUsdSum(unit));
    return {};
}

/// "2025-08-01…" or seconds since the epoch, as a day.
Result<std::int64_t> day_from(std::string_view text) {
    if (const auto seconds = json::to_int64(text); seconds && text.size() > 8) {
        return day_of(*seconds * 1'000'000);
    }
    const auto time = parse_time(text, 0);
    if (!time) return bad(fmt::format("'{}' is no date", text.substr(0, 40)));
    return day_of(*time);
}

class JsonBill {
public:
    explicit JsonBill(std::string_view text) : text_(text) {}

    Result<Bill> read() {
        const auto tokens = json::thread_indexer().index(text_);
        if (!tokens) return fail(tokens.error());
        json::Cursor cursor(*tokens);
        bill_.form = "openai";
        Result<void> done = root(cursor);
        if (!done) return fail(std::move(done.error()));
        if (cursor.failed()) return fail(cursor.error());
        return std::move(bill_);
    }

private:
    /// A page, or a list of pages or of buckets.
    Result<void> root(json::Cursor& cursor) {
        if (cursor.kind() == '[') {
            if (!cursor.open_array()) return {};
            while (cursor.next_element()) {
                if (auto done = page(cursor); !done) return done;
            }
            return {};
        }
        return page(cursor);
    }

    Result<void> page(json::Cursor& cursor) {
        if (cursor.kind() != '{') return bad("the file is no page of usage or costs");
        if (!cursor.open_object()) return {};
        Fields fields;
        std::vector<Fields> results;
        bool has_results = false;
        std::string_view raw;
        std::string scratch;
        while (cursor.next_member(raw)) {
            const std::string name(json::decoded(raw, cursor.escaped(), scratch));
            if (name == "data" && cursor.kind() == '[') {
                if (auto done = root(cursor); !done) return done;
            } else if ((name == "results" || name == "result") && cursor.kind() == '[') {
                has_results = true;
                if (!cursor.open_array()) return {};
                while (cursor.next_element()) {
                    if (cursor.kind() != '{') return bad("`results` holds something else");
                    if (!read_fields(cursor, "", results.emplace_back())) return {};
                }
            } else if (cursor.kind() == '"') {
                std::string_view value;
                if (!cursor.string(value)) return {};
                fields[name] = json::decoded(value, cursor.escaped(), scratch);
            } else if (cursor.kind() >= '0' && cursor.kind() <= '9') {
                std::string_view value;
                if (!cursor.number(value)) return {};
                fields[name] = value;
            } else if (!cursor.skip()) {
                return {};
            }
        }
        if (cursor.failed() || !has_results || results.empty()) return {};
        const auto day = day_from(field(fields, {"start_time", "starting_at"}));
        if (!day) return fail(day.error());
        if (fields.contains("starting_at")) bill_.form = "anthropic";
        for (const Fields& result : results) {
            if (auto done = add(*day, result); !done) return done;
        }
        return {};
    }

    Result<void> add(std::int64_t day, const Fields& result) {
        std::string_view model = field(result, {"model"});
        // "gpt-4o-2024-08-06, input": costs by line items, not by models.
        const std::string_view item = field(result, {"line_item"});
        if (model.empty()) model = item.substr(0, item.find(','));
        const std::string_view currency = field(result, {"amount.currency", "currency"});
        if (!currency.empty() && !equals_ignore_case(currency, "usd")) {
            return bad(fmt::format("amounts in {} cannot be compared", currency.substr(0, 16)));
        }
        BillLine& line = bill_.lines[{day, std::string(model)}];
        const std::pair<std::string_view, std::optional<std::int64_t>*> counts[] = {
            {"num_model_requests", &line.requests},
            {"input_tokens", &line.input_tokens},
            {"uncached_input_tokens", &line.input_tokens},
            {"cache_creation.ephemeral_1h_input_tokens", &line.input_tokens},
            {"cache_creation.ephemeral_5m_input_tokens", &line.input_tokens},
            {"cache_read_input_tokens", &line.input_tokens},
            {"cache_read_input_tokens", &line.cached_tokens},
            {"input_cached_tokens", &line.cached_tokens},
            {"output_tokens", &line.output_tokens}};
        for (const auto& [name, sum] : counts) {
            if (auto done = add_count(*sum, field(result, {name}), name); !done) return done;
        }
        if (auto done = add_amount(line, field(result, {"amount.value"}), 1); !done) return done;
        // Anthropic tells cents.
        return add_amount(line, field(result, {"amount"}), 100);
    }

    std::string_view text_;
    Bill bill_;
};

/// The fields of a CSV line; `line` is advanced behind it.
std::vector<std::string> csv_fields(std::string_view& rest) {
    std::vector<std::string> out(1);
    bool quoted = false;
    std::size_t i = 0;
    for (; i < rest.size(); ++i) {
        const char c = rest[i];
        if (quoted) {
            if (c == '"' && i + 1 < rest.size() && rest[i + 1] == '"') {
                out.back() += c;
                ++i;
            } else if (c == '"') {
                quoted = false;
            } else {
                out.back() += c;
            }
        } else if (c == '"') {
            quoted = true;
        } else if (c == ',') {
            out.emplace_back();
        } else if (c == '\n') {
            ++i;
            break;
        } else if (c != '\r') {
            out.back() += c;
        }
    }
    rest.remove_prefix(i);
    return out;
}

Result<Bill> read_csv(std::string_view text) {
    Bill bill;
    bill.form = "csv";
    std::vector<std::string> head = csv_fields(text);
    for (std::string& name : head) {
        name = std::string(trim(name));
        std::transform(name.begin(), name.end(), name.begin(), ascii_lower);
    }
    const auto has = [&](std::string_view name) {
        return std::find(head.begin(), head.end(), name) != head.end();
    };
    if (!has("date") || !has("model")) {
        return bad("the file is neither JSON nor CSV with the columns date and model");
    }
    for (std::size_t number = 2; !text.empty(); ++number) {
        const std::vector<std::string> values = csv_fields(text);
        if (values.size() == 1 && trim(values[0]).empty()) continue;
        Fields fields;
        for (std::size_t i = 0; i < std::min(head.size(), values.size()); ++i) {
            fields[head[i]] = std::string(trim(values[i]));
        }
        const auto where = [number](Error error) {
            error.message = fmt::format("line {}: {}", number, error.message);
            return fail(std::move(error));
        };
        const auto day = day_from(field(fields, {"date"}));
        if (!day) return where(day.error());
        BillLine& line = bill.lines[{*day, std::string(field(fields, {"model"}))}];
        const std::pair<std::string_view, std::optional<std::int64_t>*> counts[] = {
            {"requests", &line.requests},
            {"input_tokens", &line.input_tokens},
            {"cached_input_tokens", &line.cached_tokens},
            {"cached_tokens", &line.cached_tokens},
            {"output_tokens", &line.output_tokens}};
        for (const auto& [name, sum] : counts) {
            if (auto done = add_count(*sum, field(fields, {name}), name); !done) {
                return where(done.error());
            }
        }
        std::string_view cost = field(fields, {"cost_usd", "cost", "amount_usd"});
        if (cost.starts_with('$')) cost.remove_prefix(1);
        if (auto done = add_amount(line, cost, 1); !done) return where(done.error());
    }
    return bill;
}

}  // namespace

Result<Bill> read_bill(std::string_view text) {
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    const std::string_view start = trim(text.substr(0, 4096));
    if (start.empty()) return bad("the file is empty");
    if (start.front() == '{' || start.front() == '[') return JsonBill(text).read();
    return read_csv(text);
}

}  // namespace leeway::ledger
