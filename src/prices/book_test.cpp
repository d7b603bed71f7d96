#include "prices/book.hpp"

#include "base/money.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace leeway::prices {
namespace {

/// A book with one provider; `models` is what stands in its list.
std::string book_text(const std::string& models, int sheets, int rates,
                      const std::string& head = R"("currency":"USD","unit":"usd_per_million")") {
    return fmt::format(
        R"({{"format":"leeway-price-book","version":1,{},"name":"test 1","source":"a test",
        "licence":"none","fetched":"2026-09-01","confidence":"single-source","providers":[
        {{"id":"acme","name":"Acme","url":"https://api\\.acme\\.test","source":"https://acme.test/prices",
          "names":{{"contains":"acme"}},"models":[{}]}}],"sheets":{},"rates":{}}})",
        head, models, sheets, rates);
}

const std::string kModel = R"({"id":"big","match":{"or":[{"equals":"Big"},{"starts_with":"big-2"}]},
    "prices":[{"to":"2026-01-01","rates":{"input":"4","output":"20"}},
              {"from":"2026-01-01","rates":{"input":"2","cached_input":"0.2","output":"10"}},
              {"from":"2026-01-01","above":200000,"rates":{"input":"4","output":"15"}},
              {"from":"2026-01-01","time":["22:00","06:00"],"rates":{"input":"1","output":"5"}}]})";

std::shared_ptr<const PriceBook> book_of(const std::string& text) {
    auto book = PriceBook::parse(text);
    EXPECT_TRUE(book) << (book ? "" : book.error().message);
    return book ? *book : nullptr;
}

std::string refusal(const std::string& text) {
    const auto book = PriceBook::parse(text);
    EXPECT_FALSE(book);
    return book ? std::string() : book.error().message;
}

TEST(PriceBook, ReadsConditionsAndFindsModels) {
    const auto book = book_of(book_text(kModel, 4, 9));
    ASSERT_TRUE(book);
    EXPECT_EQ(book->info().rates, 9u);
    const BookProvider* acme = book->provider("", "https://api.acme.test/v1", "whatever");
    ASSERT_NE(acme, nullptr);
    EXPECT_EQ(book->provider("", "https://proxy.test/https://api.acme.test", "acme"), nullptr)
        << "another server, whatever it is called";
    EXPECT_EQ(book->provider("", "", "my-acme-account"), acme);
    EXPECT_EQ(book->provider("acme", "http://localhost", ""), acme);
    const auto found = book->find(*acme, "BIG-2-mini");
    ASSERT_NE(found.model, nullptr);
    EXPECT_EQ(book->find(*acme, "small").model, nullptr);
    const ModelPrices prices(found.model->sheets);
    const auto at = [&](std::string_view date, std::int64_t hour, std::int64_t tokens = 1000) {
        PriceQuery query;
        query.unix_s = *parse_day(date) + hour * 3600;
        query.input_tokens = tokens;
        const RateSheet* sheet = prices.find(query);
        return sheet == nullptr
                   ? std::string("none")
                   : to_usd_string(Int128{sheet->rates[Bucket::kInput]->value()} * 1000);
    };
    EXPECT_EQ(at("2025-12-31", 23), "4");
    EXPECT_EQ(at("2026-01-01", 12), "2");
    EXPECT_EQ(at("2026-01-01", 23), "1");
    EXPECT_EQ(at("2026-01-01", 12, 200'001), "4");
    EXPECT_EQ(found.model->sheets[0].source, "https://acme.test/prices");
}

TEST(PriceBook, IdsNameOnePriceAndAreStable) {
    const auto book = book_of(book_text(kModel, 4, 9));
    const auto again = book_of(book_text(kModel, 4, 9));
    ASSERT_TRUE(book && again);
    const auto& sheets = book->providers()[0].models[0].sheets;
    for (std::size_t i = 0; i < sheets.size(); ++i) {
        EXPECT_NE(sheets[i].id, 0u);
        EXPECT_EQ(sheets[i].id, again->providers()[0].models[0].sheets[i].id);
        for (std::size_t j = 0; j < i; ++j) EXPECT_NE(sheets[i].id, sheets[j].id);
    }
}

TEST(PriceBook, MatchersCombine) {
    const std::string model =
        R"({"id":"m","match":{"and":[{"contains":"flash"},{"not":{"regex":"-tts$"}},
        {"or":[{"ends_with":"8b"},{"regex":"^x\\d"}]}]},"prices":[{"rates":{"input":"1","output":"2"}}]})";
    const auto book = book_of(book_text(model, 1, 2));
    ASSERT_TRUE(book);
    const auto matches = [&](const char* name) {
        return book->find(book->providers()[0], name).model != nullptr;
    };
    EXPECT_TRUE(matches("Flash-8b"));
    EXPECT_TRUE(matches("x1-flash"));
    EXPECT_FALSE(matches("x1-flash-tts"));
    EXPECT_FALSE(matches("flash"));
}

TEST(PriceBook, DatesInNamesAreFoundInBothSpellings) {
    const std::string model = R"({"id":"m","match":{"equals":"m-2025-05-14"},
        "prices":[{"rates":{"input":"1","output":"2"}}]})";
    const auto book = book_of(book_text(model, 1, 2));
    ASSERT_TRUE(book);
    EXPECT_NE(book->find(book->providers()[0], "m-20250514").model, nullptr);
}

