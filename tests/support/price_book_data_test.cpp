#include "app/price_layers.hpp"
#include "json/testing/test_data.hpp"
#include "support/cassettes.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

// The book that tools/setup.sh makes, against what others were billed. Skipped where there is none.

namespace leeway {
namespace {

using prices::Bucket;

std::string book_path() {
    if (const char* path = std::getenv("LEEWAY_PRICES")) return path;
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    return (cache != nullptr ? std::string(cache)
                             : std::string(home == nullptr ? "" : home) + "/.cache") +
           "/leeway/prices/book.json";
}

std::shared_ptr<const prices::PriceBook> installed_book() {
    app::PricesConfig config;
    config.book = book_path();
    config.overlay = LEEWAY_SOURCE_DIR "/config/prices.yaml";
    if (!std::filesystem::exists(config.book)) return nullptr;
    auto book = app::load_price_book(config);
    EXPECT_TRUE(book) << (book ? "" : book.error().text());
    return book ? *book : nullptr;
}

#define LEEWAY_NEED_BOOK(book)          \
    const auto book = installed_book(); \
    if (book == nullptr)                \
    GTEST_SKIP() << "no price book at " << book_path() << ": tools/setup.sh makes one"

std::string usd_per_million(const prices::PriceBook& book, std::string_view provider,
                            std::string_view model, prices::PriceQuery query, Bucket bucket) {
    const prices::BookProvider* seller = book.provider(provider, "", "");
    if (seller == nullptr) return "no provider";
    const auto found = book.find(*seller, model);
    if (found.model == nullptr) return "no model";
    const prices::ModelPrices prices(found.model->sheets);
    const prices::RateSheet* sheet = prices.find(query);
    if (sheet == nullptr) return "unknown";
    const auto rate = sheet->rates.effective(bucket);
    return rate ? to_usd_string(Int128{rate->value()} * 1000) : "unknown";
}

std::int64_t day(std::string_view text) { return *prices::parse_day(text); }

TEST(InstalledPriceBook, HoldsWhatItsSourceHolds) {
    LEEWAY_NEED_BOOK(book);
    EXPECT_EQ(book->providers().size(), 43u);
    EXPECT_EQ(book->info().models, 1694u);
    EXPECT_GT(book->info().rates, 4000u);
}

TEST(InstalledPriceBook, PricesMoveWithTheDate) {
    LEEWAY_NEED_BOOK(book);
    const auto luna = [&](std::string_view date, std::int64_t tokens) {
        prices::PriceQuery query;
        query.unix_s = day(date);
        query.input_tokens = tokens;
        return usd_per_million(*book, "openai", "gpt-5.6-luna", query, Bucket::kInput);
    };
    EXPECT_EQ(luna("2026-07-29", 1000), "1");
    EXPECT_EQ(luna("2026-07-30", 1000), "0.2") << "80 % less";
    EXPECT_EQ(luna("2026-07-30", 271'999), "0.2");
    EXPECT_EQ(luna("2026-07-30", 272'000), "0.4") << "a cliff on the whole request";
}

TEST(InstalledPriceBook, TheClockDecidesWhereItDoes) {
    LEEWAY_NEED_BOOK(book);
    prices::PriceQuery query;
    query.unix_s = day("2026-11-01") + 2 * 3600;
    EXPECT_EQ(usd_per_million(*book, "deepseek", "deepseek-v4-flash", query, Bucket::kOutput),
              "1.32");
    query.unix_s = day("2026-11-01") + 5 * 3600;
    EXPECT_EQ(usd_per_million(*book, "deepseek", "deepseek-v4-flash", query, Bucket::kOutput),
              "0.66");
}

TEST(InstalledPriceBook, OverlayPricesTiersExactly) {
    LEEWAY_NEED_BOOK(book);
    prices::PriceQuery query;
    query.unix_s = day("2026-10-01");
    query.tier = prices::Tier::kFlex;
    EXPECT_EQ(usd_per_million(*book, "openai", "gpt-5-mini", query, Bucket::kCachedInput),
              "0.0125");
    EXPECT_EQ(usd_per_million(*book, "openai", "gpt-5-mini", query, Bucket::kReasoning), "1");
    EXPECT_EQ(usd_per_million(*book, "openai", "gpt-4o", query, Bucket::kInput), "unknown")
        << "there is no flex for it";
    query.tier = prices::Tier::kPriority;
    EXPECT_EQ(usd_per_million(*book, "openai", "gpt-5-mini", query, Bucket::kInput), "0.45");
    EXPECT_EQ(usd_per_million(*book, "openai", "gpt-4o", query, Bucket::kOutput), "17");
    query.input_tokens = 300'000;
    EXPECT_EQ(usd_per_million(*book, "openai", "gpt-5.6-sol", query, Bucket::kInput), "16")
        << "twice the price since 2026-08-21, above the band";
    query = {};
    query.unix_s = day("2026-10-01");
    query.region = "us";
    EXPECT_EQ(usd_per_million(*book, "anthropic", "claude-opus-4-8", query, Bucket::kInput), "5.5");
}

TEST(InstalledPriceBook, FloatResidueIsGone) {
    LEEWAY_NEED_BOOK(book);
    for (const auto& provider : book->providers()) {
        for (const auto& model : provider.models) {
            for (const auto& sheet : model.sheets) {
                const auto rate = sheet.rates[Bucket::kCacheWrite];
                if (!rate) continue;
                const auto text = to_usd_string(Int128{rate->value()} * 1000);
                EXPECT_LE(text.size() - std::min(text.find('.'), text.size()), 10u) << text;
            }
        }
    }
}

TEST(InstalledPriceBook, ReproducesTheBillsOfAidersLogWithinOnePercent) {
    const auto folder = json::testing::test_data("prices/aider-usage-log");
    if (folder.empty()) GTEST_SKIP() << json::testing::skip_message("prices/aider-usage-log");
    LEEWAY_NEED_BOOK(book);
    std::istringstream lines(json::testing::read_file(folder / "sample-analytics.jsonl"));
    std::string line;
    int sends = 0;
    int exact = 0;
    std::map<std::string, int> per_model;
    while (std::getline(lines, line)) {
        if (line.find("\"message_send\"") == std::string::npos) continue;
        const YAML::Node event = YAML::Load(line);
        const YAML::Node properties = event["properties"];
        if (!properties["cost"]) continue;
        const auto told = parse_usd(properties["cost"].Scalar());
        ASSERT_TRUE(told) << line;
        if (told->value() == 0) continue;
        ++sends;
        std::string model = properties["main_model"].as<std::string>();
        std::string provider = "openai";
        if (const auto slash = model.find('/'); slash != std::string::npos) {
            provider = model.substr(0, slash) == "gemini" ? "google" : model.substr(0, slash);
            model = model.substr(slash + 1);
        }
        const prices::BookProvider* seller = book->provider(provider, "", "");
        ASSERT_NE(seller, nullptr) << provider;
        const auto found = book->find(*seller, model);
        ASSERT_NE(found.model, nullptr) << model;
        prices::PriceQuery query;
        query.unix_s = event["time"].as<std::int64_t>();
        const prices::Usage usage{
            {Bucket::kInput, properties["prompt_tokens"].as<std::int64_t>()},
            {Bucket::kOutput, properties["completion_tokens"].as<std::int64_t>()}};
        const auto priced = prices::ModelPrices(found.model->sheets).price(usage, query);
        ASSERT_TRUE(priced.cost) << model;
        const Int128 difference = Int128{priced.cost->value()} - told->value();
        const Int128 distance = difference < 0 ? -difference : difference;
        EXPECT_LE(distance * 100, Int128{told->value()})
            << model << ": " << to_usd_string(*priced.cost) << " instead of "
            << to_usd_string(*told);
        exact += distance <= 1 ? 1 : 0;
        ++per_model[model];
    }
    for (const auto& [model, count] : per_model) std::printf("  %-24s %d\n", model.c_str(), count);
    std::printf("  %d sends, %d of them to the last 1e-12 USD\n", sends, exact);
    EXPECT_EQ(sends, 107);
}

}  // namespace
}  // namespace leeway
