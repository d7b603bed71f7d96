#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace leeway::agent_cache::semantic {

/// A number of a question, with what it counts or measures, as hashes of their canonical spelling: 1,500 and
/// 1.5k are one number, "kilometres" and "km" one unit.
struct Quantity {
    std::uint32_t value = 0;
    std::uint32_t unit = 0;  ///< 0: no unit of measure or money
    friend auto operator<=>(const Quantity&, const Quantity&) = default;
};

/// What a question asks for, told by its first words.
enum class QuestionType : std::uint8_t {
    kStatement = 0,  ///< none of the others
    kWhat = 1,
    kWho = 2,
    kWhen = 3,
    kWhere = 4,
    kWhy = 5,
    kHow = 6,
    kHowMany = 7,  ///< how many, how much, how long, how far, …
    kYesNo = 8,  ///< is, do, can, should …
    kCommand = 9,  ///< an imperative: tell, give, show, write …
};

/// How soon an answer grows stale.
enum class Volatility : std::uint8_t {
    kStable = 0,  ///< no sign of change: the route's own life holds
    kSlow = 1,  ///< latest, newest, current holders of posts, prices: a day
    kFast = 2,  ///< news, today's weather, rates, scores: minutes
    kNow = 3,  ///< the time, a position, a random pick: each asking has its own answer, never kept
};

/// What the decision needs of one question, taken out of its text once; kept with the entry. A value: any
/// thread may read it. Words are told apart by hashes of their lower-case form (Latin, Greek, Cyrillic); a stem
/// is a word without the marks of plural and of verb forms. Chinese and Japanese characters are words of their
/// own.
struct Question {
    /// Hash of all words in order: equal for texts that differ in nothing that counts.
    std::uint64_t text = 0;
    // All but `stems` are sorted, all but `quantities` without repetition.
    std::vector<std::uint32_t> stems;  ///< of the words that carry content, in order
    std::vector<std::uint32_t> content;  ///< the same as a set
    std::vector<Quantity> quantities;  ///< numbers in digits and words
    std::vector<std::uint32_t> units;  ///< of measure and money, with or without a number
    std::vector<std::uint16_t> dates;  ///< months, weekdays, relative days, parts of the day
    std::vector<std::uint32_t> entities;  ///< stems with a capital inside a sentence, codes, quoted
    std::vector<std::uint16_t> opposites;  ///< sides of antonym pairs (lexicon.hpp)
    std::vector<std::uint32_t> directions;  ///< hashes of (from, than, to …; the next stem)
    /// Which of 256 classes its trigrams of characters are in.
    std::array<std::uint64_t, 4> trigrams{};
    std::uint32_t words = 0;
    std::uint16_t negations = 0;  ///< not, never, without, -n't: how many
    std::uint16_t scripts = 0;  ///< that its letters come from, a bit each
    QuestionType type = QuestionType::kStatement;
    Volatility volatility = Volatility::kStable;
    bool needs_context = false;  ///< cannot be understood without what was said before
};

/// Never fails: bytes that are not UTF-8 separate words. Reads at most the first 8 KiB of `text`, in time
/// linear in that.
[[nodiscard]] Question read_question(std::string_view text);

/// Whether `text` is a follow-up: pronouns without what they stand for, ellipsis, "and what about …", nothing
/// but a yes or a "tell me more". When in doubt it says yes: such a question may only hit an answer of the same
/// conversation so far.
[[nodiscard]] bool needs_context(std::string_view text);

/// The longest an answer to such a question may live; nullopt: no limit of ours. Zero: never keep it.
[[nodiscard]] std::optional<std::chrono::seconds> longest_life(Volatility volatility) noexcept;

}  // namespace leeway::agent_cache::semantic
