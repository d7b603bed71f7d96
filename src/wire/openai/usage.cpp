#include "wire/openai/usage.hpp"

#include "json/number.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

namespace leeway::wire::openai {

namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 53;

struct Counts {
    std::optional<std::int64_t> prompt;
    std::optional<std::int64_t> completion;
    std::optional<std::int64_t> total;
    std::int64_t cached = 0;
    std::int64_t cache_hit = 0;  // DeepSeek's name for `cached`, at the top
    std::int64_t cache_write = 0;
    std::int64_t audio_input = 0;
    std::int64_t reasoning = 0;
    std::int64_t audio_output = 0;
    bool clamped = false;
    bool unreadable = false;  // the prompt's or the completion's count is no number
};

/// A count at the cursor; nullopt when it is null or no number at all.
std::optional<std::int64_t> count(json::Cursor& cursor, bool& clamped) {
    const char kind = cursor.kind();
    if (kind != '-' && (kind < '0' || kind > '9')) {
        if (kind != 'n') clamped = true;
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
        if (static_cast<double>(*value) != number) clamped = true;
    }
    if (*value < 0 || *value > kLargest) clamped = true;
    return std::clamp<std::int64_t>(*value, 0, kLargest);
}

void details(json::Cursor& cursor, bool input, Counts& counts) {
    if (cursor.kind() != '{') {
        cursor.skip_unchecked();
        return;
    }
    if (!cursor.open_object()) return;
    std::string_view key;
    while (cursor.next_member(key)) {
        std::int64_t* slot = nullptr;
        if (key == "audio_tokens") {
            slot = input ? &counts.audio_input : &counts.audio_output;
        } else if (input && key == "cached_tokens") {
            slot = &counts.cached;
        } else if (input && key == "cache_write_tokens") {
            slot = &counts.cache_write;
        } else if (!input && key == "reasoning_tokens") {
            slot = &counts.reasoning;
        }
        if (slot != nullptr) {
            *slot = count(cursor, counts.clamped).value_or(0);
        } else {
            cursor.skip_unchecked();
        }
    }
}

/// One of the two counts that everything else is a part of.
std::optional<std::int64_t> whole(json::Cursor& cursor, Counts& counts) {
    const bool is_null = cursor.kind() == 'n';
    const auto value = count(cursor, counts.clamped);
    if (!value && !is_null) counts.unreadable = true;
    return value;
}

/// Takes `part` out of `whole`, or all of `whole` when it is larger.
std::int64_t take(std::int64_t& whole, std::int64_t part, bool& clamped) {
    if (part > whole) clamped = true;
    const std::int64_t taken = std::min(part, whole);
    whole -= taken;
    return taken;
}

}  // namespace

UsageReading read_usage(json::Cursor& cursor) {
    UsageReading reading;
    if (cursor.kind() != '{') {
        cursor.skip_unchecked();
        return reading;
    }
    Counts counts;
    if (!cursor.open_object()) return reading;
    std::string_view key;
    while (cursor.next_member(key)) {
        if (key == "prompt_tokens") {
            counts.prompt = whole(cursor, counts);
        } else if (key == "completion_tokens") {
            counts.completion = whole(cursor, counts);
        } else if (key == "total_tokens") {
            counts.total = count(cursor, counts.clamped);
        } else if (key == "prompt_cache_hit_tokens") {
            counts.cache_hit = count(cursor, counts.clamped).value_or(0);
        } else if (key == "prompt_tokens_details") {
            details(cursor, true, counts);
        } else if (key == "completion_tokens_details") {
            details(cursor, false, counts);
        } else {
            cursor.skip_unchecked();
        }
    }
    reading.clamped = counts.clamped;
    if (cursor.failed() || counts.unreadable) return reading;  // half a count is no count
    if (!counts.prompt && !counts.completion) return reading;

    std::int64_t input = counts.prompt.value_or(0);
    std::int64_t output = counts.completion.value_or(0);
    // Some providers count reasoning beside the completion; only their total tells.
    const bool reasoning_on_top =
        counts.total && counts.reasoning > 0 && *counts.total == input + output + counts.reasoning;
    prices::Usage& usage = reading.usage;
    usage.cached_input = take(input, std::max(counts.cached, counts.cache_hit), counts.clamped);
    usage.cache_write_input = take(input, counts.cache_write, counts.clamped);
    usage.audio_input = take(input, counts.audio_input, counts.clamped);
    usage.input = input;
    usage.reasoning_output =
        reasoning_on_top ? counts.reasoning : take(output, counts.reasoning, counts.clamped);
    usage.audio_output = take(output, counts.audio_output, counts.clamped);
    usage.output = output;

    const std::int64_t sum = usage.input_total() + usage.output_total();
    reading.sum_mismatch = counts.total && *counts.total != sum;
    reading.clamped = counts.clamped;
    reading.state = sum == 0 ? prices::UsageState::kZero : prices::UsageState::kFinal;
    return reading;
}

}  // namespace leeway::wire::openai
