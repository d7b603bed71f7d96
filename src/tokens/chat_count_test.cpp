#include "tokens/chat_count.hpp"

#include "tokens/function_text.hpp"
#include "tokens/image_tokens.hpp"
#include "tokens/model_map.hpp"
#include "tokens/tokens_testing.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>

namespace leeway::tokens {
namespace {

// ---------------------------------------------------------------- chat requests

class Chat : public ::testing::Test {
protected:
    void SetUp() override {
        auto vocabulary = Vocabulary::map(testing::vocabulary_file("o200k_base"));
        if (!vocabulary) GTEST_SKIP() << vocabulary.error().text();
        tokenizer_ = std::make_unique<Tokenizer>(*vocabulary);
    }
    Result<ChatCount> count(const std::string& body, const std::string& model = "gpt-4o") {
        return count_chat(body, {.model = model,
                                 .rule = find_model(model),
                                 .tokenizer = tokenizer_.get(),
                                 .memo = &memo_});
    }
    std::unique_ptr<Tokenizer> tokenizer_;
    MessageMemo memo_{256};
};

/// What OpenAI's API reported for these requests (the cases that gpt-tokenizer 4.0.0 is tested with).
TEST_F(Chat, AgreesWithWhatOpenAiReported) {
    const std::string hello = R"({"messages":[{"role":"user","content":"hello"}])";
    const std::string foo =
        R"(,"functions":[{"name":"foo","parameters":{"type":"object","properties":{}}}])";
    const auto bing = [](const std::string& properties) {
        return R"(,"tools":[{"type":"function","function":{"name":"bing_bong","description":"Do a bing bong",)"
               R"("parameters":{"type":"object","properties":{)" +
               properties + "}}}}]}";
    };
    struct Case {
        std::string body;
        std::int64_t tokens;
    };
    for (
        const Case& c : {
            Case{hello + "}", 8},
            Case{R"({"messages":[{"role":"system","content":"hello:"}]})", 9},
            Case{
                R"({"messages":[{"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."}]})",
                20},
            Case{
                R"({"messages":[{"role":"system","content":"# Important: you're the best robot"},{"role":"user","content":"hello robot"},{"role":"assistant","content":"hello world"}]})",
                26},
            Case{hello + foo + "}", 31},
            Case{hello + foo + R"(,"function_call":"none"})", 32},
            Case{hello + foo + R"(,"function_call":"auto"})", 31},
            Case{hello + foo + R"(,"function_call":{"name":"foo"}})", 36},
            Case{hello + bing(R"("foo":{"type":"string"})"), 45},
            Case{
                hello +
                    bing(
                        R"("foo":{"type":"string"},"bar":{"type":"number","description":"A number"})"),
                52},
            Case{
                hello +
                    bing(
                        R"("foo":{"type":"object","properties":{"bar":{"type":"string","enum":["a","b","c"]},"baz":{"type":"boolean"}}})"),
                64},
            Case{
                R"({"messages":[{"role":"user","content":"hello world"},{"role":"function","name":"do_stuff","content":"{}"}]})",
                16},
        }) {
        const auto counted = count(c.body);
        ASSERT_TRUE(counted.has_value()) << counted.error().text();
        EXPECT_EQ(counted->total.tokens, c.tokens) << c.body;
        EXPECT_EQ(counted->messages + counted->tools + counted->images + counted->reply, c.tokens);
    }
}

TEST_F(Chat, SaysHowGoodTheCountIs) {
    const std::string text =
        R"({"messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]})";
    EXPECT_EQ(count(text)->total.quality, Quality::kExact);
    EXPECT_EQ(count(text)->total.tokens, 8);
    EXPECT_EQ(count(text, "gpt-oss-20b")->total.quality, Quality::kHeuristic);
    const auto claude = count(text, "claude-sonnet-4-5");
    EXPECT_EQ(claude->total.quality, Quality::kHeuristic) << "nothing was reported yet";
    EXPECT_LT(claude->total.low, claude->total.tokens);
    EXPECT_GT(claude->total.high, claude->total.tokens);
    const auto tools =
        count(R"({"messages":[],"tools":[{"type":"function","function":{"name":"f"}}]})");
    EXPECT_EQ(tools->total.quality, Quality::kCalibrated);
    const auto audio = count(
        R"({"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]})");
    EXPECT_EQ(audio->unknown_parts, 1U);
    EXPECT_EQ(audio->total.quality, Quality::kHeuristic);
}

TEST_F(Chat, LooksAtTheSizeOfInlineImages) {
    // The first bytes of a PNG of 1024 × 1024.
    const std::string png = "iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAIAAADwf7zU";
    const auto counted =
        count(R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":)"
              R"("data:image/png;base64,)" +
              png + R"(","detail":"high"}}]}]})");
    ASSERT_TRUE(counted.has_value());
    EXPECT_EQ(counted->images, 765) << "85 + 4 tiles of 170";
}

