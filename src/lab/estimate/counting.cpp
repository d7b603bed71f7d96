#include "lab/estimate/counting.hpp"

#include "base/money.hpp"
#include "tokens/chat_count.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace leeway::lab {
namespace {

using tokens::Quality;
using tokens::TokenCount;

constexpr std::size_t kImages = index_of(Part::kImages);
constexpr std::size_t kFrame = index_of(Part::kFrame);

TokenCount estimate_of(const Counters& counters, const std::string& model, std::int64_t base,
                       std::int64_t tools) {
    const tokens::ModelTokens rule = counters.rule_of(model);
    if (rule.exact || rule.family == tokens::ModelFamily::kOpenAi) return TokenCount::exact(base);
    tokens::CalibrationFeatures features;
    features.base_tokens = static_cast<double>(base);
    features.tool_tokens = static_cast<double>(tools);
    features.requests = 0;
    return counters.calibration_of(rule, model).estimate(features);
}

std::int64_t scaled(std::int64_t value, std::int64_t by, std::int64_t over) {
    if (over <= 0) return value;
    return static_cast<std::int64_t>((Int128{value} * by + over / 2) / over);
}

/// The input parts so that they add up to the count.
void settle(CountedPrompt& out, const PartTokens& weights) {
    PartTokens text = weights;
    text[kImages] = 0;
    const std::int64_t images = std::min(weights[kImages], out.count.tokens);
    divide(out.count.tokens - images, text.data(), out.tokens.data(), kInputParts);
    out.tokens[kImages] = images;
}

/// Numbers that were told in o200k_base, or that another model's provider counted.
CountedPrompt count_numbers(const Prompt& prompt, const std::string& model,
                            const Counters& counters) {
    CountedPrompt out;
    const auto begin = prompt.tokens.begin();
    const std::int64_t told = std::accumulate(begin, begin + kInputParts, std::int64_t{0});
    const std::int64_t tools = prompt.tokens[index_of(Part::kTools)];
    if (prompt.counted_by == model && !model.empty()) {
        out.count = {told, told, told, Quality::kProvider};
    } else {
        out.count = estimate_of(counters, model, told, tools);
        if (!prompt.counted_by.empty()) {
            // From the one family's tokens to the other's, by way of o200k_base.
            const TokenCount source = estimate_of(counters, prompt.counted_by, told, tools);
            for (std::int64_t* value : {&out.count.tokens, &out.count.low, &out.count.high}) {
                *value = scaled(*value, told, source.tokens);
            }
            const bool same = source.tokens == told && out.count.tokens == told;
            out.count.quality = same ? Quality::kProvider : Quality::kHeuristic;
        }
    }
    settle(out, prompt.tokens);
    out.cached = scaled(prompt.cached, out.count.tokens, told);
    if (prompt.constant_parts) {
        out.constant = out.tokens[index_of(Part::kSystem)] + out.tokens[index_of(Part::kTools)] +
                       out.tokens[index_of(Part::kShared)];
    }
    return out;
}

}  // namespace

void divide(std::int64_t total, const std::int64_t* weights, std::int64_t* parts,
            std::size_t count) {
    const std::int64_t sum = std::accumulate(weights, weights + count, std::int64_t{0});
    Int128 passed = 0;
    std::int64_t given = 0;
    for (std::size_t i = 0; i < count; ++i) {
        passed += weights[i];
        const std::int64_t upto =
            sum > 0 ? static_cast<std::int64_t>(Int128{total} * passed / sum) : 0;
        parts[i] = upto - given;
        given = upto;
    }
    if (count > 0) parts[count - 1] += total - given;
}

Result<CountedPrompt> count_prompt(const Prompt& prompt, const std::string& model,
                                   const Counters& counters, std::string& note) {
    if (prompt.chat.empty()) return count_numbers(prompt, model, counters);
    tokens::ModelTokens rule = counters.rule_of(model);
    const auto tokenizer = counters.tokenizer_for(rule, note);
    if (!tokenizer) return fail(tokenizer.error());
    const tokens::Calibration learned = counters.calibration_of(rule, model);
    const auto chat = tokens::count_chat(
        prompt.chat,
        {.model = model, .rule = rule, .tokenizer = *tokenizer, .calibration = &learned});
    if (!chat) return fail(chat.error());
    CountedPrompt out;
    out.count = chat->total;
    PartTokens weights{};
    std::int64_t told = 0;
    for (std::size_t i = 0; i < kInputParts; ++i) {
        if (!prompt.texts[i].empty()) {
            weights[i] = static_cast<std::int64_t>((*tokenizer)->count(prompt.texts[i]));
            told += weights[i];
        }
    }
    weights[index_of(Part::kTools)] = chat->tools;
    weights[kFrame] = std::max<std::int64_t>(chat->messages + chat->reply - told, 0);
    weights[kImages] = chat->images;
    settle(out, weights);
    if (!prompt.constant_prefix.empty()) {
        out.constant = static_cast<std::int64_t>((*tokenizer)->count(prompt.constant_prefix));
    }
    const std::int64_t base = chat->messages + chat->reply + chat->tools;
    out.constant = scaled(out.constant + chat->tools, out.count.tokens - out.tokens[kImages], base);
    out.constant = std::min(out.constant, out.count.tokens);
    return out;
}

}  // namespace leeway::lab
