#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace leeway::agent_cache::semantic {

// What words tell about a question. All take lower-case words. English in full; of other languages the negations.

/// Carries no content: articles, auxiliaries, prepositions, pronouns, question words, politeness.
[[nodiscard]] bool is_function_word(std::string_view word) noexcept;
/// not, never, without, nicht, pas, δεν, …; also "dont" and the like without their apostrophe.
[[nodiscard]] bool is_negation(std::string_view word) noexcept;
/// Stands for something said elsewhere: it, they, this, his, former, …
[[nodiscard]] bool is_pronoun(std::string_view word) noexcept;
/// A question that begins so goes on from another: and, but, also, okay, …
[[nodiscard]] bool continues(std::string_view word) noexcept;
/// What stands after it has a part in the order: from, to, than, over, …
[[nodiscard]] bool is_direction(std::string_view word) noexcept;
/// Month, weekday, part of the day, season, feast, or relative day, as a small number that is the same for all
/// spellings ("aug", "august"). "may", "march" and abbreviations that are words are `ambiguous`.
struct DateWord {
    std::uint16_t id = 0;
    bool ambiguous = false;
};
[[nodiscard]] std::optional<DateWord> date_word(std::string_view word) noexcept;
/// The canonical name of a unit of measure or money: "km" for "kilometres"; empty: none.
[[nodiscard]] std::string_view unit_name(std::string_view word) noexcept;
/// "seven" and "seventh": "7"; empty: no number.
[[nodiscard]] std::string_view number_word(std::string_view word) noexcept;
/// The antonym pairs a word is in, by the first: up to two, of each its id times two plus the side.
struct Sides {
    std::uint16_t first = 0;  ///< 0: none
    std::uint16_t second = 0;  ///< 0: none
};
[[nodiscard]] Sides opposite_sides(std::string_view word) noexcept;
/// How fast the answer to a question with this word changes: 0 not at all, 1 slowly, 2 fast, 3 at once.
[[nodiscard]] int change_of(std::string_view word) noexcept;

}  // namespace leeway::agent_cache::semantic
