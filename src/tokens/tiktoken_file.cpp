#include "base/base64.hpp"
#include "tokens/vocabulary_builder.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace leeway::tokens {
namespace {

std::vector<SpecialToken> harmony_specials() {
    // Named ones, then the reserved rest up to 201087 (openai_public.py).
    std::vector<SpecialToken> out{
        {"<|startoftext|>", 199998}, {"<|endoftext|>", 199999}, {"<|return|>", 200002},
        {"<|constrain|>", 200003},   {"<|channel|>", 200005},   {"<|start|>", 200006},
        {"<|end|>", 200007},         {"<|message|>", 200008},   {"<|call|>", 200012}};
    const auto reserve = [&out](TokenId id) {
        out.push_back({"<|reserved_" + std::to_string(id) + "|>", id});
    };
    for (const TokenId id : {200000U, 200001U, 200004U, 200009U, 200010U, 200011U}) reserve(id);
    for (TokenId id = 200013; id <= 201087; ++id) reserve(id);
    return out;
}

Error cannot_write(const std::string& path) {
    return {ErrorCode::kConfig, "cannot write " + path + ": " + std::strerror(errno), {}, {}, {}};
}

}  // namespace

Result<VocabularySource> read_tiktoken(std::string_view text) {
    VocabularySource source;
    source.name = "tiktoken";
    source.ranked = true;
    source.whole_pieces = true;
    std::size_t line_number = 0;
    while (!text.empty()) {
        ++line_number;
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
        if (line.empty()) continue;
        const std::size_t space = std::min(line.find(' '), line.size());
        const auto bytes = decode_base64(line.substr(0, space));
        Rank rank = kNoRank;
        const char* const number = line.data() + std::min(space + 1, line.size());
        const auto [end_of_number, error] =
            std::from_chars(number, line.data() + line.size(), rank);
        const bool good = bytes && !bytes->empty() && error == std::errc() &&
                          end_of_number == line.data() + line.size() && rank < kNoRank;
        if (!good) {
            return fail(ErrorCode::kConfig,
                        "line " + std::to_string(line_number) + " is not 'base64 rank'");
        }
        source.tokens.push_back({*bytes, rank, 0});
    }
    return source;
}

Result<void> name_tiktoken(VocabularySource& source, std::string_view name) {
    source.name = name;
    if (name == "cl100k_base") {
        source.grammar = Grammar::kCl100k;
        source.specials = {{"<|endoftext|>", 100257},
                           {"<|fim_prefix|>", 100258},
                           {"<|fim_middle|>", 100259},
                           {"<|fim_suffix|>", 100260},
                           {"<|endofprompt|>", 100276}};
    } else if (name == "o200k_base") {
        source.grammar = Grammar::kO200k;
        source.specials = {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}};
    } else if (name == "o200k_harmony") {
        source.grammar = Grammar::kO200k;
        source.specials = harmony_specials();
    } else if (name == "r50k_base" || name == "p50k_base") {
        source.grammar = Grammar::kGpt2;
        source.specials = {{"<|endoftext|>", 50256}};
    } else {
        return fail(ErrorCode::kConfig, "no grammar is known for '" + std::string(name) + "'",
                    "cl100k_base, o200k_base, o200k_harmony, r50k_base, p50k_base");
    }
    return {};
}

Result<void> write_vocabulary(const std::string& path, std::string_view image) {
    const std::string beside = path + ".new";
    const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return fail(cannot_write(beside));
    std::string_view rest = image;
    while (!rest.empty()) {
        const ssize_t written = ::write(file, rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            close(file);
            return fail(cannot_write(beside));
        }
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    if (close(file) != 0 || std::rename(beside.c_str(), path.c_str()) != 0) {
        return fail(cannot_write(path));
    }
    return {};
}

}  // namespace leeway::tokens
