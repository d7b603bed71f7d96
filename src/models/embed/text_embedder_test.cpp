#include "models/embed/text_embedder.hpp"

#include "models/embed/fingerprint.hpp"
#include "models/embed/vector_file.hpp"
#include "models/host/models_testing.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace leeway::models {
namespace {

namespace fs = std::filesystem;

class Folder {
public:
    Folder() : path_(fs::temp_directory_path() / ("leeway-vectors-" + std::to_string(getpid()))) {
        fs::remove_all(path_);
        fs::create_directories(path_);
    }
    ~Folder() { fs::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] const fs::path& path() const { return path_; }
    [[nodiscard]] fs::path only_file() const { return fs::directory_iterator(path_)->path(); }

private:
    fs::path path_;
};

const std::string kPrint = file_fingerprint("ab", 3, 512);

float dot(std::span<const float> a, std::span<const float> b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0F);
}

VectorFile open_file(const Folder& folder) {
    auto file = VectorFile::open(folder.path(), kPrint, 3);
    EXPECT_TRUE(file) << file.error().text();
    return std::move(*file);
}

void add(VectorFile& file, const std::string& text, std::vector<float> vector) {
    const std::vector<Sha256> keys{sha256(text)};
    const auto added = file.append(keys, vector);
    EXPECT_TRUE(added) << added.error().text();
}

TEST(VectorFile, TwoProcessesSeeEachOthersVectorsAfterARefresh) {
    const Folder folder;
    VectorFile one = open_file(folder);
    VectorFile other = open_file(folder);
    add(one, "a", {1, 2, 3});
    add(other, "b", {4, 5, 6});
    EXPECT_TRUE(one.find(sha256("a")).empty());
    one.refresh();
    other.refresh();
    EXPECT_EQ(one.size(), 2U);
    EXPECT_EQ(one.find(sha256("b"))[2], 6);
    EXPECT_EQ(other.find(sha256("a"))[0], 1);
    EXPECT_TRUE(other.find(sha256("c")).empty());
}

TEST(VectorFile, SurvivesWritersOnManyThreads) {
    const Folder folder;
    std::vector<std::thread> writers;
    for (int writer = 0; writer < 4; ++writer) {
        writers.emplace_back([&folder, writer] {
            VectorFile file = open_file(folder);
            for (int i = 0; i < 50; ++i) {
                const auto value = static_cast<float>(writer * 100 + i);
                add(file, std::to_string(writer * 100 + i), {value, value, value});
            }
        });
    }
    for (std::thread& writer : writers) writer.join();
    VectorFile file = open_file(folder);
    file.refresh();
    EXPECT_EQ(file.size(), 200U);
    for (int i = 0; i < 50; ++i) {
        const auto found = file.find(sha256(std::to_string(300 + i)));
        ASSERT_EQ(found.size(), 3U);
        EXPECT_EQ(found[1], static_cast<float>(300 + i));
    }
}

TEST(VectorFile, ACutTailIsDroppedAndWhatComesAfterItIsFound) {
    const Folder folder;
    {
        VectorFile file = open_file(folder);
        add(file, "a", {1, 2, 3});
        add(file, "b", {4, 5, 6});
    }
    fs::resize_file(folder.only_file(), fs::file_size(folder.only_file()) - 5);
    VectorFile file = open_file(folder);
    file.refresh();
    EXPECT_EQ(file.size(), 1U);
    EXPECT_EQ(file.find(sha256("a"))[0], 1);
    EXPECT_TRUE(file.find(sha256("b")).empty());
    add(file, "c", {7, 8, 9});
    file.refresh();
    EXPECT_EQ(file.find(sha256("c"))[2], 9);
    EXPECT_EQ(file.find(sha256("a"))[0], 1);
}

TEST(VectorFile, ADamagedRecordIsNotFoundUntilItIsWrittenAgain) {
    const Folder folder;
    {
        VectorFile file = open_file(folder);
        add(file, "a", {1, 2, 3});
    }
    {
        std::fstream bytes(folder.only_file(), std::ios::in | std::ios::out | std::ios::binary);
        bytes.seekp(-10, std::ios::end);
        bytes.put('\x55');
    }
    VectorFile file = open_file(folder);
    file.refresh();
    EXPECT_TRUE(file.find(sha256("a")).empty());
    add(file, "a", {1, 2, 3});
    file.refresh();
    ASSERT_EQ(file.find(sha256("a")).size(), 3U);
}

TEST(VectorFile, AFileOfAnotherFormIsReplaced) {
    const Folder folder;
    {
        const VectorFile file = open_file(folder);
    }
    {
        std::ofstream(folder.only_file()) << "what is this?";
    }
    VectorFile file = open_file(folder);
    add(file, "a", {1, 2, 3});
    file.refresh();
    EXPECT_EQ(file.size(), 1U);
}

TEST(VectorFile, SaysThatItCannotBeThere) {
    EXPECT_FALSE(VectorFile::open("/proc/no/such", kPrint, 3));
}

