#include "app/commands/tokens_show.hpp"

#include "json/text.hpp"

#include <fmt/format.h>

#include <array>
#include <vector>

namespace leeway::app {
namespace {

// Backgrounds that dark and light terminals both show: blue, green, yellow, magenta, cyan.
constexpr std::array kColours{44, 42, 43, 45, 46};

/// What a terminal may be given of `bytes`, which may begin or end inside a character.
std::string printable(std::string_view bytes) {
    std::string out;
    while (!bytes.empty()) {
        const std::size_t length = json::utf8_length(bytes);
        const auto first = static_cast<unsigned char>(bytes[0]);
        const bool c1 = length == 2 && first == 0xC2 && static_cast<unsigned char>(bytes[1]) < 0xA0;
        if (length == 0 || (first < 0x20 && first != '\n') || first == 0x7F || c1) {
            const std::size_t take = c1 ? 2 : 1;
            for (const char byte : bytes.substr(0, take)) {
                out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
            }
            bytes.remove_prefix(take);
        } else {
            out.append(bytes.substr(0, length));
            bytes.remove_prefix(length);
        }
    }
    return out;
}

}  // namespace

std::string show_tokens(tokens::Tokenizer& tokenizer, std::string_view text, bool colour,
                        std::size_t most) {
    std::string out;
    std::size_t number = 0;
    std::size_t shown = 0;
    const auto piece = [&](std::string_view bytes, std::span<const tokens::TokenId> ids) {
        if (shown >= most) return;
        shown += bytes.size();
        std::size_t at = 0;
        for (const tokens::TokenId id : ids) {
            std::string_view token = tokenizer.vocabulary().token_bytes(id);
            std::string spaces;
            if (tokenizer.vocabulary().kind() == tokens::VocabularyKind::kSentencePiece) {
                spaces =
                    token;  // its tokens are not cuts of the text: spaces are spelled otherwise
                token = spaces;
            } else {
                token = bytes.substr(at, token.size());
                at += token.size();
            }
            if (colour) {
                // A background that runs over the line's end would fill the rest of the line.
                const int background = kColours[number % kColours.size()];
                std::string body = printable(token);
                for (std::size_t nl = body.find('\n'); nl != std::string::npos;
                     nl = body.find('\n', nl + 1)) {
                    const std::string around = fmt::format("\x1b[0m\n\x1b[{};30m", background);
                    body.replace(nl, 1, around);
                    nl += around.size() - 1;
                }
                out += fmt::format("\x1b[{};30m{}\x1b[0m", background, body);
            } else {
                if (number > 0) out += '|';
                out += printable(token);
            }
            ++number;
        }
    };
    tokenizer.for_each_piece(text.substr(0, most * 2), piece);
    if (!out.ends_with('\n')) out += '\n';
    if (shown < text.size()) out += fmt::format("… and {} bytes more\n", text.size() - shown);
    return out;
}

}  // namespace leeway::app
