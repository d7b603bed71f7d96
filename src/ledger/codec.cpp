#include "ledger/codec.hpp"

#include "json/text.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace leeway::ledger {
namespace {

// 1: usage is seven counts. 2: usage is a mask and the counts that are not zero; attempts have their
// tier, the price's id and the provider's own figure. 3: provider, what the caller tells (user, tags,
// session, agent), the arm, and the waterfall.
constexpr std::uint8_t kFirstVersion = 1;
constexpr std::uint8_t kVersion = 3;
constexpr std::uint8_t kStream = 1;
constexpr std::uint8_t kHasCost = 2;
constexpr std::uint8_t kHasBaseline = 4;
constexpr std::uint8_t kHasReported = 8;
constexpr std::uint8_t kHasComputed = 16;
constexpr std::uint8_t kHasPrice = 32;
// Of a request, from version 3 on.
constexpr std::uint8_t kHasWaterfall = 8;
constexpr unsigned kArmShift = 4;  // two bits
// Of both: two bits, 0 for the provider, so that records from before are read right.
constexpr unsigned kQualityShift = 6;
constexpr std::size_t kMaxVarint = 10;
// Upper bounds of what is not text: bytes and varints of a request and of an attempt.
constexpr std::size_t kUsageBytes = kMaxVarint * (1 + prices::kBucketCount);
constexpr std::size_t kRequestFixed = 21 + kMaxVarint * (20 + prices::kSavingSteps) + kUsageBytes;
constexpr std::size_t kAttemptFixed = 4 + kMaxVarint * 12 + kUsageBytes;
// The least that an attempt takes in any version.
constexpr std::size_t kLeastAttempt = 13;
// What the counts of version 1 are.
constexpr std::size_t kBucketsOfVersion1 = 7;

/// At most `limit` bytes of `text`, not ending inside a UTF-8 sequence.
std::string_view cut(std::string_view text, std::size_t limit) noexcept {
    if (text.size() <= limit) return text;
    std::size_t end = limit;
    while (end > 0 && (static_cast<std::uint8_t>(text[end]) & 0xc0) == 0x80) --end;
    return text.substr(0, end);
}

std::size_t lowest_bit(std::uint64_t mask) noexcept {
    return static_cast<std::size_t>(std::countr_zero(mask));
}

/// Writes into memory that was made large enough before.
class Writer {
public:
    explicit Writer(char* at) : at_(at) {}
    void byte(std::uint8_t value) noexcept { *at_++ = static_cast<char>(value); }
    void bytes(const void* data, std::size_t size) noexcept {
        std::memcpy(at_, data, size);
        at_ += size;
    }
    void varint(std::uint64_t value) noexcept {
        while (value >= 0x80) {
            byte(static_cast<std::uint8_t>(value | 0x80));
            value >>= 7;
        }
        byte(static_cast<std::uint8_t>(value));
    }
    void zigzag(std::int64_t value) noexcept {
        varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
    }
    void text(std::string_view value, std::size_t limit = kMaxNameBytes) noexcept {
        value = cut(value, limit);
        varint(value.size());
        if (!value.empty()) bytes(value.data(), value.size());
    }
    void usage(const prices::Usage& u) noexcept {
        std::uint64_t mask = 0;
        for (std::size_t i = 0; i < prices::kBucketCount; ++i) {
            mask |= std::uint64_t{u[prices::kBuckets[i].bucket] != 0} << i;
        }
        varint(mask);
        for (; mask != 0; mask &= mask - 1) zigzag(u[prices::kBuckets[lowest_bit(mask)].bucket]);
    }
    [[nodiscard]] char* at() const noexcept { return at_; }

private:
    char* at_;
};

/// Reads with bounds checks; after the first fault everything reads as zero and `ok` is false.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    std::uint8_t byte() noexcept {
        if (rest_.empty()) return fault();
        const auto value = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    /// A byte that stands for an enumerator; `last` is the highest one.
    template <class Enum>
    Enum enumerator(Enum last) noexcept {
        const std::uint8_t value = byte();
        if (value > static_cast<std::uint8_t>(last)) return static_cast<Enum>(fault());
        return static_cast<Enum>(value);
    }
    std::uint64_t varint() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t next = byte();
            if (shift == 63 && next > 1) return fault();
            value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
            if ((next & 0x80) == 0) return value;
        }
        return fault();
    }
    std::int64_t zigzag() noexcept {
        const std::uint64_t value = varint();
        return static_cast<std::int64_t>((value >> 1) ^ (0 - (value & 1)));
    }
    std::int32_t zigzag32() noexcept {
        const std::int64_t value = zigzag();
        if (value < INT32_MIN || value > INT32_MAX) return fault();
        return static_cast<std::int32_t>(value);
    }
    void text(std::string& out) noexcept {
        const std::uint64_t size = varint();
        if (size > std::min(rest_.size(), kMaxNotesBytes)) {
            fault();
            return;
        }
        out.assign(rest_.data(), size);
        rest_.remove_prefix(size);
    }
    void bytes(void* out, std::size_t size) noexcept {
        if (rest_.size() < size) {
            fault();
            return;
        }
        std::memcpy(out, rest_.data(), size);
        rest_.remove_prefix(size);
    }
    void usage(prices::Usage& u) noexcept {
        u = {};
        std::uint64_t mask = version_ < 2 ? (std::uint64_t{1} << kBucketsOfVersion1) - 1 : varint();
        if (prices::kBucketCount < 64 && mask >> prices::kBucketCount != 0) {
            fault();
            return;
        }
        for (; mask != 0; mask &= mask - 1) u[prices::kBuckets[lowest_bit(mask)].bucket] = zigzag();
    }
    void money(bool present, std::optional<PicoUsd>& out) noexcept {
        out.reset();
        if (present) out = PicoUsd(zigzag());
    }
    void set_version(std::uint8_t version) noexcept { version_ = version; }
    [[nodiscard]] std::uint8_t version() const noexcept { return version_; }
    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] std::size_t rest() const noexcept { return rest_.size(); }

