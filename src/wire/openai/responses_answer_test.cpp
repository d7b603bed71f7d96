#include "wire/canonical/codec.hpp"

#include <gtest/gtest.h>

namespace leeway::wire {
namespace {

const Codec& responses() { return codec_of(Dialect::kOpenAiResponses); }

ChatAnswer refused(Part::Kind kind) {
    ChatAnswer answer;
    Part part = Part::of_text("I cannot.");
    part.kind = kind;
    answer.choices.push_back(Choice{.parts = {part}, .stop = StopReason::kRefusal});
    return answer;
}

std::string streamed(StreamEvent::Kind kind) {
    const auto writer = responses().stream_writer({.id = "r", .model = "m"});
    std::string out;
    const auto write = [&](StreamEvent event) {
        writer->write(event, out);
    };
    write({.kind = StreamEvent::Kind::kStart});
    write({.kind = kind, .text = "I cannot."});
    write({.kind = StreamEvent::Kind::kStop, .stop = StopReason::kRefusal});
    write({.kind = StreamEvent::Kind::kEnd});
    return out;
}

// Claude refuses in ordinary text and says so by its stop reason alone, which must not be lost.
TEST(ResponsesAnswer, ARefusalInOrdinaryTextIsIncomplete) {
    const std::string whole = responses().write_answer(refused(Part::Kind::kText), {});
    EXPECT_NE(whole.find(R"("status":"incomplete")"), std::string::npos) << whole;
    EXPECT_NE(whole.find(R"("incomplete_details":{"reason":"content_filter"})"), std::string::npos)
        << whole;
    const std::string stream = streamed(StreamEvent::Kind::kText);
    EXPECT_NE(stream.find("event: response.incomplete\n"), std::string::npos) << stream;
    EXPECT_NE(stream.find(R"("reason":"content_filter")"), std::string::npos) << stream;
}

TEST(ResponsesAnswer, ARefusalThatStandsAsSuchIsComplete) {
    const std::string whole = responses().write_answer(refused(Part::Kind::kRefusal), {});
    EXPECT_NE(whole.find(R"("refusal":"I cannot.")"), std::string::npos) << whole;
    EXPECT_EQ(whole.find("incomplete\""), std::string::npos) << whole;
    EXPECT_NE(streamed(StreamEvent::Kind::kRefusal).find("event: response.completed\n"),
              std::string::npos);
}

}  // namespace
}  // namespace leeway::wire
