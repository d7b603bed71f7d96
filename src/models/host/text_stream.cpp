#include "models/host/text_stream.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace leeway::models {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Sequence {
    std::size_t length;     // of the character, or of the ill-formed part
    bool valid;
    bool cut;               // well-formed so far, but the bytes end
};

// Reads one character by the table of well-formed byte sequences (Unicode 15, table 3-7).
Sequence read_character(std::string_view bytes) noexcept {
    const auto byte = [&](std::size_t i) {
        return static_cast<std::uint8_t>(bytes[i]);
    };
    const std::uint8_t first = byte(0);
    if (first < 0x80) return {1, true, false};
    if (first < 0xC2 || first > 0xF4) return {1, false, false};
    const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xBF;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
    for (std::size_t i = 1; i < length; ++i) {
        if (i == bytes.size()) return {i, false, true};
        if (byte(i) < low || byte(i) > high) return {i, false, false};
        low = 0x80;
        high = 0xBF;
    }
    return {length, true, false};
}

}  // namespace

std::size_t append_utf8(std::string_view bytes, bool last, std::string& out) {
    std::size_t used = 0;
    while (used < bytes.size()) {
        const Sequence next = read_character(bytes.substr(used));
        if (next.cut && !last) break;
        out.append(next.valid ? bytes.substr(used, next.length) : kReplacement);
        used += next.length;
    }
    return used;
}

TextStream::TextStream(std::vector<std::string> stops) : stops_(std::move(stops)) {
    std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
    for (const std::string& stop : stops_) longest_stop_ = std::max(longest_stop_, stop.size());
}

bool TextStream::push(std::string_view bytes, std::string& out) {
    // A stop string that ends in the new bytes starts at most its length before them.
    const std::size_t old = held_.size();
    const std::size_t from = old >= longest_stop_ ? old - longest_stop_ : 0;
    held_.append(bytes);
    std::size_t first = std::string::npos;
    for (const std::string& stop : stops_) first = std::min(first, held_.find(stop, from));
    if (first != std::string::npos) {
        show(first, true, out);
        held_.clear();
        return true;
    }
    show(held_.size() - partial_stop(), false, out);
    return false;
}

void TextStream::finish(std::string& out) { show(held_.size(), true, out); }

void TextStream::show(std::size_t count, bool last, std::string& out) {
    const std::size_t used = append_utf8(std::string_view(held_).substr(0, count), last, out);
    held_.erase(0, used);
    shown_ += used;
}

std::size_t TextStream::partial_stop() const noexcept {
    std::size_t longest = 0;
    for (const std::string& stop : stops_) {
        const std::size_t most = std::min(stop.size() - 1, held_.size());
        for (std::size_t length = most; length > longest; --length) {
            if (std::string_view(held_).ends_with(std::string_view(stop).substr(0, length))) {
                longest = length;
                break;
            }
        }
    }
    return longest;
}

}  // namespace leeway::models