TEST(Fingerprint, DiffersWithAllThatMakesAVector) {
    EXPECT_EQ(kPrint.size(), 64U);
    EXPECT_NE(kPrint, file_fingerprint("ac", 3, 512));
    EXPECT_NE(kPrint, file_fingerprint("ab", 4, 512));
    EXPECT_NE(kPrint, file_fingerprint("ab", 3, 256));
    EXPECT_NE(provider_fingerprint("a", "b", 3), provider_fingerprint("ab", "", 3));
}

TEST(Fingerprint, CutsLongTextsBetweenCharacters) {
    EXPECT_EQ(cut_for_embedding("short", 512), "short");
    const std::string text = std::string(31, 'x') + "\xF0\x9F\x99\x82";
    EXPECT_EQ(cut_for_embedding(text, 1), std::string(31, 'x'));
    const std::string binary(100, '\x80');
    EXPECT_EQ(cut_for_embedding(binary, 1).size(), 32U);
}

class MiniLm : public ::testing::Test {
protected:
    void SetUp() override {
        const auto file = testing::model_file(testing::kEmbeddingModel);
        if (!file) GTEST_SKIP() << testing::skip_text(testing::kEmbeddingModel);
        options_.file = *file;
        options_.cache_folder = folder_.path();
    }
    std::unique_ptr<TextEmbedder> open() {
        auto opened = open_text_embedder(options_);
        EXPECT_TRUE(opened) << opened.error().text();
        return std::move(*opened);
    }

    Folder folder_;
    TextEmbedderOptions options_;
};

TEST_F(MiniLm, LikeTextsHaveLikeVectorsAndAnEmptyOneHasZeros) {
    const auto embedder = open();
    const std::vector<std::string> texts{
        "How do I cancel my order?", "", "I want to cancel an order that I placed",
        "The weather in Athens is fine", "How do I cancel my order?"};
    std::vector<std::size_t> told;
    const auto table = embedder->embed(texts, [&](std::size_t done) { told.push_back(done); });
    ASSERT_TRUE(table) << table.error().text();
    EXPECT_EQ(table->dimension, 384U);
    ASSERT_EQ(table->rows(), 5U);
    EXPECT_NEAR(dot(table->row(0), table->row(0)), 1, 1e-4);
    EXPECT_EQ(dot(table->row(1), table->row(1)), 0);
    EXPECT_GT(dot(table->row(0), table->row(2)), 0.7F);
    EXPECT_LT(dot(table->row(0), table->row(3)), 0.3F);
    EXPECT_EQ(dot(table->row(4), table->row(0)), dot(table->row(0), table->row(0)));
    EXPECT_EQ(told.front(), 1U);
    EXPECT_EQ(told.back(), 5U);
}

TEST_F(MiniLm, VectorsOfAnEarlierRunAreTakenFromTheCache) {
    const std::vector<std::string> texts{"one text", "and another one"};
    const auto first = open()->embed(texts);
    ASSERT_TRUE(first) << first.error().text();
    // A vector that no model would give shows where the second run has it from.
    auto file = VectorFile::open(folder_.path(), open()->model().fingerprint, 384);
    ASSERT_TRUE(file) << file.error().text();
    const std::vector<Sha256> keys{sha256(texts[1])};
    ASSERT_TRUE(file->append(keys, std::vector<float>(384, 0.5F)));
    const auto second = open()->embed(texts);
    ASSERT_TRUE(second) << second.error().text();
    EXPECT_EQ(second->row(0)[7], first->row(0)[7]);
    EXPECT_EQ(second->row(1)[7], 0.5F);
}

TEST_F(MiniLm, TakesWhateverATextHolds) {
    std::string binary;
    for (int i = 0; i < 4096; ++i) binary += static_cast<char>(i * 37);
    const std::vector<std::string> texts{
        std::string(1 << 20U, 'a'),
        [] {
            std::string words;
            while (words.size() < (1U << 20U)) words += "many words and more ";
            return words;
        }(),
        binary,
        "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D \xD8\xB3\xD9\x84\xD8\xA7\xD9\x85",
        "\xF0\x9F\x99\x82\xF0\x9F\x9A\x80\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80",
        "   \n\t ",
        std::string(1, '\0'),
        "\xFF\xFE\xC0\x80",
        "<s> [CLS] [SEP] </s>"};
    const auto table = open()->embed(texts);
    ASSERT_TRUE(table) << table.error().text();
    for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_NEAR(dot(table->row(i), table->row(i)), 1, 1e-3) << i;
    }
}

TEST(TextEmbedder, SaysWhatIsWrongWithTheFile) {
    TextEmbedderOptions options;
    options.file = "/no/such/model.gguf";
    EXPECT_FALSE(open_text_embedder(options));
    const auto chat = testing::model_file(testing::kChatModel);
    if (!chat) GTEST_SKIP() << testing::skip_text(testing::kChatModel);
    options.file = *chat;
    const auto opened = open_text_embedder(options);
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find("gives no vectors"), std::string::npos);
}

}  // namespace
}  // namespace leeway::models
