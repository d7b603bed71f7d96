#include "models/embed/fingerprint.hpp"

#include "base/hash.hpp"

#include <fmt/format.h>

namespace leeway::models {

std::string file_fingerprint(std::string_view file_sha256, std::uint32_t dimension,
                             std::uint32_t most_tokens) {
    // The first word is the version of how we make vectors of a model's output: unit length, no prefix.
    return to_hex(sha256(fmt::format("file-1\n{}\n{}\n{}", file_sha256, dimension, most_tokens)));
}

std::string provider_fingerprint(std::string_view provider, std::string_view model,
                                 std::uint32_t dimension) {
    return to_hex(sha256(fmt::format("provider-1\n{}\n{}\n{}", provider, model, dimension)));
}

std::string_view cut_to_bytes(std::string_view text, std::size_t most_bytes) noexcept {
    if (text.size() <= most_bytes) return text;
    std::size_t end = most_bytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    return text.substr(0, end == 0 ? most_bytes : end);  // 0: it is no UTF-8
}

std::string_view cut_for_embedding(std::string_view text, std::uint32_t most_tokens) noexcept {
    // No common vocabulary has prose of more than six bytes a token. A run without spaces may be one (unknown) token
    // however long it is; what is left of it here is one as well.
    constexpr std::size_t kBytesPerToken = 32;
    return cut_to_bytes(text, std::size_t{most_tokens} * kBytesPerToken);
}

}  // namespace leeway::models
