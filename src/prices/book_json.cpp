#include "json/cursor.hpp"
#include "json/number.hpp"
#include "json/tokens.hpp"
#include "prices/book.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace leeway::prices {
namespace {

constexpr std::string_view kFormat = "leeway-price-book";
constexpr std::int64_t kVersion = 1;
constexpr unsigned kDeepestMatch = 16;

/// Reads the text of a book. The first fault sticks in `fault_` with the place it was found at.
class Reader {
public:
    explicit Reader(const json::Tokens& tokens) : cursor_(tokens) {}

    bool book();
    [[nodiscard]] std::string fault() const {
        return cursor_.failed() ? cursor_.error().message : fault_;
    }
    BookInfo info;
    std::vector<BookProvider> providers;

private:
    bool fail(std::string why) {
        if (fault_.empty()) fault_ = where_.empty() ? std::move(why) : where_ + ": " + why;
        return false;
    }
    [[nodiscard]] bool bad() const noexcept { return cursor_.failed() || !fault_.empty(); }
    bool text(std::string& out);
    bool integer(std::int64_t& out);
    bool day(std::int64_t& out);
    bool clock(std::string_view text, std::int32_t& out);
    bool match(Matcher& out, unsigned depth = 0);
    bool match_parts(Matcher::Kind kind, Matcher& out, unsigned depth);
    bool rates(Rates& out);
    bool sheet(RateSheet& out);
    bool model(BookModel& out);
    bool provider();
    template <class Read>
    bool each(Read read) {
        if (!cursor_.open_array()) return false;
        while (!bad() && cursor_.next_element()) read();
        return !bad();
    }

