#pragma once

#include "wire/canonical/codec.hpp"
#include "wire/canonical/embeddings.hpp"

#include <string>
#include <string_view>

namespace leeway::wire::openai {

/// A body of POST /v1/embeddings, which must be valid. Takes what others add to it, too: `task_type` and `title`
/// (Google's), `input_type` (Cohere's). Errors are `kInvalidRequest`; "untranslatable" for arrays of token numbers.
[[nodiscard]] Result<EmbedRequest> read_embed_request(std::string_view body);
/// The body for a server of this dialect.
[[nodiscard]] std::string write_embed_request(const EmbedRequest& request, std::string_view model,
                                              Losses& losses);
/// All that the request says, in this dialect's form: what stages see of it. Requests that differ have bodies that differ.
[[nodiscard]] std::string embed_request_for_stages(const EmbedRequest& request);
/// `wanted`: the number of texts, 0 for any. Errors are `kUpstreamInvalid`.
[[nodiscard]] Result<EmbedAnswer> read_embed_answer(std::string_view body, usage::Flavour flavour,
                                                    std::size_t wanted);
[[nodiscard]] std::string write_embed_answer(const EmbedAnswer& answer, const AnswerFor& to,
                                             bool base64);

}  // namespace leeway::wire::openai
