#include "wire/openai/sse.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace leeway::wire::openai {
namespace {

struct Seen {
    std::string raw;
    std::string data;
    std::string type;
    bool has_data = false;
    bool whole = true;
};

/// All events of a stream that comes in these chunks, with what is left at the end.
std::vector<Seen> scan(const std::vector<std::string>& chunks) {
    SseScanner scanner;
    std::vector<Seen> seen;
    SseEvent event;
    const auto keep = [&] {
        seen.push_back({std::string(event.raw), std::string(event.data), std::string(event.type),
                        event.has_data, event.whole});
    };
    for (const std::string& chunk : chunks) {
        scanner.feed(chunk);
        while (true) {
            const auto more = scanner.next(event);
            if (!more) return {};
            if (!*more) break;
            keep();
        }
    }
    if (scanner.finish(event)) keep();
    return seen;
}

std::vector<std::string> data_of(const std::string& stream) {
    std::vector<std::string> out;
    for (const Seen& one : scan({stream})) {
        if (one.has_data) out.push_back(one.data);
    }
    return out;
}

using Texts = std::vector<std::string>;

TEST(SseScanner, CutsEventsAtBlankLines) {
    EXPECT_EQ(data_of("data: a\n\ndata:b\n\ndata:  c\n\n"), (Texts{"a", "b", " c"}));
    EXPECT_EQ(data_of("data: a\r\n\r\ndata: b\r\n\r\n"), (Texts{"a", "b"}));
    EXPECT_EQ(data_of("data: a\r\rdata: b\r\r"), (Texts{"a", "b"}));
    EXPECT_EQ(data_of("data: a\n\r\ndata: b\r\n\n"), (Texts{"a", "b"}));
}

TEST(SseScanner, ReadsFieldsAsTheStandardSays) {
    EXPECT_EQ(data_of("data: a\ndata: b\n\n"), (Texts{"a\nb"}));
    EXPECT_EQ(data_of("data\n\n"), (Texts{""}));
    EXPECT_EQ(data_of("\xEF\xBB\xBF"
                      "data: a\n\n"),
              (Texts{"a"}));
    EXPECT_EQ(data_of(": ping\n\nid: 1\nretry: 5\ndata: a\n\n"), (Texts{"a"}));
    EXPECT_EQ(data_of("database: x\n\n"), (Texts{}));
    EXPECT_EQ(data_of("\n\n\ndata: a\n\n\n\ndata: b\n\n"), (Texts{"a", "b"}));
    const auto typed = scan({"event: error\ndata: {}\n\n"});
    ASSERT_EQ(typed.size(), 1u);
    EXPECT_EQ(typed[0].type, "error");
}

TEST(SseScanner, GivesCommentsAsEventsWithoutData) {
    const auto seen = scan({": keep-alive\n\n"});
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_FALSE(seen[0].has_data);
    EXPECT_EQ(seen[0].raw, ": keep-alive\n\n");
}

TEST(SseScanner, TellsWhatWasLeftAtTheEnd) {
    const auto seen = scan({"data: a\n\ndata: [DONE]"});
    ASSERT_EQ(seen.size(), 2u);
    EXPECT_FALSE(seen[1].whole);
    EXPECT_EQ(seen[1].data, "[DONE]");
    EXPECT_TRUE(scan({""}).empty());
}

TEST(SseScanner, DoesNotCopyEventsThatAreWhole) {
    const std::string chunk = "data: a\n\ndata: b\n\ndata: c";
    SseScanner scanner;
    SseEvent event;
    scanner.feed(chunk);
    ASSERT_TRUE(*scanner.next(event));
    EXPECT_EQ(event.raw.data(), chunk.data());
    ASSERT_TRUE(*scanner.next(event));
    EXPECT_EQ(event.raw.data(), chunk.data() + 9);
    EXPECT_FALSE(*scanner.next(event));
    EXPECT_EQ(scanner.held(), 7u);
}

TEST(SseScanner, StopsAtItsLimits) {
    const SseLimits limits{.max_line = 100, .max_event = 300};
    const auto error_of = [&](const std::string& stream, std::size_t step) {
        SseScanner scanner(limits);
        SseEvent event;
        for (std::size_t at = 0; at < stream.size(); at += step) {
            const std::string chunk = stream.substr(at, step);
            scanner.feed(chunk);
            while (true) {
                const auto more = scanner.next(event);
                if (!more) {
                    EXPECT_FALSE(scanner.next(event)) << "a broken stream stays broken";
                    return more.error().reason;
                }
                if (!*more) break;
            }
        }
        return std::string("ok");
    };
    std::string lines;
    for (int i = 0; i < 20; ++i) lines += "data: 45678901234567890\n";
    for (const std::size_t step : {1u, 7u, 1000u}) {
        EXPECT_EQ(error_of("data: " + std::string(94, 'x') + "\n\n", step), "ok");
        EXPECT_EQ(error_of("data: " + std::string(95, 'x') + "\n\n", step), "sse_line_too_long");
        EXPECT_EQ(error_of(lines + "\n", step), "sse_event_too_long");
        EXPECT_EQ(error_of(lines, step), "sse_event_too_long");
    }
}

TEST(SseScanner, IsTheSameAtEverySplit) {
    const std::string stream =
        "\xEF\xBB\xBF"
        "data: one\r\n\r\n: c\n\ndata: a\ndata: b\n\nevent: x\rdata: y\r\rdata: {\"z\":1}\n\n"
        "data: [DONE]\n\n";
    const auto whole = scan({stream});
    ASSERT_EQ(whole.size(), 6u);
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        const auto split = scan({stream.substr(0, cut), stream.substr(cut)});
        ASSERT_EQ(split.size(), whole.size()) << cut;
        std::string joined;
        for (std::size_t i = 0; i < split.size(); ++i) {
            EXPECT_EQ(split[i].data, whole[i].data) << cut;
            EXPECT_EQ(split[i].type, whole[i].type) << cut;
            joined += split[i].raw;
        }
        EXPECT_EQ(joined, stream) << cut;
    }
}

RC_GTEST_PROP(SseScanner, LosesNoByteAndNoEvent, ()) {
    const auto pieces = *rc::gen::container<std::vector<std::string>>(
        rc::gen::element<std::string>("data: x", "data:", "\n", "\r", "\r\n", "\n\n", ": c",
                                      "event: e", " ", "\xEF\xBB\xBF", "a:b"));
    std::string stream;
    for (const auto& piece : pieces) stream += piece;
    const auto whole = scan({stream});
    std::vector<std::string> bytes;
    for (const char c : stream) bytes.emplace_back(1, c);
    const auto split = scan(bytes);
    std::string joined;
    Texts whole_data;
    Texts split_data;
    for (const auto& one : whole) {
        if (one.has_data && one.whole) whole_data.push_back(one.data);
    }
    for (const auto& one : split) {
        if (one.has_data && one.whole) split_data.push_back(one.data);
        joined += one.raw;
    }
    RC_ASSERT(joined == stream);
    RC_ASSERT(whole_data == split_data);
}

}  // namespace
}  // namespace leeway::wire::openai
