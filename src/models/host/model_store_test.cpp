#include "models/host/model_store.hpp"

#include "base/file_hash.hpp"
#include "models/host/gguf_testing.hpp"
#include "models/host/models_testing.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace leeway::models {
namespace {

namespace fs = std::filesystem;

class ModelStoreTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "leeway_store_XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        root_ = fs::canonical(pattern);
        folder_ = root_ / "models";
        fs::create_directory(folder_);
        write(folder_ / "tiny.gguf", testing::tiny_gguf().bytes());
        write(root_ / "secret.gguf", testing::tiny_gguf().bytes());
    }
    void TearDown() override { fs::remove_all(root_); }

    static void write(const fs::path& file, const std::string& bytes) {
        std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
    }
    ModelStoreOptions options() const { return {.folders = {folder_}, .models = {}, .engine = {}}; }

    fs::path root_;
    fs::path folder_;
};

TEST_F(ModelStoreTest, FindsFilesOnlyInsideItsFolders) {
    const ModelStore store(options());
    EXPECT_EQ(store.resolve("tiny.gguf").value(), folder_ / "tiny.gguf");
    for (const char* name : {"../secret.gguf", "/etc/passwd", "..", "", ".gguf", "a/b.gguf", "tiny",
                             ".hidden.gguf", "..\\secret.gguf"}) {
        ASSERT_FALSE(store.resolve(name)) << name;
        EXPECT_EQ(store.resolve(name).error().code, ErrorCode::kForbidden) << name;
    }
    EXPECT_EQ(store.resolve("absent.gguf").error().code, ErrorCode::kNotFound);
    EXPECT_FALSE(store.resolve(std::string_view("a\0.gguf", 7)));
}

TEST_F(ModelStoreTest, FollowsLinksOnlyInsideItsFolders) {
    fs::create_symlink(root_ / "secret.gguf", folder_ / "out.gguf");
    fs::create_symlink("tiny.gguf", folder_ / "in.gguf");
    const ModelStore store(options());
    EXPECT_EQ(store.resolve("out.gguf").error().code, ErrorCode::kForbidden);
    EXPECT_EQ(store.resolve("in.gguf").value(), folder_ / "tiny.gguf");
}

TEST_F(ModelStoreTest, ListsListedModelsThenTheRest) {
    write(folder_ / "broken.gguf", "not a model");
    write(folder_ / "readme.txt", "x");
    ModelStoreOptions with = options();
    with.models = {{"small", "tiny.gguf", {}, {}}, {"gone", "absent.gguf", {}, {}}};
    const ModelStore store(with);
    const auto all = store.list();
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].name, "small");
    EXPECT_TRUE(all[0].listed);
    ASSERT_TRUE(all[0].info);
    EXPECT_EQ(all[0].info->quantization, "Q4_1");
    EXPECT_GT(all[0].needs_bytes, all[0].info->file_bytes);
    EXPECT_FALSE(all[1].info);
    EXPECT_EQ(all[2].name, "broken.gguf");
    EXPECT_FALSE(all[2].info);
}

TEST_F(ModelStoreTest, OffersTheNearestNameForAnUnknownOne) {
    ModelStoreOptions with = options();
    with.models = {{"smollm2", "tiny.gguf", {}, {}}};
    ModelStore store(with);
    const auto result = store.inspect("smolm2");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
    EXPECT_NE(result.error().hint.find("smollm2"), std::string::npos);
    EXPECT_TRUE(store.inspect("tiny.gguf"));
    with.only_listed = true;
    EXPECT_FALSE(ModelStore(with).inspect("tiny.gguf"));
}

TEST_F(ModelStoreTest, ComparesTheHashAndNoticesAChangedFile) {
    const std::string right = sha256_of_file(folder_ / "tiny.gguf").value();
    ModelStoreOptions with = options();
    with.models = {{"good", "tiny.gguf", right, {}},
                   {"bad", "tiny.gguf", std::string(64, '0'), {}}};
    ModelStore store(with);
    EXPECT_EQ(store.verify("good").value(), right);
    EXPECT_EQ(store.verify("good").value(), right);
    const auto bad = store.verify("bad");
    ASSERT_FALSE(bad);
    EXPECT_NE(bad.error().message.find(right), std::string::npos);
    write(folder_ / "tiny.gguf", testing::tiny_gguf().bytes() + "more");
    EXPECT_FALSE(store.verify("good"));
    EXPECT_FALSE(store.engine("good"));
}

TEST_F(ModelStoreTest, RefusesToLoadWhatIsBrokenOrTooLarge) {
    write(folder_ / "broken.gguf", "not a model");
    ModelStoreOptions with = options();
    with.memory_bytes = 1 << 20;
    ModelStore store(with);
    EXPECT_NE(store.engine("broken.gguf").error().message.find("not a GGUF"), std::string::npos);
    const auto large = store.engine("tiny.gguf");
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(large.error().message.find("needs about"), std::string::npos);
    EXPECT_EQ(store.loaded("tiny.gguf"), nullptr);
    EXPECT_FALSE(store.unload("tiny.gguf"));
}

TEST_F(ModelStoreTest, ReportsAFailedLoadToEveryWaiter) {
    ModelStore store(options());
    std::promise<Result<std::shared_ptr<Engine>>> promise;
    store.engine_async("tiny.gguf", [&](Result<std::shared_ptr<Engine>> engine) {
        promise.set_value(std::move(engine));
    });
    EXPECT_FALSE(promise.get_future().get());  // a head without weights is no model
}

#ifdef LEEWAY_HAVE_LLAMA
TEST(ModelStoreWithModels, LoadsOnceForAllWhoAsk) {
    const auto file = testing::model_file(testing::kEmbeddingModel);
    if (!file) GTEST_SKIP() << testing::skip_text(testing::kEmbeddingModel);
    ModelStore store({.folders = {file->parent_path()},
                      .models = {{"minilm", file->filename().string(), {}, {}}},
                      .engine = {}});
    std::vector<std::thread> threads;
    std::vector<std::shared_ptr<Engine>> engines(4);
    for (auto& engine : engines) {
        threads.emplace_back([&] { engine = store.engine("minilm").value_or(nullptr); });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_NE(engines[0], nullptr);
    for (const auto& engine : engines) EXPECT_EQ(engine, engines[0]);
    EXPECT_EQ(engines[0]->info().name, "minilm");
    EXPECT_EQ(engines[0]->info().kind, EngineKind::kEmbedding);
    EXPECT_TRUE(store.unload("minilm"));
    EXPECT_EQ(store.loaded("minilm"), nullptr);
}
#endif

}  // namespace
}  // namespace leeway::models
