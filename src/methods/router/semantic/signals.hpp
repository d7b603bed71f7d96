#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::router {

/// What can be told of a text without a model. Computes each thing when it is first asked for. One thread; the text
/// must outlive it.
class TextSignals {
public:
    explicit TextSignals(std::string_view text) noexcept : text_(text) {}

    [[nodiscard]] std::string_view text() const noexcept { return text_; }
    /// Whether the words of `phrase`, folded as `folded` does, stand in the text one behind another.
    [[nodiscard]] bool has_phrase(std::string_view folded_phrase);
    /// ISO 639-1 code by the script of its letters, and of Latin ones by small common words (English, German, French,
    /// Spanish, Italian, Portuguese, Dutch); empty: cannot be told, as of one word.
    [[nodiscard]] std::string_view language();
    /// Characters (code points) of all of it.
    [[nodiscard]] std::size_t characters();

private:
    std::string_view text_;
    std::optional<std::string> folded_;
    std::optional<std::string_view> language_;
    std::optional<std::size_t> characters_;
};

/// The codes that `TextSignals::language` can give, with spaces between.
[[nodiscard]] std::string_view known_languages() noexcept;

}  // namespace leeway::router
