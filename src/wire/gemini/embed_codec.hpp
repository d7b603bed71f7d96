#pragma once

#include "wire/canonical/codec.hpp"
#include "wire/canonical/embeddings.hpp"

#include <string>
#include <string_view>

namespace leeway::wire::gemini {

/// A body of `embedContent`, or of `batchEmbedContents` where it has `requests`. The model stands in the address: the
/// caller sets it. Errors are `kInvalidRequest`; "untranslatable" for media, and for requests of one batch that differ
/// in more than their content.
[[nodiscard]] Result<EmbedRequest> read_embed_request(std::string_view body);
/// The body of `batchEmbedContents` for a list, of `embedContent` for one text.
[[nodiscard]] std::string write_embed_request(const EmbedRequest& request, std::string_view model,
                                              Losses& losses);
/// The same for Vertex's `predict`.
[[nodiscard]] std::string write_predict_request(const EmbedRequest& request, Losses& losses);
/// Of all three. `wanted`: the number of texts, 0 for any. Errors are `kUpstreamInvalid`.
[[nodiscard]] Result<EmbedAnswer> read_embed_answer(std::string_view body, usage::Flavour flavour,
                                                    std::size_t wanted);
/// `list`: as `batchEmbedContents` answers.
[[nodiscard]] std::string write_embed_answer(const EmbedAnswer& answer, bool list);
/// `body` with the model that it names, and those that its `requests` name, replaced; all other bytes as they are.
[[nodiscard]] std::string with_embed_model(std::string_view body, std::string_view model);

}  // namespace leeway::wire::gemini
