// Streams of five dialects (Google's in both its forms), split and cut at every byte, translated into each of the four that
// callers speak: a split changes nothing, and nothing that was cut looks whole. LEEWAY_MATRIX=full tries every byte, else every 7th.

#include "wire/canonical/codec.hpp"
#include "wire/gemini/array_stream.hpp"
#include "wire/openai/sse.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace leeway::wire {
namespace {

using Kind = StreamEvent::Kind;
constexpr std::array kAll{Dialect::kOpenAiChat, Dialect::kOpenAiResponses, Dialect::kAnthropic,
                          Dialect::kGemini};

usage::Flavour flavour_of(Dialect dialect) {
    switch (dialect) {
        case Dialect::kOpenAiChat: return usage::Flavour::kOpenAiChat;
        case Dialect::kOpenAiResponses: return usage::Flavour::kOpenAiResponses;
        case Dialect::kAnthropic: return usage::Flavour::kAnthropic;
        case Dialect::kGemini: return usage::Flavour::kGemini;
        case Dialect::kBedrock: return usage::Flavour::kBedrock;
        case Dialect::kCohere: return usage::Flavour::kCohere;
    }
    return usage::Flavour::kOpenAiChat;
}

struct Step {
    Kind kind;
    std::uint32_t part = 0;
    std::string text;
    StopReason stop = StopReason::kUnset;
};

/// What a stream says, in no dialect.
std::vector<StreamEvent> events_of(const std::vector<Step>& steps) {
    std::vector<StreamEvent> out;
    StreamEvent start;
    start.id = "resp_1";
    start.model = "model-1";
    out.push_back(start);
    for (const Step& step : steps) {
        StreamEvent event;
        event.kind = step.kind;
        event.part = step.part;
        event.text = step.text;
        event.stop = step.stop;
        if (step.kind == Kind::kToolCall) {
            event.id = "call_" + std::to_string(step.part);
            event.name = step.text;
            event.text.clear();
        }
        out.push_back(std::move(event));
    }
    StreamEvent told;
    told.kind = Kind::kUsage;
    told.usage.usage = prices::Usage{{prices::Bucket::kInput, 800},
                                     {prices::Bucket::kCachedInput, 200},
                                     {prices::Bucket::kOutput, 100}};
    told.usage.state = prices::UsageState::kFinal;
    out.push_back(std::move(told));
    StreamEvent end;
    end.kind = Kind::kEnd;
    out.push_back(std::move(end));
    return out;
}

const std::vector<std::vector<Step>>& stories() {
    static const std::vector<std::vector<Step>> all{
        {{Kind::kText, 0, "Hi"}, {Kind::kStop, 0, "", StopReason::kEnd}},
        {{Kind::kText, 0, "Grüße \u2028 \"quoted\"\\ \n\n data: x\n\n"},
         {Kind::kText, 0, "😀 end"},
         {Kind::kStop, 0, "", StopReason::kEnd}},
        {{Kind::kText, 0, "half"}, {Kind::kStop, 0, "", StopReason::kLength}},
        {{Kind::kText, 0, "no more"}, {Kind::kStop, 0, "", StopReason::kFilter}},
        {{Kind::kToolCall, 0, "ping"},
         {Kind::kToolArguments, 0, "{}"},
         {Kind::kStop, 0, "", StopReason::kToolUse}},
        {{Kind::kText, 0, "I look."},
         {Kind::kToolCall, 1, "weather"},
         {Kind::kToolArguments, 1, "{\"city\":\"Oslo\"}"},
         {Kind::kStop, 0, "", StopReason::kToolUse}},
        {{Kind::kToolCall, 0, "a"},
         {Kind::kToolArguments, 0, "{\"x\":1}"},
         {Kind::kToolCall, 1, "b"},
         {Kind::kToolArguments, 1, "{\"y\":[2,3]}"},
         {Kind::kToolCall, 2, "c"},
         {Kind::kToolArguments, 2, "{}"},
         {Kind::kStop, 0, "", StopReason::kToolUse}},
        {{Kind::kThinking, 0, "Let me see."},
         {Kind::kThinking, 0, " Yes."},
         {Kind::kText, 1, "It is so."},
         {Kind::kStop, 0, "", StopReason::kEnd}},
        {{Kind::kThinking, 0, "Which?"},
         {Kind::kToolCall, 1, "find"},
         {Kind::kToolArguments, 1, "{\"q\":\"[DONE]\"}"},
         {Kind::kStop, 0, "", StopReason::kToolUse}},
        {{Kind::kText, 0,
          "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\ndata: [DONE]\n\n"},
         {Kind::kStop, 0, "", StopReason::kEnd}},
    };
    return all;
}

std::string write(Dialect dialect, const std::vector<StreamEvent>& events) {
    const auto writer = codec_of(dialect).stream_writer({"id", "model", 1, true});
    std::string out;
    for (const StreamEvent& event : events) writer->write(event, out);
    return out;
}

struct Heard {
    std::string bytes;  ///< what the caller gets
    bool ended = false;
    bool failed = false;
};

/// Feeds the pieces to a reader of `from` and what it says to a writer of `to`.
Heard hear(Dialect from, Dialect to, std::initializer_list<std::string_view> pieces) {
    const UpstreamCodec& codec = upstream_codec_of(from);
    const auto reader = codec.stream_reader(flavour_of(from));
    const auto writer = codec_of(to).stream_writer({"id", "model", 1, true});
    const auto scanner = codec.scanner();
    openai::SseEvent event;
    std::vector<StreamEvent> events;
    Heard heard;
    const auto pass_on = [&] {
        for (const StreamEvent& one : events) {
            heard.ended = heard.ended || one.kind == Kind::kEnd;
            writer->write(one, heard.bytes);
        }
        events.clear();
    };
    for (const std::string_view piece : pieces) {
        scanner->feed(piece);
        while (true) {
            const auto more = scanner->next(event);
            if (!more || !*more) break;
            heard.failed = !reader->read(event, events).has_value() || heard.failed;
            pass_on();
        }
    }
    if (scanner->finish(event)) {
        heard.failed = !reader->read(event, events).has_value() || heard.failed;
        pass_on();
    }
    reader->end(events);
    pass_on();
    return heard;
}

/// A stream of a provider that no caller's dialect writes, and the last byte before which it was not all.
struct Transcript {
    Dialect from;
    std::string stream;
    std::size_t last;
};

std::string cohere(std::initializer_list<std::string_view> events) {
    std::string out;
    for (const std::string_view event : events) {
        const std::size_t begin = event.find(":\"") + 2;
        out.append("event: ").append(event.substr(begin, event.find('"', begin) - begin));
        out.append("\ndata: ").append(event).append("\n\n");
    }
    return out;
}

std::vector<Transcript> transcripts() {
    constexpr std::string_view kStart =
        R"({"type":"message-start","id":"c14c80c3","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}})";
    constexpr std::string_view kUsage =
        R"("usage":{"billed_units":{"input_tokens":1000,"output_tokens":100},"tokens":{"input_tokens":1500,"output_tokens":101}}}})";
    const auto end = [&](std::string_view reason) {
        return R"({"type":"message-end","delta":{"finish_reason":")" + std::string(reason) + "\"," +
               std::string(kUsage);
    };
    const auto last_event = [](Dialect from, std::string stream) {
        const std::size_t last = stream.rfind("\n\n", stream.size() - 3);
        return Transcript{from, std::move(stream), last};
    };
    std::vector<Transcript> out;
    out.push_back(last_event(
        Dialect::kCohere,
        cohere(
            {kStart,
             R"({"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}})",
             ("{\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{"
              "\"text\":\"Gr\xC3\xBC\xC3\x9F\x65 \xE2\x80\xA8 \\n data: x\"}}}}"),
             R"({"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":0,"end":3,"text":"Gr","sources":[]}}}})",
             R"({"type":"citation-end","index":0})",
             R"({"type":"content-delta","index":0,"delta":{"message":{"content":{"text":" event: message-end"}}}})",
             R"({"type":"content-end","index":0})", end("COMPLETE")})));
    out.push_back(last_event(
        Dialect::kCohere,
        cohere(
            {kStart,
             R"({"type":"content-start","index":0,"delta":{"message":{"content":{"type":"thinking","thinking":""}}}})",
             R"({"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"Let me see."}}}})",
             R"({"type":"content-end","index":0})",
             R"({"type":"content-start","index":1,"delta":{"message":{"content":{"type":"text","text":""}}}})",
             R"({"type":"content-delta","index":1,"delta":{"message":{"content":{"text":"It is so."}}}})",
             R"({"type":"content-end","index":1})", end("MAX_TOKENS")})));
    out.push_back(last_event(
        Dialect::kCohere,
        cohere(
            {kStart, R"({"type":"tool-plan-delta","delta":{"message":{"tool_plan":"I look."}}})",
             R"({"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"c1","type":"function","function":{"name":"weather","arguments":""}}}}})",
             R"({"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\n \"city\""}}}}})",
             R"({"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":": \"Oslo\"}"}}}}})",
             R"({"type":"tool-call-end","index":0})",
             R"({"type":"tool-call-start","index":1,"delta":{"message":{"tool_calls":{"id":"c2","type":"function","function":{"name":"ping","arguments":""}}}}})",
             R"({"type":"tool-call-end","index":1})", end("TOOL_CALL")})));
    // Google's streams without `alt=sse`: the last element closes with its brace, the array behind it.
    for (const auto& story : stories()) {
        gemini::ArrayWriter array;
        std::string stream;
        array.add(write(Dialect::kGemini, events_of(story)), stream);
        const std::size_t last = stream.size() - 1;
        array.close(stream);
        out.push_back({Dialect::kGemini, std::move(stream), last});
    }
    return out;
}

