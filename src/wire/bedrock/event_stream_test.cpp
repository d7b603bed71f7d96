#include "wire/bedrock/event_stream.hpp"

#include "wire/bedrock/converse_codec.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leeway::wire::bedrock {
namespace {

std::string big_endian(std::size_t value, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i)
        out += static_cast<char>(value >> (8U * static_cast<unsigned>(i)));
    return out;
}

std::string header(std::string_view name, std::string_view value) {
    std::string out = big_endian(name.size(), 1);
    out.append(name).append("\x07").append(big_endian(value.size(), 2)).append(value);
    return out;
}

std::string message(const std::string& headers, std::string_view payload) {
    std::string out =
        big_endian(16 + headers.size() + payload.size(), 4) + big_endian(headers.size(), 4);
    out += big_endian(crc32(out), 4);
    out.append(headers).append(payload);
    return out + big_endian(crc32(out), 4);
}

std::string event(std::string_view type, std::string_view payload) {
    return message(header(":message-type", "event") + header(":event-type", type), payload);
}

struct Seen {
    std::vector<std::string> events;
    std::string error;
    bool rest = false;
};

/// Feeds `bytes` in two chunks, cut at `cut`.
Seen scan(std::string_view bytes, std::size_t cut) {
    EventStreamScanner scanner;
    Seen out;
    openai::SseEvent one;
    for (const std::string_view chunk : {bytes.substr(0, cut), bytes.substr(cut)}) {
        scanner.feed(chunk);
        while (true) {
            const auto more = scanner.next(one);
            if (!more && out.error.empty()) out.error = more.error().reason;
            if (!more || !*more) break;
            out.events.push_back(std::string(one.type) + " " + std::string(one.data));
        }
    }
    out.rest = scanner.finish(one);
    return out;
}

TEST(EventStream, ChecksumIsThatOfZlib) {
    EXPECT_EQ(crc32("123456789"), 0xCBF43926U);
    EXPECT_EQ(crc32(""), 0U);
}

TEST(EventStream, EverySplitGivesTheSameAndEveryCutIsSeen) {
    const std::string bytes =
        event("messageStart", R"({"role":"assistant"})") + event("metadata", "{}") +
        message(
            header(":message-type", "exception") + header(":exception-type", "throttlingException"),
            R"({"message":"slow down"})") +
        message(header(":message-type", "error") + header(":error-message", "broken"), "");
    const std::vector<std::string> expected{"messageStart {\"role\":\"assistant\"}", "metadata {}",
                                            "throttlingException {\"message\":\"slow down\"}",
                                            "error broken"};
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        const Seen seen = scan(bytes, cut);
        EXPECT_EQ(seen.events, expected) << cut;
        EXPECT_TRUE(seen.error.empty() && !seen.rest) << cut;
        const Seen whole = scan(std::string_view(bytes).substr(0, cut), cut);
        EXPECT_TRUE(whole.error.empty());
        if (whole.events.size() == 4) {
            EXPECT_EQ(cut, bytes.size());
        }
    }
    EXPECT_TRUE(scan(std::string_view(bytes).substr(0, 5), 5).rest);
}

TEST(EventStream, EveryFlippedBitIsSeen) {
    const std::string good = event("metadata", R"({"usage":{}})");
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
        const Seen seen = scan(bad, bad.size());
        EXPECT_TRUE(seen.events.empty()) << bit;
        EXPECT_EQ(seen.error, "event_stream_checksum") << bit;
    }
}

TEST(EventStream, HostileLengthsAreRefused) {
    const auto prelude = [](std::size_t size, std::size_t headers) {
        std::string out = big_endian(size, 4) + big_endian(headers, 4);
        return out + big_endian(crc32(out), 4) + std::string(64, '\0');
    };
    EXPECT_EQ(scan(prelude(0xFFFFFFFF, 0), 3).error, "event_stream_too_long");
    EXPECT_EQ(scan(prelude(15, 0), 3).error, "event_stream_malformed");
    EXPECT_EQ(scan(prelude(32, 17), 3).error, "event_stream_malformed");
    for (const std::string& headers : {std::string("\xFF"), std::string("\x01") + "a\x0B",
                                       std::string("\x01") + "a\x07\xFF\xFF"})
        EXPECT_EQ(scan(message(headers, "{}"), 3).error, "event_stream_malformed");
}

TEST(Converse, InBandErrorsHaveTheirClass) {
    const ConverseCodec codec;
    const auto reader = codec.stream_reader(usage::Flavour::kBedrock);
    std::vector<StreamEvent> out;
    openai::SseEvent one;
    one.has_data = true;
    one.type = "throttlingException";
    one.data = R"({"message":"slow down"})";
    ASSERT_TRUE(reader->read(one, out));
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].error.code, ErrorCode::kRateLimited);
    EXPECT_EQ(out[0].error.message, "slow down");
    EXPECT_EQ(codec.read_error(400, R"({"__type":"com.amazon#ValidationException","message":"no"})")
                  .reason,
              "ValidationException");
}

/// A stream without its `metadata` is whole when `messageStop` came, and not otherwise.
TEST(Converse, AStreamEndsWithItsStop) {
    const ConverseCodec codec;
    for (const bool stops : {false, true}) {
        const auto reader = codec.stream_reader(usage::Flavour::kBedrock);
        std::vector<StreamEvent> out;
        openai::SseEvent one;
        one.has_data = true;
        one.type = stops ? "messageStop" : "contentBlockDelta";
        one.data = R"({"stopReason":"end_turn","delta":{"text":"x"}})";
        ASSERT_TRUE(reader->read(one, out));
        reader->end(out);
        EXPECT_EQ(out.back().kind == StreamEvent::Kind::kEnd, stops);
    }
}

TEST(Converse, RequestsOfModelsThatAreNotClaudeHaveNothingOfIts) {
    ChatRequest request;
    Message message;
    message.parts.push_back(Part::of_text("hi"));
    request.messages.push_back(message);
    request.reasoning.kind = Reasoning::Kind::kEffort;
    request.reasoning.effort = "low";
    request.top_k = "5";
    RequestTarget target;
    target.model = "amazon.nova-pro-v1:0";
    Losses losses;
    const auto body = ConverseCodec().write_request(request, target, losses);
    ASSERT_TRUE(body);
    EXPECT_EQ(*body, R"({"messages":[{"role":"user","content":[{"text":"hi"}]}]})");
    EXPECT_EQ(losses.dropped, (std::vector<std::string>{"reasoning", "top_k"}));
    target.model = "anthropic.claude-sonnet-4-20250514-v1:0";
    const auto claude = ConverseCodec().write_request(request, target, losses);
    ASSERT_TRUE(claude);
    EXPECT_NE(
        claude->find(
            R"("additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2048}})"),
        std::string::npos)
        << *claude;
}

}  // namespace
}  // namespace leeway::wire::bedrock
