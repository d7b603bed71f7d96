#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace leeway::models {

// What two vectors must have in common to be compared (see EmbeddingModel::fingerprint), as 64 hexadecimal digits.

/// The header in which the model host tells it with each answer of POST /v1/embeddings.
inline constexpr std::string_view kFingerprintField = "x-leeway-fingerprint";

/// Of a model file that runs here or in our model host: its SHA-256 in hexadecimal, the length of its vectors, and
/// the tokens to which a text is cut. Commands and the gateway agree on it.
[[nodiscard]] std::string file_fingerprint(std::string_view file_sha256, std::uint32_t dimension,
                                           std::uint32_t most_tokens);
/// Of a provider's model. Nobody can see its weights: a provider that swaps them under the same name is not noticed.
[[nodiscard]] std::string provider_fingerprint(std::string_view provider, std::string_view model,
                                               std::uint32_t dimension);

/// At most `most_bytes` of `text`, cut between characters.
[[nodiscard]] std::string_view cut_to_bytes(std::string_view text, std::size_t most_bytes) noexcept;
/// The beginning of `text` that can matter to a model of that many tokens, cut between characters: nobody should
/// tokenise a megabyte to use the first page.
[[nodiscard]] std::string_view cut_for_embedding(std::string_view text,
                                                 std::uint32_t most_tokens) noexcept;

}  // namespace leeway::models
