// Nanoseconds of the data plane's reading, for a release build on a quiet machine:
//   build/release/leeway_tests --gtest_also_run_disabled_tests --gtest_filter='*WireSpeed*'
#include "json/tokens.hpp"
#include "json/write.hpp"
#include "wire/openai/answer.hpp"
#include "wire/openai/canonical.hpp"
#include "wire/openai/request_view.hpp"
#include "wire/openai/stream_observer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace leeway::wire::openai {
namespace {

/// A chat body of about `size` bytes: several messages with line breaks and quotes, one tool.
std::string chat_body(std::size_t size) {
    std::string text =
        "Please look at \"this\" part of the report, dated 2026-11-24, and say what is wrong.\n";
    while (text.size() < 450)
        text += "The figures of the third quarter do not agree with the ledger at all. ";
    std::string body =
        R"({"model":"gpt-4o-mini","temperature":0,"max_tokens":256,"stream":false,"messages":[)"
        R"({"role":"system","content":"You are a helpful assistant."})";
    for (int i = 0; body.size() + text.size() < size; ++i) {
        body += i % 2 == 0 ? R"(,{"role":"user","content":)" : R"(,{"role":"assistant","content":)";
        json::append_string(body, text);
        body += '}';
    }
    return body +
           R"(],"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]})";
}

std::string answer_body() {
    std::string body =
        R"({"id":"chatcmpl-C4Gm9xikLXbgE8He0BHWeoM03aa72","object":"chat.completion","created":1755133833,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":")";
    while (body.size() < 700) body += "Some words of the answer, ";
    return body +
           R"(","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":812,"completion_tokens":120,"total_tokens":932,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"})";
}

/// Best of several rounds: what the code costs when nothing disturbs it.
template <class Work>
void measure(const char* name, std::size_t bytes, int times, Work work) {
    double best = 1e18;
    for (int round = 0; round < 15; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < times; ++i) work();
        const std::chrono::duration<double, std::nano> took =
            std::chrono::steady_clock::now() - begin;
        best = std::min(best, took.count() / times);
    }
    std::printf("%-44s %7zu B %9.0f ns\n", name, bytes, best);
}

TEST(WireSpeed, DISABLED_PrintsNanoseconds) {
    for (const std::size_t size : {3700u, 36000u}) {
        const std::string body = chat_body(size);
        ASSERT_TRUE(parse_request(Endpoint::kChatCompletions, body));
        measure("tokens only", body.size(), 2000,
                [&] { (void)json::thread_indexer().index(body); });
        measure("parse_request", body.size(), 2000,
                [&] { (void)parse_request(Endpoint::kChatCompletions, body); });
        std::string out;
        measure("append_canonical", body.size(), 1000, [&] {
            out.clear();
            (void)append_canonical(body, out);
        });
    }
    const std::string answer = answer_body();
    measure("read_answer", answer.size(), 5000,
            [&] { (void)read_answer(Endpoint::kChatCompletions, answer); });

    const std::string event =
        R"(data: {"id":"chatcmpl-C4Hq5a6K3RaPMymUv70btQNYv6SvY","object":"chat.completion.chunk","created":1755137921,"model":"gpt-5-nano-2025-08-07","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],"usage":null,"obfuscation":"WuQNX"})"
        "\n\n";
    std::string stream;
    for (int i = 0; i < 40; ++i) stream += event;
    for (const bool hide : {false, true}) {
        StreamObserver observer({.hide_usage = hide, .choices = 1});
        SseScanner scanner;
        SseEvent one;
        const auto scan = [&](bool observe) {
            scanner.feed(stream);
            while (*scanner.next(one)) {
                if (observe) (void)observer.observe(one);
            }
        };
        measure("40 events: SseScanner", stream.size(), 500, [&] { scan(false); });
        measure(
            hide ? "40 events: scanner + observer, usage hidden" : "40 events: scanner + observer",
            stream.size(), 500, [&] { scan(true); });
    }
}

}  // namespace
}  // namespace leeway::wire::openai
