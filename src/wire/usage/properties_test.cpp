#include "json/tokens.hpp"
#include "wire/usage/extractor.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace leeway::wire::usage {
namespace {

using prices::Bucket;

UsageReading read(Flavour flavour, const std::string& document) {
    Extractor extractor(flavour);
    const auto tokens = json::thread_indexer().index(document);
    if (!tokens) return {};
    json::Cursor cursor(*tokens);
    extractor.read_document(cursor);
    return extractor.result();
}

std::int64_t part_of(std::int64_t& rest) {
    const auto part = *rc::gen::inRange<std::int64_t>(0, rest + 1);
    rest -= part;
    return part;
}

RC_GTEST_PROP(UsageProperties, ChatSplitsAddUpToTheTotal, ()) {
    const auto prompt = *rc::gen::inRange<std::int64_t>(0, 1 << 30);
    const auto completion = *rc::gen::inRange<std::int64_t>(0, 1 << 30);
    std::int64_t fresh = prompt;
    const auto cached = part_of(fresh);
    const auto written = part_of(fresh);
    const auto audio = part_of(fresh);
    std::int64_t text = completion;
    const auto reasoning = part_of(text);
    const auto spoken = part_of(text);
    const auto rejected = part_of(text);
    const auto reading =
        read(Flavour::kOpenAiChat,
             fmt::format(R"({{"usage":{{"total_tokens":{},"completion_tokens":{},"prompt_tokens":{},
            "completion_tokens_details":{{"rejected_prediction_tokens":{},"reasoning_tokens":{},"audio_tokens":{}}},
            "prompt_tokens_details":{{"audio_tokens":{},"cached_tokens":{},"cache_write_tokens":{}}}}}}})",
                         prompt + completion, completion, prompt, rejected, reasoning, spoken,
                         audio, cached, written));
    RC_ASSERT(!reading.clamped);
    RC_ASSERT(!reading.sum_mismatch);
    RC_ASSERT(reading.usage == (prices::Usage{{Bucket::kInput, fresh},
                                              {Bucket::kCachedInput, cached},
                                              {Bucket::kCacheWrite, written},
                                              {Bucket::kAudioInput, audio},
                                              {Bucket::kOutput, text},
                                              {Bucket::kReasoning, reasoning},
                                              {Bucket::kAudioOutput, spoken},
                                              {Bucket::kRejectedPrediction, rejected}}));
}

// Whatever a provider says, each bucket is a count, and a chat answer's parts stay within their whole.
RC_GTEST_PROP(UsageProperties, NonsenseNeverMakesMoreTokensThanWereTold, ()) {
    const auto number = [] {
        return *rc::gen::inRange<std::int64_t>(-1000, 1 << 20);
    };
    const auto prompt = number();
    const auto completion = number();
    const auto reading = read(Flavour::kOpenAiChat,
                              fmt::format(R"({{"usage":{{"prompt_tokens":{},"completion_tokens":{},
                 "prompt_tokens_details":{{"cached_tokens":{},"audio_tokens":{},"image_tokens":{},"cache_write_tokens":{}}},
                 "completion_tokens_details":{{"reasoning_tokens":{},"audio_tokens":{}}}}}}})",
                                          prompt, completion, number(), number(), number(),
                                          number(), number(), number()));
    for (const auto& info : prices::kBuckets) RC_ASSERT(reading.usage[info.bucket] >= 0);
    RC_ASSERT(reading.usage.input_total() == std::max<std::int64_t>(prompt, 0));
    RC_ASSERT(reading.usage.output_total() == std::max<std::int64_t>(completion, 0));
}

RC_GTEST_PROP(UsageProperties, AnthropicCountersAddUpInAnyOrder, ()) {
    const auto number = [] {
        return *rc::gen::inRange<std::int64_t>(0, 1 << 30);
    };
    const auto fresh = number();
    const auto cached = number();
    const auto output = number();
    std::int64_t rest = number();
    const auto written = rest;
    const auto short_lived = part_of(rest);
    const auto long_lived = part_of(rest);
    const auto reading = read(
        Flavour::kAnthropic,
        fmt::format(
            R"({{"usage":{{"cache_creation":{{"ephemeral_1h_input_tokens":{},"ephemeral_5m_input_tokens":{}}},
            "output_tokens":{},"cache_read_input_tokens":{},"cache_creation_input_tokens":{},"input_tokens":{}}}}})",
            long_lived, short_lived, output, cached, written, fresh));
    RC_ASSERT(!reading.clamped);
    RC_ASSERT(reading.usage.input_total() == fresh + cached + written);
    RC_ASSERT(reading.usage[Bucket::kInput] == fresh);
    RC_ASSERT(reading.usage.output_total() == output);
}

}  // namespace
}  // namespace leeway::wire::usage
