#include "wire/openai/stream_observer.hpp"

#include <algorithm>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "json/cursor.hpp"
#include "json/number.hpp"

namespace leeway::wire::openai {

namespace {

// The model's name is in the first chunk; who leaves it out there is not asked for ever.
constexpr unsigned kParsesForModel = 3;

constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Offset of the next `"` that is followed by the first letter of a key that matters (usage,
/// finish_reason, error), or npos. One pass for all three.
std::size_t next_candidate(std::string_view text, std::size_t from) noexcept {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i u = _mm_set1_epi8('u');
    const __m128i f = _mm_set1_epi8('f');
    const __m128i e = _mm_set1_epi8('e');
    for (; from + 17 <= text.size(); from += 16) {
        const char* at = text.data() + from;
        const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i then = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 1));
        const __m128i letter =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(then, u), _mm_cmpeq_epi8(then, f)),
                         _mm_cmpeq_epi8(then, e));
        const int mask = _mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(here, quote), letter));
        if (mask != 0)
            return from + static_cast<std::size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
    }
#endif
    for (; from + 1 < text.size(); ++from) {
        const char letter = text[from + 1];
        if (text[from] == '"' && (letter == 'u' || letter == 'f' || letter == 'e')) return from;
    }
    return std::string_view::npos;
}

/// If the member `name` (with its quotes) begins at `at`: the offset of its value, else npos. An unescaped
/// quote cannot stand inside a string, so what looks like a key and a colon is one.
std::size_t value_of(std::string_view text, std::size_t at, std::string_view name) noexcept {
    if (!text.substr(at).starts_with(name)) return std::string_view::npos;
    at += name.size();
    while (at < text.size() && is_space(text[at])) ++at;
    if (at >= text.size() || text[at] != ':') return std::string_view::npos;
    ++at;
    while (at < text.size() && is_space(text[at])) ++at;
    return at < text.size() ? at : std::string_view::npos;
}

/// Whether a member whose value ends at `at` belongs to the outermost object: exactly one bracket is
/// closed behind it that was open before.
bool is_top_level(std::string_view text, std::size_t at) noexcept {
    int open = 0;
    int deepest = 0;
    bool in_string = false;
    for (; at < text.size(); ++at) {
        const char c = text[at];
        if (in_string) {
            if (c == '\\') ++at;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            ++open;
        } else if (c == '}' || c == ']') {
            deepest = std::min(deepest, --open);
        }
    }
    return deepest == -1;
}

void read_text(json::Cursor& cursor, std::string& out) {
    std::string_view raw;
    std::string scratch;
    if (cursor.kind() != '"') {
        cursor.skip_unchecked();
    } else if (cursor.string(raw)) {
        out = json::decoded(raw, cursor.escaped(), scratch);
    }
}

void read_error(json::Cursor& cursor, std::string& message) {
    if (cursor.kind() != '{' || !cursor.open_object()) {
        read_text(cursor, message);
        return;
    }
    std::string_view key;
    while (cursor.next_member(key)) {
        if (key == "message") {
            read_text(cursor, message);
        } else {
            cursor.skip_unchecked();
        }
    }
}

}  // namespace

/// What one parsed event said.
struct StreamObserver::Chunk {
    bool has_usage = false;  // a top-level usage that is an object
    bool has_choices = false;  // `choices` is there and not empty
    std::size_t usage_key = 0;  // offset of the member's first quote in the data
    std::size_t usage_end = 0;
};

std::string_view StreamObserver::observe(const SseEvent& event) {
    if (!event.has_data) return event.raw;
    if (event.data == "[DONE]") {
        facts_.done = true;
        return event.raw;
    }
    ++facts_.events;
    return inspect(event);
}

std::string_view StreamObserver::inspect(const SseEvent& event) {
    const std::string_view data = event.data;
    bool parse = facts_.model.empty() && parses_for_model_ < kParsesForModel;
    std::size_t null_usage = std::string_view::npos;
    std::size_t null_usage_end = 0;
    for (std::size_t at = next_candidate(data, 0); at != std::string_view::npos;
         at = next_candidate(data, at + 1)) {
        std::size_t value = value_of(data, at, "\"finish_reason\"");
        if (value != std::string_view::npos) {
            parse = parse || data[value] != 'n';
            continue;
        }
        value = value_of(data, at, "\"usage\"");
        if (value != std::string_view::npos) {
            if (data[value] != 'n') {
                parse = true;
            } else if (options_.hide_usage && is_top_level(data, value)) {
                null_usage = at;
                null_usage_end = std::min(value + 4, data.size());  // "null"
            }
            continue;
        }
        value = value_of(data, at, "\"error\"");
        parse = parse || (value != std::string_view::npos && data[value] != 'n');
    }
    if (event.type == "error") {
        facts_.is_error = facts_.is_error || !facts_.done;
        parse = true;
    }
    if (parse) {
        if (facts_.model.empty()) ++parses_for_model_;
        Chunk chunk;
        std::string shadow;
        const auto tokens = json::thread_indexer().index_lenient(data, shadow);
        if (tokens) read_chunk(*tokens, chunk);
        if (chunk.has_usage && options_.hide_usage) {
            if (!chunk.has_choices) return {};
            return without(event, chunk.usage_key, chunk.usage_end);
        }
    }
    if (null_usage == std::string_view::npos) return event.raw;
    return without(event, null_usage, null_usage_end);
}

