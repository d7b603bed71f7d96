#pragma once

#include "base/result.hpp"
#include "lab/outcomes/outcome_table.hpp"
#include "lab/replay/replay.hpp"
#include "models/embedding.hpp"

#include <span>
#include <string>
#include <vector>

namespace leeway::lab {

/// The queries of a table as requests of which it tells what these models did, in this order. What a table marks as all
/// zero counts as not known. They look into `table`, and into `vectors`, which are those of its queries; null: nobody
/// needs them. Errors (kConfig): a model that it does not have.
[[nodiscard]] Result<std::vector<RecordedRequest>> recorded_requests(
    const OutcomeTable& table, std::span<const std::string> models,
    const models::VectorTable* vectors = nullptr);

}  // namespace leeway::lab
