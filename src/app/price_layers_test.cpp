#include "app/price_layers.hpp"

#include "ledger/testing.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace leeway::app {
namespace {

using ledger::testing::TemporaryFolder;
using prices::Bucket;
using prices::ModelPrices;
using prices::PriceQuery;

constexpr const char* kBook = R"({"format":"leeway-price-book","version":1,"currency":"USD",
  "unit":"usd_per_million","name":"test 1","source":"a test","licence":"none","fetched":"2026-09-01",
  "confidence":"single-source","providers":[{"id":"acme","name":"Acme","url":"https://api\\.acme\\.test",
  "models":[{"id":"big","match":{"starts_with":"big"},"prices":[
    {"rates":{"input":"10","cached_input":"1","output":"20","web_search":"10000"}}]}]}],"sheets":1,"rates":4})";

std::string file_with(const TemporaryFolder& folder, const char* name, const std::string& text) {
    const std::string path = folder.path() + "/" + name;
    std::ofstream(path) << text;
    return path;
}

Config config_of(const std::string& text) {
    auto config = parse_config(text, "test.yaml");
    EXPECT_TRUE(config) << (config ? "" : config.error().message);
    return config ? *config : Config{};
}

const std::string kAcme = "providers: {acme: {dialect: openai, base_url: https://api.acme.test/v1";

std::string cost(const Config& config, const prices::PriceBook* book, PriceQuery query = {}) {
    const ModelPrices prices = prices_of(config, config.models.at(0), book);
    const auto priced =
        prices.price({{Bucket::kInput, 1'000'000}, {Bucket::kOutput, 1'000'000}}, query);
    return priced.cost ? to_usd_string(*priced.cost) : "unknown";
}

TEST(PriceLayers, TheConfigurationComesBeforeTheBook) {
    const auto book = *prices::PriceBook::parse(kBook);
    EXPECT_EQ(cost(config_of(kAcme + "}}\nmodels: {big-1: {provider: acme}}"), book.get()), "30");
    EXPECT_EQ(cost(config_of(kAcme + "}}\nmodels: {x: {provider: acme, name: big-1}}"), book.get()),
              "30")
        << "by the upstream's name";
    EXPECT_EQ(cost(config_of(kAcme +
                             "}}\nmodels: {big-1: {provider: acme, price: {input: 1, output: 2}}}"),
                   book.get()),
              "3");
    EXPECT_EQ(cost(config_of(kAcme + "}}\nmodels: {small: {provider: acme}}"), book.get()),
              "unknown");
    EXPECT_EQ(cost(config_of(kAcme + "}}\nmodels: {big: {provider: acme}}"), nullptr), "unknown");
    const std::string mine = "providers: {acme: {dialect: openai, base_url: http://127.0.0.1:1/v1";
    EXPECT_EQ(cost(config_of(mine + "}}\nmodels: {big: {provider: acme}}"), book.get()), "unknown")
        << "a server of one's own is not the provider it is named after";
    EXPECT_EQ(
        cost(config_of(mine + ", prices: acme}}\nmodels: {big: {provider: acme}}"), book.get()),
        "30");
}

TEST(PriceLayers, DiscountsHoldInTheirTime) {
    const auto book = *prices::PriceBook::parse(kBook);
    const Config config =
        config_of(kAcme +
                  ", discounts: [{percent: 12.5%, from: 2026-07-01, to: 2027-01-01}]}}\n"
                  "models: {big: {provider: acme}}");
    const auto at = [&](std::string_view date) {
        PriceQuery query;
        query.unix_s = *prices::parse_day(date);
        return cost(config, book.get(), query);
    };
    EXPECT_EQ(at("2026-06-30"), "30");
    EXPECT_EQ(at("2026-07-01"), "26.25");
    EXPECT_EQ(at("2027-01-01"), "30");
    const Config both = config_of(kAcme +
                                  ", discounts: [{percent: 50}]}}\n"
                                  "models: {big: {provider: acme, price: {discount: 10%}}}");
    EXPECT_EQ(cost(both, book.get()), "13.5") << "one after the other";
}

