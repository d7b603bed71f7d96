#include "wire/openai/stream_observer.hpp"

#include "json/testing/test_data.hpp"
#include "wire/openai/testing/cassette.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leeway::wire::openai {
namespace {

using prices::Bucket;

struct Relayed {
    std::string bytes;
    StreamFacts facts;
};

Relayed relay(const std::string& stream, StreamObserver::Options options = {}) {
    SseScanner scanner;
    StreamObserver observer(options);
    Relayed out;
    SseEvent event;
    scanner.feed(stream);
    while (*scanner.next(event)) out.bytes += observer.observe(event);
    if (scanner.finish(event)) out.bytes += observer.observe(event);
    out.facts = observer.facts();
    return out;
}

std::string chunk(const std::string& choices, const std::string& more = "") {
    return "data: "
           "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m-1\",\"choices\":[" +
           choices + "]" + more + "}\n\n";
}
std::string text(const std::string& content, int index = 0) {
    return "{\"index\":" + std::to_string(index) + ",\"delta\":{\"content\":\"" + content +
           "\"},\"finish_reason\":null}";
}
std::string stop(int index = 0, const std::string& reason = "stop") {
    return "{\"index\":" + std::to_string(index) + ",\"delta\":{},\"finish_reason\":\"" + reason +
           "\"}";
}

const std::string kUsage =
    R"("usage":{"prompt_tokens":12,"completion_tokens":100,"total_tokens":112,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":90,"audio_tokens":0}})";
const std::string kDone = "data: [DONE]\n\n";
constexpr StreamObserver::Options kHide{.hide_usage = true, .choices = 1};

TEST(StreamObserver, PassesEverythingAndReadsUsage) {
    const std::string stream = chunk(text("a"), ",\"usage\":null") + ": ping\n\n" +
                               chunk(stop(), ",\"usage\":null") + chunk("", "," + kUsage) + kDone;
    const auto out = relay(stream);
    EXPECT_EQ(out.bytes, stream);
    EXPECT_TRUE(out.facts.done);
    EXPECT_TRUE(out.facts.finished);
    EXPECT_EQ(out.facts.model, "m-1");
    EXPECT_EQ(out.facts.finish_reason, "stop");
    EXPECT_EQ(out.facts.usage.state, prices::UsageState::kFinal);
    EXPECT_EQ(out.facts.usage.usage[Bucket::kInput], 8);
    EXPECT_EQ(out.facts.usage.usage[Bucket::kCachedInput], 4);
    EXPECT_EQ(out.facts.usage.usage[Bucket::kOutput], 10);
    EXPECT_EQ(out.facts.usage.usage[Bucket::kReasoning], 90);
    EXPECT_FALSE(out.facts.usage.sum_mismatch);
    EXPECT_EQ(out.facts.events, 3u);
}

TEST(StreamObserver, HidesUsageByteForByte) {
    const std::string stream = chunk(text("a"), ",\"usage\":null,\"obfuscation\":\"x}\"") +
                               chunk(stop(), " , \"usage\" : null") + chunk("", "," + kUsage) +
                               kDone;
    const auto out = relay(stream, kHide);
    EXPECT_EQ(out.bytes, chunk(text("a"), ",\"obfuscation\":\"x}\"") + chunk(stop(), " ") + kDone);
    EXPECT_EQ(out.facts.usage.usage[Bucket::kOutput], 10);
    EXPECT_EQ(relay("data: {\"usage\":null, \"choices\":[]}\n\n", kHide).bytes,
              "data: { \"choices\":[]}\n\n");
    EXPECT_EQ(relay("data: {\"usage\":null}\r\n\r\n", kHide).bytes, "data: {}\r\n\r\n");
}

TEST(StreamObserver, HidesUsageInAChunkWithChoices) {
    const auto out = relay(chunk(stop(), "," + kUsage) + kDone, kHide);
    EXPECT_EQ(out.bytes, chunk(stop()) + kDone);
    EXPECT_EQ(out.facts.usage.usage[Bucket::kInput], 8);
    EXPECT_EQ(out.facts.finish_reason, "stop");
}

TEST(StreamObserver, IsNotFooledByContent) {
    const std::string tricky =
        R"({"index":0,"delta":{"content":"\"usage\":null,\"finish_reason\":\"stop\""},"finish_reason":null})";
    const std::string nested =
        R"({"index":0,"delta":{"usage":null,"tool_calls":[{"usage":null}]},"finish_reason":null})";
    const std::string stream =
        chunk(tricky) + chunk(nested) + chunk(text("usage")) + chunk(text("error"));
    const auto out = relay(stream, kHide);
    EXPECT_EQ(out.bytes, stream);
    EXPECT_FALSE(out.facts.finished);
    EXPECT_FALSE(out.facts.is_error);
    EXPECT_EQ(out.facts.usage.state, prices::UsageState::kMissing);
}

