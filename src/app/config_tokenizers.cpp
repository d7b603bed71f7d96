#include "app/config_model.hpp"
#include "app/vocabularies.hpp"
#include "tokens/model_map.hpp"

#include <fmt/format.h>

namespace leeway::app {
namespace {

/// What is wrong with a pattern; empty: nothing.
std::string pattern_fault(const std::string& pattern) {
    for (const char c : pattern) {
        if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return "has a blank in it";
        if (c == '?' || c == '[' || c == ']' || c == '{' || c == '}') {
            return fmt::format("has a '{}' in it; only * is a wildcard, for any characters", c);
        }
    }
    return {};
}

}  // namespace

void read_tokenizers(ConfigSource& source, Section& top, Draft& draft) {
    for (Section& section : top.list_of_sections("tokenizers")) {
        std::string match;
        std::string vocabulary;
        section.text("match", match);
        section.text("vocabulary", vocabulary);
        section.finish();
        if (!section.has("match") || !section.has("vocabulary")) {
            source.error(section.mark(),
                         "a tokenizer needs 'match' (names of models, * for any characters) and "
                         "'vocabulary' (a name or a file)");
            continue;
        }
        if (match.empty() || vocabulary.empty()) continue;  // said already
        if (const std::string fault = pattern_fault(match); !fault.empty()) {
            source.error(section.mark("match"), fmt::format("match: '{}' {}", match, fault));
            continue;
        }
        const auto& before = draft.config.tokenizers;
        for (std::size_t i = 0; i < before.size(); ++i) {
            // A pattern is a name to the one before it: where that fits, so does all that this one fits.
            if (!tokens::matches_wildcard(before[i].pattern, match)) continue;
            source.warning(
                section.mark("match"),
                fmt::format("match: '{}' is never used, as '{}' in line {} comes first "
                            "and fits the same models",
                            match, before[i].pattern, draft.tokenizer_marks[i].match.line + 1));
            break;
        }
        draft.config.tokenizers.push_back({match, tokens::tokens_of_vocabulary(vocabulary)});
        draft.tokenizer_marks.push_back({section.mark("match"), section.mark("vocabulary")});
    }
}

void check_tokenizers(ConfigSource& source, const Draft& draft) {
    for (std::size_t i = 0; i < draft.config.tokenizers.size(); ++i) {
        const auto found = vocabulary_path(draft.config.tokenizers[i].tokens.vocabulary);
        if (!found) source.error(draft.tokenizer_marks[i].vocabulary, "vocabulary", found.error());
    }
}

}  // namespace leeway::app
