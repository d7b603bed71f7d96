// bench_semantic PART ARGUMENT…: what the parts of semantic routes and caches cost, for bench/run semantic. Each part
// prints one JSON object on standard output. One more: its function in semantic.hpp, its line in kParts.

#include "semantic.hpp"

#include <array>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Part {
    std::string_view name;
    int (*run)(std::span<const std::string> arguments);
};
constexpr std::array kParts = {Part{"lookups", &leeway::bench::lookups}};

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    for (const Part& part : kParts) {
        if (!words.empty() && words[0] == part.name) return part.run(std::span(words).subspan(1));
    }
    std::cerr << "bench_semantic: which part?\n";
    return 2;
}
