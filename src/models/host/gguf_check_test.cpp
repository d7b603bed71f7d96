#include "models/host/gguf_check.hpp"

#include "models/host/gguf_testing.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace leeway::models {
namespace {

using testing::GgufBuilder;
using testing::tiny_gguf;

/// A file in memory: thousands of variants would be slow on a disk.
class MemoryFile {
public:
    MemoryFile() : fd_(::memfd_create("gguf", MFD_CLOEXEC)) {}
    ~MemoryFile() { ::close(fd_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    Result<GgufInfo> check(const std::string& bytes) const {
        EXPECT_EQ(::ftruncate(fd_, static_cast<off_t>(bytes.size())), 0);
        EXPECT_EQ(::pwrite(fd_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
        return check_gguf("/proc/self/fd/" + std::to_string(fd_));
    }

private:
    int fd_;
};

class GgufCheckTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "leeway_gguf_XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    Result<GgufInfo> check(const std::string& bytes) const {
        const auto file = folder_ / "model.gguf";
        std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
        return check_gguf(file);
    }
    /// The message; empty when the file passed.
    std::string refusal(const std::string& bytes) const {
        const auto result = check(bytes);
        return result ? std::string() : result.error().message;
    }

    std::filesystem::path folder_;
};

TEST_F(GgufCheckTest, ReadsTheFactsOfASoundFile) {
    const auto info = check(tiny_gguf().bytes());
    ASSERT_TRUE(info) << info.error().message;
    EXPECT_EQ(info->architecture, "llama");
    EXPECT_EQ(info->name, "Tiny");
    EXPECT_EQ(info->quantization, "Q4_1");
    EXPECT_EQ(info->tensor_count, 3U);
    EXPECT_EQ(info->parameters, 64U * 8 + 10 + 16);
    EXPECT_EQ(info->vocabulary, 3U);
    EXPECT_TRUE(info->has_chat_template);
    EXPECT_FALSE(info->is_embedding_model());
    EXPECT_EQ(info->kv_bytes_per_token(), 2U * 2 * 2 * (16 + 16));
}

TEST_F(GgufCheckTest, KnowsAnEmbeddingModelByItsPooling) {
    const auto info = check(tiny_gguf().key_u32("llama.pooling_type", 1).bytes());
    ASSERT_TRUE(info);
    EXPECT_TRUE(info->is_embedding_model());
    EXPECT_EQ(info->kv_bytes_per_token(), 0U);
}

TEST_F(GgufCheckTest, NamesTheFileAndTheFault) {
    const std::string text = refusal("#!/bin/sh\necho no model\n");
    EXPECT_NE(text.find("model.gguf"), std::string::npos) << text;
    EXPECT_NE(text.find("not a GGUF"), std::string::npos) << text;
    EXPECT_NE(check_gguf(folder_ / "absent.gguf").error().message.find("cannot be opened"),
              std::string::npos);
    EXPECT_NE(check_gguf(folder_).error().message.find("regular file"), std::string::npos);
    EXPECT_NE(refusal("").find("is cut at byte 0"), std::string::npos);
}

TEST_F(GgufCheckTest, RefusesEveryTruncation) {
    const std::string whole = tiny_gguf().bytes();
    ASSERT_TRUE(check(whole));
    const MemoryFile file;
    for (std::size_t length = 0; length < whole.size(); ++length) {
        EXPECT_FALSE(file.check(whole.substr(0, length))) << "cut at " << length;
    }
}

TEST_F(GgufCheckTest, SurvivesEveryFlippedByte) {
    const std::string whole = tiny_gguf().bytes();
    const auto head = whole.size() - tiny_gguf().data_bytes;
    const MemoryFile file;
    for (std::size_t at = 0; at < head; ++at) {
        for (const unsigned mask : {0x01U, 0x20U, 0x80U, 0xFFU}) {
            std::string broken = whole;
            broken[at] = static_cast<char>(static_cast<unsigned char>(broken[at]) ^ mask);
            (void)file.check(broken);  // any verdict will do; the sanitizers watch
        }
    }
}

TEST_F(GgufCheckTest, SurvivesHugeNumbersAtEveryPlace) {
    const std::string whole = tiny_gguf().bytes();
    const auto head = whole.size() - tiny_gguf().data_bytes;
    const MemoryFile file;
    for (std::size_t at = 4; at + 8 <= head; ++at) {
        std::string broken = whole;
        broken.replace(at, 8, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F");
        (void)file.check(broken);
        broken.replace(at, 8, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
        (void)file.check(broken);
    }
}

TEST_F(GgufCheckTest, RefusesWhatDoesNotAddUp) {
    GgufBuilder versions = tiny_gguf();
    versions.version = 1;
    EXPECT_NE(refusal(versions.bytes()).find("version 1"), std::string::npos);

    GgufBuilder counts = tiny_gguf();
    counts.key_count = 1ULL << 40U;
    EXPECT_NE(refusal(counts.bytes()).find("keys"), std::string::npos);

    EXPECT_NE(refusal(tiny_gguf().key_u32("general.name", 1).bytes()).find("twice"),
              std::string::npos);
    EXPECT_NE(refusal(tiny_gguf().key_u32("general.alignment", 24).bytes()).find("alignment"),
              std::string::npos);
    EXPECT_NE(refusal(tiny_gguf().key_u32("split.count", 2).bytes()).find("parts"),
              std::string::npos);
    EXPECT_NE(refusal(GgufBuilder().key_text("general.name", "x").bytes()).find("architecture"),
              std::string::npos);
}

TEST_F(GgufCheckTest, RefusesTensorsThatCannotBe) {
    const auto with = [&](std::uint32_t type, std::vector<std::uint64_t> shape,
                          std::uint64_t offset) {
        GgufBuilder builder = tiny_gguf();
        builder.tensor("extra", type, std::move(shape), offset, 64);
        return refusal(builder.bytes());
    };
    EXPECT_EQ(with(0, {16}, 416), "");
    EXPECT_NE(with(0, {16}, 0).find("offset"), std::string::npos);             // overlaps
    EXPECT_NE(with(0, {1ULL << 62U}, 416).find("impossible"), std::string::npos);
    EXPECT_NE(with(0, {1ULL << 32U, 1ULL << 32U}, 416).find("impossible"), std::string::npos);
    EXPECT_NE(with(0, {0}, 416).find("impossible"), std::string::npos);
    EXPECT_NE(with(0, {1, 1, 1, 1, 1}, 416).find("dimensions"), std::string::npos);
    EXPECT_NE(with(2, {16}, 416).find("rows of 16"), std::string::npos);       // half a block
    EXPECT_NE(with(4, {32}, 416).find("type 4"), std::string::npos);           // withdrawn type
    EXPECT_NE(with(0, {1000}, 416).find("cut"), std::string::npos);            // beyond the end
}

}  // namespace
}  // namespace leeway::models
