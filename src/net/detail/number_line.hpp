#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace leeway::net {

/// One line of a message that holds a number, written in place: two of them go with each request, and
/// one with each piece of a stream.
class NumberLine {
public:
    /// `prefix` has at most 24 bytes.
    NumberLine(std::string_view prefix, std::uint64_t number, int base) noexcept {
        char* at = text_.data() + prefix.copy(text_.data(), 24);
        at = std::to_chars(at, text_.data() + text_.size() - 2, number, base).ptr;
        *at++ = '\r';
        *at++ = '\n';
        size_ = static_cast<std::size_t>(at - text_.data());
    }
    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

private:
    std::array<char, 48> text_{};
    std::size_t size_ = 0;
};

[[nodiscard]] inline NumberLine content_length_line(std::uint64_t bytes) noexcept {
    return {"content-length: ", bytes, 10};
}
[[nodiscard]] inline NumberLine chunk_size_line(std::uint64_t bytes) noexcept {
    return {"", bytes, 16};
}

}  // namespace leeway::net
