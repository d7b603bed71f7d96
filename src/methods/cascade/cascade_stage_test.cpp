#include "methods/cascade/cascade_stage.hpp"

#include "wire/canonical/answer.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace leeway::cascade {
namespace {

CascadeStage stage_from(double least) {
    CascadeUse use;
    use.cut = Score{confidence_of(std::log(least)), -1e15};
    return CascadeStage(use);
}

TEST(CascadeStage, JudgesABeginningByItsTokens) {
    const CascadeStage stage = stage_from(0.9);
    const auto judge = [&](double probability) {
        return stage.judge_beginning({std::log(probability), wire::StopReason::kUnset, false});
    };
    EXPECT_TRUE(judge(0.95).accepted);
    EXPECT_EQ(judge(0.95).why, "0.950");
    EXPECT_FALSE(judge(0.85).accepted);
    EXPECT_EQ(judge(0.85).why, "0.850");
    // Without a threshold nothing is taken.
    EXPECT_FALSE(CascadeStage(CascadeUse{})
                     .judge_beginning({-1e-9, wire::StopReason::kEnd, false})
                     .accepted);
}

TEST(CascadeStage, WhatSpeaksAgainstABeginningComesFirst) {
    const CascadeStage stage = stage_from(0.5);
    using wire::StopReason;
    const struct {
        StopReason stop;
        bool refuses;
        const char* why;
    } cases[] = {
        {StopReason::kLength, false, "cut"},      {StopReason::kFilter, false, "filter"},
        {StopReason::kRefusal, false, "refusal"}, {StopReason::kUnset, true, "refusal"},
        {StopReason::kEnd, true, "refusal"},      {StopReason::kMalformedCall, false, "cut"}};
    for (const auto& one : cases) {
        const auto verdict = stage.judge_beginning({-0.001, one.stop, one.refuses});
        EXPECT_FALSE(verdict.accepted) << one.why;
        EXPECT_EQ(verdict.why, one.why);
    }
    EXPECT_EQ(stage.judge_beginning({}).why, "no_logprobs");
    for (const StopReason stop :
         {StopReason::kEnd, StopReason::kToolUse, StopReason::kStopSequence})
        EXPECT_TRUE(stage.judge_beginning({-0.001, stop, false}).accepted);
}

}  // namespace
}  // namespace leeway::cascade
