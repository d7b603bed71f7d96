#include "lab/outcomes/outcome_reader.hpp"

#include "base/gzip_testing.hpp"
#include "json/testing/test_data.hpp"
#include "lab/outcomes/python_text.hpp"
#include "support/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

namespace leeway::lab {
namespace {

using ::testing::HasSubstr;

/// Gives `text` in pieces of `piece` bytes, so that every state of the reader meets a border.
ReadBytes bytes_of(std::string text, std::size_t piece = 3) {
    return [text = std::move(text), piece,
            at = std::size_t{0}](std::span<char> to) mutable -> Result<std::size_t> {
        const std::size_t n = std::min({piece, to.size(), text.size() - at});
        std::copy_n(text.begin() + static_cast<std::ptrdiff_t>(at), n, to.begin());
        at += n;
        return n;
    };
}

Result<OutcomeTable> read(const std::string& text, const OutcomeReading& how = {}) {
    return read_outcomes(bytes_of(text), how);
}

std::string error_of(const std::string& text, const OutcomeReading& how = {}) {
    const auto table = read(text, how);
    return table ? "it was read" : table.error().text();
}

FemtoUsdPerUnit usd_per_million(std::string_view text) {
    return parse_usd_per_million(text).value();
}

constexpr const char* kHead = "qid,task,split,query,a|quality,a|cost_usd,b|quality,b|cost_usd\n";

TEST(OutcomeReader, ReadsQuotedFieldsAndBothLineEnds) {
    const auto table = read(std::string("\xEF\xBB\xBF") + kHead +
                            "1,t,train,\"two\nlines, a \"\"word\"\"\",1.0,0.002,0,1e-05\r\n"
                            "\n2,t,train,\"\",0.5,0,1,0.25");
    ASSERT_TRUE(table.has_value()) << table.error().text();
    ASSERT_EQ(table->queries.size(), 2U);
    EXPECT_EQ(table->queries[0].text, "two\nlines, a \"word\"");
    EXPECT_EQ(table->queries[0].split, "train");
    EXPECT_EQ(table->models[0].model, "a");
    EXPECT_FLOAT_EQ(table->models[0].quality[1], 0.5F);
    EXPECT_EQ(table->models[1].cost[0], PicoUsd(10'000'000));
    EXPECT_EQ(table->models[0].cost[0], PicoUsd(2'000'000'000));
    EXPECT_TRUE(table->models[0].has_cost);
    EXPECT_FALSE(table->models[0].has_logprobs);
    EXPECT_TRUE(require_costs(*table).has_value());
}

TEST(OutcomeReader, TellsLineAndColumnOfWhatIsWrong) {
    const std::string head = kHead;
    EXPECT_THAT(error_of(head + "1,t,s,q,1,0.1,0,0.1\n2,t,s,\"r\ns\",1,-0.1,0,0.1\n"),
                HasSubstr("line 3, column 6 (a|cost_usd): a negative cost (-0.1)"));
    EXPECT_THAT(error_of(head + "1,t,s,q,1.5,0.1,0,0.1\n"),
                HasSubstr("line 2, column 5 (a|quality): a quality of 1.5"));
    EXPECT_THAT(error_of(head + "1,t,s,q,good,0.1,0,0.1\n"), HasSubstr("'good' is no number"));
    EXPECT_THAT(error_of(head + "1,t,s,q,1,0.1,0\n"),
                HasSubstr("line 2: 7 columns, and the first line has 8"));
    EXPECT_THAT(error_of(head + "1,t,s,\"q,1,0.1,0,0.1\n"),
                HasSubstr("line 2, column 4: the quote that begins here is not closed"));
    EXPECT_THAT(error_of(head + "1,t,s,q\"q,1,0.1,0,0.1\n"), HasSubstr("line 2, column 4"));
    EXPECT_THAT(error_of(head), HasSubstr("there is no outcome in it"));
    EXPECT_THAT(error_of(""), HasSubstr("the file is empty"));
    EXPECT_THAT(error_of("x,y\n1,2\n"), HasSubstr("these are no outcomes"));
    EXPECT_THAT(error_of("query,a|quality,a|colour\nq,1,red\n"),
                HasSubstr("line 1, column 3: 'a|colour' is not known"));
    EXPECT_THAT(error_of("query,a|cost_usd\nq,1\n"), HasSubstr("without a column 'a|quality'"));
    EXPECT_THAT(error_of("query,a|quality,a|quality\nq,1,0\n"), HasSubstr("stands twice"));
}

TEST(OutcomeReader, CleansLogprobsAndCountsThem) {
    const auto table = read(
        "query,a|quality,a|mean_logprob\nq,1,-inf\nr,0,nan\ns,1,1e-7\nt,0,\n"
        "u,1,-0.25\nv,1,-1e300\n");
    ASSERT_TRUE(table.has_value()) << table.error().text();
    const ModelOutcomes& a = table->models[0];
    EXPECT_EQ(a.logprob(0), kLeastLogprob);
    EXPECT_EQ(a.logprob(1), std::nullopt);
    EXPECT_EQ(a.logprob(2), 0.0F);
    EXPECT_EQ(a.logprob(3), std::nullopt);
    EXPECT_EQ(a.logprob(4), -0.25F);
    EXPECT_EQ(a.logprob(5), kLeastLogprob);
    EXPECT_TRUE(a.has_logprobs);
    EXPECT_EQ(table->faults.logprobs_raised, 2U);
    EXPECT_EQ(table->faults.logprobs_lowered, 1U);
    EXPECT_EQ(table->faults.logprobs_unknown, 1U);
}

TEST(OutcomeReader, LeavesOutDuplicatesAndTellsThoseAcrossSplits) {
    const auto table = read(std::string(kHead) +
                            "1,t,train,q,1,0.1,0,0.1\n2,t,test,q,0,0.1,0,0.1\n"
                            "3,t,train,q,0,0.1,0,0.1\n4,t,test,r,0,0.1,0,0.1\n");
    ASSERT_TRUE(table.has_value()) << table.error().text();
    EXPECT_EQ(table->queries.size(), 2U);
    EXPECT_EQ(table->queries[0].id, "1");
    EXPECT_FLOAT_EQ(table->models[0].quality[0], 1.0F);
    EXPECT_EQ(table->faults.rows, 4U);
    EXPECT_EQ(table->faults.duplicates, 2U);
    EXPECT_EQ(table->faults.duplicates_across_splits, 1U);
}

TEST(OutcomeReader, KnowsMissingCells) {
    const auto table = read(std::string(kHead) +
                            "1,t,s,q,,0.1,0,0.1\n2,t,s,r,NaN,,1,0.2\n3,t,s,u,1,,1,0.2\n"
                            "4,t,s,v,1,0.3,1,0.2\n");
    ASSERT_TRUE(table.has_value()) << table.error().text();
    EXPECT_FALSE(table->models[0].known(0));
    EXPECT_FALSE(table->models[0].known(1));
    // Its quality is known and its cost is not: it must not count as free.
    EXPECT_FALSE(table->models[0].known(2));
    EXPECT_TRUE(table->models[0].known(3));
    EXPECT_TRUE(table->models[0].has_cost);
    EXPECT_EQ(table->faults.missing_cells, 3U);
    EXPECT_EQ(table->complete_queries(), std::vector<std::size_t>{3});
    const OutcomeTable some = table->only(std::vector<std::size_t>{3, 0});
    EXPECT_EQ(some.queries[0].text, "v");
    EXPECT_EQ(some.models[0].cost[0], PicoUsd(300'000'000'000));
}

TEST(OutcomeReader, TakesOneModelAndConstantQuality) {
    const auto table = read("query,only|quality\nq,1\nr,1\n");
    ASSERT_TRUE(table.has_value());
    EXPECT_EQ(table->models.size(), 1U);
    EXPECT_FALSE(table->models[0].has_cost);
    EXPECT_THAT(require_costs(*table).error().text(), HasSubstr("not known: only"));
}

TEST(OutcomeReader, TakesPricesWhereThereAreNoCosts) {
    OutcomeReading how;
    how.prices.emplace("a", usd_per_million("2.5"));
    const auto table = read("query,a|quality,a|tok_in,a|tok_out\nq,1,100,20\nr,0,,\n", how);
    ASSERT_TRUE(table.has_value()) << table.error().text();
    EXPECT_EQ(table->models[0].cost[0], PicoUsd(120 * 2'500'000));
    EXPECT_EQ(table->models[0].cost[1], PicoUsd(kNominalTokens * 2'500'000));
    EXPECT_TRUE(table->models[0].has_cost);
    const auto priced = read("query,a|quality,a|price_in_usd_per_m\nq,1,0.2\n");
    ASSERT_TRUE(priced.has_value());
    EXPECT_EQ(priced->models[0].cost[0], PicoUsd(200'000'000));

    EXPECT_THAT(error_of("query,b|quality\nq,1\n", how),
                HasSubstr("'a', which is not in the file"));
    EXPECT_THAT(error_of("query,a|quality,a|cost_usd\nq,1,0.1\n", how),
                HasSubstr("the file has its costs"));
}

TEST(OutcomeReader, ReadsWantedTasksOnly) {
    OutcomeReading how;
    how.tasks = {"u"};
    const auto table = read(std::string(kHead) + "1,t,s,q,1,0.1,0,0.1\n2,u,s,r,1,0.1,0,0.1\n", how);
    ASSERT_TRUE(table.has_value());
    EXPECT_EQ(table->tasks(), std::vector<std::string>{"u"});
    how.tasks = {"nothing"};
    EXPECT_THAT(error_of(std::string(kHead) + "1,t,s,q,1,0.1,0,0.1\n", how),
                HasSubstr("no outcome of these tasks"));
}

TEST(OutcomeReader, MarksModelsWhoseAnswersNobodyCouldRead) {
    std::string text = "query,task,a|quality,b|quality\n";
    for (int i = 0; i < 30; ++i) {
        const std::string n = std::to_string(i);
        text += "q" + n + ",t,0," + (i % 2 == 0 ? "1" : "0") + "\n";
        text += "r" + n + ",u,1,0\n";
        text += "s" + n + ",hard,0,0\n";
    }
    text += "x,few,0,1\n";
    const auto table = read(text);
    ASSERT_TRUE(table.has_value()) << table.error().text();
    ASSERT_EQ(table->faults.all_zero.size(), 2U);
    EXPECT_EQ(table->faults.all_zero[0].model, "a");
    EXPECT_EQ(table->faults.all_zero[0].task, "t");
    EXPECT_EQ(table->faults.all_zero[0].queries, 30U);
    EXPECT_EQ(table->faults.all_zero[1].model, "b");
    EXPECT_EQ(table->models[0].state[0], CellState::kAllZero);
    EXPECT_EQ(table->models[0].state[1], CellState::kKnown);
    EXPECT_EQ(table->models[0].state[2], CellState::kKnown);  // nobody can do that task
    EXPECT_EQ(table->faults.missing_cells, 0U);
}

TEST(OutcomeReader, ReadsRouterBench) {
    const auto table = read(
        "sample_id,prompt,eval_name,gpt,llama,gpt|model_response,gpt|total_cost,"
        "llama|total_cost,oracle_model_to_route_to\n"
        "m.1,\"['What\\n is it?', \"\"it's\"\"]\",mmlu,1.0,0.25,['x'],7.5e-05,"
        "1e-06,gpt\n");
    ASSERT_TRUE(table.has_value()) << table.error().text();
    EXPECT_EQ(table->queries[0].text, "What\n is it?\nit's");
    EXPECT_EQ(table->queries[0].task, "mmlu");
    ASSERT_EQ(table->models.size(), 2U);
    EXPECT_EQ(table->models[0].model, "gpt");
    EXPECT_EQ(table->models[0].cost[0], PicoUsd(75'000'000));
    EXPECT_FLOAT_EQ(table->models[1].quality[0], 0.25F);
}

TEST(OutcomeReader, ReadsLlmRouterLines) {
    OutcomeReading how;
    how.prices.emplace("a", usd_per_million("1"));
    how.prices.emplace("b", usd_per_million("2"));
    const auto table = read(
        "{\"task_name\":\"t\",\"query\":\"q\",\"model_name\":\"a\",\"performance\":0.5,"
        "\"input_tokens\":10,\"output_tokens\":5}\n"
        "{\"task_name\":\"t\",\"query\":\"q\",\"model_name\":\"b\",\"performance\":1}\n\n"
        "{\"task_name\":\"t\",\"query\":\"r\",\"model_name\":\"b\",\"performance\":0}\n"
        "{\"task_name\":\"t\",\"query\":\"q\",\"model_name\":\"a\",\"performance\":1}\n",
        how);
    ASSERT_TRUE(table.has_value()) << table.error().text();
    ASSERT_EQ(table->queries.size(), 2U);
    EXPECT_FLOAT_EQ(table->models[0].quality[0], 0.5F);
    EXPECT_EQ(table->models[0].cost[0], PicoUsd(15'000'000));
    EXPECT_FALSE(table->models[0].known(1));
    EXPECT_TRUE(table->models[1].known(1));
    EXPECT_EQ(table->faults.duplicates, 1U);
    EXPECT_THAT(
        error_of("{\"query\":\"q\",\"model_name\":\"a\",\"performance\":1}\n{\"query\":1}\n"),
        HasSubstr("line 2: \"query\" and \"model_name\""));
    EXPECT_THAT(error_of("{\"query\":\"q\"\n"), HasSubstr("line 1: "));
}

TEST(OutcomeReader, PythonListsAreUnpackedAndOtherTextIsNot) {
    EXPECT_EQ(text_of_python_list("['a\\u00e9\\x41']"), "aéA");
    EXPECT_EQ(text_of_python_list("['\\U0001f600']"), "😀");
    EXPECT_EQ(text_of_python_list("['\\ud83d']"), "['\\ud83d']");  // half of a pair
    EXPECT_EQ(text_of_python_list("['a"), "['a");
    EXPECT_EQ(text_of_python_list("[1, 2]"), "[1, 2]");
    EXPECT_EQ(text_of_python_list("plain"), "plain");
    EXPECT_EQ(text_of_python_list("[]"), "");
}

class OutcomeFiles : public ::testing::Test {
protected:
    std::string write(const std::string& name, const std::string& text) {
        const std::string path = folder_ / name;
        std::ofstream(path, std::ios::binary) << text;
        return path;
    }
    support::TemporaryFolder folder_;
};

TEST_F(OutcomeFiles, GzipAndPlainFilesAreTheSame) {
    std::string text = kHead;
    for (int i = 0; i < 5000; ++i)
        text += std::to_string(i) + ",t,s,question " + std::to_string(i) + ",1,0.1,0,0.1\n";
    const auto plain = read_outcome_file(write("a.csv", text));
    const auto packed = read_outcome_file(write("a.csv.gz", leeway::testing::gzipped(text)));
    ASSERT_TRUE(plain.has_value());
    ASSERT_TRUE(packed.has_value()) << packed.error().text();
    EXPECT_EQ(plain->queries.size(), 5000U);
    EXPECT_EQ(packed->queries.size(), 5000U);
    EXPECT_EQ(packed->queries[4999].text, "question 4999");
}

TEST_F(OutcomeFiles, CutAndDamagedGzipIsRefused) {
    std::string text = kHead;
    for (int i = 0; i < 5000; ++i)
        text +=
            std::to_string(i) + ",t,s,question " + std::to_string(i * 7919 % 5003) + ",1,0.1,0,1\n";
    const std::string packed = leeway::testing::gzipped(text);
    const auto cut = read_outcome_file(write("cut.gz", packed.substr(0, packed.size() / 2)));
    ASSERT_FALSE(cut.has_value());
    EXPECT_THAT(cut.error().text(), HasSubstr("the gzip file is cut"));
    EXPECT_THAT(cut.error().text(), HasSubstr("cut.gz"));
    std::string damaged = packed;
    damaged[packed.size() - 6] = static_cast<char>(damaged[packed.size() - 6] ^ 0x55);  // the CRC
    const auto wrong = read_outcome_file(write("wrong.gz", damaged));
    ASSERT_FALSE(wrong.has_value());
    EXPECT_THAT(wrong.error().text(), HasSubstr("the gzip file is damaged"));
    const auto none = read_outcome_file(folder_ / "none.csv");
    ASSERT_FALSE(none.has_value());
    EXPECT_THAT(none.error().text(), HasSubstr("none.csv"));
    EXPECT_THAT(read_outcome_file(folder_.path()).error().text(), HasSubstr("this is a folder"));
}

TEST(OutcomeReader, ReadsThePublicTables) {
    const std::filesystem::path folder = json::testing::test_data("outcomes");
    if (folder.empty()) GTEST_SKIP() << json::testing::skip_message("outcomes");
    const auto logprobs = read_outcome_file(folder / "logprob_9models.csv.gz");
    ASSERT_TRUE(logprobs.has_value()) << logprobs.error().text();
    EXPECT_EQ(logprobs->models.size(), 9U);
    EXPECT_EQ(logprobs->faults.rows, 3416U);
    EXPECT_EQ(logprobs->faults.rows - logprobs->faults.duplicates, logprobs->queries.size());
    EXPECT_EQ(logprobs->queries.size(), 3388U);
    EXPECT_TRUE(require_costs(*logprobs).has_value());
    // 38 of gpt-4o-mini and 5 of qwen2.5-72b are −inf.
    EXPECT_GE(logprobs->faults.logprobs_raised, 43U);
    const auto nine = read_outcome_file(folder / "llmrouter_9models.csv.gz");
    ASSERT_TRUE(nine.has_value()) << nine.error().text();
    EXPECT_EQ(nine->queries.size(), 5989U);
    EXPECT_EQ(nine->faults.all_zero.size(), 2U);
}

}  // namespace
}  // namespace leeway::lab
