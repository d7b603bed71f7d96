#include "methods/agent_cache/asked_question.hpp"

#include "methods/agent_cache/asked_testing.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace leeway::agent_cache {
namespace {

using Asked = testing::AskedRequest;

AskedQuestion question_of(const std::string& body, bool shared = false) {
    const Asked asked(body);
    auto question = asked_question(asked.context, shared);
    EXPECT_TRUE(question) << body << ": " << (question ? "" : question.error().reason);
    return question ? *question : AskedQuestion();
}

std::string reason_of(const std::string& body) {
    const Asked asked(body);
    const auto question = asked_question(asked.context, false);
    return question ? "" : question.error().reason;
}

const char* const kPlain =
    R"({"model":"m","messages":[{"role":"system","content":"Be short."},{"role":"user","content":"Where is Delphi?"}],)"
    R"("temperature":0.5,"max_tokens":100,"response_format":{"type":"text"}})";

TEST(AskedQuestion, IsTheLastTextOfTheUser) {
    const AskedQuestion plain = question_of(kPlain);
    EXPECT_EQ(plain.text, "Where is Delphi?");
    EXPECT_FALSE(plain.follows);
    EXPECT_EQ(
        question_of(
            R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})")
            .text,
        "a\nb");
}

TEST(AskedQuestion, OtherWordsOrdersAndChancesAreTheSamePartition) {
    const Sha256 plain = question_of(kPlain).partition;
    for (
        const char* same :
        {R"({"messages":[{"content":"Be short.","role":"system"},{"content":"How high is Olympus?","role":"user"}],"max_tokens":100,"response_format":{"type":"text"},"model":"other"})",
         R"({"model":"m","messages":[{"role":"system","content":"Be\u0020short."},{"role":"user","content":"x"}],"temperature":1,"top_p":0.3,"seed":7,"max_tokens":100,"stream":true,"response_format":{"type":"text"}})",
         R"({"model":"m","user":"u","metadata":{"a":"b"},"messages":[{"role":"system","content":"Be short."},{"role":"user","content":[{"type":"text","text":"y"}]}],"max_tokens":100,"response_format":{"type":"text"}})"}) {
        EXPECT_EQ(question_of(same).partition, plain) << same;
    }
}

TEST(AskedQuestion, EveryFieldThatChangesAnAnswerIsAnotherPartition) {
    std::set<Sha256> seen{question_of(kPlain).partition};
    const std::string text = kPlain;
    const auto with = [&text](const std::string& from, const std::string& to) {
        std::string out = text;
        const std::size_t at = out.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        return out.replace(at, from.size(), to);
    };
    for (
        const std::string& other : std::vector<std::string>{
            with("Be short.", "Be long."),
            with("Be short.", "Be short. "),
            with("\"max_tokens\":100", "\"max_tokens\":101"),
            with("\"max_tokens\":100", "\"max_tokens\":100,\"stop\":[\"x\"]"),
            with("\"max_tokens\":100", "\"max_tokens\":100,\"frequency_penalty\":1"),
            with("\"max_tokens\":100", "\"max_tokens\":100,\"reasoning_effort\":\"low\""),
            with("\"max_tokens\":100", "\"max_tokens\":100,\"unknown_field\":null"),
            with("{\"type\":\"text\"}", "{\"type\":\"json_object\"}"),
            with("\"role\":\"system\"", "\"role\":\"developer\""),
            with("\"role\":\"user\"", "\"role\":\"user\",\"name\":\"ada\""),
            with(
                "{\"role\":\"user\"",
                R"({"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user")"),
            with(
                "{\"role\":\"user\"",
                R"({"role":"user","content":"Hi"},{"role":"assistant","content":"Hullo"},{"role":"user")"),
        }) {
        EXPECT_TRUE(seen.insert(question_of(other).partition).second) << other;
    }
    // And all that is not in the body.
    Asked asked(kPlain);
    const auto add = [&](const char* what) {
        const auto question = asked_question(asked.context, false);
        ASSERT_TRUE(question) << what;
        EXPECT_TRUE(seen.insert(question->partition).second) << what;
    };
    asked.context.key_name = "other";
    add("tenant");
    asked.context.key_name = "";
    add("no tenant");
    asked.route.name = "sales";
    add("route");
    asked.model.upstream_name = "gpt-5";
    add("upstream name");
    asked.model.provider_name = "azure";
    add("provider");
    AskedQuestion question = *asked_question(asked.context, false);
    for (const char* fingerprint : {"vectors-1", "vectors-2"}) {
        AskedQuestion one = question;
        part_by_vectors(one, fingerprint);
        EXPECT_TRUE(seen.insert(one.partition).second) << fingerprint;
    }
}

