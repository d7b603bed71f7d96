#pragma once

#include "base/result.hpp"
#include "ledger/record.hpp"

namespace leeway::ledger {

struct Intent;

/// Where a worker puts its finished requests. Worker-local.
class Sink {
public:
    virtual ~Sink() = default;
    /// When this returns true the record survives a kill of this process (it lies in a file-backed
    /// mapping or a spill file) and will be in the database once. False: nothing was kept (disk full).
    /// Never blocks on the database.
    [[nodiscard]] virtual bool append(const RequestRecord& record) noexcept = 0;
    /// The same for an intent, before the attempt's first byte goes upstream.
    [[nodiscard]] virtual bool append(const Intent& intent) noexcept = 0;
    /// False while records cannot be kept: paid work must not be admitted.
    [[nodiscard]] virtual bool healthy() const noexcept = 0;
};

/// What a caller is told while a sink keeps nothing.
[[nodiscard]] inline Error no_paid_work() {
    return Error{ErrorCode::kUnavailable,
                 "the ledger cannot keep records, so no paid work is taken",
                 "free space on the disk that holds the state folder",
                 {},
                 "ledger_unavailable"};
}

}  // namespace leeway::ledger
