#include "app/config_embeddings.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace leeway::app {
namespace {

const std::string kProviders =
    "providers:\n"
    "  local: {dialect: embedded}\n"
    "  far: {dialect: openai, base_url: 'http://127.0.0.1:9/v1'}\n"
    "  off: {dialect: openai, base_url: 'http://127.0.0.1:9/v1', api_key: '${LEEWAY_TEST_UNSET}'}\n"
    "  claude: {dialect: anthropic, base_url: 'http://127.0.0.1:9/v1'}\n";
const std::string kModels =
    "models:\n"
    "  chat: {provider: far}\n"
    "  closed: {provider: off, tags: [embedding]}\n"
    "  two: {targets: [{provider: far}, {provider: far, name: x}], tags: [embedding]}\n"
    "  odd: {provider: claude, tags: [embedding]}\n"
    "  minilm: {provider: local, file: m.gguf, tags: [embedding]}\n"
    "  ada: {provider: far, tags: [embedding]}\n";

ConfigReading reading_of(const std::string& text) { return read_config_text(text, "test.yaml"); }

std::string errors_of(const std::string& text) {
    std::string out;
    for (const ConfigProblem& problem : reading_of(text).problems) {
        if (problem.is_error) out += problem.text() + "\n";
    }
    return out;
}

std::string chosen(const std::string& text) {
    const ConfigReading reading = reading_of(text);
    if (!reading.config) return "refused";
    const ModelConfig* model = embedding_model(*reading.config);
    return model == nullptr ? "none" : model->name;
}

TEST(ConfigEmbeddings, TheFirstTaggedModelThatCanServeIsTaken) {
    EXPECT_EQ(chosen(kProviders + kModels), "minilm");
    EXPECT_EQ(chosen(kProviders + kModels + "embeddings: {model: ada}\n"), "ada");
    EXPECT_EQ(chosen(kProviders + "models: {chat: {provider: far}}\n"), "none");
    EXPECT_EQ(chosen(kProviders + "models: {closed: {provider: off, tags: [embedding]}}\n"),
              "closed")
        << "it will say why it cannot be asked";
    EXPECT_EQ(chosen(""), "none");
}

TEST(ConfigEmbeddings, ValuesAreRead) {
    const ConfigReading plain = reading_of(kProviders + kModels);
    ASSERT_TRUE(plain.config);
    EXPECT_EQ(plain.config->embeddings.timeout, std::chrono::milliseconds(50));
    EXPECT_EQ(plain.config->embeddings.memo_bytes, 32U << 20U);
    EXPECT_EQ(plain.config->embeddings.batch, 16U);
    EXPECT_FALSE(needs_embeddings(*plain.config));
    const ConfigReading reading = reading_of(
        kProviders + kModels + "embeddings: {model: ada, timeout: 2s, memo: 1MiB, batch: 4}\n");
    ASSERT_TRUE(reading.config);
    EXPECT_EQ(reading.config->embeddings.timeout, std::chrono::seconds(2));
    EXPECT_EQ(reading.config->embeddings.memo_bytes, 1U << 20U);
    EXPECT_EQ(reading.config->embeddings.batch, 4U);
    EXPECT_TRUE(needs_embeddings(*reading.config));
}

TEST(ConfigEmbeddings, SaysWhatIsWrongAndWhere) {
    const auto wrong = [](const std::string& text) {
        return errors_of(kProviders + kModels + "embeddings: " + text + "\n");
    };
    EXPECT_NE(wrong("{model: minilmm}").find("did you mean 'minilm'"), std::string::npos);
    EXPECT_NE(wrong("{model: two}").find("must run in one place"), std::string::npos);
    EXPECT_NE(wrong("{model: odd}").find("must run in one place"), std::string::npos);
    EXPECT_NE(wrong("{model: ''}").find("is empty"), std::string::npos);
    EXPECT_NE(wrong("{timeout: 0s}"), "");
    EXPECT_NE(wrong("{batch: 0}"), "");
    EXPECT_NE(wrong("{modle: minilm}").find("did you mean 'model'"), std::string::npos);
    EXPECT_EQ(wrong("{model: minilm}"), "");
}

TEST(ConfigEmbeddings, WhoNeedsAModelAndHasNoneIsToldHowToGetOne) {
    const std::string none =
        errors_of(kProviders + "models: {chat: {provider: far}}\nembeddings: {batch: 8}\n");
    EXPECT_NE(none.find("tags: [embedding]"), std::string::npos) << none;
    EXPECT_TRUE(stage_needs_embeddings("semantic_cache"));
    EXPECT_FALSE(stage_needs_embeddings("exact_cache"));
}

}  // namespace
}  // namespace leeway::app
