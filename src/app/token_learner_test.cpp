#include "app/token_learner.hpp"

#include "app/calibration_file.hpp"
#include "tokens/chat_count.hpp"
#include "tokens/tokens_testing.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace leeway::app {
namespace {

namespace fs = std::filesystem;

class TokenLearnerTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "leeway-learner-XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { fs::remove_all(folder_); }

    static std::string chat(int words) {
        std::string text;
        for (int i = 0; i < words; ++i) text += " world";
        return R"({"messages":[{"role":"user","content":")" + text + R"("}]})";
    }
    static tokens::ModelTokens claude() { return {tokens::ModelFamily::kClaude3, "small", false}; }
    tokens::ChatCount count(const std::string& body, const tokens::Calibration* learned = nullptr) {
        tokens::Tokenizer tokenizer(vocabulary_);
        return tokens::count_chat(body, {.model = "claude-3",
                                         .rule = claude(),
                                         .tokenizer = &tokenizer,
                                         .calibration = learned})
            .value();
    }
    Lesson lesson(tokens::CalibrationSlot& slot, std::string body, double factor) {
        const auto prior = static_cast<double>(count(body).total.tokens);
        return {claude(),   vocabulary_,     &slot,
                "claude-3", std::move(body), static_cast<std::int64_t>(prior * factor)};
    }
    tokens::CalibrationSlot& teach(TokenLearner& learner, double factor, int lessons) {
        auto& slot = learner.book().slot("claude-3", tokens::ModelFamily::kClaude3);
        for (int i = 0; i < lessons; ++i) {
            learner.offer(lesson(slot, chat(20 + 37 * (i % 11)), factor));
        }
        return slot;
    }

    std::string folder_;
    std::shared_ptr<const tokens::Vocabulary> vocabulary_ = tokens::testing::small_vocabulary();
};

TEST_F(TokenLearnerTest, LearnsWhatWaitsBeforeItEndsAndKnowsItAtTheNextStart) {
    teach(*TokenLearner::start(folder_), 1.3, 32);
    const auto again = TokenLearner::start(folder_);
    ASSERT_EQ(again->book().slots().size(), 1u);
    const tokens::Calibration learned = again->book().slots()[0]->read();
    EXPECT_EQ(learned.reports(), 32u);
    const std::string body = chat(300);
    const auto known = count(body, &learned).total;
    const double truth = 1.3 * static_cast<double>(count(body).total.tokens);
    EXPECT_EQ(known.quality, tokens::Quality::kCalibrated);
    EXPECT_NEAR(static_cast<double>(known.tokens), truth, truth * 0.05);
    EXPECT_FALSE(fs::exists(folder_ + "/calibration.json.new"));
}

TEST_F(TokenLearnerTest, BeginsAgainWhenTheTokenizerChanges) {
    teach(*TokenLearner::start(folder_), 1.3, 60);
    {
        const auto learner = TokenLearner::start(folder_);
        const tokens::CalibrationSlot& slot = teach(*learner, 0.8, 40);
        while (slot.drifts() == 0) std::this_thread::yield();
    }
    tokens::CalibrationBook book;
    ASSERT_TRUE(load_calibration(folder_, book));
    const tokens::Calibration learned = book.slots()[0]->read();
    EXPECT_LT(learned.reports(), 40u);
    EXPECT_GE(learned.reports(), tokens::Calibration::kEnoughReports);
    const std::string body = chat(300);
    const double truth = 0.8 * static_cast<double>(count(body).total.tokens);
    EXPECT_NEAR(static_cast<double>(count(body, &learned).total.tokens), truth, truth * 0.05);
}

TEST_F(TokenLearnerTest, PassesOverWhatItCannotCount) {
    auto learner = TokenLearner::start(folder_);
    auto& slot = learner->book().slot("claude-3", tokens::ModelFamily::kClaude3);
    Lesson broken{claude(), vocabulary_, &slot, "claude-3", "{", 100};
    Lesson audio{claude(),
                 vocabulary_,
                 &slot,
                 "claude-3",
                 R"({"messages":[{"role":"user","content":[{"type":"input_audio"}]}]})",
                 100};
    learner->offer(std::move(broken));
    learner->offer(std::move(audio));
    while (learner->passed_over() < 2) std::this_thread::yield();
    EXPECT_EQ(slot.read().reports(), 0u);
}

TEST_F(TokenLearnerTest, ADamagedFileIsBegunAnewAndAFolderThatIsGoneStopsNothing) {
    std::ofstream(folder_ + "/calibration.json") << "{\"version\":1";
    tokens::CalibrationBook book;
    const auto loaded = load_calibration(folder_, book);
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message.find("calibration.json"), std::string::npos);
    {
        const auto learner = TokenLearner::start(folder_);
        EXPECT_TRUE(learner->book().slots().empty());
        teach(*learner, 1.3, 10);
    }
    EXPECT_TRUE(load_calibration(folder_, book));
    EXPECT_EQ(book.slots().size(), 1u);

    const std::string gone = folder_ + "/gone";
    EXPECT_TRUE(load_calibration(gone, book));
    EXPECT_FALSE(save_calibration(gone, book));
    teach(*TokenLearner::start(gone), 1.3, 10);
}

TEST(LessonQueue, HoldsNoMoreThanItMay) {
    LessonQueue queue;
    int taken = 0;
    while (queue.push({})) ++taken;
    EXPECT_EQ(taken, 64);
    EXPECT_EQ(queue.take(std::chrono::milliseconds(0)).size(), 64u);
    EXPECT_TRUE(queue.push({}));
    queue.close();
    EXPECT_FALSE(queue.push({}));
    EXPECT_EQ(queue.take(std::chrono::seconds(60)).size(), 1u);
    EXPECT_TRUE(queue.take(std::chrono::seconds(60)).empty());
}

}  // namespace
}  // namespace leeway::app