private:
    std::uint8_t fault() noexcept {
        ok_ = false;
        rest_ = {};
        return 0;
    }
    std::string_view rest_;
    bool ok_ = true;
    std::uint8_t version_ = kVersion;
};

unsigned quality_bits(tokens::Quality quality) noexcept {
    return (4U - static_cast<unsigned>(quality)) << kQualityShift;
}
tokens::Quality quality_of(std::uint8_t flags) noexcept {
    return static_cast<tokens::Quality>(4U - (flags >> kQualityShift));
}

std::size_t text_bytes(const RequestRecord& r) noexcept {
    std::size_t sum = r.key.size() + r.route.size() + r.endpoint.size() + r.model_asked.size() +
                      r.model.size() + r.notes.size() + r.error.size() + r.provider.size() +
                      r.user.size() + r.tags.size() + r.session.size() + r.agent.size();
    // Long texts are cut, so a bound by the cap keeps a huge one from growing the buffer.
    sum = std::min(sum, 11 * kMaxNameBytes + kMaxNotesBytes);
    for (const AttemptRow& a : r.attempts) {
        sum += std::min(
            a.provider.size() + a.model.size() + a.model_reported.size() + a.finish_reason.size(),
            4 * kMaxNameBytes);
    }
    return sum;
}

void encode_attempt(const AttemptRow& a, std::uint32_t number, Writer& w) noexcept {
    w.varint(number);
    w.byte(static_cast<std::uint8_t>(
        (a.cost ? kHasCost : 0) | (a.reported_cost ? kHasReported : 0) |
        (a.computed_cost ? kHasComputed : 0) | (a.price_id != 0 ? kHasPrice : 0) |
        quality_bits(a.usage_quality)));
    w.byte(static_cast<std::uint8_t>(a.end));
    w.byte(static_cast<std::uint8_t>(a.usage_state));
    w.zigzag(a.http_status);
    w.usage(a.usage);
    if (a.cost) w.zigzag(a.cost->value());
    if (a.reported_cost) w.zigzag(a.reported_cost->value());
    if (a.computed_cost) w.zigzag(a.computed_cost->value());
    if (a.price_id != 0) w.bytes(&a.price_id, sizeof a.price_id);
    w.byte(static_cast<std::uint8_t>(a.tier));
    w.zigzag(a.first_byte_us);
    w.zigzag(a.total_us);
    w.text(a.provider);
    w.text(a.model);
    w.text(a.model_reported);
    w.text(a.finish_reason);
}

