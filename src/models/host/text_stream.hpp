#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::models {

/// Turns the bytes of tokens into text that may be shown: whole UTF-8 characters only (what is not
/// UTF-8 becomes U+FFFD), nothing that may still become a stop string, and nothing from a stop string
/// on. Engine thread only.
class TextStream {
public:
    /// Empty stop strings are ignored.
    explicit TextStream(std::vector<std::string> stops);

    /// Takes the next bytes and appends what may be shown now to `out`. Once it has returned true (a
    /// stop string is complete) the stream has ended.
    [[nodiscard]] bool push(std::string_view bytes, std::string& out);
    /// No more bytes will come: appends what was held back.
    void finish(std::string& out);

    /// Bytes that were taken so far, and those of them that were shown (counted before U+FFFD).
    [[nodiscard]] std::size_t taken() const noexcept { return shown_ + held_.size(); }
    [[nodiscard]] std::size_t shown() const noexcept { return shown_; }

private:
    // Shows the first `count` held bytes, less an incomplete character at their end unless `last`.
    void show(std::size_t count, bool last, std::string& out);
    [[nodiscard]] std::size_t partial_stop() const noexcept;

    std::vector<std::string> stops_;
    std::string held_;
    std::size_t longest_stop_ = 0;
    std::size_t shown_ = 0;
};

/// Appends `bytes` to `out` as valid UTF-8, each maximal ill-formed part as one U+FFFD. Unless `last`,
/// stops before a character that is cut at the end. Returns how many bytes were used.
std::size_t append_utf8(std::string_view bytes, bool last, std::string& out);

}  // namespace leeway::models
