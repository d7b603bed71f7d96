#include "app/places.hpp"

#include "app/openapi.hpp"
#include "json/validate.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace leeway::app {
namespace {

TEST(Places, EachIsFoundByItsOwnPath) {
    std::set<std::string_view> names;
    for (const Place& place : places()) {
        std::string path(place.pattern);
        const std::size_t at = path.find('{');
        const bool is_id = path.find("{id}") != std::string::npos;
        const std::string name = is_id ? "file-1" : "org/name-1";
        if (at != std::string::npos) path.replace(at, is_id ? 4 : 7, name);
        const auto found = find_place(path);
        ASSERT_TRUE(found) << path;
        EXPECT_EQ(found->place->name, place.name) << path;
        EXPECT_EQ(found->model, at == std::string::npos ? "" : name);
        EXPECT_TRUE(names.insert(place.name).second) << place.name;
    }
}

TEST(Places, NamesOfModelsMayHoldColonsAndSlashes) {
    const auto entry = find_place("/v1/models/llama3:8b");
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->place->kind, Place::Kind::kModel);
    EXPECT_EQ(entry->model, "llama3:8b");
    const auto stream = find_place("/v1beta/models/llama3:8b:streamGenerateContent");
    ASSERT_TRUE(stream);
    EXPECT_TRUE(stream->place->stream);
    EXPECT_EQ(stream->model, "llama3:8b");
    const auto list = find_place("/v1/models/");
    ASSERT_TRUE(list);
    EXPECT_EQ(list->place->kind, Place::Kind::kModels);
}

TEST(Places, OtherPathsAreNone) {
    for (const char* path :
         {"/", "/v1", "/v1/chat", "/v1/chat/completions/", "/v1/modelsx", "/v1beta/modelsx",
          "/v1/messages/count", "/v3/rerank", "/v1/files/", "/v1/files/a/b",
          "/v1/messages/batches/a/b", "/v1/files/a/b/content", "/v1/batches/a/b/cancel"}) {
        EXPECT_FALSE(find_place(path)) << path;
    }
}

TEST(Places, AMethodIsAllowedOnlyByItsWholeName) {
    EXPECT_TRUE(allows(kReadingAndDeleting, "DELETE"));
    EXPECT_TRUE(allows(kReadingAndDeleting, "HEAD"));
    EXPECT_FALSE(allows(kReadingAndDeleting, "POST"));
    EXPECT_FALSE(allows(kReadingAndPosting, "GE"));
    EXPECT_FALSE(allows(kPosting, ""));
}

TEST(Openapi, IsJsonAndNamesEveryPlace) {
    const std::string document = openapi_document();
    EXPECT_TRUE(json::validate(document));
    for (const Place& place : places()) {
        EXPECT_NE(document.find('"' + std::string(place.pattern) + "\": {"), std::string::npos)
            << place.pattern;
    }
}

}  // namespace
}  // namespace leeway::app
