// build_vocabulary NAME IN OUT: makes a vocabulary file from one of OpenAI's rank files. The set-up step
// compiles and runs it before leeway itself is built.

#include "tokens/vocabulary_builder.hpp"

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

namespace tokens = leeway::tokens;

namespace {

leeway::Result<void> run(const std::string& name, const std::string& in, const std::string& out) {
    std::ifstream file(in, std::ios::binary);
    if (!file) return leeway::fail(leeway::ErrorCode::kConfig, "cannot read " + in);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    auto source = tokens::read_tiktoken(text);
    if (!source) return leeway::fail(source.error());
    if (auto named = tokens::name_tiktoken(*source, name); !named)
        return leeway::fail(named.error());
    const auto image = tokens::build_vocabulary(*source);
    if (!image) return leeway::fail(image.error());
    if (auto opened = tokens::Vocabulary::adopt(*image); !opened)
        return leeway::fail(opened.error());
    return tokens::write_vocabulary(out, *image);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fputs("usage: build_vocabulary NAME IN.tiktoken OUT\n", stderr);
        return 2;
    }
    const auto done = run(argv[1], argv[2], argv[3]);
    if (!done) std::fprintf(stderr, "build_vocabulary: %s\n", done.error().text().c_str());
    return done ? 0 : 1;
}