TEST(StreamObserver, TellsACutStreamFromAWholeOne) {
    const auto cut = relay(chunk(text("a"), "," + kUsage) + "data: {\"id\":");
    EXPECT_FALSE(cut.facts.finished);
    EXPECT_EQ(cut.facts.usage.state, prices::UsageState::kPartial);
    EXPECT_TRUE(cut.facts.finish_reason.empty());
    const auto no_done = relay(chunk(text("a")) + chunk(stop()) + chunk("", "," + kUsage));
    EXPECT_TRUE(no_done.facts.finished);
    EXPECT_FALSE(no_done.facts.done);
    EXPECT_EQ(no_done.facts.usage.state, prices::UsageState::kFinal);
    const StreamObserver::Options two{.hide_usage = false, .choices = 2};
    EXPECT_FALSE(relay(chunk(stop(0)) + chunk(stop(0)) + chunk(text("b", 1)), two).facts.finished);
    const auto both = relay(chunk(stop(1, "length")) + chunk(stop(0)), two);
    EXPECT_TRUE(both.facts.finished);
    EXPECT_EQ(both.facts.finish_reason, "stop");
}

TEST(StreamObserver, SeesErrorsInTheStream) {
    const auto out =
        relay(chunk(text("a")) + "data: {\"error\":{\"message\":\"over\\nloaded\"}}\n\n");
    EXPECT_TRUE(out.facts.is_error);
    EXPECT_EQ(out.facts.error_message, "over\nloaded");
    EXPECT_FALSE(out.facts.finished);
    EXPECT_TRUE(relay("event: error\ndata: {\"message\":\"x\"}\n\n").facts.is_error);
    EXPECT_FALSE(relay(chunk(text("a"), ",\"error\":null")).facts.is_error);
    // What follows the end is no part of the answer, in however many pieces it comes.
    const std::string late = "event: error\ndata: {\"error\":{\"message\":\"late\"}}\n\n";
    EXPECT_FALSE(relay(chunk(stop()) + kDone + late).facts.is_error);
}

TEST(StreamObserver, TakesTheLastCumulativeUsageWhereverItIs) {
    const auto usage = [](int n) {
        return "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":" + std::to_string(n) +
               ",\"total_tokens\":" + std::to_string(n + 1) + "}";
    };
    EXPECT_EQ(relay(chunk(text("a"), "," + usage(1)) + chunk(text("b"), "," + usage(2)) +
                    chunk(stop(), "," + usage(3)) + kDone)
                  .facts.usage.usage[Bucket::kOutput],
              3);
    EXPECT_EQ(relay(chunk(stop(), ",\"x_groq\":{\"id\":\"r\"," + usage(5) + "}") + kDone)
                  .facts.usage.usage[Bucket::kOutput],
              5);
    EXPECT_EQ(
        relay(chunk("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"," + usage(6) + "}") +
              kDone)
            .facts.usage.usage[Bucket::kOutput],
        6);
    EXPECT_EQ(relay(chunk(stop()) + kDone).facts.usage.state, prices::UsageState::kMissing);
    EXPECT_EQ(relay(chunk("", ",\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}") + kDone)
                  .facts.usage.state,
              prices::UsageState::kZero);
}

TEST(StreamObserver, SurvivesWhatIsNotJson) {
    for (const char* data :
         {"{", "null", "[1]", "{\"usage\":", "{\"usage\":nul", "{\"choices\":{\"usage\":1}}",
          "\"usage\":{", "{\"error\":}", "{\"choices\":[{\"finish_reason\":\"x\"", "\"u"}) {
        const std::string stream = "data: " + std::string(data) + "\n\n";
        EXPECT_EQ(relay(stream, kHide).bytes.size() <= stream.size(), true) << data;
        EXPECT_EQ(relay(stream).bytes, stream) << data;
    }
    const auto broken_text = relay("data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]," +
                                   kUsage + "}\n\n" + kDone);
    EXPECT_EQ(broken_text.facts.usage.usage[Bucket::kInput], 8);
}

TEST(StreamObserver, ReadsRecordedStreams) {
    const auto folder = json::testing::test_data("wire/openai-cassettes");
    if (folder.empty()) GTEST_SKIP() << json::testing::skip_message("wire/openai-cassettes");
    int streams = 0;
    for (const auto& file : json::testing::files_in(folder)) {
        const std::string name = file.filename().string();
        if (!name.starts_with("chat-") || name.find("streaming") == std::string::npos) continue;
        for (const auto& exchange : testing::exchanges(json::testing::read_file(file))) {
            const auto out = relay(exchange.response);
            EXPECT_EQ(out.bytes, exchange.response) << name;
            EXPECT_TRUE(out.facts.done) << name;
            EXPECT_FALSE(out.facts.finish_reason.empty()) << name;
            EXPECT_FALSE(out.facts.model.empty()) << name;
            const auto hidden = relay(exchange.response, kHide);
            EXPECT_EQ(hidden.bytes.find("\"usage\""), std::string::npos) << name;
            EXPECT_EQ(hidden.facts.usage.usage, out.facts.usage.usage) << name;
            if (name == "chat-streaming-detailed-usage.yaml") {
                EXPECT_EQ(out.facts.usage.usage[Bucket::kInput], 12);
                EXPECT_EQ(out.facts.usage.usage[Bucket::kReasoning], 100);
                EXPECT_EQ(out.facts.finish_reason, "length");
            }
            ++streams;
        }
    }
    EXPECT_GE(streams, 3);
}

}  // namespace
}  // namespace leeway::wire::openai