void StreamObserver::read_chunk(const json::Tokens& tokens, Chunk& chunk) {
    const auto take_usage = [this](json::Cursor& cursor) {
        const UsageReading reading = read_usage(cursor, options_.flavour);
        // What follows the end is no part of the answer.
        if (!facts_.done && reading.state != prices::UsageState::kMissing) reading_ = reading;
    };
    json::Cursor cursor(tokens);
    std::string_view key;
    std::string_view inner;
    if (cursor.kind() != '{' || !cursor.open_object()) return;
    while (cursor.next_member(key)) {
        if (key == "usage") {
            const bool object = cursor.kind() == '{';
            take_usage(cursor);
            if (!object || cursor.failed()) continue;
            chunk.has_usage = true;
            chunk.usage_key = static_cast<std::size_t>(key.data() - tokens.text.data()) - 1;
            chunk.usage_end = cursor.value_end();
        } else if (key == "model") {
            read_text(cursor, facts_.model);
        } else if (key == "service_tier") {
            std::string word;
            read_text(cursor, word);
            if (const auto tier = prices::tier_of(word)) tier_ = tier;
        } else if (key == "error" && cursor.kind() != 'n' && !facts_.done) {
            facts_.is_error = true;
            read_error(cursor, facts_.error_message);
        } else if (key == "x_groq" && cursor.kind() == '{' && cursor.open_object()) {
            while (cursor.next_member(inner)) {
                if (inner == "usage") {
                    take_usage(cursor);
                } else {
                    cursor.skip_unchecked();
                }
            }
        } else if (key == "choices" && cursor.kind() == '[' && cursor.open_array()) {
            while (cursor.next_element()) {
                chunk.has_choices = true;
                if (cursor.kind() != '{' || !cursor.open_object()) {
                    cursor.skip_unchecked();
                    continue;
                }
                std::int64_t index = 0;
                std::string reason;
                while (cursor.next_member(inner)) {
                    std::string_view number;
                    const char kind = cursor.kind();
                    if (inner == "finish_reason") {
                        read_text(cursor, reason);
                    } else if (inner == "index" && kind >= '0' && kind <= '9') {
                        if (cursor.number(number)) index = json::to_int64(number).value_or(0);
                    } else if (inner == "usage") {  // Moonshot tells it here
                        take_usage(cursor);
                    } else {
                        cursor.skip_unchecked();
                    }
                }
                if (!reason.empty()) finish_choice(index, reason);
            }
        } else {
            cursor.skip_unchecked();
        }
    }
}

void StreamObserver::finish_choice(std::int64_t index, std::string_view reason) {
    if (std::find(finished_.begin(), finished_.end(), index) == finished_.end()) {
        // A hostile stream cannot make this grow: more than the asked-for choices tell nothing new.
        if (finished_.size() <
            static_cast<std::size_t>(std::max<std::int64_t>(options_.choices, 1))) {
            finished_.push_back(index);
        }
    }
    if (index == 0) {
        facts_.finish_reason = reason;
        finish_of_first_ = true;
    } else if (!finish_of_first_ && facts_.finish_reason.empty()) {
        facts_.finish_reason = reason;
    }
}

std::string_view StreamObserver::without(const SseEvent& event, std::size_t key,
                                         std::size_t value_end) {
    const std::string_view data = event.data;
    std::size_t begin = key;
    while (begin > 0 && is_space(data[begin - 1])) --begin;
    if (begin > 0 && data[begin - 1] == ',') {
        --begin;
    } else {
        begin = key;
        std::size_t comma = value_end;
        while (comma < data.size() && is_space(data[comma])) ++comma;
        if (comma < data.size() && data[comma] == ',') value_end = comma + 1;
    }
    rewritten_.clear();
    // Data of several lines was joined elsewhere, so it is no part of the raw bytes.
    const bool inside = data.data() >= event.raw.data() &&
                        data.data() + data.size() <= event.raw.data() + event.raw.size();
    if (inside) {
        const auto offset = static_cast<std::size_t>(data.data() - event.raw.data());
        rewritten_.append(event.raw.substr(0, offset + begin));
        rewritten_.append(event.raw.substr(offset + value_end));
        return rewritten_;
    }
    rewritten_.append("data: ").append(data.substr(0, begin)).append(data.substr(value_end));
    // In JSON a line feed can only be white space between tokens.
    std::replace(rewritten_.begin(), rewritten_.end(), '\n', ' ');
    rewritten_.append("\n\n");
    return rewritten_;
}

StreamFacts StreamObserver::facts() const {
    StreamFacts facts = facts_;
    const auto wanted = static_cast<std::size_t>(std::max<std::int64_t>(options_.choices, 1));
    facts.finished = facts.done || finished_.size() >= wanted;
    facts.usage = reading_;
    if (tier_) facts.usage.tier = tier_;
    if (reading_.state != prices::UsageState::kMissing && (!facts.finished || facts.is_error)) {
        facts.usage.state = prices::UsageState::kPartial;
    }
    return facts;
}

}  // namespace leeway::wire::openai