TEST(PriceBook, ABadBookIsRefusedWholeWithItsReason) {
    const std::string good = book_text(kModel, 4, 9);
    const auto priced = [](const std::string& prices, int sheets, int rates) {
        return book_text(R"({"id":"m","match":{"equals":"m"},"prices":[)" + prices + "]}", sheets,
                         rates);
    };
    EXPECT_NE(refusal(good.substr(0, good.size() / 2)).find("refused"), std::string::npos);
    EXPECT_NE(refusal("").find("refused"), std::string::npos);
    EXPECT_NE(refusal("<html>503</html>").find("refused"), std::string::npos);
    EXPECT_NE(refusal(book_text(kModel, 5, 11)).find("truncated"), std::string::npos);
    EXPECT_NE(refusal(book_text(kModel, 4, 9, R"("unit":"usd_per_million")")).find("no currency"),
              std::string::npos);
    EXPECT_NE(refusal(book_text(kModel, 4, 9, R"("currency":"EUR","unit":"usd_per_million")"))
                  .find("EUR"),
              std::string::npos);
    EXPECT_NE(refusal(book_text(kModel, 4, 9, R"("currency":"USD","unit":"usd_per_token")"))
                  .find("per million"),
              std::string::npos);
    EXPECT_NE(refusal(priced(R"({"rates":{"input":"0.0000025","output":"0.00001"}})", 1, 2))
                  .find("per token"),
              std::string::npos);
    EXPECT_NE(refusal(priced(R"({"rates":{"input":"2500","output":"10000"}})", 1, 2))
                  .find("more than anybody asks"),
              std::string::npos);
    EXPECT_NE(
        refusal(priced(R"({"rates":{"input":"2.5","output":"1000"}})", 1, 2)).find("magnitude"),
        std::string::npos);
    EXPECT_NE(refusal(priced(R"({"to":"2026-02-01","rates":{"input":"1","output":"2"}},
        {"from":"2026-01-01","rates":{"input":"3","output":"4"}})",
                             2, 4))
                  .find("at the same time"),
              std::string::npos);
    EXPECT_NE(refusal(priced(R"({"rates":{"input":"-1"}})", 1, 1)).find("acme/m"),
              std::string::npos);
    EXPECT_NE(refusal(priced(R"({"rates":{"input":1.5}})", 1, 1)).find("refused"),
              std::string::npos);
    EXPECT_NE(refusal(priced(R"({"rates":{"tokens":"1"}})", 1, 1)).find("unknown unit"),
              std::string::npos);
    EXPECT_NE(
        refusal(priced(R"({"from":"2026-02-30","rates":{"input":"1"}})", 1, 1)).find("not a date"),
        std::string::npos);
    EXPECT_NE(refusal(book_text("", 0, 0)).find("no rate"), std::string::npos);
}

TEST(PriceBook, ASuccessorOfAnotherMagnitudeIsSuspicious) {
    const auto book = [](const char* input, const char* output) {
        return book_of(book_text(fmt::format(R"({{"id":"m","match":{{"equals":"m"}},
            "prices":[{{"rates":{{"input":"{}","output":"{}"}}}}]}})",
                                             input, output),
                                 1, 2));
    };
    const auto old = book("2.5", "10");
    EXPECT_TRUE(check_successor(*old, *book("0.5", "2")).empty()) << "prices do fall by 80 %";
    EXPECT_EQ(check_successor(*old, *book("0.0025", "0.01")).size(), 2u);
    EXPECT_EQ(diff_books(*old, *book("2.5", "8")).size(), 1u);
    EXPECT_TRUE(diff_books(*old, *old).empty());
}

TEST(PriceBook, OverlaysAddTiersFromAFactorAndReplaceFromADate) {
    const auto book = book_of(book_text(kModel, 4, 9));
    ASSERT_TRUE(book);
    OverlayEntry flex;
    flex.provider = "acme";
    flex.match = *Matcher::of(Matcher::Kind::kEquals, "big");
    flex.what = "overlay 1";
    flex.factor_bp = 5000;
    flex.sheet.tier = Tier::kFlex;
    flex.sheet.source = "https://acme.test/flex";
    OverlayEntry fresh = flex;
    fresh.factor_bp = 0;
    fresh.sheet.tier = Tier::kStandard;
    fresh.sheet.valid_from = *parse_day("2026-10-01");
    fresh.sheet.rates.set(Bucket::kInput, *parse_usd_per_million("1.5"));
    fresh.sheet.rates.set(Bucket::kOutput, *parse_usd_per_million("7"));
    const auto more = book->with({flex, fresh});
    ASSERT_TRUE(more) << more.error().message;
    const ModelPrices prices((*more)->providers()[0].models[0].sheets);
    PriceQuery query;
    query.unix_s = *parse_day("2026-09-01") + 12 * 3600;
    query.tier = Tier::kFlex;
    EXPECT_EQ(prices.price({{Bucket::kInput, 1000}}, query).cost->value(), 1'000'000'000);
    EXPECT_EQ(prices.price({{Bucket::kInput, 300'000}}, query).cost->value(), 600'000'000'000);
    query.tier = Tier::kStandard;
    EXPECT_EQ(prices.price({{Bucket::kInput, 1000}}, query).cost->value(), 2'000'000'000);
    query.unix_s = *parse_day("2026-10-01") + 12 * 3600;
    EXPECT_EQ(prices.price({{Bucket::kInput, 1000}}, query).cost->value(), 1'500'000'000);
    flex.match = *Matcher::of(Matcher::Kind::kEquals, "gone");
    EXPECT_FALSE(book->with({flex})) << "an entry that matches nothing is outdated";
}

}  // namespace
}  // namespace leeway::prices
