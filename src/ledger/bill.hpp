#pragma once

#include "base/money.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace leeway::ledger {

/// What a provider says of one model on one day (UTC). nullopt: the file does not say.
struct BillLine {
    std::optional<std::int64_t> requests;
    std::optional<std::int64_t> input_tokens;  ///< all input: fresh, cached and written to a cache
    std::optional<std::int64_t> cached_tokens;  ///< of those, read from the prompt cache
    std::optional<std::int64_t> output_tokens;
    std::optional<PicoUsdSum> cost;
    std::int64_t amounts = 0;  ///< amounts that were added to `cost`
    PicoUsdSum smallest_unit;  ///< of the last decimal that any of them shows
};

/// A provider's bill: by day since 1970-01-01 and the provider's name of the model; the name is empty
/// where the file does not tell models apart.
struct Bill {
    std::string form;  ///< "openai", "anthropic" or "csv"
    std::map<std::pair<std::int64_t, std::string>, BillLine> lines;
};

/// Reads OpenAI's and Anthropic's usage and cost answers (a page with `data`, each entry with its
/// `results`) and CSV with a head line. Money is read without a double; a currency other than USD, a
/// negative count, a line that cannot be read: an error that says where.
[[nodiscard]] Result<Bill> read_bill(std::string_view text);

}  // namespace leeway::ledger
