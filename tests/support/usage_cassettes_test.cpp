#include "json/testing/test_data.hpp"
#include "json/tokens.hpp"
#include "ledger/testing.hpp"
#include "support/cassettes.hpp"
#include "wire/usage/extractor.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <map>
#include <optional>

namespace leeway {
namespace {

using prices::Bucket;
using wire::usage::Extractor;
using wire::usage::Flavour;

struct Api {
    std::string_view url_part;
    Flavour flavour;
};
// The first that matches.
constexpr std::array kApis{
    Api{"api.anthropic.com", Flavour::kAnthropic},
    Api{"/invoke", Flavour::kAnthropic},
    Api{"/converse", Flavour::kBedrock},
    Api{"googleapis.com/v1beta/openai/", Flavour::kGeminiChat},
    Api{"googleapis.com", Flavour::kGemini},
    Api{"api.cohere.com", Flavour::kCohere},
    Api{"api.deepseek.com", Flavour::kDeepSeek},
    Api{"api.groq.com", Flavour::kGroq},
    Api{"api.mistral.ai", Flavour::kMistral},
    Api{"openrouter.ai/api/v1/responses", Flavour::kOpenRouterResponses},
    Api{"openrouter.ai", Flavour::kOpenRouter},
    Api{"api.openai.com/v1/responses", Flavour::kOpenAiResponses},
    Api{"api.openai.com", Flavour::kOpenAiChat},
    Api{"api.cerebras.ai", Flavour::kOpenAiChat},
};

std::optional<Flavour> flavour_of(const std::string& url) {
    if (url.find("count_tokens") != std::string::npos) return std::nullopt;
    for (const Api& api : kApis) {
        if (url.find(api.url_part) != std::string::npos) return api.flavour;
    }
    return std::nullopt;
}

/// What the provider says it was in all, by the rules of its documentation and with a parser of our
/// tests only; nothing: the answer tells no usage.
std::optional<std::int64_t> told_total(Flavour flavour, const YAML::Node& answer) {
    const auto number = [](const YAML::Node& node, const char* key) {
        return node.IsMap() && node[key] ? node[key].as<std::int64_t>() : 0;
    };
    YAML::Node holder = answer;
    for (const char* key : {"response", "message"}) {
        if (answer[key] && answer[key].IsMap() && answer[key]["usage"]) holder.reset(answer[key]);
    }
    YAML::Node usage = holder[flavour == Flavour::kGemini ? "usageMetadata" : "usage"];
    if (answer["x_groq"] && answer["x_groq"]["usage"]) usage.reset(answer["x_groq"]["usage"]);
    if (!usage || !usage.IsMap()) return std::nullopt;
    switch (flavour) {
        case Flavour::kAnthropic: {
            const auto sum = [&](const YAML::Node& node) {
                return number(node, "input_tokens") + number(node, "cache_creation_input_tokens") +
                       number(node, "cache_read_input_tokens") + number(node, "output_tokens");
            };
            std::int64_t total = sum(usage);
            for (const YAML::Node& iteration : usage["iterations"]) {
                if (iteration["type"].as<std::string>() == "compaction") total += sum(iteration);
            }
            return total;
        }
        case Flavour::kGemini: return number(usage, "totalTokenCount");
        case Flavour::kBedrock: return number(usage, "totalTokens");
        case Flavour::kCohere:
            return number(usage["billed_units"], "input_tokens") +
                   number(usage["billed_units"], "output_tokens");
        default: return number(usage, "total_tokens");
    }
}

struct Tally {
    int answers = 0;
    int streams = 0;
    int without_usage = 0;
    int flagged = 0;
    int with_cost = 0;
};

TEST(UsageCassettes, EveryRecordedAnswerMapsAndItsBucketsAddUp) {
    const auto folder = json::testing::test_data("wire/provider-cassettes");
    if (folder.empty()) GTEST_SKIP() << json::testing::skip_message("wire/provider-cassettes");
    const ledger::testing::TemporaryFolder unpacked;
    const auto files = support::unpack(folder / "cassettes.tar.gz", unpacked.path());
    ASSERT_EQ(files.size(), 198u);
    std::map<std::string, Tally> tallies;
    int silent_files = 0;
    for (const auto& file : files) {
        bool any = false;
        for (const support::Recorded& exchange : support::recorded(file)) {
            const auto flavour = flavour_of(exchange.url);
            if (!flavour || exchange.status != 200) continue;
            Tally& tally = tallies[std::string(to_string(*flavour))];
            Extractor extractor(*flavour);
            std::optional<std::int64_t> total;
            for (const std::string& document : exchange.documents) {
                const auto tokens = json::thread_indexer().index(document);
                ASSERT_TRUE(tokens) << file;
                json::Cursor cursor(*tokens);
                extractor.read_document(cursor);
                ASSERT_FALSE(cursor.failed()) << file << document;
                if (const auto told = told_total(*flavour, YAML::Load(document))) total = told;
            }
            const auto reading = extractor.result();
            const std::string where = fmt::format("{}: {}", file.filename().string(), exchange.url);
            if (!total) {
                EXPECT_EQ(reading.state, prices::UsageState::kMissing) << where;
                ++tally.without_usage;
                continue;
            }
            any = true;
            ++tally.answers;
            tally.streams += exchange.stream ? 1 : 0;
            tally.with_cost += reading.reported_cost ? 1 : 0;
            EXPECT_EQ(reading.usage.input_total() + reading.usage.output_total(), *total) << where;
            for (const auto& info : prices::kBuckets) EXPECT_GE(reading.usage[info.bucket], 0);
            if (reading.clamped || reading.sum_mismatch) {
                ++tally.flagged;
                std::printf("  flagged: %s\n", where.c_str());
            }
        }
        silent_files += any ? 0 : 1;
    }
    int answers = 0;
    int flagged = 0;
    for (const auto& [name, tally] : tallies) {
        std::printf(
            "  %-22s %3d answers (%d streams), %d told cost, %d flagged, %d without usage\n",
            name.c_str(), tally.answers, tally.streams, tally.with_cost, tally.flagged,
            tally.without_usage);
        answers += tally.answers;
        flagged += tally.flagged;
    }
    std::printf("  %zu cassettes, %d answers with usage, %d cassettes hold none\n", files.size(),
                answers, silent_files);
    EXPECT_GT(answers, 240);
    // Advisors are other models; one OpenRouter answer counts the same tokens as read and as written.
    EXPECT_LE(flagged, 5);
}

}  // namespace
}  // namespace leeway
