#include "methods/cascade/cascade_file.hpp"

#include "json/seal.hpp"

#include <gtest/gtest.h>

namespace leeway::cascade {
namespace {

CascadeFile example() {
    CascadeFile out;
    out.weak = "small";
    out.strong = "lärge \"x\"";
    out.promise = {0.03, 0.9};
    out.certificate.certified = true;
    out.certificate.cut = {2.302585092994046, -117};
    out.certificate.rows = 600;
    out.certificate.accepted = 388;
    out.certificate.harmed = 12;
    out.certificate.limit = 0.0291;
    out.certificate.saving = 0.512;
    out.certificate.why = "600 rows";
    out.tasks = "mmlu+triviaqa";
    out.outcomes = "outcomes.csv.gz";
    out.outcomes_sha256 = "ab";
    out.made_unix_s = 1'795'000'000;
    return out;
}

TEST(CascadeFile, IsReadAsItWasWritten) {
    const auto read = read_cascade_file(write_cascade_file(example()));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(write_cascade_file(*read), write_cascade_file(example()));
    EXPECT_EQ(read->strong, example().strong);
    EXPECT_EQ(read->certificate.cut, example().certificate.cut);
    EXPECT_EQ(read->certificate.rows, 600U);
}

TEST(CascadeFile, IsRefusedWhenItWasEditedOrCut) {
    const std::string whole = write_cascade_file(example());
    std::string edited = whole;
    edited.replace(edited.find("\"max_harm\":0.03"), 15, "\"max_harm\":0.01");
    const auto refused = read_cascade_file(edited);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("seal"), std::string::npos) << refused.error().text();
    for (std::size_t size = 0; size + 2 < whole.size(); ++size)
        EXPECT_FALSE(read_cascade_file(whole.substr(0, size))) << size;
    for (const char* other : {"", "null", "[]", "{}", R"({"cascade":2})", R"({"cascade":1})"})
        EXPECT_FALSE(read_cascade_file(other)) << other;
}

TEST(CascadeFile, TellsWhoSignedIt) {
    EXPECT_EQ(read_cascade_file(write_cascade_file(example()))->signer, "");
    const auto key = Ed25519Key::make();
    ASSERT_TRUE(key);
    const auto text = json::with_signature(write_cascade_file(example()), *key);
    ASSERT_TRUE(text);
    const auto read = read_cascade_file(*text + "\n");
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->signer, key->public_key().text());
    EXPECT_EQ(read->certificate.rows, 600U);
    // Who edits it can seal it anew and not sign it.
    std::string edited = *text;
    edited.replace(edited.find("\"max_harm\":0.03"), 15, "\"max_harm\":0.01");
    edited.resize(edited.rfind(",\"seal\""));
    json::append_seal(edited);
    const auto refused = read_cascade_file(edited);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("signature"), std::string::npos);
}

}  // namespace
}  // namespace leeway::cascade
