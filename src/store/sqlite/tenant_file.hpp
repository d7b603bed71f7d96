#pragma once

#include "base/result.hpp"
#include "store/migrations.hpp"
#include "store/sqlite/database.hpp"

#include <span>
#include <string>
#include <string_view>

namespace leeway::store::sqlite {

/// Opens a database of what tenants asked, brought to the last of `migrations`: what one of them asked is not found in the
/// file when it is erased. `what` names it for people. For reading only, it must have exactly that version.
[[nodiscard]] Result<Database> open_tenant_file(const std::string& path, Access access,
                                                std::string_view what,
                                                std::span<const Migration> migrations);

}  // namespace leeway::store::sqlite
