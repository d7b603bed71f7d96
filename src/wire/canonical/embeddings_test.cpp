#include "wire/canonical/embeddings.hpp"

#include "json/node.hpp"
#include "wire/cohere/embed_codec.hpp"
#include "wire/gemini/embed_codec.hpp"
#include "wire/openai/embed_codec.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace leeway::wire {
namespace {

using usage::Flavour;

EmbedRequest gemini_request(std::string_view body) {
    auto request = gemini::read_embed_request(body);
    EXPECT_TRUE(request.has_value()) << body;
    if (!request) return {};
    request->model = "m";
    return std::move(*request);
}

std::string reason_of(const Result<EmbedRequest>& request) {
    return request ? std::string("taken") : request.error().reason;
}

TEST(Embeddings, NumbersArePackedAsOpenAiDoes) {
    // 0.5f and -0.25f are 0x3f000000 and 0xbe800000.
    EXPECT_EQ(packed_vector("[0.5, -2.5e-1]"), "AAAAPwAAgL4=");
    EXPECT_EQ(packed_vector("[]"), "");
}

TEST(Embeddings, GeminiSingleAndBatchBecomeOpenAi) {
    Losses losses;
    const auto one = gemini_request(
        R"({"content":{"parts":[{"text":"a"},{"text":"b"}]},"taskType":"CLUSTERING","outputDimensionality":3})");
    EXPECT_EQ(openai::write_embed_request(one, "up", losses),
              R"({"model":"up","input":"a\nb","dimensions":3})");
    EXPECT_EQ(losses.dropped, std::vector<std::string>{"taskType"});
    const auto batch = gemini_request(
        R"({"requests":[{"model":"models/x","content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"c"}]}}]})");
    EXPECT_EQ(openai::write_embed_request(batch, "up", losses),
              R"({"model":"up","input":["a","c"]})");
}

TEST(Embeddings, OpenAiBecomesGeminiVertexAndCohere) {
    const auto request = openai::read_embed_request(
        R"({"model":"m","input":["a","b"],"dimensions":8,"encoding_format":"base64","user":"u","input_type":"search_query"})");
    ASSERT_TRUE(request.has_value());
    EXPECT_TRUE(request->base64);
    Losses losses;
    EXPECT_EQ(
        gemini::write_embed_request(*request, "g", losses),
        R"({"requests":[{"model":"models/g","content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":8},)"
        R"({"model":"models/g","content":{"parts":[{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":8}]})");
    EXPECT_EQ(losses.dropped, std::vector<std::string>{"user"});
    EXPECT_EQ(
        gemini::write_predict_request(*request, losses),
        R"({"instances":[{"content":"a","task_type":"RETRIEVAL_QUERY"},{"content":"b","task_type":"RETRIEVAL_QUERY"}],"parameters":{"outputDimensionality":8}})");
    EXPECT_EQ(
        cohere::write_embed_request(*request, "c", losses),
        R"({"model":"c","texts":["a","b"],"input_type":"search_query","embedding_types":["float"],"output_dimension":8})");
    const auto single = openai::read_embed_request(R"({"model":"m","input":"a"})");
    ASSERT_TRUE(single.has_value());
    EXPECT_EQ(gemini::write_embed_request(*single, "g", losses),
              R"({"model":"models/g","content":{"parts":[{"text":"a"}]}})");
}

TEST(Embeddings, WhatCannotBeTranslatedIsRefused) {
    EXPECT_EQ(reason_of(openai::read_embed_request(R"({"model":"m","input":[1,2]})")),
              "untranslatable");
    EXPECT_EQ(reason_of(openai::read_embed_request(
                  R"({"model":"m","input":"a","encoding_format":"hex"})")),
              "invalid_type");
    for (
        const std::string_view body :
        {R"({"content":{"parts":[{"inlineData":{"data":"aa"}}]}})",
         R"({"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"a"}]},"taskType":"CLUSTERING"}]})"}) {
        EXPECT_EQ(reason_of(gemini::read_embed_request(body)), "untranslatable") << body;
    }
    for (const std::string_view body :
         {"{}", R"({"content":5})", R"({"content":{"parts":[]}})", R"({"requests":[]})",
          R"({"requests":[7]})", R"({"requests":{}})", R"([])",
          R"({"content":{"parts":[{"text":"a"}]},"outputDimensionality":"x"})"}) {
        const std::string reason = reason_of(gemini::read_embed_request(body));
        EXPECT_TRUE(reason != "taken" && reason != "untranslatable") << body << reason;
    }
}

