#include "wire/usage/extractor.hpp"

#include "json/number.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace leeway::wire::usage {
namespace {

using prices::Bucket;

constexpr std::int64_t kLargest = std::int64_t{1} << 53;
constexpr std::int64_t kPicoPerTick = 100;

constexpr std::uint64_t bit(Slot slot) noexcept {
    return std::uint64_t{1} << static_cast<unsigned>(slot);
}
/// What everything else is a part of: half of it is no count.
constexpr std::uint64_t kWholes = bit(slot(Bucket::kInput)) | bit(slot(Bucket::kOutput));
/// Numbers of the buckets that hold tokens.
constexpr auto kTokenBuckets = [] {
    constexpr auto kIsToken = [](const prices::BucketInfo& info) {
        return prices::is_tokens(info.kind);
    };
    std::array<std::uint8_t,
               std::count_if(prices::kBuckets.begin(), prices::kBuckets.end(), kIsToken)>
        out{};
    std::size_t next = 0;
    for (std::size_t i = 0; i < prices::kBucketCount; ++i) {
        if (kIsToken(prices::kBuckets[i])) out[next++] = static_cast<std::uint8_t>(i);
    }
    return out;
}();
constexpr std::size_t at(Slot slot) noexcept { return static_cast<std::size_t>(slot); }

}  // namespace

inline std::optional<std::int64_t> Extractor::count(json::Cursor& cursor) {
    const char kind = cursor.kind();
    if (kind != '-' && (kind < '0' || kind > '9')) {
        if (kind != 'n') clamped_ = true;
        cursor.skip_unchecked();
        return std::nullopt;
    }
    std::string_view text;
    if (!cursor.number(text)) return std::nullopt;
    std::optional<std::int64_t> value = json::to_int64(text);
    if (!value) {
        // 12.0 is an integer spelled oddly; 1e300 is nonsense.
        const double number = json::to_double(text).value_or(text.front() == '-' ? -1.0 : 1e300);
        const double bounded = std::clamp(number, -1.0, static_cast<double>(kLargest) + 2);
        value = static_cast<std::int64_t>(bounded);
        if (static_cast<double>(*value) != number) clamped_ = true;
    }
    if (*value < 0 || *value > kLargest) clamped_ = true;
    return std::clamp<std::int64_t>(*value, 0, kLargest);
}

std::optional<std::int64_t> Extractor::money(json::Cursor& cursor, FieldKind kind) {
    const char first = cursor.kind();
    if (first == 'n') {
        cursor.skip_unchecked();
        return std::nullopt;
    }
    std::string_view text;
    std::optional<std::int64_t> out;
    if (first == '-' || (first >= '0' && first <= '9')) {
        if (!cursor.number(text)) return std::nullopt;
        if (kind == FieldKind::kTicks) {
            std::int64_t pico = 0;
            const auto ticks = json::to_int64(text);
            if (ticks && !__builtin_mul_overflow(*ticks, kPicoPerTick, &pico)) out = pico;
        } else if (const auto amount = parse_usd(text)) {
            out = amount->value();
        }
    } else {
        cursor.skip_unchecked();
    }
    // A bill below zero, or one that is no number, is not believed.
    if (!out || *out < 0) {
        clamped_ = true;
        return std::nullopt;
    }
    return out;
}

inline void Extractor::put(Slot slot, std::int64_t value) noexcept {
    std::int64_t& place = values_[at(slot)];
    const std::uint64_t mask = bit(slot);
    // Within one object several names of one number: the largest. A later object replaces it.
    place = (fresh_ & mask) != 0 ? std::max(place, value) : value;
    seen_ |= mask;
    fresh_ |= mask;
}

void Extractor::add(Slot slot, std::int64_t value) noexcept {
    std::int64_t& place = values_[at(slot)];
    const std::uint64_t mask = bit(slot);
    place = (fresh_ & mask) != 0 ? std::min(place + value, kLargest) : value;
    seen_ |= mask;
    fresh_ |= mask;
}

void Extractor::tier(json::Cursor& cursor, FieldKind kind) {
    std::string_view raw;
    if (cursor.kind() != '"') {
        cursor.skip_unchecked();
        return;
    }
    if (!cursor.string(raw)) return;
    switch (kind) {
        case FieldKind::kRegion:
            region_ = raw == "us" ? Region::kUs : raw == "eu" ? Region::kEu : Region::kGeneral;
            return;
        case FieldKind::kSpeed:
            if (raw == "fast") tier_ = prices::Tier::kFast;
            return;
        default:
            if (const auto known = prices::tier_of(raw)) tier_ = known;
            return;
    }
}

