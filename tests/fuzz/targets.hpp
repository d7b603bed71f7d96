#pragma once

#include <cstdlib>
#include <span>
#include <string_view>

namespace leeway::fuzz {

/// Something that takes bytes from outside. It must take any: `run` ends the process when an invariant breaks,
/// the sanitizers do for the rest.
struct Target {
    std::string_view name;  ///< also of its folder in tests/fuzz/corpus
    void (*run)(std::string_view input);
};

/// tests/fuzz/run feeds them with libFuzzer; leeway_tests with what is in tests/fuzz/corpus.
[[nodiscard]] std::span<const Target> targets() noexcept;

inline void require(bool condition) {
    if (!condition) std::abort();
}

// openai_targets.cpp: what is done to bodies and streams that pass without translation.
void openai_requests(std::string_view text);
void openai_answers(std::string_view text);
void openai_streams(std::string_view text);

// route_targets.cpp: texts whose arguments are looked for, answers of models about them, routes files and those of others.
void route_arguments(std::string_view text);
void routes_file(std::string_view text);

// check_targets.cpp: answers of models that are checked without another model.
void answer_checks(std::string_view text);

}  // namespace leeway::fuzz