/// The exact cache must not take one for the other.
TEST(Embeddings, StagesSeeEveryDifference) {
    const std::string plain = R"("content":{"parts":[{"text":"a"}]})";
    std::vector<std::string> seen;
    for (const std::string& more :
         {std::string(), std::string(R"(,"taskType":"CLUSTERING")"), std::string(R"(,"title":"t")"),
          std::string(R"(,"outputDimensionality":5)"), std::string(R"(,"autoTruncate":true)"),
          std::string(R"(,"autoTruncate":false,"x":1)")}) {
        const std::string body = std::string("{").append(plain).append(more).append("}");
        seen.push_back(openai::embed_request_for_stages(gemini_request(body)));
        EXPECT_TRUE(json::parse_node(seen.back()).has_value()) << seen.back();
        seen.push_back(
            openai::embed_request_for_stages(gemini_request("{\"requests\":[" + body + "]}")));
    }
    for (std::size_t i = 0; i < seen.size(); ++i) {
        for (std::size_t k = i + 1; k < seen.size(); ++k) EXPECT_NE(seen[i], seen[k]);
    }
}

TEST(Embeddings, AnswersAreReadInOrderAndNumbersStayAsTheyWereSpelled) {
    const auto openai_answer = openai::read_embed_answer(
        R"({"data":[{"index":1,"embedding":[2.0e-1]},{"embedding":[1.50],"index":0}],"model":"x","usage":{"prompt_tokens":7,"total_tokens":7}})",
        Flavour::kOpenAiChat, 2);
    ASSERT_TRUE(openai_answer.has_value());
    EXPECT_EQ(openai_answer->vectors, (std::vector<std::string>{"[1.50]", "[2.0e-1]"}));
    EXPECT_EQ(
        gemini::write_embed_answer(*openai_answer, true),
        R"({"embeddings":[{"values":[1.50]},{"values":[2.0e-1]}],"usageMetadata":{"promptTokenCount":7}})");
    const auto google = gemini::read_embed_answer(
        R"({"embeddings":[{"values":[1.50]},{"values":[2]}],"usageMetadata":{"promptTokenCount":9}})",
        Flavour::kGemini, 2);
    ASSERT_TRUE(google.has_value());
    EXPECT_EQ(google->usage.usage.input_total(), 9);
    const auto vertex = gemini::read_embed_answer(
        R"({"predictions":[{"embeddings":{"values":[1],"statistics":{"token_count":4,"truncated":false}}},)"
        R"({"embeddings":{"statistics":{"token_count":5},"values":[2]}}]})",
        Flavour::kGemini, 2);
    ASSERT_TRUE(vertex.has_value());
    EXPECT_EQ(vertex->usage.usage.input_total(), 9);
    EXPECT_EQ(vertex->vectors, (std::vector<std::string>{"[1]", "[2]"}));
    const auto from_cohere = cohere::read_embed_answer(
        R"({"id":"e","embeddings":{"int8":[[1]],"float":[[0.1],[0.2]]},"meta":{"billed_units":{"input_tokens":3}}})",
        Flavour::kCohere, 2);
    ASSERT_TRUE(from_cohere.has_value());
    EXPECT_EQ(from_cohere->vectors, (std::vector<std::string>{"[0.1]", "[0.2]"}));
    EXPECT_EQ(from_cohere->usage.usage.input_total(), 3);
}

TEST(Embeddings, AnswersThatLackVectorsAreNone) {
    for (const std::string_view body :
         {"", "{}", "nonsense", R"({"data":[]})", R"({"data":[{"embedding":"AAAA"}]})",
          R"({"data":[{"embedding":["x"]}]})", R"({"embeddings":[{"values":[1]}]})",
          R"({"embeddings":{"float":[[1]]}})", R"({"embedding":{"values":["x"]}})",
          R"({"embeddings":[{"values":[1]},{"values":[2]},{"values":[3]}]})",
          R"({"embeddings":[{"values":[1]},{"val)"}) {
        EXPECT_FALSE(openai::read_embed_answer(body, Flavour::kOpenAiChat, 2).has_value()) << body;
        EXPECT_FALSE(gemini::read_embed_answer(body, Flavour::kGemini, 2).has_value()) << body;
        EXPECT_FALSE(cohere::read_embed_answer(body, Flavour::kCohere, 2).has_value()) << body;
    }
}

TEST(Embeddings, TheModelsOfABatchAreReplacedAndNothingElse) {
    const std::string body =
        R"({"requests": [{"content":{"model":"no"},"model" :"models/a"}, {"model":"models/a", "x":1.0}], "model":"models/a"})";
    EXPECT_EQ(
        gemini::with_embed_model(body, "b"),
        R"({"requests": [{"content":{"model":"no"},"model" :"models/b"}, {"model":"models/b", "x":1.0}], "model":"models/b"})");
}

}  // namespace
}  // namespace leeway::wire
