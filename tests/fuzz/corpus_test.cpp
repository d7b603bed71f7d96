#include "fuzz/targets.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace leeway::fuzz {
namespace {

/// What fuzzing found worth keeping must never break again.
TEST(FuzzCorpus, RunsThroughItsTargets) {
    const std::filesystem::path corpus =
        std::filesystem::path(LEEWAY_SOURCE_DIR) / "tests" / "fuzz" / "corpus";
    for (const Target& target : targets()) {
        std::size_t inputs = 0;
        target.run({});
        for (const auto& entry : std::filesystem::directory_iterator(corpus / target.name)) {
            SCOPED_TRACE(entry.path());
            std::ifstream in(entry.path(), std::ios::binary);
            std::ostringstream text;
            text << in.rdbuf();
            target.run(text.str());
            ++inputs;
        }
        EXPECT_GT(inputs, 0U) << target.name;
    }
}

}  // namespace
}  // namespace leeway::fuzz
