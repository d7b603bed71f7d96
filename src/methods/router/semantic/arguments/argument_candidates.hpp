#pragma once

#include "methods/router/semantic/arguments/argument_schema.hpp"
#include "methods/router/semantic/arguments/dates.hpp"
#include "methods/router/semantic/arguments/numbers.hpp"
#include "methods/router/semantic/arguments/text_words.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// A text, and what was found in it whatever it is for. Outlived by the text.
struct ArgumentText {
    ArgumentText(std::string_view of, Day today)
        : text(of),
          words(text_words(of)),
          dates(find_dates(of, words, today)),
          numbers(find_numbers(of, words)) {}
    std::string_view text;
    std::vector<TextWord> words;
    std::vector<FoundDate> dates;
    std::vector<FoundNumber> numbers;
};

/// A value that a property could have.
struct ArgumentCandidate {
    std::string json;
    Span span;
    bool cued = false;  ///< one of the property's words stands beside it
    bool alone = false;  ///< it may be taken without such a word
    bool unsure = false;  ///< it is one of several readings
};

// Beyond them a text is a list, and what is meant cannot be told.
inline constexpr std::size_t kMostCandidates = 64;
using Candidates = std::vector<ArgumentCandidate>;
/// Spans that have been taken already.
using Claims = std::vector<Span>;

// What a property could be; each kind of property has its own.
[[nodiscard]] Candidates pattern_candidates(const ArgumentProperty& property,
                                            const ArgumentText& in);
[[nodiscard]] Candidates date_candidates(const ArgumentProperty& property, const ArgumentText& in);
[[nodiscard]] Candidates number_candidates(const ArgumentProperty& property, const ArgumentText& in,
                                           const Claims& claims);
[[nodiscard]] Candidates choice_candidates(const ArgumentProperty& property,
                                           const ArgumentText& in);
[[nodiscard]] Candidates boolean_candidates(const ArgumentProperty& property,
                                            const ArgumentText& in);
/// Of a string that only its neighbours tell. `schema`: its other properties' words end it.
[[nodiscard]] Candidates string_candidates(const ArgumentProperty& property,
                                           const ArgumentSchema& schema, const ArgumentText& in,
                                           const Claims& claims);

}  // namespace leeway::router
