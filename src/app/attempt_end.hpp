#pragma once

#include "base/ids.hpp"
#include "guard/budget/book.hpp"
#include "ledger/record.hpp"
#include "prices/rates.hpp"
#include "wire/usage/extractor.hpp"

#include <cstdint>

namespace leeway::app {

/// Fills in what an attempt used and cost, by what its provider told or we counted. Its status and its time are set,
/// and its cost where that is known without a usage (nothing was sent: 0). Refusals cost 0; without a usage an answer's
/// cost stays unknown.
void price_attempt(const prices::ModelPrices& price, const wire::usage::UsageReading& reading,
                   std::int64_t unix_s, ledger::AttemptRow& attempt);

/// Settles the reservation of an attempt that has ended. What nobody knows stays charged as reserved, in the row as
/// well: then it returns true.
bool settle_reservation(budget::Book& book, const RequestId& id, const budget::Amount& worst,
                        ledger::AttemptRow& attempt);

}  // namespace leeway::app