TEST_F(Chat, RefusesWhatIsNoChatRequest) {
    for (const std::string body :
         {"", "[]", "{}", R"({"messages":3})", R"({"messages":[)", "\"x\""}) {
        EXPECT_FALSE(count(body).has_value()) << body;
    }
}

// ---------------------------------------------------------------- images

TEST(ImageTokens, FollowThePublishedExamples) {
    const auto tokens = [](std::string_view model, std::uint32_t w, std::uint32_t h,
                           ImageDetail detail = ImageDetail::kHigh) {
        return image_tokens(model, {w, h}, detail).value_or(TokenCount{}).tokens;
    };
    // platform.openai.com/docs/guides/images-vision
    EXPECT_EQ(tokens("gpt-4o", 1024, 1024), 765);
    EXPECT_EQ(tokens("gpt-4o", 2048, 4096), 1105);
    EXPECT_EQ(tokens("gpt-4o", 4096, 8192, ImageDetail::kLow), 85);
    EXPECT_EQ(tokens("gpt-4.1-mini", 1024, 1024), 1659) << "1024 patches × 1.62";
    EXPECT_EQ(tokens("gpt-4.1-mini", 1800, 2400),
              static_cast<std::int64_t>(std::ceil(1452 * 1.62)));
    EXPECT_EQ(tokens("o1", 512, 512), 225);
    EXPECT_EQ(tokens("claude-sonnet-4-5", 1092, 1092), 1521) << "39 × 39";
    EXPECT_EQ(tokens("claude-sonnet-4-5", 8000, 8000), 1568);
    EXPECT_EQ(tokens("claude-opus-4-7", 8000, 8000), 4784);
    EXPECT_EQ(tokens("gemini-2.5-pro", 300, 384), 258);
    EXPECT_EQ(tokens("gemini-2.5-pro", 1536, 768), 516);
    EXPECT_EQ(tokens("gemini-3-pro", 100, 100), 1120);
    EXPECT_EQ(image_tokens("text-embedding-3-small", {10, 10}), std::nullopt);
    EXPECT_EQ(image_tokens("gpt-4o", {0, 0})->tokens, 765) << "a size nobody knows: the most";
}

TEST(ImageSize, IsReadFromTheHeadAndNeverBeyondIt) {
    std::string gif = "GIF89a";
    gif += std::string("\x80\x02\xE0\x01", 4);
    const auto size = image_size(gif);
    ASSERT_TRUE(size.has_value());
    EXPECT_EQ(size->width, 640U);
    EXPECT_EQ(size->height, 480U);
    const std::string jpeg("\xFF\xD8\xFF\xE0\x00\x04zz\xFF\xC0\x00\x11\x08\x01\xE0\x02\x80\x03",
                           18);
    ASSERT_TRUE(image_size(jpeg).has_value());
    EXPECT_EQ(image_size(jpeg)->width, 640U);
    std::mt19937_64 random(8);
    for (int i = 0; i < 5000; ++i) {
        std::string bytes = i % 2 == 0 ? jpeg : std::string("RIFF....WEBPVP8X");
        while (bytes.size() < 40) bytes += static_cast<char>(random());
        bytes[random() % bytes.size()] = static_cast<char>(random());
        (void)image_size(bytes.substr(0, random() % bytes.size()));
    }
}

// ---------------------------------------------------------------- models

TEST(ModelMap, FindsVocabulariesByWildcard) {
    EXPECT_EQ(find_model("gpt-5-mini").vocabulary, "o200k_base");
    EXPECT_EQ(find_model("openai/gpt-4o-2024-08-06").vocabulary, "o200k_base");
    EXPECT_EQ(find_model("gpt-4-turbo").vocabulary, "cl100k_base");
    EXPECT_EQ(find_model("GPT-OSS-120b").vocabulary, "o200k_harmony");
    EXPECT_EQ(find_model("us.anthropic.claude-opus-4-7-v1:0").family, ModelFamily::kClaude47);
    EXPECT_EQ(find_model("claude-3-5-sonnet-20241022").family, ModelFamily::kClaude3);
    EXPECT_FALSE(find_model("claude-3-5-sonnet-20241022").exact);
    EXPECT_EQ(find_model("Qwen/Qwen3-8B").vocabulary, "qwen3");
    EXPECT_EQ(find_model("nobody-knows").family, ModelFamily::kUnknown);
    EXPECT_FALSE(find_model("nobody-knows").exact);
}

TEST(ModelMap, RulesOfTheConfigurationComeFirst) {
    const std::vector<ModelRule> extra{{"gpt-5*", {ModelFamily::kOpenWeights, "mine", true}},
                                       {"team/*", {ModelFamily::kOpenAi, "cl100k_base", true}}};
    EXPECT_EQ(find_model("gpt-5", extra).vocabulary, "mine");
    EXPECT_EQ(find_model("team/gpt-4o", extra).vocabulary, "cl100k_base") << "the whole name";
    EXPECT_EQ(find_model("gpt-4o", extra).vocabulary, "o200k_base");
}

