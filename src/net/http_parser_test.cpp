#include "net/http_parser.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leeway::net {
namespace {

const HeadLimits kLimits{.bytes = 4096, .fields = 20};

/// Feeds the bytes in steps of `step`; the size of the head, 0 for "more", -1 for an error.
std::pair<long, ErrorCode> scan(std::string_view bytes, std::size_t step) {
    HeadScanner scanner;
    for (std::size_t end = step;; end += step) {
        const auto size = scanner.scan(bytes.substr(0, end), kLimits);
        if (!size) return {-1, size.error().code};
        if (*size > 0) return {static_cast<long>(*size), {}};
        if (end >= bytes.size()) return {0, {}};
    }
}

/// 0 when the request is accepted, else the HTTP status of the refusal.
int parse(std::string_view bytes, RequestHead& out) {
    HeadScanner scanner;
    const auto size = scanner.scan(bytes, kLimits);
    if (!size) return http_status(size.error().code);
    if (*size == 0) return -1;
    const auto parsed = parse_request_head(bytes.substr(0, *size), kLimits, out);
    return parsed ? 0 : http_status(parsed.error().code);
}
int parse(std::string_view bytes) {
    RequestHead head;
    return parse(bytes, head);
}

std::string get(std::string_view fields) {
    return "GET / HTTP/1.1\r\nhost: a\r\n" + std::string(fields) + "\r\n";
}
std::string line(std::string_view request_line) {
    return std::string(request_line) + "\r\nhost: a\r\n\r\n";
}

TEST(HeadScanner, SaysTheSameForEveryWayToCutTheBytes) {
    const std::string long_line(5000, 'x');
    for (const std::string& bytes :
         {get(""), get("a: b\r\n"), get("a: b\n"), std::string("\r\n"), std::string("\n"),
          std::string("\r\r\n"), get("a: b\r\n") + "body\n", long_line,
          get("a: " + long_line + "\r\n"), get("a: " + long_line + "\n"),
          get("a: " + std::string(4050, 'x') + "\r\n"), std::string("GET / HTTP/1.1\r\n"),
          std::string("a\r")}) {
        const auto whole = scan(bytes, bytes.size());
        for (const std::size_t step : {1UL, 2UL, 3UL, 7UL, 100UL}) {
            EXPECT_EQ(scan(bytes, step), whole) << bytes.substr(0, 60) << " in steps of " << step;
        }
    }
}

TEST(HeadScanner, HasALimit) {
    EXPECT_EQ(scan(std::string(5000, 'x'), 5000).second, ErrorCode::kHeaderTooLarge);
    EXPECT_EQ(scan(get("a: " + std::string(5000, 'x') + "\r\n"), 1).second,
              ErrorCode::kHeaderTooLarge);
    const std::string frame = get("a: \r\n");
    EXPECT_EQ(scan(get("a: " + std::string(4096 - frame.size(), 'x') + "\r\n"), 1).first, 4096);
    EXPECT_EQ(scan(get("a: " + std::string(4097 - frame.size(), 'x') + "\r\n"), 1).first, -1);
}

TEST(RequestHead, IsReadWhole) {
    RequestHead head;
    const std::string bytes =
        "POST /v1/chat?a=b HTTP/1.1\r\nHost: x:1\r\nContent-Length:  7 \r\nExpect: "
        "100-Continue\r\nX-Y:\r\n\r\n";
    ASSERT_EQ(parse(bytes, head), 0);
    EXPECT_EQ(head.method, "POST");
    EXPECT_EQ(head.path, "/v1/chat");
    EXPECT_EQ(head.query, "a=b");
    EXPECT_EQ(head.framing, Framing::kLength);
    EXPECT_EQ(head.content_length, 7U);
    EXPECT_TRUE(head.expects_continue);
    EXPECT_TRUE(head.keep_alive);
    EXPECT_EQ(head.fields.find("x-y"), "");
    EXPECT_EQ(head.fields.find("none"), std::nullopt);
}

TEST(RequestHead, KeepsTheConnectionAsTheVersionSays) {
    RequestHead head;
    ASSERT_EQ(parse(get("connection: foo, Close\r\n"), head), 0);
    EXPECT_FALSE(head.keep_alive);
    ASSERT_EQ(parse("GET / HTTP/1.0\r\n\r\n", head), 0);
    EXPECT_FALSE(head.keep_alive);
    EXPECT_TRUE(head.http_1_0);
    ASSERT_EQ(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", head), 0);
    EXPECT_TRUE(head.keep_alive);
    ASSERT_EQ(
        parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n", head), 0);
    EXPECT_FALSE(head.expects_continue);
}

TEST(RequestHead, TakesOneFramingOnly) {
    EXPECT_EQ(parse(get("content-length: 5\r\n")), 0);
    EXPECT_EQ(parse(get("transfer-encoding: Chunked\r\n")), 0);
    for (const char* fields : {"content-length: 5\r\ncontent-length: 5\r\n",
                               "content-length: 5\r\ncontent-length: 6\r\n",
                               "content-length: 5, 5\r\n",
                               "content-length: +5\r\n",
                               "content-length: -5\r\n",
                               "content-length: 0x5\r\n",
                               "content-length: 5 5\r\n",
                               "content-length: \r\n",
                               "content-length: 5_0\r\n",
                               "content-length: 1e3\r\n",
                               "content-length: 12345678901234567890\r\n",
                               "content-length: 99999999999999999999999999\r\n",
                               "content-length: \xc2\xb2\r\n",
                               "content-length: 5\v\r\n",
                               "content-length: \"5\"\r\n",
                               "content-length: 5\r\ntransfer-encoding: chunked\r\n",
                               "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
                               "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
                               "transfer-encoding: gzip, chunked\r\n",
                               "transfer-encoding: chunked, identity\r\n",
                               "transfer-encoding: identity\r\n",
                               "transfer-encoding: xchunked\r\n",
                               "transfer-encoding: chunked;q=1\r\n",
                               "transfer-encoding: \"chunked\"\r\n",
                               "transfer-encoding: ,chunked\r\n",
                               "transfer-encoding: \vchunked\r\n",
                               "transfer-encoding: \240chunked\r\n",
                               "transfer-encoding:\r\n",
                               "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n"}) {
        EXPECT_EQ(parse(get(fields)), 400) << fields;
    }
    EXPECT_EQ(parse("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(RequestHead, RefusesFieldsThatOthersReadDifferently) {
    for (const std::string fields :
         {"a : b\r\n", "a\t: b\r\n", " a: b\r\n", "a: b\r\n c\r\n", "a: b\r\n\tc\r\n", "a\r\n",
          ": b\r\n", "a b: c\r\n", "a: b\rc: d\r\n", "a: b\n", "a(b): c\r\n", "\357foo: bar\r\n",
          "host: b\r\n", "a: \x01\r\n", "a: \x7f\r\n"}) {
        EXPECT_EQ(parse(get(fields)), 400) << fields;
    }
    EXPECT_EQ(parse(get(std::string("a: b\0c\r\n", 8))), 400);
    EXPECT_EQ(parse(get(std::string("a\0: b\r\n", 7))), 400);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\n\tcontent-length: 1\r\nhost: a\r\n\r\n"), 400);
    EXPECT_EQ(parse(get("a: b\tc \xc3\xa4\r\n")), 0);
}

TEST(RequestHead, NeedsOneHost) {
    EXPECT_EQ(parse("GET / HTTP/1.1\r\n\r\n"), 400);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nhost: a\r\nHOST: a\r\n\r\n"), 400);
    EXPECT_EQ(parse("GET / HTTP/1.0\r\nhost: a\r\nHOST: a\r\n\r\n"), 400);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nhost: a b\r\n\r\n"), 400);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n"), 400);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nhost: a@b\r\n\r\n"), 400);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nhost:\r\n\r\n"), 0);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n"), 0);
}

TEST(RequestHead, ReadsTheTargetStrictly) {
    for (const char* text : {"GET /",
                             "GET",
                             "GET / HTTP/1.1 ",
                             "GET / HTTP/1.2",
                             "GET / HTTP/2.0",
                             "GET / http/1.1",
                             "GET / HTTP/1.32",
                             "GET / HTTP/11",
                             "GET  / HTTP/1.1",
                             "GET /a b HTTP/1.1",
                             " GET / HTTP/1.1",
                             "GET\t/\tHTTP/1.1",
                             "GET a HTTP/1.1",
                             "GET ! HTTP/1.1",
                             "G@T / HTTP/1.1",
                             "GET /a\tb HTTP/1.1",
                             "GET /\xff HTTP/1.1",
                             "GET /a#b HTTP/1.1",
                             "CONNECT a:80 HTTP/1.1",
                             "GET https://a/ HTTP/1.1",
                             "GET http:///x HTTP/1.1",
                             "GET http://a?/b HTTP/1.1",
                             "GET http://u@a/b HTTP/1.1",
                             ""}) {
        EXPECT_EQ(parse(line(text)), 400) << text;
    }
    RequestHead head;
    ASSERT_EQ(parse("GET http://evil.example:80/v1?q HTTP/1.1\r\nhost: a\r\n\r\n", head), 0);
    EXPECT_EQ(head.path, "/v1");
    EXPECT_EQ(head.query, "q");
    const std::string no_path = line("GET http://a HTTP/1.1");
    ASSERT_EQ(parse(no_path, head), 0);
    EXPECT_EQ(head.path, "/");
}

TEST(RequestHead, HasALimitOfFields) {
    std::string fields;
    for (int i = 0; i < 19; ++i) fields += "a: b\r\n";
    EXPECT_EQ(parse(get(fields)), 0);
    EXPECT_EQ(parse(get(fields + "a: b\r\n")), 431);
}

Result<void> parse_answer(std::string_view bytes, ResponseHead& head, bool to_head = false) {
    return parse_response_head(bytes, kLimits, to_head, head);
}

TEST(ResponseHead, FindsTheEndOfTheBody) {
    ResponseHead head;
    ASSERT_TRUE(parse_answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", head));
    EXPECT_EQ(head.framing, Framing::kLength);
    ASSERT_TRUE(parse_answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", head, true));
    EXPECT_EQ(head.framing, Framing::kNone);
    ASSERT_TRUE(parse_answer("HTTP/1.1 204\r\ncontent-length: 3\r\n\r\n", head));
    EXPECT_EQ(head.framing, Framing::kNone);
    ASSERT_TRUE(parse_answer("HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n", head));
    EXPECT_EQ(head.framing, Framing::kChunked);
    EXPECT_TRUE(head.keep_alive);
    ASSERT_TRUE(parse_answer("HTTP/1.1 200 OK\r\n\r\n", head));
    EXPECT_EQ(head.framing, Framing::kUntilClose);
    EXPECT_FALSE(head.keep_alive);
    ASSERT_TRUE(parse_answer("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", head));
    EXPECT_FALSE(head.keep_alive);
}

TEST(ResponseHead, RefusesWhatIsNotHttp) {
    ResponseHead head;
    for (const char* text :
         {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/2 200\r\n\r\n",
          "HTTP/1.1\r\n\r\n", "HTTP/1.1  200\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n", "\r\n",
          "SSH-2.0-x\r\n\r\n",
          "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
          "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"}) {
        EXPECT_FALSE(parse_answer(text, head)) << text;
    }
}

/// The decoded body, or "!" at an error, "?" when it has no end. `rest` gets what lies behind the end.
std::string decode(std::string_view bytes, std::size_t step, std::string* rest = nullptr) {
    ChunkDecoder decoder;
    std::string out;
    std::string pending;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        pending += bytes.substr(at, step);
        while (!decoder.done() && !pending.empty()) {
            const auto taken = decoder.step(pending);
            if (!taken) return "!";
            out += taken->data;
            if (taken->consumed == 0) return "stuck";
            pending.erase(0, taken->consumed);
        }
    }
    if (!decoder.done()) return "?";
    if (rest != nullptr) *rest = pending;
    return out;
}

TEST(ChunkDecoder, GivesTheSameForEveryWayToCutTheBytes) {
    const std::string_view sample =
        "5\r\nhello\r\n1 "
        "\t\r\n,\r\nA;name=\"v\";b\r\n0123456789\r\n00000f\r\nabcdefghijklmno\r\n0\r\nt: x\r\nu: "
        "y\r\n\r\nNEXT";
    for (std::size_t step = 1; step <= sample.size(); ++step) {
        std::string rest;
        EXPECT_EQ(decode(sample, step, &rest), "hello,0123456789abcdefghijklmno") << step;
        EXPECT_EQ(rest, "NEXT");
    }
    EXPECT_EQ(decode("0\r\n\r\n", 1), "");
}

TEST(ChunkDecoder, RefusesWhatOthersReadDifferently) {
    for (const char* bytes : {"5\nhello\r\n0\r\n\r\n",
                              "\r\n0\r\n\r\n",
                              "0x5\r\nhello\r\n",
                              "+5\r\nhello\r\n",
                              "-5\r\nhello\r\n",
                              "5_\r\nhello\r\n",
                              " 5\r\nhello\r\n",
                              "g\r\n",
                              ";a\r\n",
                              "5\r\nhelloX\r\n",
                              "5\r\nhello\n0\r\n\r\n",
                              "5\r\nhello0\r\n\r\n",
                              "5\rXhello",
                              "5;a\nb\r\nhello\r\n",
                              "5;\x01\r\n",
                              "5 5\r\nhello\r\n",
                              "5 ;\n",
                              "1000000000000000\r\n",
                              "ffffffffffffffff1\r\n",
                              "0\r\n\n",
                              "0\r\na: b\n\r\n",
                              "0\r\n\rX",
                              "0\r\na\x01: b\r\n\r\n"}) {
        EXPECT_EQ(decode(bytes, 1000), "!") << bytes;
        EXPECT_EQ(decode(bytes, 1), "!") << bytes;
    }
    EXPECT_EQ(decode("5\r\nhel", 1), "?");
    EXPECT_EQ(decode("5;" + std::string(20000, 'x') + "\r\n", 1000), "!");
    EXPECT_EQ(decode("0\r\n" + std::string(20000, 'x') + "\r\n", 1000), "!");
}

}  // namespace
}  // namespace leeway::net