TEST(AskedQuestion, ALengthOfANameCannotBeTakenForAnother) {
    Asked one(kPlain);
    Asked other(kPlain);
    one.context.key_name = "ab";
    one.route.name = "c";
    other.context.key_name = "a";
    other.route.name = "bc";
    EXPECT_NE(asked_question(one.context, false)->partition,
              asked_question(other.context, false)->partition);
}

TEST(AskedQuestion, SharesOnlyWhatIsNotPersonalAndStandsAlone) {
    const auto of = [](const std::string& text, const std::string& key) {
        Asked asked(R"({"model":"m","messages":[{"role":"user","content":")" + text + R"("}]})");
        asked.context.key_name = key;
        return *asked_question(asked.context, true);
    };
    EXPECT_TRUE(of("How high is Olympus?", "a").together);
    EXPECT_EQ(of("How high is Olympus?", "a").partition, of("Where is Delphi?", "b").partition);
    EXPECT_FALSE(of("Where is my order 123?", "a").together);
    EXPECT_NE(of("Where is my order 123?", "a").partition,
              of("Where is my order 123?", "b").partition);
    const Asked follow_up(
        R"({"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"},{"role":"user","content":"How high is it?"}]})");
    const auto question = asked_question(follow_up.context, true);
    EXPECT_TRUE(question->follows);
    EXPECT_FALSE(question->together);
}

TEST(AskedQuestion, PassesByWhatItCannotJudge) {
    const std::map<std::string, std::string> whys{
        {R"({"model":"m","n":2,"messages":[{"role":"user","content":"a"}]})", "choices"},
        {R"({"model":"m","logprobs":true,"messages":[{"role":"user","content":"a"}]})", "logprobs"},
        {R"({"model":"m","logprobs":false,"messages":[{"role":"user","content":"a"}]})", ""},
        {R"({"model":"m","tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"user","content":"a"}]})",
         "tools"},
        {R"({"model":"m","web_search_options":{},"messages":[{"role":"user","content":"a"}]})",
         "search"},
        {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/y.png"}}]}]})",
         "media"},
        {R"({"model":"m","messages":[{"role":"assistant","content":"a"}]})", "no_text"},
        {R"({"model":"m","messages":[{"role":"user","content":" \n"}]})", "no_text"},
        {R"({"model":"m","messages":[{"role":"user","content":"?!."}]})", "no_text"},
        {R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"tool","tool_call_id":"1","content":"b"}]})",
         "no_text"},
        {R"({"model":"m","messages":[{"role":"user","content":")" + std::string(2001, 'a') +
             R"("}]})",
         "too_long"},
        {R"({"model":"m","x":{"a":1,"a":2},"messages":[{"role":"user","content":"a"}]})",
         "duplicate_key"},
    };
    for (const auto& [body, why] : whys) EXPECT_EQ(reason_of(body), why) << body;
    Asked held(kPlain);
    held.context.opaque = true;
    EXPECT_EQ(asked_question(held.context, false).error().reason, "opaque");
}

TEST(AskedQuestion, KnowsWhatIsPersonal) {
    for (const char* text : {"Where is my order?", "Write to ada@example.org", "Call 0211 123 456",
                             "I am 45 years old", "What of order 123456?", "Wo ist meine Rechnung?",
                             "I'm ill", "I\u2019m ill", "Is that mine?"}) {
        EXPECT_TRUE(is_personal(text)) << text;
    }
    for (const char* text : {"How do I reset a password?", "What happened in 1969?",
                             "Is 3.14 more than 2.71?", "Mynah birds", "Wie hoch ist der Olymp?"}) {
        EXPECT_FALSE(is_personal(text)) << text;
    }
}

TEST(AskedQuestion, NormalisesWhatIsTheSameForAPerson) {
    EXPECT_EQ(normalised("  What IS\n\tthat ?? "), "what is that");
    EXPECT_EQ(normalised("Ça va?"), "Ça va");
    EXPECT_EQ(normalised("..."), "");
}

}  // namespace
}  // namespace leeway::agent_cache
