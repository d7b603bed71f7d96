#pragma once

#include "tokens/tokenizer.hpp"

#include <string>
#include <string_view>

namespace leeway::app {

/// The text with its tokens told apart: by colours in turn, else by | between them. At most `most` bytes
/// of it, cut at a piece, and then how much is left out. Line ends stay line ends; bytes that a terminal
/// would act on are shown as escapes.
[[nodiscard]] std::string show_tokens(tokens::Tokenizer& tokenizer, std::string_view text,
                                      bool colour, std::size_t most);

}  // namespace leeway::app