TEST(Wildcard, MatchesAsWritten) {
    EXPECT_TRUE(matches_wildcard("*", ""));
    EXPECT_TRUE(matches_wildcard("a*c*e", "abcde"));
    EXPECT_TRUE(matches_wildcard("*b*b", "abbb"));
    EXPECT_FALSE(matches_wildcard("a*c", "ab"));
    EXPECT_FALSE(matches_wildcard("", "a"));
    EXPECT_FALSE(matches_wildcard("a*b*c*d*e*f*g", std::string(2000, 'a')));
}

// ---------------------------------------------------------------- calibration

CalibrationFeatures random_request(std::mt19937_64& random) {
    std::uniform_real_distribution<double> size(3, 11);
    CalibrationFeatures f;
    f.base_tokens = std::exp(size(random));
    f.tool_tokens = random() % 3 == 0 ? f.base_tokens * 0.4 : 0;
    f.digit_bytes = f.base_tokens * static_cast<double>(random() % 100) / 200;
    f.other_bytes = random() % 4 == 0 ? f.base_tokens * 2 : 0;
    f.messages = 1 + static_cast<double>(random() % 20);
    return f;
}

/// A provider whose tokenizer follows other numbers than the prior.
std::int64_t reported(const CalibrationFeatures& f, std::mt19937_64& random, double slope = 1.34) {
    std::normal_distribution<double> noise(1.0, 0.02);
    return std::llround(
        (slope * f.base_tokens + 0.3 * f.digit_bytes + 0.05 * f.other_bytes + 4 * f.messages + 12) *
        noise(random));
}

TEST(Calibration, BeginsWithAWideIntervalOfThePrior) {
    const Calibration fresh(ModelFamily::kClaude47);
    CalibrationFeatures f;
    f.base_tokens = 1000;
    f.messages = 2;
    const TokenCount count = fresh.estimate(f);
    EXPECT_EQ(count.quality, Quality::kHeuristic);
    EXPECT_NEAR(static_cast<double>(count.tokens), 1572, 20);
    EXPECT_LT(count.low, 1200);
    EXPECT_GT(count.high, 1900);
}

TEST(Calibration, LearnsAndItsIntervalHoldsWhatItPromises) {
    std::mt19937_64 random(11);
    Calibration calibration(ModelFamily::kClaude3);
    for (int i = 0; i < 400; ++i) {
        const auto f = random_request(random);
        calibration.learn(f, reported(f, random));
    }
    int inside = 0;
    double error = 0;
    constexpr int kTrials = 2000;
    for (int i = 0; i < kTrials; ++i) {
        const auto f = random_request(random);
        const std::int64_t truth = reported(f, random);
        const TokenCount count = calibration.estimate(f);
        EXPECT_EQ(count.quality, Quality::kCalibrated);
        inside += count.low <= truth && truth <= count.high ? 1 : 0;
        error += std::abs(static_cast<double>(count.tokens - truth)) / static_cast<double>(truth);
    }
    EXPECT_NEAR(inside / static_cast<double>(kTrials), 0.95, 0.03);
    EXPECT_LT(error / kTrials, 0.03);
    EXPECT_NEAR(calibration.relative_error(), 0.025, 0.012);
    EXPECT_FALSE(calibration.drifts());
}

TEST(Calibration, OneWrongReportBendsLittleAndAChangedTokenizerIsNoticed) {
    std::mt19937_64 random(12);
    Calibration calibration(ModelFamily::kGemini);
    for (int i = 0; i < 200; ++i) {
        const auto f = random_request(random);
        calibration.learn(f, reported(f, random));
    }
    CalibrationFeatures f;
    f.base_tokens = 5000;
    f.messages = 4;
    const auto before = calibration.estimate(f).tokens;
    calibration.learn(f, 5'000'000);
    calibration.learn(f, 0);
    calibration.learn(f, -7);
    EXPECT_NEAR(static_cast<double>(calibration.estimate(f).tokens), static_cast<double>(before),
                static_cast<double>(before) * 0.02);
    int needed = 0;
    while (!calibration.drifts() && needed < 100) {
        const auto g = random_request(random);
        calibration.learn(g, reported(g, random, 1.34 * 1.3));
        ++needed;
    }
    EXPECT_LT(needed, 10);
}

TEST(Calibration, StaysFiniteWithHostileReports) {
    Calibration calibration;
    CalibrationFeatures f;
    for (int i = 0; i < 2000; ++i) {
        f.base_tokens = i % 7 == 0 ? 0 : std::pow(10.0, i % 12);
        f.messages = i % 5;
        f.other_bytes = i % 3 == 0 ? 1e15 : 0;
        calibration.learn(f, i % 2 == 0 ? 1 : INT64_MAX / 4);
    }
    f = {};
    f.base_tokens = std::numeric_limits<double>::infinity();
    calibration.learn(f, 10);
    f.base_tokens = 100;
    const TokenCount count = calibration.estimate(f);
    EXPECT_GE(count.low, 0);
    EXPECT_GE(count.high, count.low);
}

}  // namespace
}  // namespace leeway::tokens