void decode_attempt(Reader& r, AttemptRow& a) noexcept {
    const std::uint64_t number = r.varint();
    a.number = static_cast<std::uint32_t>(number);
    const std::uint8_t flags = r.byte();
    a.usage_quality = quality_of(flags);
    a.end = r.enumerator(EndState::kUnknown);
    a.usage_state = r.enumerator(prices::UsageState::kZero);
    a.http_status = r.zigzag32();
    r.usage(a.usage);
    r.money((flags & kHasCost) != 0, a.cost);
    const bool later = r.version() >= 2;
    r.money(later && (flags & kHasReported) != 0, a.reported_cost);
    r.money(later && (flags & kHasComputed) != 0, a.computed_cost);
    a.price_id = 0;
    if (later && (flags & kHasPrice) != 0) r.bytes(&a.price_id, sizeof a.price_id);
    a.tier = later ? r.enumerator(prices::Tier::kFast) : prices::Tier::kStandard;
    a.first_byte_us = r.zigzag();
    a.total_us = r.zigzag();
    r.text(a.provider);
    r.text(a.model);
    r.text(a.model_reported);
    r.text(a.finish_reason);
}

/// What version 3 brought.
void encode_later(const RequestRecord& record, Writer& w) noexcept {
    w.text(record.provider);
    w.text(record.user);
    w.text(record.tags);
    w.text(record.session);
    w.text(record.agent);
    if (!record.waterfall) return;
    for (const PicoUsd amount : record.waterfall->saved) w.zigzag(amount.value());
    w.varint(record.waterfall->packed_labels());
}

void decode_later(Reader& r, std::uint8_t flags, RequestRecord& out) noexcept {
    out.arm = Arm::kNone;
    out.waterfall.reset();
    if (r.version() < 3) {
        for (std::string* text : {&out.provider, &out.user, &out.tags, &out.session, &out.agent}) {
            text->clear();
        }
        return;
    }
    const unsigned arm = (flags >> kArmShift) & 3U;
    out.arm = arm <= static_cast<unsigned>(Arm::kHeldOut) ? static_cast<Arm>(arm) : Arm::kNone;
    for (std::string* text : {&out.provider, &out.user, &out.tags, &out.session, &out.agent}) {
        r.text(*text);
    }
    if ((flags & kHasWaterfall) == 0) return;
    prices::Waterfall& waterfall = out.waterfall.emplace();
    for (PicoUsd& amount : waterfall.saved) amount = PicoUsd(r.zigzag());
    waterfall.unpack_labels(static_cast<std::uint32_t>(r.varint()));
}

}  // namespace

std::string_view encode(const RequestRecord& record, std::string& buffer) {
    const std::size_t bound =
        kRequestFixed + text_bytes(record) + record.attempts.size() * kAttemptFixed;
    if (buffer.size() < bound) buffer.resize(bound);
    Writer w(buffer.data());
    w.byte(kVersion);
    w.byte(static_cast<std::uint8_t>(
        (record.stream ? kStream : 0) | (record.cost ? kHasCost : 0) |
        (record.baseline ? kHasBaseline : 0) | (record.waterfall ? kHasWaterfall : 0) |
        (static_cast<unsigned>(record.arm) << kArmShift) | quality_bits(record.usage_quality)));
    w.bytes(record.id.bytes.data(), record.id.bytes.size());
    w.byte(static_cast<std::uint8_t>(record.end));
    w.byte(static_cast<std::uint8_t>(record.source));
    w.byte(static_cast<std::uint8_t>(record.usage_state));
    w.zigzag(record.ts_us);
    w.zigzag(record.http_status);
    w.usage(record.usage);
    if (record.cost) w.zigzag(record.cost->value());
    if (record.baseline) w.zigzag(record.baseline->value());
    w.zigzag(record.total_us);
    w.zigzag(record.first_byte_us);
    w.text(record.key);
    w.text(record.route);
    w.text(record.endpoint);
    w.text(record.model_asked);
    w.text(record.model);
    w.text(record.notes, kMaxNotesBytes);
    w.text(record.error);
    encode_later(record, w);
    w.varint(record.attempts.size());
    std::uint32_t previous = 0;
    for (const AttemptRow& attempt : record.attempts) {
        previous = std::max(attempt.number, previous + 1);
        encode_attempt(attempt, previous, w);
    }
    return {buffer.data(), static_cast<std::size_t>(w.at() - buffer.data())};
}

