#include "models/host/embed_request.hpp"

#include <gtest/gtest.h>

#include <string>

namespace leeway::models {
namespace {

TEST(EmbedRequest, takes_one_text_or_several) {
    const auto one = parse_embed_request(R"({"model":"m","input":"hi"})");
    ASSERT_TRUE(one);
    EXPECT_EQ(one->texts, std::vector<std::string>{"hi"});
    EXPECT_FALSE(one->base64);
    EXPECT_FALSE(one->truncate);
    EXPECT_TRUE(parse_embed_request(R"({"model":"m","input":"hi","truncate":true})")->truncate);
    const auto two =
        parse_embed_request(R"({"model":"m","input":["a","\u00e9"],"encoding_format":"base64"})");
    ASSERT_TRUE(two);
    EXPECT_EQ(two->texts, (std::vector<std::string>{"a", "é"}));
    EXPECT_TRUE(two->base64);
}

TEST(EmbedRequest, says_what_it_cannot_take) {
    const auto param = [](std::string_view body) {
        const auto request = parse_embed_request(body);
        return request ? std::string("accepted") : request.error().param;
    };
    EXPECT_EQ(param(R"({"model":"m","input":[1,2]})"), "input[0]");
    EXPECT_EQ(param(R"({"model":"m","input":[[1,2]]})"), "input[0]");
    EXPECT_EQ(param(R"({"model":"m","input":""})"), "input");
    EXPECT_EQ(param(R"({"model":"m","input":["a",""]})"), "input[1]");
    EXPECT_EQ(param(R"({"model":"m","input":[]})"), "input");
    EXPECT_EQ(param(R"({"model":"m"})"), "input");
    EXPECT_EQ(param(R"({"model":"m","input":"a","encoding_format":"hex"})"), "encoding_format");
    EXPECT_EQ(param(R"({"model":"m","input":"a","dimensions":0})"), "dimensions");
    EXPECT_EQ(param(R"({"model":"m","input":"a","truncate":1})"), "truncate");
}

TEST(EmbedRequest, renders_floats_and_base64) {
    Embeddings embeddings;
    embeddings.dimension = 2;
    embeddings.values = {1.0F, -0.5F, 0.25F, 0.1F};
    embeddings.tokens = {3, 4};
    EXPECT_EQ(render_embeddings(embeddings, "m", false),
              R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,-0.5]},)"
              R"({"object":"embedding","index":1,"embedding":[0.25,0.1]}],"model":"m",)"
              R"("usage":{"prompt_tokens":7,"total_tokens":7}})");
    // struct.pack('<2f', 1, -0.5) and ('<2f', 0.25, 0.1)
    const std::string base64 = render_embeddings(embeddings, "m", true);
    EXPECT_NE(base64.find(R"("embedding":"AACAPwAAAL8=")"), std::string::npos) << base64;
    EXPECT_NE(base64.find(R"("embedding":"AACAPs3MzD0=")"), std::string::npos) << base64;
}

}  // namespace
}  // namespace leeway::models
