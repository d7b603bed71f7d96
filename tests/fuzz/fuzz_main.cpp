// The entry points of libFuzzer: feeds the target that LEEWAY_FUZZ_TARGET names. See tests/fuzz/run.
#include "fuzz/targets.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

const leeway::fuzz::Target& chosen() {
    const char* wanted = std::getenv("LEEWAY_FUZZ_TARGET");  // NOLINT(concurrency-mt-unsafe)
    for (const leeway::fuzz::Target& target : leeway::fuzz::targets()) {
        if (wanted != nullptr && target.name == wanted) return target;
    }
    std::fputs("LEEWAY_FUZZ_TARGET must name one of:", stderr);
    for (const leeway::fuzz::Target& target : leeway::fuzz::targets())
        std::fprintf(stderr, " %.*s", static_cast<int>(target.name.size()), target.name.data());
    std::fputs("\n", stderr);
    std::exit(2);  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static const leeway::fuzz::Target& target = chosen();
    // A copy of its own, so that reading past the end is seen.
    const std::string text(reinterpret_cast<const char*>(bytes), size);
    target.run(text);
    return 0;
}