TEST(PriceLayers, MachinesAreInTheConfiguration) {
    const Config config = config_of(
        kAcme +
        "}}\nmodels: {big: {provider: acme, price: {machine_hour: 3.60, machine_share: 2}}}");
    PriceQuery query;
    query.busy_us = 2'000'000;
    EXPECT_EQ(cost(config, nullptr, query), "0.001");
    EXPECT_FALSE(parse_config(
        kAcme + "}}\nmodels: {m: {provider: acme, price: {input: 1, machine_hour: 1}}}", "t"));
    EXPECT_FALSE(
        parse_config(kAcme + "}}\nmodels: {m: {provider: acme, price: {discount: 101%}}}", "t"));
}

TEST(PriceLayers, ABadBookLeavesTheOldOneInUse) {
    const TemporaryFolder folder;
    PricesConfig config;
    config.book = file_with(folder, "book.json", kBook);
    PriceBooks books;
    ASSERT_TRUE(books.refresh(config));
    const auto before = books.current();
    ASSERT_TRUE(before);
    std::string text = kBook;
    file_with(folder, "book.json", text.substr(0, text.size() / 2));
    auto refused = books.refresh(config);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("book.json"), std::string::npos);
    EXPECT_EQ(books.current(), before);
    // A price per thousand: possible by itself, but not after the one before it.
    for (const auto& [from, to] :
         {std::pair{"\"input\":\"10\"", "\"input\":\"0.01\""},
          std::pair{"\"output\":\"20\"", "\"output\":\"0.02\""},
          std::pair{"\"cached_input\":\"1\"", "\"cached_input\":\"0.001\""}}) {
        text.replace(text.find(from), std::string(from).size(), to);
    }
    file_with(folder, "book.json", text);
    refused = books.refresh(config);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("magnitude"), std::string::npos);
    EXPECT_EQ(books.current(), before);
    file_with(folder, "book.json", kBook);
    EXPECT_TRUE(books.refresh(config));
}

TEST(PriceLayers, OverlayProblemsComeWithTheirLines) {
    const TemporaryFolder folder;
    const std::string good = file_with(folder, "good.yaml", R"(entries:
  - {provider: acme, match: {or: [{equals: big}, {regex: "^x\\d"}]}, tier: flex, factor: 50%, units: [input, output], source: s, checked: 2026-11-01}
  - {provider: acme, models: [big], region: us, rates: {input: 11, output: 22}, source: s, checked: 2026-11-01}
)");
    const auto entries = read_price_overlay(good);
    ASSERT_TRUE(entries) << entries.error().message;
    ASSERT_EQ(entries->size(), 2u);
    const auto book = (*prices::PriceBook::parse(kBook))->with(*entries);
    ASSERT_TRUE(book) << book.error().message;
    const Config config = config_of(kAcme + ", region: us}}\nmodels: {big: {provider: acme}}");
    EXPECT_EQ(cost(config, book->get()), "33");
    PriceQuery flex;
    flex.tier = prices::Tier::kFlex;
    EXPECT_EQ(cost(config, book->get(), flex), "15")
        << "there is no flex of its own in that region";
    const std::string bad = file_with(folder, "bad.yaml", R"(entries:
  - {provider: acme, models: [big], tier: flux, factor: 50%, source: s, checked: 2026-11-01}
  - {provider: acme, models: [big], factor: half, source: s, checked: 2026-11-01}
  - {provider: acme, models: [big], factor: 50%}
)");
    const auto problems = read_price_overlay(bad);
    ASSERT_FALSE(problems);
    for (const char* part : {"bad.yaml:2:", "bad.yaml:3:", "bad.yaml:4:", "flux", "source"}) {
        EXPECT_NE(problems.error().message.find(part), std::string::npos)
            << part << problems.error().message;
    }
}

}  // namespace
}  // namespace leeway::app
