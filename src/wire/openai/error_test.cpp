#include "wire/openai/error.hpp"

#include "wire/openai/models_list.hpp"

#include <gtest/gtest.h>

namespace leeway::wire::openai {
namespace {

TEST(RenderError, HasOpenAisShape) {
    Error error{ErrorCode::kNotFound, "The model `x` does not exist", "run `leeway models`",
                "model", "model_not_found"};
    EXPECT_EQ(
        render_error(error),
        R"x({"error":{"message":"The model `x` does not exist (run `leeway models`)","type":"invalid_request_error","param":"model","code":"model_not_found"}})x");
    EXPECT_EQ(
        render_stream_error(Error{ErrorCode::kInternal, "a\n\"b\"", "", "", ""}),
        "data: {\"error\":{\"message\":\"a\\n\\\"b\\\"\",\"type\":\"server_error\",\"param\":null,"
        "\"code\":\"internal_error\"}}\n\n");
}

TEST(RenderError, HasATypeForEachClass) {
    const auto type = [](ErrorCode code, std::string reason = "") {
        return error_type(Error{code, "", "", "", std::move(reason)});
    };
    EXPECT_EQ(type(ErrorCode::kInvalidRequest), "invalid_request_error");
    EXPECT_EQ(type(ErrorCode::kUnauthenticated), "invalid_request_error");
    EXPECT_EQ(type(ErrorCode::kForbidden), "permission_error");
    EXPECT_EQ(type(ErrorCode::kRateLimited), "rate_limit_error");
    EXPECT_EQ(type(ErrorCode::kRateLimited, "insufficient_quota"), "insufficient_quota");
    EXPECT_EQ(type(ErrorCode::kUpstreamTimeout), "timeout");
    EXPECT_EQ(type(ErrorCode::kUpstreamInvalid), "server_error");
}

TEST(RenderModels, ListsInOrder) {
    const ModelEntry models[] = {{"a", 1, "leeway"}, {"b\"", 2, "x"}};
    EXPECT_EQ(
        render_models(models),
        R"({"object":"list","data":[{"id":"a","object":"model","created":1,"owned_by":"leeway"},{"id":"b\"","object":"model","created":2,"owned_by":"x"}]})");
    EXPECT_EQ(render_models({}), R"({"object":"list","data":[]})");
    EXPECT_EQ(render_model(models[0]),
              R"({"id":"a","object":"model","created":1,"owned_by":"leeway"})");
}

}  // namespace
}  // namespace leeway::wire::openai
