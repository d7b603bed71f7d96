#include "tokens/calibration_book.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <string>
#include <thread>

namespace leeway::tokens {
namespace {

CalibrationFeatures request_of(double base, double messages = 2) {
    CalibrationFeatures out;
    out.base_tokens = base;
    out.messages = messages;
    return out;
}

Calibration learned_of(ModelFamily family, double factor, int reports) {
    Calibration out(family);
    for (int i = 0; i < reports; ++i) {
        const auto features = request_of(40.0 * (1 + i % 17), 1 + i % 5);
        const auto prior = static_cast<double>(Calibration(family).estimate(features).tokens);
        out.learn(features, static_cast<std::int64_t>(prior * factor));
    }
    return out;
}

TEST(Calibration, CountsAreCalibratedFromEnoughReportsOn) {
    const auto features = request_of(1000);
    const auto before =
        learned_of(ModelFamily::kClaude3, 1.3, Calibration::kEnoughReports - 1).estimate(features);
    const auto after =
        learned_of(ModelFamily::kClaude3, 1.3, Calibration::kEnoughReports).estimate(features);
    EXPECT_EQ(before.quality, Quality::kHeuristic);
    EXPECT_EQ(after.quality, Quality::kCalibrated);
    const double truth =
        1.3 * static_cast<double>(Calibration(ModelFamily::kClaude3).estimate(features).tokens);
    EXPECT_NEAR(static_cast<double>(after.tokens), truth, truth * 0.05);
    EXPECT_LE(static_cast<double>(after.low), truth);
    EXPECT_GE(static_cast<double>(after.high), truth);
}

TEST(Calibration, APriorThatIsFarOffIsNoDrift) {
    for (const double factor : {0.5, 0.7, 1.3, 2.0, 3.0}) {
        Calibration learning(ModelFamily::kGemini);
        for (int i = 0; i < 200; ++i) {
            const auto features = request_of(40.0 * (1 + i % 17), 1 + i % 5);
            const auto prior = Calibration(ModelFamily::kGemini).estimate(features).tokens;
            learning.learn(features,
                           static_cast<std::int64_t>(static_cast<double>(prior) * factor));
            if (learning.reports() > Calibration::kEnoughReports) {
                EXPECT_FALSE(learning.drifts()) << factor << " at " << i;
            }
        }
    }
}

TEST(Calibration, BeginsAgainFromTheMeanThatItHas) {
    Calibration learned = learned_of(ModelFamily::kClaude3, 1.3, 100);
    const auto features = request_of(1000);
    const auto before = learned.estimate(features);
    learned.begin_again(ModelFamily::kClaude3);
    const auto after = learned.estimate(features);
    EXPECT_EQ(after.tokens, before.tokens);
    EXPECT_EQ(after.quality, Quality::kHeuristic);
    EXPECT_GT(after.high - after.low, 4 * (before.high - before.low));
    EXPECT_EQ(learned.reports(), 0u);
}

TEST(CalibrationBook, ClaudeAndGeminiShareAFamilyAndOthersAreAlone) {
    const auto key = [](std::string_view model) {
        return calibration_key(find_model(model), model);
    };
    EXPECT_EQ(key("claude-sonnet-4-5"), "claude-3");
    EXPECT_EQ(key("us.anthropic.claude-3-haiku-20240307-v1:0"), "claude-3");
    EXPECT_EQ(key("claude-opus-4-7"), "claude-4.7");
    EXPECT_EQ(key("gemini-2.5-pro"), "gemini");
    EXPECT_EQ(key("some/Grok-9"), "model grok-9");
    EXPECT_EQ(key("gpt-4o"), "") << "exact";
    // An open model whose vocabulary is not there.
    EXPECT_EQ(calibration_key({ModelFamily::kOpenWeights, "qwen3", false}, "qwen3-8b"),
              "model qwen3-8b");
}

TEST(CalibrationBook, GivesWhatItWasGivenAndThePriorElsewhere) {
    CalibrationBook book;
    CalibrationSlot& slot = book.slot("claude-3", ModelFamily::kClaude3);
    EXPECT_EQ(&book.slot("claude-3", ModelFamily::kClaude3), &slot);
    slot.write(learned_of(ModelFamily::kClaude3, 1.3, 50));
    const auto features = request_of(1000);
    const auto of = [&](std::string_view model) {
        return book.calibration(find_model(model), model).estimate(features);
    };
    EXPECT_EQ(of("claude-sonnet-4-5").quality, Quality::kCalibrated);
    slot.write(learned_of(ModelFamily::kClaude3, 1.3, Calibration::kEnoughReports - 1));
    EXPECT_EQ(of("claude-sonnet-4-5").tokens,
              Calibration(ModelFamily::kClaude3).estimate(features).tokens)
        << "too few to go by";
    EXPECT_EQ(of("claude-opus-4-7").quality, Quality::kHeuristic);
    EXPECT_EQ(of("claude-opus-4-7").tokens,
              Calibration(ModelFamily::kClaude47).estimate(features).tokens);
}

TEST(CalibrationBook, ItsTextBringsBackEveryBit) {
    CalibrationBook book;
    book.slot("claude-3", ModelFamily::kClaude3).write(learned_of(ModelFamily::kClaude3, 1.3, 50));
    book.slot("model \"x\"\n", ModelFamily::kUnknown)
        .write(learned_of(ModelFamily::kUnknown, 0.7, 9));
    (void)book.slot("gemini", ModelFamily::kGemini);  // without a report
    CalibrationBook other;
    ASSERT_TRUE(other.restore(book.text()));
    EXPECT_EQ(other.text(), book.text());
    EXPECT_EQ(other.slots().size(), 2u);
    const auto features = request_of(321);
    const auto a = book.slots()[0]->read().estimate(features);
    const auto b = other.slots()[0]->read().estimate(features);
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(a.low, b.low);
    EXPECT_EQ(a.high, b.high);
    EXPECT_EQ(other.slots()[0]->family(), ModelFamily::kClaude3);
}

TEST(CalibrationBook, RefusesWhatIsDamagedAndTakesNothingOfIt) {
    CalibrationBook book;
    book.slot("a", ModelFamily::kClaude3).write(learned_of(ModelFamily::kClaude3, 1.3, 50));
    book.slot("b", ModelFamily::kGemini).write(learned_of(ModelFamily::kGemini, 1.3, 50));
    const std::string good = book.text();
    const auto damaged = [&](std::string_view from, std::string_view to) {
        std::string text = good;
        const std::size_t at = text.rfind(from);
        EXPECT_NE(at, std::string::npos) << from;
        if (at != std::string::npos) text.replace(at, from.size(), to);
        CalibrationBook other;
        const auto taken = other.restore(text);
        EXPECT_TRUE(other.slots().empty());
        return taken ? std::string("taken") : taken.error().message;
    };
    for (std::size_t cut = 0; cut + 2 < good.size(); cut += 7) {
        EXPECT_FALSE(CalibrationBook().restore(good.substr(0, cut))) << cut;
    }
    EXPECT_EQ(damaged("\"version\":1", "\"version\":2"), "this is no calibration of version 1");
    EXPECT_EQ(damaged("\"gemini\"", "\"gemma\""), "the calibration of 'b' is damaged");
    EXPECT_EQ(damaged("\"reports\":50", "\"reports\":-1"), "the calibration of 'b' is damaged");
    EXPECT_EQ(damaged("\"noise_weight\":", "\"noise_weight\":-"),
              "the calibration of 'b' is damaged");
    EXPECT_EQ(damaged("\"noise_sum\":", "\"noise_sum\":1e999,\"x\":"),
              "the calibration of 'b' is damaged");
    EXPECT_EQ(damaged("\"mean\":[", "\"mean\":[1,"), "the calibration of 'b' is damaged");
}

TEST(CalibrationSlot, ReadersNeverSeeHalfOfAWrite) {
    // Two states that a mixture of would be told from: in each all reports and means agree.
    const auto state_of = [](double value) {
        Calibration::State state;
        state.mean.fill(value);
        for (auto& line : state.covariance) line.fill(value);
        state.noise_weight = state.noise_sum = value;
        state.reports = static_cast<std::uint64_t>(value);
        return *Calibration::restore(state);
    };
    CalibrationSlot slot("x", ModelFamily::kClaude3);
    slot.write(state_of(1));
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (int i = 1; i <= 200'000; ++i) slot.write(state_of(1 + i % 2));
        stop = true;
    });
    std::uint64_t torn = 0;
    while (!stop) {
        const Calibration::State state = slot.read().state();
        const double value = state.mean[0];
        torn += state.mean[5] != value || state.covariance[5][5] != value ||
                        state.noise_sum != value || static_cast<double>(state.reports) != value
                    ? 1
                    : 0;
    }
    writer.join();
    EXPECT_EQ(torn, 0u);
}

TEST(CalibrationSlot, TakesTheFirstReportsAndThenAFewASecond) {
    CalibrationSlot slot("x", ModelFamily::kClaude3);
    int taken = 0;
    for (int i = 0; i < 64; ++i) taken += slot.take_turn(1'000'000) ? 1 : 0;
    EXPECT_EQ(taken, 64);
    taken = 0;
    // Ten thousand a second, for two seconds.
    for (std::int64_t us = 2'000'000; us < 4'000'000; us += 100)
        taken += slot.take_turn(us) ? 1 : 0;
    EXPECT_EQ(taken, 40);
}

}  // namespace
}  // namespace leeway::tokens
