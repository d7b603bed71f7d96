#include "wire/gemini/array_stream.hpp"

#include "json/validate.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leeway::wire::gemini {
namespace {

struct Scanned {
    std::vector<std::string> data;
    std::string raws;
    bool left = false;  ///< something was not whole at the end
    std::string failure;
};

template <typename Scanner>
Scanned scan(std::initializer_list<std::string_view> pieces) {
    Scanner scanner;
    Scanned out;
    openai::SseEvent event;
    for (const std::string_view piece : pieces) {
        scanner.feed(piece);
        for (;;) {
            const auto more = scanner.next(event);
            if (!more) out.failure = more.error().reason;
            if (!more || !*more) break;
            out.data.emplace_back(event.data);
            out.raws += event.raw;
        }
    }
    out.left = scanner.finish(event);
    return out;
}

const std::string kArray =
    "[{\n  \"a\": \"[{]}\\\\\\\" ,\",\r\n  \"b\": [1, {\"c\": "
    "2}]\n}\n,\r\n{\"d\":\"Gr\\u00fc\xC3\x9F\"}\n]\n";

TEST(ArrayScanner, GivesTheElementsWhereverItIsCut) {
    const Scanned whole = scan<ArrayScanner>({kArray});
    ASSERT_EQ(whole.data.size(), 2u);
    EXPECT_EQ(whole.data[0], R"({  "a": "[{]}\\\" ,",  "b": [1, {"c": 2}]})");
    EXPECT_EQ(whole.data[1], "{\"d\":\"Gr\\u00fc\xC3\x9F\"}");
    EXPECT_EQ(whole.raws, "data: " + whole.data[0] + "\n\ndata: " + whole.data[1] + "\n\n");
    EXPECT_FALSE(whole.left);
    for (std::size_t at = 0; at <= kArray.size(); ++at) {
        const std::string_view text = kArray;
        const Scanned split = scan<ContentScanner>({text.substr(0, at), text.substr(at)});
        EXPECT_EQ(split.data, whole.data) << at;
        EXPECT_EQ(split.failure, "") << at;
        const Scanned cut = scan<ContentScanner>({text.substr(0, at)});
        EXPECT_EQ(cut.left, at > 0 && at < kArray.size() - 1) << at;
    }
}

TEST(ArrayScanner, RefusesWhatIsNoArrayOfObjects) {
    for (const std::string_view text :
         {"[1]", "[\"a\"]", "[{}]{}", "[{}][", "[{}]]", "[[{}]]", "nonsense", "{}{}", "{},", "]"}) {
        EXPECT_EQ(scan<ArrayScanner>({text}).failure, "json_stream_malformed") << text;
    }
    EXPECT_EQ(scan<ArrayScanner>({"[]"}).failure, "");
    const Scanned alone = scan<ContentScanner>({" {\"a\":", "{}}\n"});
    EXPECT_EQ(alone.data, std::vector<std::string>{"{\"a\":{}}"});
    EXPECT_FALSE(alone.left);
    std::string large = "[{\"a\":\"";
    large.append(std::size_t{17} << 20U, 'x');
    EXPECT_EQ(scan<ArrayScanner>({large}).failure, "json_stream_too_long");
}

TEST(ContentScanner, TakesEventsAsTheyCame) {
    const std::string_view events = "data: {\"a\":1}\r\n\r\n: note\n\ndata: {\"b\":2}\n\n";
    const Scanned whole = scan<ContentScanner>({events});
    EXPECT_EQ(whole.raws, events);
    EXPECT_FALSE(whole.left);
    for (std::size_t at = 0; at <= events.size(); ++at)
        EXPECT_EQ(scan<ContentScanner>({events.substr(0, at), events.substr(at)}).raws, events);
}

TEST(ArrayWriter, IsWholeOnlyWhenClosed) {
    ArrayWriter writer;
    std::string out;
    writer.add(": note\n\ndata: {\"a\":1}\n\n", out);
    writer.add("data: {\"b\":2}\n\ndata: {\"c\":3}\n\n", out);
    EXPECT_FALSE(json::validate(out).has_value());
    writer.close(out);
    EXPECT_EQ(out, "[{\"a\":1},\r\n{\"b\":2},\r\n{\"c\":3}\n]\n");
    EXPECT_TRUE(json::validate(out).has_value());
    EXPECT_EQ(scan<ArrayScanner>({out}).data.size(), 3u);
    std::string empty;
    ArrayWriter().close(empty);
    EXPECT_EQ(empty, "[]\n");
}

}  // namespace
}  // namespace leeway::wire::gemini
