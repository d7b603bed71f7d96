#include "methods/agent_cache/answer_row.hpp"

#include "methods/agent_cache/testing.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace leeway::agent_cache {
namespace {

using testing::answer_of;
using testing::key_of;
using testing::TemporaryFolder;

std::span<const std::uint8_t> bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

const Secret kSeal(std::string(32, 'k'));

TEST(AnswerRow, RoundTripsEveryField) {
    const auto answer = answer_of(std::string("body with \0 in it", 17));
    answer->streamed = true;
    answer->tenant = 0xfedcba9876543210;
    answer->usage_state = prices::UsageState::kZero;
    const auto back = decode_row(key_of(1), bytes_of(encode_row(key_of(1), *answer, kSeal)), kSeal);
    ASSERT_NE(back, nullptr);
    EXPECT_EQ(back->body, answer->body);
    EXPECT_TRUE(back->streamed);
    EXPECT_EQ(back->model_reported, answer->model_reported);
    EXPECT_EQ(back->finish_reason, answer->finish_reason);
    EXPECT_EQ(back->usage, answer->usage);
    EXPECT_EQ(back->usage_state, answer->usage_state);
    EXPECT_EQ(back->created_unix_ms, answer->created_unix_ms);
    EXPECT_EQ(back->expires_unix_ms, answer->expires_unix_ms);
    EXPECT_EQ(back->tenant, answer->tenant);
}

TEST(AnswerRow, AnyFlippedBitIsAMiss) {
    const std::string row = encode_row(key_of(1), *answer_of("a body"), kSeal);
    for (std::size_t bit = 0; bit < row.size() * 8; ++bit) {
        std::string bad = row;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        ASSERT_EQ(decode_row(key_of(1), bytes_of(bad), kSeal), nullptr) << bit;
    }
}

TEST(AnswerRow, AnyCutOrLengthenedRowIsAMiss) {
    const std::string row = encode_row(key_of(1), *answer_of("a body"), kSeal);
    for (std::size_t size = 0; size < row.size(); ++size) {
        ASSERT_EQ(decode_row(key_of(1), bytes_of(row.substr(0, size)), kSeal), nullptr) << size;
    }
    EXPECT_EQ(decode_row(key_of(1), bytes_of(row + "x"), kSeal), nullptr);
}

TEST(AnswerRow, ARowOfAnotherKeyOrSealIsAMiss) {
    const std::string row = encode_row(key_of(1), *answer_of("a body"), kSeal);
    EXPECT_EQ(decode_row(key_of(2), bytes_of(row), kSeal), nullptr);
    EXPECT_EQ(decode_row(key_of(1), bytes_of(row), Secret(std::string(32, 'z'))), nullptr);
}

TEST(AnswerRow, AValidSealDoesNotMakeWrongLengthsOrVersionsReadable) {
    const std::string row = encode_row(key_of(1), *answer_of("a body"), kSeal);
    const auto sealed = [](std::string content) {
        const Sha256 mac = hmac_sha256(kSeal.expose(), content);
        return content.append(reinterpret_cast<const char*>(mac.data()), mac.size());
    };
    const std::string content = row.substr(0, row.size() - 32);
    ASSERT_NE(decode_row(key_of(1), bytes_of(sealed(content)), kSeal), nullptr);
    for (std::size_t i = 0; i < content.size(); ++i) {
        std::string bad = content;
        bad[i] = static_cast<char>(0xff);
        (void)decode_row(key_of(1), bytes_of(sealed(bad)), kSeal);  // must not read outside
    }
    std::string newer = content;
    ++newer[4];
    EXPECT_EQ(decode_row(key_of(1), bytes_of(sealed(newer)), kSeal), nullptr);
    EXPECT_EQ(decode_row(key_of(1), bytes_of(sealed(content + "x")), kSeal), nullptr);
    EXPECT_EQ(decode_row(key_of(1), bytes_of(sealed(content.substr(0, 20))), kSeal), nullptr);
}

TEST(SealKey, IsMadeOnceAndPrivate) {
    const TemporaryFolder folder;
    const std::string path = folder / "seal";
    const auto first = load_seal_key(path);
    ASSERT_TRUE(first) << first.error().text();
    EXPECT_TRUE(first->fresh);
    EXPECT_EQ(first->secret.expose().size(), 32u);
    struct stat about{};
    ASSERT_EQ(::stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600u);
    const auto second = load_seal_key(path);
    ASSERT_TRUE(second);
    EXPECT_FALSE(second->fresh);
    EXPECT_EQ(second->secret, first->secret);
}

TEST(SealKey, OneOfAWrongLengthIsReplaced) {
    const TemporaryFolder folder;
    const std::string path = folder / "seal";
    for (const std::size_t size : {0u, 31u, 33u, 4096u}) {
        std::ofstream(path, std::ios::trunc) << std::string(size, 'x');
        const auto key = load_seal_key(path);
        ASSERT_TRUE(key) << key.error().text();
        EXPECT_TRUE(key->fresh) << size;
        EXPECT_EQ(key->secret.expose().size(), 32u);
        EXPECT_EQ(std::filesystem::file_size(path), 32u);
    }
}

TEST(SealKey, AnUnusableFolderIsAnError) {
    const auto key = load_seal_key("/nonexistent/folder/seal");
    ASSERT_FALSE(key);
    EXPECT_NE(key.error().message.find("/nonexistent/folder/seal"), std::string::npos);
}

}  // namespace
}  // namespace leeway::agent_cache
