#pragma once

#include "base/result.hpp"
#include "ledger/intent.hpp"
#include "ledger/record.hpp"

#include <string>
#include <string_view>

namespace leeway::ledger {

/// Names are cut to this many bytes when they are encoded, notes to `kMaxNotesBytes`, so that a
/// caller's megabyte of "model" cannot fill the journal.
inline constexpr std::size_t kMaxNameBytes = 512;
inline constexpr std::size_t kMaxNotesBytes = 4096;

/// The binary form of `record`, written into `buffer`, which grows when it must and never shrinks:
/// after the first records nothing is allocated. The view is valid until `buffer` changes. Attempt
/// numbers are made strictly rising, as the database needs them.
[[nodiscard]] std::string_view encode(const RequestRecord& record, std::string& buffer);

/// Reads what `encode` of this or an earlier version wrote into `out`, whose strings keep their
/// capacity. An error for anything that is cut, has bytes left over, or was written by a later version;
/// never reads out of bounds.
[[nodiscard]] Result<void> decode(std::string_view bytes, RequestRecord& out);

/// What a database takes as text: bytes that are no UTF-8 and NUL become U+FFFD, as in every JSON that we
/// print. SQLite would keep them and PostgreSQL refuse them; so both hold the same.
void make_storable(RequestRecord& record);
void make_storable(Intent& intent);

}  // namespace leeway::ledger
