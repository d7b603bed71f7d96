#pragma once

#include "base/result.hpp"
#include "store/sqlite/database.hpp"

#include <string_view>
#include <utility>

namespace leeway::store::sqlite {

/// Calls `take` for each row of `sql`, whose parameters `fill` binds.
template <class Fill, class Take>
[[nodiscard]] Result<void> each_row(Database& db, std::string_view sql, const Fill& fill,
                                    const Take& take) {
    auto rows = db.prepare(sql);
    if (!rows) return fail(std::move(rows.error()));
    fill(*rows);
    for (;;) {
        const auto row = rows->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        take(*rows);
    }
}

/// Of a statement without parameters.
template <class Take>
[[nodiscard]] Result<void> each_row(Database& db, std::string_view sql, const Take& take) {
    return each_row(db, sql, [](Statement&) {}, take);
}

/// Runs `sql`, whose parameters `fill` binds; rows that it may give are passed over.
template <class Fill>
[[nodiscard]] Result<void> run(Database& db, std::string_view sql, const Fill& fill) {
    return each_row(db, sql, fill, [](const Statement&) {});
}

}  // namespace leeway::store::sqlite