inline void Extractor::field(json::Cursor& cursor, const Field& field) {
    switch (field.kind) {
        case FieldKind::kCount: {
            const bool is_null = cursor.kind() == 'n';
            if (const auto value = count(cursor)) {
                put(field.slot, *value);
            } else if (!is_null && (bit(field.slot) & kWholes) != 0) {
                unreadable_ = true;
            }
            return;
        }
        case FieldKind::kAdd:
            if (const auto value = count(cursor)) add(field.slot, *value);
            return;
        case FieldKind::kUsd:
        case FieldKind::kTicks:
            if (const auto value = money(cursor, field.kind)) put(field.slot, *value);
            return;
        case FieldKind::kFlag: {
            const bool on = cursor.kind() == 't';
            cursor.skip_unchecked();
            put(field.slot, on ? 1 : 0);
            return;
        }
        case FieldKind::kObject:
            if (cursor.kind() == '{') {
                shape(cursor, *field.shape);
                return;
            }
            if (cursor.kind() != 'n') clamped_ = true;
            cursor.skip_unchecked();
            return;
        case FieldKind::kList: list(cursor, *field.list); return;
        case FieldKind::kTier:
        case FieldKind::kSpeed:
        case FieldKind::kRegion: tier(cursor, field.kind); return;
    }
}

void Extractor::shape(json::Cursor& cursor, const Shape& shape) {
    if (!cursor.open_object()) return;
    const Field* const fields = shape.fields.data();
    const std::size_t size = shape.fields.size();
    std::string_view key;
    std::size_t next = 0;  // members mostly come in the table's order
    std::uint64_t told = 0;
    while (cursor.next_member(key)) {
        std::size_t tried = 0;
        for (; tried < size; ++tried, next = next + 1 == size ? 0 : next + 1) {
            const Field& known = fields[next];
            if (known.key != key) continue;
            if ((told >> next & 1) != 0) {
                // Twice in one object: nobody can mean that. The last counts, as everywhere in JSON.
                clamped_ = true;
                if (known.slot != Slot::kEnd) fresh_ &= ~bit(known.slot);
            }
            told |= std::uint64_t{1} << next;
            field(cursor, known);
            next = next + 1 == size ? 0 : next + 1;
            break;
        }
        if (tried == size) cursor.skip_unchecked();
    }
}

void Extractor::forget(Slot slot) noexcept {
    if (slot == Slot::kEnd) return;
    seen_ &= ~bit(slot);
    values_[at(slot)] = 0;
}

void Extractor::forget_all() noexcept {
    if (seen_ != 0) values_.fill(0);
    seen_ = 0;
}

void Extractor::forget(const Shape& shape) noexcept {
    for (const Field& known : shape.fields) {
        forget(known.slot);
        if (known.shape != nullptr) forget(*known.shape);
    }
}

void Extractor::list(json::Cursor& cursor, const List& list) {
    if (cursor.kind() != '[') {
        cursor.skip_unchecked();
        return;
    }
    for (const Variant& variant : list.variants) {
        forget(variant.slot);
        if (variant.shape != nullptr) forget(*variant.shape);
    }
    fresh_ &= seen_;
    if (!cursor.open_array()) return;
    while (cursor.next_element()) {
        if (cursor.kind() == '{') {
            element(cursor, list);
        } else {
            cursor.skip_unchecked();
        }
    }
}

void Extractor::element(json::Cursor& cursor, const List& list) {
    // The word that tells what it is may stand last.
    const std::uint32_t start = cursor.token();
    const unsigned depth = cursor.depth();
    const Variant* variant = nullptr;
    std::optional<std::int64_t> value;
    std::string_view key;
    if (!cursor.open_object()) return;
    while (cursor.next_member(key)) {
        std::string_view tag;
        if (key == list.tag_key && cursor.kind() == '"') {
            if (!cursor.string(tag)) return;
            for (const Variant& known : list.variants) {
                if (known.tag == tag) variant = &known;
            }
        } else if (!list.count_key.empty() && key == list.count_key) {
            value = count(cursor);
        } else {
            cursor.skip_unchecked();
        }
    }
    if (variant == nullptr || cursor.failed()) return;
    if (variant->slot != Slot::kEnd)
        add(variant->slot, list.count_key.empty() ? 1 : value.value_or(0));
    if (variant->shape != nullptr) {
        cursor.seek(start, depth);
        shape(cursor, *variant->shape);
    }
}

