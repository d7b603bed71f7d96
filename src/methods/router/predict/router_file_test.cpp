#include "methods/router/predict/router_file.hpp"

#include "base/chances.hpp"
#include "base/hash.hpp"
#include "json/seal.hpp"
#include "methods/router/predict/learned_router.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace leeway::router {
namespace {

/// Two models on queries of two kinds; the dear one's cost and length depend on the kind.
OutcomeRows rows_of(std::size_t n, std::size_t dimension) {
    Chances chances(11);
    OutcomeRows out;
    out.dimension = dimension;
    out.models = {{"small", {}, {}, {}}, {"large", {}, {}, {}}};
    for (std::size_t r = 0; r < n; ++r) {
        const bool easy = chances.uniform() < 0.5;
        std::vector<float> vector(dimension);
        float squares = 0;
        for (float& x : vector) x = static_cast<float>(chances.uniform() - 0.5) * 0.4F;
        vector[0] = easy ? 1.0F : -1.0F;
        for (const float x : vector) squares += x * x;
        for (const float x : vector) out.vectors.push_back(x / std::sqrt(squares));
        out.cues.push_back(cues_of(easy ? "hello you" : "what is 17 * 23?"));
        out.models[0].quality.push_back(easy || chances.uniform() < 0.1 ? 1.0F : 0.0F);
        out.models[0].cost.emplace_back(1'000'000);
        out.models[0].tokens_out.push_back(-1);
        out.models[1].quality.push_back(chances.uniform() < 0.95 ? 1.0F : 0.0F);
        out.models[1].cost.emplace_back(easy ? 20'000'000 : 60'000'000);
        out.models[1].tokens_out.push_back(easy ? 10 : 100);
    }
    out.models[0].quality[0] = std::numeric_limits<float>::quiet_NaN();
    return out;
}

RouterFile file_of(const OutcomeRows& rows) {
    const auto fitted = fit_predictor(rows);
    RouterFile out;
    out.state = fitted->predictor.state();
    out.policy = fit_policy(rows, fitted->held_out, lambda_ladder(4e-5, 12));
    out.embedding_model = "minilm";
    out.fingerprint = "f00d";
    out.spending.budget_usd = 2.5e-5;
    out.evidence.rows = rows.size();
    out.evidence.enough = true;
    out.evidence.gain = 0.1;
    out.evidence.outcomes = "outcomes.csv";
    out.evidence.made_unix_s = 1'790'000'000;
    return out;
}

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

TEST(RouterFile, PredictsTheVerySameWhenReadAgain) {
    const OutcomeRows rows = rows_of(300, 16);
    const RouterFile file = file_of(rows);
    ASSERT_TRUE(file.state.models[1].cost_varies && file.state.models[1].knows_length);
    const auto bytes = write_router_file(file);
    ASSERT_TRUE(bytes.has_value());
    const auto read = read_router_file(*bytes);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    const OutcomePredictor before(file.state);
    const OutcomePredictor after(read->state);
    std::vector<Prediction> old(2);
    std::vector<Prediction> now(2);
    for (std::size_t r = 0; r < rows.size(); ++r) {
        before.predict(rows.vector(r), rows.cues[r], old);
        after.predict(rows.vector(r), rows.cues[r], now);
        for (std::size_t m = 0; m < 2; ++m) {
            EXPECT_EQ(bits_of(old[m].quality), bits_of(now[m].quality));
            EXPECT_EQ(bits_of(old[m].tokens_out), bits_of(now[m].tokens_out));
            EXPECT_EQ(old[m].cost, now[m].cost);
        }
    }
    ASSERT_EQ(read->policy.trades.size(), file.policy.trades.size());
    for (std::size_t t = 0; t < file.policy.trades.size(); ++t) {
        EXPECT_EQ(read->policy.trades[t].lambda, file.policy.trades[t].lambda);
        EXPECT_EQ(read->policy.trades[t].learned, file.policy.trades[t].learned);
        EXPECT_EQ(read->policy.trades[t].single, file.policy.trades[t].single);
        EXPECT_EQ(read->policy.trades[t].margin, file.policy.trades[t].margin);
        EXPECT_EQ(read->policy.trades[t].quality, file.policy.trades[t].quality);
        EXPECT_EQ(read->policy.trades[t].cost_usd, file.policy.trades[t].cost_usd);
    }
    EXPECT_EQ(read->fingerprint, "f00d");
    EXPECT_EQ(read->spending.budget_usd, file.spending.budget_usd);
    EXPECT_EQ(read->evidence.outcomes, "outcomes.csv");
    EXPECT_TRUE(read->evidence.enough);
    EXPECT_EQ(read->seal.size(), 64U);
    EXPECT_EQ(*write_router_file(*read), *bytes);
}

TEST(RouterFile, RefusesWhatWasCutOrChanged) {
    const auto bytes = write_router_file(file_of(rows_of(25, 2)));
    ASSERT_TRUE(bytes.has_value());
    for (std::size_t end = 0; end < bytes->size(); ++end)
        ASSERT_FALSE(read_router_file(std::string_view(*bytes).substr(0, end)).has_value()) << end;
    for (std::size_t at = 0; at < bytes->size(); ++at) {
        std::string changed = *bytes;
        changed[at] = static_cast<char>(changed[at] ^ 0x10);
        const auto read = read_router_file(changed);
        ASSERT_FALSE(read.has_value()) << at;
        ASSERT_EQ(read.error().code, ErrorCode::kConfig);
    }
    EXPECT_FALSE(read_router_file(*bytes + "0123").has_value());
}

/// A head that is sealed anew after a change, as only who means harm makes it.
std::string sealed(const std::string& bytes, std::string_view from, std::string_view to) {
    const std::size_t line = bytes.find('\n');
    std::string head = bytes.substr(0, bytes.rfind(",\"seal\":\"", line));
    const std::size_t at = head.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    head.replace(at, from.size(), to);
    return head + ",\"seal\":\"" + to_hex(sha256(head)) + "\"}" + bytes.substr(line);
}

TEST(RouterFile, RefusesWhatIsSealedAndUnsound) {
    const auto bytes = write_router_file(file_of(rows_of(25, 2)));
    ASSERT_TRUE(bytes.has_value());
    EXPECT_TRUE(read_router_file(sealed(*bytes, "minilm", "minilm")).has_value());
    struct Change {
        const char* from;
        const char* to;
        const char* why;
    };
    for (const Change& one : {Change{"\"router\":1", "\"router\":2", "version"},
                              {"\"dimension\":2", "\"dimension\":3", "numbers"},
                              {"\"dimension\":2", "\"dimension\":8193", "dimension"},
                              {"\"dimension\":2", "\"dimension\":-1", "dimension"},
                              {"\"bank_rows\":25", "\"bank_rows\":24", "numbers"},
                              {"\"bank_rows\":25", "\"bank_rows\":999999", "cut"},
                              {"\"clusters\":1", "\"clusters\":0", "knows of no query"},
                              {"\"single\":", "\"single\":9", "trades.single"},
                              {"\"cost_varies\":false", "\"cost_varies\":true", "numbers"},
                              {"\"trades\":[", "\"trades\":[],\"trade\":[", "trades"},
                              {"\"models\":[", "\"models\":[],\"model\":[", "models"},
                              {"\"lambda\":0", "\"lambda\":null", "lambda"},
                              {"\"fingerprint\":\"f00d\"", "\"fingerprint\":7", "fingerprint"}}) {
        const auto read = read_router_file(sealed(*bytes, one.from, one.to));
        ASSERT_FALSE(read.has_value()) << one.from;
        EXPECT_NE(read.error().message.find(one.why), std::string::npos)
            << one.to << ": " << read.error().message;
    }
}

TEST(RouterFile, TellsWhoSignedIt) {
    const auto bytes = write_router_file(file_of(rows_of(25, 2)));
    const auto key = Ed25519Key::make();
    ASSERT_TRUE(bytes.has_value() && key.has_value());
    EXPECT_EQ(read_router_file(*bytes)->signer, "");
    const std::size_t line = bytes->find('\n');
    const auto head = json::with_signature(std::string_view(*bytes).substr(0, line), *key);
    ASSERT_TRUE(head.has_value());
    const std::string whole = *head + bytes->substr(line);
    const auto read = read_router_file(whole);
    ASSERT_TRUE(read.has_value()) << read.error().text();
    EXPECT_EQ(read->signer, key->public_key().text());
    // The numbers hang on the head, and the head on the signature.
    std::string other = whole;
    other.back() = static_cast<char>(other.back() ^ 1);
    EXPECT_FALSE(read_router_file(other).has_value());
    const auto refused = read_router_file(sealed(whole, "minilm", "nomic!"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().message.find("signature"), std::string::npos);
}

TEST(LearnedRouter, KeepsToItsSpending) {
    const OutcomeRows rows = rows_of(400, 16);
    RouterFile file = file_of(rows);
    const Spending spending = file.spending;
    const LearnedRouter router(std::move(file), spending);
    EXPECT_EQ(router.model(1), "large");
    double chance = 0;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        const auto told = router.predict(rows.vector(r),
                                         rows.vector(r)[0] > 0 ? "hello you" : "what is 17 * 23?");
        chance += router.mixture().of([&](std::size_t trade) {
            return router.choose(trade, told, kAllModels) == 1 ? 1.0 : 0.0;
        });
        // Who may not answer is not chosen, whatever is expected of it.
        EXPECT_EQ(router.choose(router.mixture().first, told, 1), 0U);
        EXPECT_EQ(router.choose(router.mixture().first, told, 2), 1U);
    }
    // Half are hard, and asking the large model for all of these would cost 0.00003 USD a query.
    EXPECT_GT(chance, 120);
    EXPECT_LT(chance, 200);
    // The ends of the draw are the two trades.
    EXPECT_EQ(router.trade_at(0.999999), router.mixture().first);
    if (router.mixture().share > 0) EXPECT_EQ(router.trade_at(0), router.mixture().second);
}

TEST(LearnedRouter, TakesTheTradeOfALambda) {
    RouterFile file = file_of(rows_of(200, 4));
    const std::vector<RouteTrade> trades = file.policy.trades;
    const LearnedRouter router(std::move(file),
                               {.budget_usd = std::nullopt, .lambda = trades[3].lambda * 1.01});
    EXPECT_EQ(router.mixture().first, 3U);
    EXPECT_EQ(router.mixture().share, 0);
}

}  // namespace
}  // namespace leeway::router
