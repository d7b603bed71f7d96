#include "wire/openai/canonical.hpp"

#include "json/write.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace leeway::wire::openai {
namespace {

std::string canonical(std::string_view body) {
    std::string out;
    const auto result = append_canonical(body, out);
    return result ? out : "error: " + result.error().reason;
}

using Field = std::pair<std::string, std::string>;  // key, value as JSON text

std::string body_of(const std::vector<Field>& fields) {
    std::string out;
    json::Writer writer(out);
    writer.object();
    for (const Field& field : fields) writer.key(field.first).raw(field.second);
    writer.close_object();
    return out;
}

/// Different fields that a chat request may have, all of which change the answer.
const std::vector<Field> kFields = {
    {"messages", R"([{"role":"user","content":"hi"}])"},
    {"temperature", "0"},
    {"top_p", "0.9"},
    {"seed", "7"},
    {"stop", R"(["a","b"])"},
    {"n", "2"},
    {"max_tokens", "10"},
    {"tools", R"([{"type":"function","function":{"name":"f","parameters":{"x":1,"y":[2]}}}])"},
    {"response_format", R"({"type":"json_object"})"},
    {"logprobs", "true"},
    {"service_tier", "\"flex\""},
    {"some_future_field", "null"},
};

TEST(Canonical, IgnoresSpellingAndOrder) {
    EXPECT_EQ(canonical(R"({"a":1,"b":[true,null,"é"]})"),
              canonical(" { \"b\" : [ true , null , \"\\u00e9\" ] , \"\\u0061\" : 10e-1 } "));
    EXPECT_EQ(canonical(R"({"x":-0})"), canonical(R"({"x":0.0})"));
}

TEST(Canonical, LeavesOutWhatCannotChangeTheAnswer) {
    EXPECT_EQ(canonical(R"({"messages":[],"stream":true,"stream_options":{"include_usage":true},
        "user":"u","metadata":{"a":1},"store":true,"model":"m","prompt_cache_key":"k",
        "safety_identifier":"s"})"),
              canonical(R"({"messages":[]})"));
    EXPECT_NE(canonical(R"({"messages":[{"user":"a"}]})"),
              canonical(R"({"messages":[{"user":"b"}]})"));
}

TEST(Canonical, KeepsDifferentDocumentsApart) {
    const std::vector<std::string> texts = {
        R"({"x":1})",
        R"({"x":"1"})",
        R"({"x":true})",
        R"({"x":null})",
        R"({})",
        R"({"x":[1]})",
        R"({"x":[1,1]})",
        R"({"x":[[1],1]})",
        R"({"x":{"1":1}})",
        R"({"x":{}})",
        R"({"x":[]})",
        R"({"x":""})",
        R"({"x":"a","y":"b"})",
        R"({"x":"as1:yb"})",
        R"({"x":9007199254740993})",
        R"({"x":9007199254740992})",
        R"({"x":1e400})",
        R"({"x":1e401})",
        R"({"x":-1})",
    };
    std::vector<std::string> all;
    all.reserve(texts.size());
    for (const auto& text : texts) all.push_back(canonical(text));
    std::sort(all.begin(), all.end());
    EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
}

TEST(Canonical, RefusesDuplicateKeysAnywhere) {
    EXPECT_EQ(canonical(R"({"a":1,"a":1})"), "error: duplicate_key");
    EXPECT_EQ(canonical(R"({"t":[{"f":{"a":1,"b":2,"\u0061":1}}]})"), "error: duplicate_key");
    EXPECT_EQ(canonical(R"({"a":1,)"), "error: invalid_json");
    std::string out = "kept";
    EXPECT_FALSE(append_canonical(R"({"a":1,"a":1})", out));
    EXPECT_EQ(out, "kept");
}

RC_GTEST_PROP(Canonical, OrderOfKeysDoesNotCount, ()) {
    auto fields = kFields;
    const std::string before = canonical(body_of(fields));
    const auto keys =
        *rc::gen::container<std::vector<int>>(fields.size(), rc::gen::arbitrary<int>());
    std::vector<std::pair<int, Field>> order;
    order.reserve(fields.size());
    for (std::size_t i = 0; i < fields.size(); ++i) order.emplace_back(keys[i], fields[i]);
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < fields.size(); ++i) fields[i] = order[i].second;
    RC_ASSERT(canonical(body_of(fields)) == before);
}

RC_GTEST_PROP(Canonical, AnyChangedFieldCounts, (const std::string& text)) {
    auto fields = kFields;
    const std::string before = canonical(body_of(fields));
    const auto at = *rc::gen::inRange<std::size_t>(0, fields.size());
    const std::string value = json::quoted("changed " + text);
    switch (*rc::gen::inRange(0, 3)) {
        case 0: fields[at].second = value; break;
        case 1: fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(at)); break;
        default: fields.emplace_back("another", value); break;
    }
    RC_ASSERT(canonical(body_of(fields)) != before);
}

RC_GTEST_PROP(Canonical, DifferentTextsDiffer, (std::string a, std::string b)) {
    // Invalid UTF-8 is replaced on writing, so only ASCII can be compared with its source.
    for (std::string* text : {&a, &b}) {
        for (char& c : *text) c = static_cast<char>(c & 0x7F);
    }
    const auto body = [](const std::string& text) {
        return body_of({{"messages", "[" + json::quoted(text) + "]"}});
    };
    RC_ASSERT((canonical(body(a)) == canonical(body(b))) == (a == b));
}

}  // namespace
}  // namespace leeway::wire::openai