bool Extractor::read_object(json::Cursor& cursor) {
    if (cursor.kind() != '{') {
        cursor.skip_unchecked();
        return false;
    }
    if (!table_->merges) forget_all();
    fresh_ = 0;
    unreadable_ = false;
    shape(cursor, *table_->object);
    if (cursor.failed()) forget_all();
    return true;
}

void Extractor::read_document(json::Cursor& cursor) {
    if (cursor.kind() != '{') {
        cursor.skip_unchecked();
        return;
    }
    fresh_ = 0;
    if (table_->merges) {
        shape(cursor, *table_->document);
        return;
    }
    // An event without usage leaves what is known; one with usage replaces it.
    const std::uint64_t seen = seen_;
    const auto values = values_;
    const bool unreadable = unreadable_;
    forget_all();
    unreadable_ = false;
    shape(cursor, *table_->document);
    if (seen_ != 0 || unreadable_) return;
    seen_ = seen;
    values_ = values;
    unreadable_ = unreadable;
}

UsageReading Extractor::result() const noexcept {
    UsageReading out;
    out.clamped = clamped_;
    out.tier = tier_;
    out.region = region_;
    constexpr std::uint64_t kTold = bit(slot(Bucket::kInput)) | bit(slot(Bucket::kOutput)) |
                                    bit(Slot::kAltInput) | bit(Slot::kAltOutput) |
                                    bit(Slot::kTotal);
    constexpr std::uint64_t kParts = kTold & ~bit(Slot::kTotal);
    const std::uint64_t seen = seen_;
    auto values = values_;
    std::int64_t* const v = values.data();
    const bool has_total = (seen & bit(Slot::kTotal)) != 0;
    const auto token_sum = [&] {
        std::int64_t sum = 0;
        for (const std::uint8_t index : kTokenBuckets) sum += v[index];
        return sum;
    };
    const std::int64_t told = v[at(slot(Bucket::kInput))] + v[at(slot(Bucket::kOutput))];
    bool total_alone = false;
    for (const Step& step : table_->steps) {
        // Most steps are about what this answer does not have.
        if (step.op <= kLastAboutWhat && v[at(step.what)] == 0) continue;
        std::int64_t& what = v[at(step.what)];
        std::int64_t* from = step.from == Slot::kEnd ? nullptr : &v[at(step.from)];
        switch (step.op) {
            case Op::kTakeOrBeside:
                // Some providers count it beside the rest; only their total tells.
                if (has_total && v[at(Slot::kTotal)] == told + what) break;
                [[fallthrough]];
            case Op::kTake:
                if (what > *from) out.clamped = true;
                [[fallthrough]];
            case Op::kFit:
                what = std::min(what, *from);
                *from -= what;
                break;
            case Op::kOverlap: what -= std::min(what, *from); break;
            case Op::kAddTo: what += *from; break;
            case Op::kIfAbsent:
                if ((seen & bit(step.what)) != 0) break;
                if (step.from == Slot::kTotal) {
                    if ((seen & kParts) != 0) break;
                    total_alone = has_total;
                }
                what += *from;
                break;
            case Op::kAtLeast: what = std::max(what, *from); break;
            case Op::kFollow:
                what += *from;
                *from = 0;
                break;
            case Op::kRestOfTotal:
                if (has_total) what += std::max<std::int64_t>(v[at(Slot::kTotal)] - token_sum(), 0);
                break;
        }
    }
    // Reranking is billed by the search, with no tokens beside it.
    const bool searches = (seen & bit(slot(prices::Bucket::kRequests))) != 0;
    if (unreadable_ || ((seen & kParts) == 0 && !total_alone && !searches)) return out;

    static_assert(sizeof(prices::Usage) == prices::kBucketCount * sizeof(std::int64_t) &&
                  std::is_trivially_copyable_v<prices::Usage>);
    std::memcpy(&out.usage, v, sizeof out.usage);
    const std::int64_t sum = token_sum();
    out.sum_mismatch = (has_total && v[at(Slot::kTotal)] != sum) || v[at(Slot::kOtherModel)] > 0;
    const bool nothing = sum == 0 && out.usage[prices::Bucket::kRequests] == 0;
    if (nothing && out.clamped) return out;  // counts below zero are not a zero that was told
    out.state = nothing ? prices::UsageState::kZero : prices::UsageState::kFinal;
    if (table_->tells_cost && (seen & bit(Slot::kCost)) != 0) {
        PicoUsd cost(v[at(Slot::kCost)]);
        if (v[at(Slot::kByok)] != 0) {
            cost = cost.plus(PicoUsd(v[at(Slot::kUpstreamCost)])).value_or(cost);
        }
        out.reported_cost = cost;
    }
    return out;
}

}  // namespace leeway::wire::usage