    json::Cursor cursor_;
    std::string fault_;
    std::string where_;
    std::string source_;      // of the provider that is being read
    std::string confidence_;  // of the book
    std::string provider_id_;
};

bool Reader::text(std::string& out) {
    std::string_view raw;
    std::string scratch;
    if (!cursor_.string(raw)) return false;
    out = json::decoded(raw, cursor_.escaped(), scratch);
    return true;
}

bool Reader::integer(std::int64_t& out) {
    std::string_view spelling;
    if (!cursor_.number(spelling)) return false;
    const auto value = json::to_int64(spelling);
    if (!value) return fail(fmt::format("'{}' is not a whole number", spelling));
    out = *value;
    return true;
}

bool Reader::day(std::int64_t& out) {
    std::string word;
    if (!text(word)) return false;
    const auto parsed = parse_day(word);
    if (!parsed) return fail(fmt::format("'{}' is not a date", word));
    out = *parsed;
    return true;
}

bool Reader::clock(std::string_view word, std::int32_t& out) {
    const auto digit = [&](std::size_t at) {
        return word[at] - '0';
    };
    if (word.size() != 5 || word[2] != ':') return fail(fmt::format("'{}' is not HH:MM", word));
    const std::int32_t hours = digit(0) * 10 + digit(1);
    const std::int32_t minutes = digit(3) * 10 + digit(4);
    if (hours < 0 || hours > 24 || minutes < 0 || minutes > 59) {
        return fail(fmt::format("'{}' is not a time of day", word));
    }
    out = hours * 3600 + minutes * 60;
    return out <= kDaySeconds || fail(fmt::format("'{}' is not a time of day", word));
}

bool Reader::match_parts(Matcher::Kind kind, Matcher& out, unsigned depth) {
    std::vector<Matcher> parts;
    if (kind == Matcher::Kind::kNot) {
        if (!match(parts.emplace_back(), depth + 1)) return false;
    } else if (!each([&] { match(parts.emplace_back(), depth + 1); })) {
        return false;
    }
    if (parts.empty()) return fail("a matcher without parts");
    out = Matcher::of(kind, std::move(parts));
    return true;
}

bool Reader::match(Matcher& out, unsigned depth) {
    if (depth > kDeepestMatch) return fail("a matcher that is nested too deeply");
    std::string_view key;
    if (!cursor_.open_object()) return false;
    while (!bad() && cursor_.next_member(key)) {
        const Matcher::Kind kind = Matcher::kind_of(key);
        switch (kind) {
            case Matcher::Kind::kNever: return fail(fmt::format("unknown matcher '{}'", key));
            case Matcher::Kind::kOr:
            case Matcher::Kind::kAnd:
            case Matcher::Kind::kNot: match_parts(kind, out, depth); break;
            default: {
                std::string word;
                if (!text(word)) return false;
                auto made = Matcher::of(kind, std::move(word));
                if (!made) return fail(made.error().message);
                out = std::move(*made);
            }
        }
    }
    if (!bad() && out.empty()) return fail("an empty matcher");
    return !bad();
}

bool Reader::rates(Rates& out) {
    std::string_view key;
    if (!cursor_.open_object()) return false;
    while (!bad() && cursor_.next_member(key)) {
        std::string word;
        const std::string name(key);
        if (!text(word)) return false;
        const BucketInfo* bucket = nullptr;
        for (const BucketInfo& known : kBuckets) {
            if (known.name == name) bucket = &known;
        }
        if (bucket == nullptr) return fail(fmt::format("unknown unit '{}'", name));
        if (out.has(bucket->bucket)) return fail(fmt::format("'{}' stands there twice", name));
        const auto rate = parse_usd_per_million(word);
        if (!rate) return fail(fmt::format("{}: {}", name, rate.error().message));
        out.set(bucket->bucket, *rate);
    }
    return !bad();
}

bool Reader::sheet(RateSheet& out) {
    std::string_view key;
    std::string word;
    out.source = source_;
    out.confidence = confidence_;
    if (!cursor_.open_object()) return false;
    while (!bad() && cursor_.next_member(key)) {
        if (key == "rates") {
            rates(out.rates);
        } else if (key == "above") {
            integer(out.above);
        } else if (key == "from") {
            day(out.valid_from);
        } else if (key == "to") {
            day(out.valid_to);
        } else if (key == "time") {
            std::array<std::int32_t, 2> times{};
            std::size_t count = 0;
            each([&] {
                if (!text(word)) return;
                if (count == 2) fail("a time of day has a beginning and an end");
                if (count < 2) clock(word, times[count++]);
            });
            out.day_from = times[0];
            out.day_to = times[1];
        } else if (key == "tier") {
            if (!text(word)) return false;
            bool known = false;
            for (std::size_t i = 0; i < kTierNames.size(); ++i) {
                if (kTierNames[i] != word) continue;
                out.tier = static_cast<Tier>(i);
                known = true;
            }
            if (!known) return fail(fmt::format("unknown tier '{}'", word));
        } else if (key == "region") {
            text(out.region);
        } else if (key == "source") {
            text(out.source);
        } else if (key == "confidence") {
            text(out.confidence);
        } else {
            return fail(fmt::format("unknown key '{}'", key));
        }
    }
    return !bad();
}

bool Reader::model(BookModel& out) {
    std::string_view key;
    if (!cursor_.open_object()) return false;
    while (!bad() && cursor_.next_member(key)) {
        if (key == "id") {
            if (!text(out.id)) return false;
            where_ = provider_id_ + "/" + out.id;
        } else if (key == "match") {
            match(out.match);
        } else if (key == "prices") {
            each([&] { sheet(out.sheets.emplace_back()); });
        } else {
            return fail(fmt::format("unknown key '{}'", key));
        }
    }
    if (bad()) return false;
    if (out.id.empty() || out.match.empty()) return fail("a model needs an id and a match");
    for (RateSheet& one : out.sheets) seal(one, provider_id_, out.id);
    return true;
}

bool Reader::provider() {
    BookProvider out;
    std::string_view key;
    source_.clear();
    if (!cursor_.open_object()) return false;
    while (!bad() && cursor_.next_member(key)) {
        if (key == "id") {
            if (!text(out.id)) return false;
            where_ = provider_id_ = out.id;
        } else if (key == "name") {
            text(out.name);
        } else if (key == "url") {
            std::string pattern;
            if (!text(pattern)) return false;
            auto made = Matcher::of(Matcher::Kind::kRegex, "^(?:" + pattern + ")");
            if (!made) return fail(made.error().message);
            out.url = std::move(*made);
        } else if (key == "names") {
            match(out.names);
        } else if (key == "fallback") {
            each([&] { text(out.fallback.emplace_back()); });
        } else if (key == "source") {
            text(source_);
        } else if (key == "models") {
            each([&] { model(out.models.emplace_back()); });
        } else {
            return fail(fmt::format("unknown key '{}'", key));
        }
    }
    if (bad()) return false;
    if (out.id.empty()) return fail("a provider needs an id");
    providers.push_back(std::move(out));
    where_.clear();
    return true;
}

bool Reader::book() {
    std::string_view key;
    std::string format;
    std::string currency;
    std::string unit;
    std::int64_t version = 0;
    std::int64_t sheets = -1;
    std::int64_t told_rates = -1;
    std::string word;
    if (!cursor_.open_object()) return false;
    while (!bad() && cursor_.next_member(key)) {
        if (key == "format") {
            text(format);
        } else if (key == "version") {
            integer(version);
        } else if (key == "currency") {
            text(currency);
        } else if (key == "unit") {
            text(unit);
        } else if (key == "name") {
            text(info.name);
        } else if (key == "source") {
            text(info.source);
        } else if (key == "licence") {
            text(info.licence);
        } else if (key == "sha512") {
            text(word);
        } else if (key == "fetched") {
            day(info.fetched_unix_s);
        } else if (key == "confidence") {
            text(confidence_);
        } else if (key == "providers") {
            // What the numbers mean must be known before the numbers.
            if (format != kFormat) return fail("it is no price book of Leeway");
            if (version != kVersion) return fail(fmt::format("version {} is unknown", version));
            if (currency.empty()) return fail("it names no currency");
            if (currency != "USD") return fail(fmt::format("the currency {} is not USD", currency));
            if (unit != "usd_per_million")
                return fail("it does not say that rates are per million");
            each([&] { provider(); });
        } else if (key == "sheets") {
            integer(sheets);
        } else if (key == "rates") {
            integer(told_rates);
        } else {
            return fail(fmt::format("unknown key '{}'", key));
        }
    }
    if (bad() || !cursor_.end()) return false;
    std::int64_t found = 0;
    std::int64_t found_rates = 0;
    for (const BookProvider& one : providers) {
        for (const BookModel& each_model : one.models) {
            found += static_cast<std::int64_t>(each_model.sheets.size());
            for (const RateSheet& price : each_model.sheets) {
                for (const BucketInfo& bucket : kBuckets) {
                    found_rates += price.rates.has(bucket.bucket) ? 1 : 0;
                }
            }
        }
    }
    if (sheets < 0 || told_rates < 0)
        return fail("it does not say how much it holds: is it truncated?");
    if (sheets != found || told_rates != found_rates) {
        return fail(
            fmt::format("it holds {} prices and {} rates but should hold {} and {}: is it "
                        "truncated?",
                        found, found_rates, sheets, told_rates));
    }
    return true;
}

}  // namespace

Result<std::shared_ptr<const PriceBook>> PriceBook::parse(std::string_view json) {
    json::Indexer indexer;
    const auto tokens = indexer.index(json);
    std::string why;
    if (tokens) {
        Reader reader(*tokens);
        if (reader.book()) return make(std::move(reader.info), std::move(reader.providers));
        why = reader.fault();
    } else {
        why = tokens.error().message;
    }
    return fail(ErrorCode::kConfig, "the price book is refused: " + why,
                "docs/formats/prices.md describes the format");
}

}  // namespace leeway::prices
