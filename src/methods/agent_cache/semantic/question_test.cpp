#include "methods/agent_cache/semantic/question.hpp"

#include "methods/agent_cache/semantic/hit_model.hpp"
#include "methods/agent_cache/semantic/pair_features.hpp"
#include "methods/agent_cache/semantic/words.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace leeway::agent_cache::semantic {
namespace {

Veto between(std::string_view a, std::string_view b) {
    const Question one = read_question(a);
    const Question other = read_question(b);
    const Veto veto = veto_of(one, other);
    EXPECT_EQ(veto, veto_of(other, one)) << a << " / " << b;
    return veto;
}

struct PairCase {
    const char* a;
    const char* b;
    Veto veto;
};

TEST(SemanticVeto, WhatChangesAnAnswer) {
    const PairCase cases[] = {
        {"How do I cook 3 eggs?", "How do I cook 4 eggs?", Veto::kNumber},
        {"a table for two people", "a table for three people", Veto::kNumber},
        {"how far is 10 km", "how far is 10 miles", Veto::kUnit},
        {"Convert 5 kilometres", "Convert 5 km", Veto::kNone},
        {"What does 1,500 cost?", "What does 1.5k cost?", Veto::kNone},
        {"is $20 much for lunch", "is 20 dollars much for lunch", Veto::kNone},
        {"is $20 much for lunch", "is €20 much for lunch", Veto::kUnit},
        {"what is 5 + 3", "what is 5 * 3", Veto::kWord},
        {"how cold is -5 degrees", "how cold is 5 degrees", Veto::kNumber},
        {"a list in C++", "a list in C", Veto::kEntity},
        {"is 5% a lot", "is 5 percent a lot", Veto::kNone},
        {"Can I use my card abroad?", "Can't I use my card abroad?", Veto::kNegation},
        {"why is the app not working", "why isn't the app working", Veto::kNone},
        {"The weather in Paris", "The weather in London", Veto::kEntity},
        {"the weather in paris", "the weather in london", Veto::kWord},
        {"who wrote hamlet", "who wrote macbeth", Veto::kWord},
        {"open on monday?", "open on tuesday?", Veto::kDate},
        {"my appointment in August", "my appointment in Aug", Veto::kNone},
        {"a train from Athens to Rome", "a train from Rome to Athens", Veto::kOrder},
        {"from athens to rome by train", "a train from athens to rome", Veto::kNone},
        {"increase the limit of my card", "decrease the limit of my card", Veto::kOpposite},
        {"When was the bridge built?", "Where was the bridge built?", Veto::kType},
        {"Where is my card?", "Πού είναι η κάρτα;", Veto::kScript},
        {"What is a card?", "", Veto::kEmpty},
        {"What is a card?", "🙂🙂", Veto::kEmpty},
    };
    for (const PairCase& one : cases) {
        EXPECT_EQ(veto_name(between(one.a, one.b)), veto_name(one.veto)) << one.a << " / " << one.b;
    }
}

TEST(SemanticVeto, TheSameTextHasNone) {
    for (const char* text : {"How many km from A1 to \"B2\" on 3 May, not by car?",
                             "مرحبا كيف حالك", "我的卡在哪里", "WHERE IS MY CARD", "a"}) {
        EXPECT_EQ(between(text, text), Veto::kNone) << text;
    }
}

TEST(SemanticQuestion, AnyBytesAreRead) {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    EXPECT_GT(read_question(bytes).words, 0U);
    EXPECT_EQ(read_question("\xFF\xFE\x80\xC0").words, 0U);
    const std::string large(1U << 20U, 'x');
    EXPECT_EQ(read_question(large).words, 1U);
    std::string many;
    while (many.size() < (1U << 20U)) many += "word ";
    EXPECT_LE(read_question(many).words, 1024U);
}

TEST(SemanticQuestion, CaseAndAccentsOfOtherScripts) {
    EXPECT_EQ(read_question("ΚΆΡΤΑ").text, read_question("κάρτα").text);
    EXPECT_EQ(read_question("КАРТА Ё").text, read_question("карта ё").text);
    EXPECT_EQ(read_question("Ärger, ÉTÉ!").text, read_question("ärger été").text);
    EXPECT_EQ(read_question("我的卡").words, 3U);
}

TEST(SemanticQuestion, FollowUps) {
    for (const char* text :
         {"Is it treatable?", "And what about lung cancer in children of smokers?", "Tell me more.",
          "Why?", "What are the symptoms?", "How does she do that?", "yes", ""}) {
        EXPECT_TRUE(needs_context(text)) << text;
    }
    for (const char* text :
         {"What is the capital of Greece and how many people live in Athens?",
          "How do I reset the forgotten password of my online banking account?"}) {
        EXPECT_FALSE(needs_context(text)) << text;
    }
}

TEST(SemanticQuestion, StaleSoon) {
    EXPECT_EQ(read_question("What is the capital of Greece?").volatility, Volatility::kStable);
    EXPECT_EQ(read_question("Who is the president of France?").volatility, Volatility::kSlow);
    EXPECT_EQ(read_question("Will it rain in Oslo tomorrow?").volatility, Volatility::kFast);
    EXPECT_EQ(read_question("What time is it in Oslo?").volatility, Volatility::kNow);
    EXPECT_EQ(longest_life(Volatility::kNow), std::chrono::seconds(0));
    EXPECT_FALSE(longest_life(Volatility::kStable).has_value());
}

TEST(SemanticWords, StemsOfOneWordAgree) {
    EXPECT_EQ(stem_of("stopped"), stem_of("stop"));
    EXPECT_EQ(stem_of("making"), stem_of("make"));
    EXPECT_EQ(stem_of("countries"), stem_of("country"));
    EXPECT_NE(stem_of("class"), stem_of("clas"));
}

TEST(SemanticHitModel, NearerIsLikelierAndRecordsCount) {
    const Question asked = read_question("how do I get a new card");
    const Question kept = read_question("how can I get a new card please");
    const auto judged = [&](float cosine, EntryRecord record) {
        const Neighbour one{&kept, 1, cosine, record};
        return HitModel::built_in().judge(asked, {&one, 1})->probability;
    };
    EXPECT_GT(judged(0.99F, {}), judged(0.8F, {}));
    EXPECT_GT(judged(0.8F, {}), judged(0.6F, {}));
    EXPECT_GT(judged(0.9F, {8, 0, 4}), judged(0.9F, {}));
    EXPECT_LT(judged(0.9F, {0, 4, 3}), judged(0.9F, {}));
    const Neighbour far{&kept, 1, 0.3F, {}};
    EXPECT_FALSE(HitModel::built_in().judge(asked, {&far, 1}).has_value());
    EXPECT_FALSE(HitModel::built_in().judge(asked, {}).has_value());
}

TEST(SemanticHitModel, AVetoLeavesTheNextNeighbour) {
    const Question asked = read_question("transfer 20 euros to Anna");
    const Question other = read_question("transfer 30 euros to Anna");
    const Question same = read_question("please transfer 20 euros to Anna");
    const Neighbour both[] = {{&other, 1, 0.99F, {}}, {&same, 2, 0.97F, {}}};
    const auto chosen = HitModel::built_in().judge(asked, both);
    ASSERT_TRUE(chosen.has_value());
    EXPECT_EQ(chosen->entry, 2U);
    EXPECT_EQ(chosen->veto, Veto::kNone);
    const auto vetoed = HitModel::built_in().judge(asked, {both, 1});
    ASSERT_TRUE(vetoed.has_value());
    EXPECT_EQ(vetoed->veto, Veto::kNumber);
    EXPECT_EQ(vetoed->probability, 0);
}

}  // namespace
}  // namespace leeway::agent_cache::semantic
