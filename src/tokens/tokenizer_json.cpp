#include "base/base64.hpp"
#include "json/cursor.hpp"
#include "json/tokens.hpp"
#include "tokens/json_reading.hpp"
#include "tokens/vocabulary_file.hpp"

#include <algorithm>
#include <charconv>

namespace leeway::tokens {
namespace {

using detail::Reading;

Error bad(std::string_view format, const std::string& why, std::string hint = {}) {
    return {ErrorCode::kConfig, std::string(format) + ": " + why, std::move(hint), {}, {}};
}

/// The parts of tokenizer.json that decide about ids.
struct HuggingFace {
    std::string model_type;
    bool ignore_merges = false;
    bool byte_fallback = false;
    bool byte_level = false;
    bool byte_level_regex = false;
    bool digits_apart = false;
    bool prefix_space = false;
    std::vector<std::string> patterns;
    std::vector<std::string> normalizers;
    std::vector<std::pair<std::string, std::uint32_t>> vocabulary;
    std::vector<std::pair<std::string, std::string>> merges;
    std::vector<SpecialToken> added;
};

void read_pre_tokenizer(Reading& in, HuggingFace& out) {
    std::string type;
    bool use_regex = true;
    bool individual = false;
    bool prefix = true;
    std::string regex;
    in.members([&](std::string_view key) {
        if (key == "type") {
            type = in.text();
        } else if (key == "pretokenizers") {
            in.elements([&] { read_pre_tokenizer(in, out); });
        } else if (key == "use_regex") {
            use_regex = in.flag();
        } else if (key == "individual_digits") {
            individual = in.flag();
        } else if (key == "add_prefix_space") {
            prefix = in.flag();
        } else if (key == "pattern") {
            in.members([&](std::string_view kind) {
                if (kind == "Regex") {
                    regex = in.text();
                } else {
                    in.cursor.skip();
                }
            });
        } else {
            in.cursor.skip();
        }
    });
    if (type == "ByteLevel") {
        out.byte_level = true;
        out.byte_level_regex = out.byte_level_regex || use_regex;
        out.prefix_space = out.prefix_space || prefix;
    } else if (type == "Digits") {
        out.digits_apart = individual;
        if (!individual) out.patterns.emplace_back("Digits in groups");
    } else if (type == "Split") {
        out.patterns.push_back(regex);
    } else if (type != "Sequence") {
        out.patterns.push_back(type);
    }
}

void read_normalizer(Reading& in, HuggingFace& out) {
    in.members([&](std::string_view key) {
        if (key == "type") {
            if (std::string type = in.text(); type != "Sequence") {
                out.normalizers.push_back(std::move(type));
            }
        } else if (key == "normalizers") {
            in.elements([&] { read_normalizer(in, out); });
        } else {
            in.cursor.skip();
        }
    });
}

void read_merge(Reading& in, HuggingFace& out) {
    if (in.cursor.kind() == '[') {
        std::vector<std::string> two;
        in.elements([&] { two.push_back(in.text()); });
        if (two.size() == 2) {
            out.merges.emplace_back(std::move(two[0]), std::move(two[1]));
        } else {
            in.cursor.fail("a merge of two tokens was expected");
        }
        return;
    }
    const std::string both = in.text();
    const std::size_t space = both.find(' ', 1);
    if (space == std::string::npos) {
        in.cursor.fail("a merge of two tokens was expected");
        return;
    }
    out.merges.emplace_back(both.substr(0, space), both.substr(space + 1));
}

void read_model(Reading& in, HuggingFace& out) {
    in.members([&](std::string_view key) {
        if (key == "type") {
            out.model_type = in.text();
        } else if (key == "ignore_merges") {
            out.ignore_merges = in.flag();
        } else if (key == "byte_fallback") {
            out.byte_fallback = in.flag();
        } else if (key == "vocab" && in.cursor.kind() == '{') {
            in.members([&](std::string_view token) {
                const std::string spelled(token);
                out.vocabulary.emplace_back(spelled, in.whole_number());
            });
        } else if (key == "merges") {
            in.elements([&] { read_merge(in, out); });
        } else {
            in.cursor.skip();
        }
    });
}

void read_added(Reading& in, HuggingFace& out) {
    SpecialToken token;
    bool special = false;
    in.members([&](std::string_view key) {
        if (key == "content") {
            token.text = in.text();
        } else if (key == "id") {
            token.id = in.whole_number();
        } else if (key == "special") {
            special = in.flag();
        } else {
            in.cursor.skip();
        }
    });
    token.always = !special;
    out.added.push_back(std::move(token));
}

Result<Grammar> grammar_of(const HuggingFace& file) {
    if (!file.byte_level || file.prefix_space) {
        return fail(bad("tokenizer.json", "it is not byte-level BPE without a space put before"));
    }
    if (file.patterns.empty() && file.byte_level_regex) {
        return file.digits_apart ? Grammar::kSmolLm2 : Grammar::kGpt2;
    }
    const bool deepseek = file.patterns.size() == 3 && file.patterns[0] == R"(\p{N}{1,3})" &&
                          file.patterns[1] == "[一-龥\u3040-ゟ゠-ヿ]+";
    if (!file.patterns.empty() && !file.byte_level_regex && !file.digits_apart) {
        const auto grammar = grammar_of_pattern(file.patterns.back());
        const bool fits =
            grammar && (*grammar == Grammar::kDeepSeek3 ? deepseek : file.patterns.size() == 1);
        if (fits) return *grammar;
    }
    return fail(bad("tokenizer.json", "how it splits text is not known: " +
                                          (file.patterns.empty() ? "?" : file.patterns.back())));
}

Result<VocabularySource> source_of(HuggingFace file) {
    if (file.model_type != "BPE" || file.byte_fallback) {
        return fail(bad("tokenizer.json", "its model is not byte-level BPE",
                        "SentencePiece vocabularies can be read from GGUF files"));
    }
    VocabularySource source;
    for (const std::string& normalizer : file.normalizers) {
        if (normalizer != "NFC") {
            return fail(
                bad("tokenizer.json", "its normalizer '" + normalizer + "' is not supported"));
        }
        source.flags |= kComposes;
    }
    const auto grammar = grammar_of(file);
    if (!grammar) return fail(grammar.error());
    source.grammar = *grammar;
    source.whole_pieces = file.ignore_merges;
    for (auto& [text, id] : file.vocabulary) {
        const bool added =
            std::any_of(file.added.begin(), file.added.end(),
                        [number = id](const SpecialToken& t) { return t.id == number; });
        auto bytes = unmap_bytes(text);
        if (bytes && !bytes->empty() && !added) source.tokens.push_back({std::move(*bytes), id, 0});
    }
    for (auto& [left, right] : file.merges) {
        auto a = unmap_bytes(left);
        auto b = unmap_bytes(right);
        if (!a || !b) return fail(bad("tokenizer.json", "a merge holds what stands for no byte"));
        source.merges.emplace_back(std::move(*a), std::move(*b));
    }
    source.specials = std::move(file.added);
    return source;
}

}  // namespace

Result<VocabularySource> read_tokenizer_json(std::string_view text) {
    json::Indexer indexer;
    const auto tokens = indexer.index(text);
    if (!tokens) return fail(tokens.error());
    json::Cursor cursor(*tokens);
    Reading in{cursor};
    HuggingFace file;
    in.members([&](std::string_view key) {
        if (key == "model") {
            read_model(in, file);
        } else if (key == "pre_tokenizer") {
            read_pre_tokenizer(in, file);
        } else if (key == "normalizer") {
            read_normalizer(in, file);
        } else if (key == "added_tokens") {
            in.elements([&] { read_added(in, file); });
        } else {
            cursor.skip();
        }
    });
    if (cursor.failed()) return fail(cursor.error());
    return source_of(std::move(file));
}

Result<VocabularySource> read_tekken_json(std::string_view text) {
    json::Indexer indexer;
    const auto tokens = indexer.index(text);
    if (!tokens) return fail(tokens.error());
    json::Cursor cursor(*tokens);
    Reading in{cursor};
    VocabularySource source;
    source.name = "tekken";
    source.ranked = true;
    source.whole_pieces = true;
    std::string pattern;
    std::uint32_t size = 0;
    std::uint32_t specials = 1000;  // what all published files have
    std::string compact;
    in.members([&](std::string_view key) {
        if (key == "config") {
            in.members([&](std::string_view name) {
                if (name == "pattern") {
                    pattern = in.text();
                } else if (name == "default_vocab_size") {
                    size = in.whole_number();
                } else if (name == "default_num_special_tokens") {
                    specials = in.whole_number();
                } else {
                    cursor.skip();
                }
            });
        } else if (key == "vocab") {
            in.elements([&] {
                std::optional<std::string> bytes;
                TokenId rank = 0;
                in.members([&](std::string_view name) {
                    if (name == "rank") {
                        rank = in.whole_number();
                    } else if (name == "token_bytes") {
                        bytes = decode_base64(in.text());
                    } else {
                        cursor.skip();
                    }
                });
                if (!bytes) {
                    cursor.fail("a token in base64 was expected");
                } else {
                    source.tokens.push_back({std::move(*bytes), rank, 0});
                }
            });
        } else if (key == "bpe_ranks") {
            compact = in.text();
        } else {
            cursor.skip();
        }
    });
    if (cursor.failed()) return fail(cursor.error());
    if (!compact.empty()) {
        // The npm packages' form: "! first-rank token token …".
        std::size_t at = compact.find(' ', 2);
        TokenId rank = 0;
        while (at != std::string::npos) {
            const std::size_t end = compact.find(' ', at + 1);
            auto bytes = decode_base64(std::string_view(compact).substr(at + 1, end - at - 1));
            if (!bytes) return fail(bad("tekken.json", "a token is not base64"));
            source.tokens.push_back({std::move(*bytes), rank++, 0});
            at = end;
        }
    }
    if (size < specials) return fail(bad("tekken.json", "it has no vocabulary size"));
    std::erase_if(source.tokens, [&](const auto& token) { return token.id >= size - specials; });
    for (auto& token : source.tokens) token.id += specials;  // ids begin behind the special tokens
    const auto grammar = grammar_of_pattern(pattern);
    if (!grammar) return fail(bad("tekken.json", "its pattern is not known"));
    source.grammar = *grammar;
    return source;
}

}  // namespace leeway::tokens
