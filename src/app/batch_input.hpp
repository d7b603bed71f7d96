#pragma once

#include "app/batch_store.hpp"

#include <string_view>

namespace leeway::app {

/// Reads an input file of batches, line by line, and sums up what its requests can take at most. All of them must be of
/// one endpoint and one model: a batch is one row in the ledger. Errors are for the caller and name the line.
[[nodiscard]] Result<BatchBound> read_batch_input(std::string_view file);

}  // namespace leeway::app
