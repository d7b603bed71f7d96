#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace leeway::prices {

/// ASCII letters in lower case, all else as it is.
[[nodiscard]] std::string lower_case(std::string_view text);

/// How a price book tells whether a name is meant: a comparison, or several of them. Compares without
/// regard to case. Immutable, thread-safe, cheap to copy.
class Matcher {
public:
    enum class Kind : std::uint8_t {
        kNever,
        kEquals,
        kStartsWith,
        kEndsWith,
        kContains,
        kRegex,  ///< of RE2, anywhere in the name
        kOr,
        kAnd,
        kNot,
    };

    Matcher() = default;  ///< matches nothing
    /// The kinds with a text. An error for a regular expression that RE2 does not know.
    [[nodiscard]] static Result<Matcher> of(Kind kind, const std::string& text);
    /// The kinds with parts; `kNot` has one.
    [[nodiscard]] static Matcher of(Kind kind, std::vector<Matcher> parts);
    /// The kind that a word of the book names ("equals", …); kNever: none.
    [[nodiscard]] static Kind kind_of(std::string_view word) noexcept;

    /// `lower` is in lower case.
    [[nodiscard]] bool matches(std::string_view lower) const;
    [[nodiscard]] bool empty() const noexcept { return kind_ == Kind::kNever; }

private:
    Kind kind_ = Kind::kNever;
    std::string text_;
    std::vector<Matcher> parts_;
    std::shared_ptr<const re2::RE2> regex_;
};

}  // namespace leeway::prices
