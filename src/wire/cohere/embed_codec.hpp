#pragma once

#include "wire/canonical/codec.hpp"
#include "wire/canonical/embeddings.hpp"

#include <string>
#include <string_view>

namespace leeway::wire::cohere {

/// A body of POST /v2/embed. `input_type`, which the server wants, is "search_document" where the caller says no task.
[[nodiscard]] std::string write_embed_request(const EmbedRequest& request, std::string_view model,
                                              Losses& losses);
/// `wanted`: the number of texts, 0 for any. Errors are `kUpstreamInvalid`.
[[nodiscard]] Result<EmbedAnswer> read_embed_answer(std::string_view body, usage::Flavour flavour,
                                                    std::size_t wanted);

}  // namespace leeway::wire::cohere
