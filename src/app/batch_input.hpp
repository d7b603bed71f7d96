#pragma once

#include "app/batch_store.hpp"

#include <string_view>

namespace leeway::app {

// What the requests of a batch can take at most, summed up. All of them must be of one endpoint and one model: a batch is
// one row in the ledger. Errors are for the caller and name the request.

/// Reads an input file of OpenAI's batches, line by line.
[[nodiscard]] Result<BatchBound> read_batch_input(std::string_view file);
/// The form that such a file is sent in; of a file that is no input of a batch nothing is read.
[[nodiscard]] Result<BatchBound> read_batch_upload(std::string_view content_type,
                                                   std::string_view body);
/// Reads the request for a batch of Anthropic's, which holds all of its requests.
[[nodiscard]] Result<BatchBound> read_message_batch(std::string_view body);

}  // namespace leeway::app