/// Splits and cuts `stream` at every `step`th byte from `offset` on; the number of cases. A cut at or before `last` must
/// not look whole.
std::size_t try_all(Dialect from, const std::string& stream, std::size_t last, std::size_t offset,
                    std::size_t step) {
    std::size_t cases = 0;
    for (const Dialect to : kAll) {
        const Heard whole = hear(from, to, {stream});
        EXPECT_TRUE(whole.ended && !whole.failed) << to_string(from) << to_string(to) << stream;
        for (std::size_t at = (offset + cases) % step; at < stream.size(); at += step) {
            const std::string_view front = std::string_view(stream).substr(0, at);
            const Heard split = hear(from, to, {front, std::string_view(stream).substr(at)});
            EXPECT_EQ(split.bytes, whole.bytes)
                << to_string(from) << " to " << to_string(to) << " at " << at;
            const Heard cut = hear(from, to, {front});
            EXPECT_TRUE(!cut.ended || at > last) << to_string(from) << " to " << to_string(to)
                                                 << " cut at " << at << ": " << cut.bytes;
            cases += 2;
        }
        if (testing::Test::HasFailure()) break;
    }
    return cases;
}

TEST(StreamMatrix, SplitsChangeNothingAndCutsNeverLookWhole) {
    const char* told = std::getenv("LEEWAY_MATRIX");
    const std::size_t step = told != nullptr && std::string_view(told) == "full" ? 1 : 7;
    std::size_t cases = 0;
    std::size_t offset = 0;
    for (const auto& story : stories()) {
        const auto events = events_of(story);
        for (const Dialect from : kAll) {
            const std::string stream = write(from, events);
            // The last event of a dialect may lack its blank line; what is before that was not all.
            const std::size_t last = stream.rfind("\n\n", stream.size() - 3);
            cases += try_all(from, stream, last == std::string::npos ? stream.size() : last,
                             ++offset, step);
            ASSERT_FALSE(HasFailure());
        }
    }
    for (const Transcript& one : transcripts()) {
        cases += try_all(one.from, one.stream, one.last, ++offset, step);
        ASSERT_FALSE(HasFailure());
    }
    RecordProperty("cases", std::to_string(cases));
    EXPECT_GE(cases, step == 1 ? 550'000U : 75'000U);
}

/// A dialect's own words come back through any other.
TEST(StreamMatrix, WhatAStreamSaysSurvivesAnyDialect) {
    for (const auto& story : stories()) {
        const auto events = events_of(story);
        for (const Dialect by : kAll) {
            const std::string there = write(by, events);
            const Heard back = hear(by, Dialect::kOpenAiChat, {there});
            EXPECT_EQ(back.bytes, write(Dialect::kOpenAiChat, events)) << to_string(by);
        }
    }
}

}  // namespace
}  // namespace leeway::wire