Result<void> decode(std::string_view bytes, RequestRecord& out) {
    Reader r(bytes);
    const std::uint8_t version = r.byte();
    if (r.ok() && (version < kFirstVersion || version > kVersion)) {
        return fail(ErrorCode::kInternal, "a journal record has an unknown version",
                    "it was written by another version of leeway");
    }
    r.set_version(version);
    const std::uint8_t flags = r.byte();
    out.stream = (flags & kStream) != 0;
    out.usage_quality = quality_of(flags);
    r.bytes(out.id.bytes.data(), out.id.bytes.size());
    out.end = r.enumerator(EndState::kUnknown);
    out.source = r.enumerator(Source::kSemanticCache);
    out.usage_state = r.enumerator(prices::UsageState::kZero);
    out.ts_us = r.zigzag();
    out.http_status = r.zigzag32();
    r.usage(out.usage);
    r.money((flags & kHasCost) != 0, out.cost);
    r.money((flags & kHasBaseline) != 0, out.baseline);
    out.total_us = r.zigzag();
    out.first_byte_us = r.zigzag();
    r.text(out.key);
    r.text(out.route);
    r.text(out.endpoint);
    r.text(out.model_asked);
    r.text(out.model);
    r.text(out.notes);
    r.text(out.error);
    decode_later(r, flags, out);
    const std::uint64_t count = r.varint();
    // A wild count cannot ask for much memory.
    if (!r.ok() || count > r.rest() / kLeastAttempt) {
        return fail(ErrorCode::kInternal, "a journal record is damaged");
    }
    out.attempts.resize(count);
    for (AttemptRow& attempt : out.attempts) decode_attempt(r, attempt);
    if (!r.ok() || r.rest() != 0) {
        return fail(ErrorCode::kInternal, "a journal record is damaged");
    }
    return {};
}

namespace {

bool is_storable(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const std::size_t length = byte < 0x80 ? 1 : json::utf8_length(text.substr(i));
        if (byte == 0 || length == 0) return false;
        i += length;
    }
    return true;
}

void clean(std::string& text) {
    if (is_storable(text)) return;
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t length =
            text[i] == '\0' ? 0 : json::utf8_length(std::string_view(text).substr(i));
        if (length == 0) {
            json::append_utf8(out, 0xfffd);
        } else {
            out.append(text, i, length);
        }
        i += std::max<std::size_t>(length, 1);
    }
    text = std::move(out);
}

}  // namespace

void make_storable(RequestRecord& r) {
    for (std::string* text : {&r.key, &r.route, &r.endpoint, &r.model_asked, &r.model, &r.provider,
                              &r.user, &r.tags, &r.session, &r.agent, &r.notes, &r.error}) {
        clean(*text);
    }
    for (AttemptRow& a : r.attempts) {
        for (std::string* text : {&a.provider, &a.model, &a.model_reported, &a.finish_reason}) {
            clean(*text);
        }
    }
}

void make_storable(Intent& intent) {
    for (std::string* text : {&intent.key, &intent.route, &intent.endpoint, &intent.model_asked,
                              &intent.model, &intent.provider}) {
        clean(*text);
    }
    for (std::string& scope : intent.scopes) clean(scope);
}

}  // namespace leeway::ledger
