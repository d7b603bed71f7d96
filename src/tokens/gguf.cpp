#include "tokens/vocabulary_file.hpp"

#include <array>
#include <cstring>
#include <map>
#include <optional>

namespace leeway::tokens {
namespace {

// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
enum GgufType : std::uint32_t {
    kU8,
    kI8,
    kU16,
    kI16,
    kU32,
    kI32,
    kF32,
    kBool,
    kString,
    kArray,
    kU64,
    kI64,
    kF64
};
constexpr std::array<std::size_t, 13> kTypeBytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
enum TokenType : std::int32_t {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUserDefined = 4,
    kUnused = 5,
    kByte = 6
};

/// Reads the head of a file in memory. What lies about sizes ends in `ok() == false`, never outside.
class Reader {
public:
    explicit Reader(std::string_view rest) : rest_(rest) {}

    [[nodiscard]] bool ok() const noexcept { return ok_; }
    std::string_view take(std::uint64_t bytes) {
        if (!ok_ || bytes > rest_.size()) {
            ok_ = false;
            return {};
        }
        const std::string_view out = rest_.substr(0, bytes);
        rest_.remove_prefix(bytes);
        return out;
    }
    template <class T>
    T number() {
        T value{};
        const std::string_view bytes = take(sizeof value);
        if (ok_) std::memcpy(&value, bytes.data(), sizeof value);
        return value;
    }
    std::string_view text() { return take(number<std::uint64_t>()); }
    void skip(std::uint32_t type, int depth) {
        if (type == kString) {
            text();
        } else if (type == kArray) {
            const auto of = number<std::uint32_t>();
            const auto count = number<std::uint64_t>();
            if (depth > 4 || of >= kTypeBytes.size()) ok_ = false;
            if (ok_ && kTypeBytes[of] != 0) {
                if (count > rest_.size()) ok_ = false;
                take(ok_ ? count * kTypeBytes[of] : 0);
                return;
            }
            for (std::uint64_t i = 0; ok_ && i < count; ++i) skip(of, depth + 1);
        } else if (type < kTypeBytes.size()) {
            take(kTypeBytes[type]);
        } else {
            ok_ = false;
        }
    }
    void stop() noexcept { ok_ = false; }

private:
    std::string_view rest_;
    bool ok_ = true;
};

/// What a GGUF file says of its tokenizer; views into the file.
struct Facts {
    std::string_view model;
    std::string_view pre;
    std::string_view name;
    std::vector<std::string_view> tokens;
    std::vector<std::string_view> merges;
    std::vector<float> scores;
    std::vector<std::int32_t> types;
    std::uint32_t unknown = 0;
    std::optional<bool> space_before;
};

void read_texts(Reader& reader, std::vector<std::string_view>& out) {
    if (reader.number<std::uint32_t>() != kString) return reader.stop();
    const auto count = reader.number<std::uint64_t>();
    if (count >= kNoRank) return reader.stop();
    for (std::uint64_t i = 0; reader.ok() && i < count; ++i) out.push_back(reader.text());
}

template <class T>
void read_numbers(Reader& reader, std::uint32_t type, std::vector<T>& out) {
    if (reader.number<std::uint32_t>() != type) return reader.stop();
    const auto count = reader.number<std::uint64_t>();
    if (count >= kNoRank) return reader.stop();
    for (std::uint64_t i = 0; reader.ok() && i < count; ++i) out.push_back(reader.number<T>());
}

void read_pair(Reader& reader, Facts& facts) {
    const std::string_view key = reader.text();
    const auto type = reader.number<std::uint32_t>();
    if (key == "tokenizer.ggml.model" && type == kString) {
        facts.model = reader.text();
    } else if (key == "tokenizer.ggml.pre" && type == kString) {
        facts.pre = reader.text();
    } else if (key == "general.name" && type == kString) {
        facts.name = reader.text();
    } else if (key == "tokenizer.ggml.tokens" && type == kArray) {
        read_texts(reader, facts.tokens);
    } else if (key == "tokenizer.ggml.merges" && type == kArray) {
        read_texts(reader, facts.merges);
    } else if (key == "tokenizer.ggml.scores" && type == kArray) {
        read_numbers(reader, kF32, facts.scores);
    } else if (key == "tokenizer.ggml.token_type" && type == kArray) {
        read_numbers(reader, kI32, facts.types);
    } else if (key == "tokenizer.ggml.unknown_token_id" && type == kU32) {
        facts.unknown = reader.number<std::uint32_t>();
    } else if (key == "tokenizer.ggml.add_space_prefix" && type == kBool) {
        facts.space_before = reader.number<std::uint8_t>() != 0;
    } else {
        reader.skip(type, 0);
    }
}

Error bad(const std::string& why, std::string hint = {}) {
    return {ErrorCode::kConfig, "GGUF file: " + why, std::move(hint), {}, {}};
}

Result<VocabularySource> byte_pairs(const Facts& facts, VocabularySource source) {
    const auto grammar = grammar_of_gguf(facts.pre);
    if (!grammar) {
        return fail(
            bad("its pre-tokenizer '" + std::string(facts.pre) + "' is not known",
                "known are those of GPT-2, Llama 3, Qwen 2, SmolLM2, DeepSeek V3, GPT-4o, tekken"));
    }
    source.grammar = *grammar;
    // llama.cpp sets this for exactly these.
    source.whole_pieces = *grammar == Grammar::kTekken || facts.pre == "llama3" ||
                          facts.pre == "llama-v3" || facts.pre == "llama-bpe" ||
                          facts.pre == "falcon3" || facts.pre == "pixtral";
    for (std::size_t i = 0; i < facts.tokens.size(); ++i) {
        const auto id = static_cast<TokenId>(i);
        const std::int32_t type = i < facts.types.size() ? facts.types[i] : kNormal;
        auto bytes = unmap_bytes(facts.tokens[i]);
        if (type == kControl || type == kUserDefined || type == kUnused || !bytes ||
            bytes->empty()) {
            source.specials.push_back({std::string(facts.tokens[i]), id, type == kUserDefined});
        } else {
            source.tokens.push_back({std::move(*bytes), id, 0});
        }
    }
    for (const std::string_view merge : facts.merges) {
        // The separator is a space that is not the first character; tokens hold none (it is mapped).
        const std::size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos) return fail(bad("a merge is not of two tokens"));
        auto left = unmap_bytes(merge.substr(0, space));
        auto right = unmap_bytes(merge.substr(space + 1));
        if (!left || !right) return fail(bad("a merge holds what stands for no byte"));
        source.merges.emplace_back(std::move(*left), std::move(*right));
    }
    return source;
}

Result<VocabularySource> sentence_piece(const Facts& facts, VocabularySource source) {
    if (facts.scores.size() != facts.tokens.size()) {
        return fail(bad("it has no score for each token"));
    }
    source.kind = VocabularyKind::kSentencePiece;
    source.grammar = Grammar::kNone;
    source.flags = facts.space_before.value_or(true) ? kSpaceBefore : 0;
    source.unknown = facts.unknown;
    source.byte_tokens.fill(facts.unknown);
    for (std::size_t i = 0; i < facts.tokens.size(); ++i) {
        const auto id = static_cast<TokenId>(i);
        const std::int32_t type = i < facts.types.size() ? facts.types[i] : kNormal;
        if (type == kByte && facts.tokens[i].size() == 6) {
            const std::string digits(facts.tokens[i].substr(3, 2));
            source.byte_tokens[std::strtoul(digits.c_str(), nullptr, 16) & 0xFFU] = id;
        }
        if (type == kControl || type == kUserDefined || type == kUnused) {
            source.specials.push_back({std::string(facts.tokens[i]), id, type == kUserDefined});
        }
        if (!facts.tokens[i].empty()) {
            source.tokens.push_back({std::string(facts.tokens[i]), id, facts.scores[i]});
        }
    }
    return source;
}

}  // namespace

Result<VocabularySource> read_gguf(std::string_view file) {
    Reader reader(file);
    if (reader.take(4) != "GGUF") return fail(bad("it does not begin with GGUF"));
    const auto version = reader.number<std::uint32_t>();
    if (version != 2 && version != 3) return fail(bad("its version is not 2 or 3"));
    reader.number<std::uint64_t>();  // tensors
    const auto pairs = reader.number<std::uint64_t>();
    Facts facts;
    for (std::uint64_t i = 0; reader.ok() && i < pairs; ++i) read_pair(reader, facts);
    if (!reader.ok()) return fail(bad("it is cut or contradicts itself"));
    if (facts.tokens.empty()) return fail(bad("it has no tokens"));
    VocabularySource source;
    source.name = facts.name;
    if (facts.model == "gpt2") return byte_pairs(facts, std::move(source));
    if (facts.model == "llama") return sentence_piece(facts, std::move(source));
    return fail(bad("its tokenizer '" + std::string(facts.model) + "' is of another kind",
                    "byte-level BPE ('gpt2') and SentencePiece BPE ('llama') can be read"));
}

}  // namespace leeway::tokens
