#include "store/sqlite/tenant_file.hpp"

#include <utility>

namespace leeway::store::sqlite {

Result<Database> open_tenant_file(const std::string& path, Access access, std::string_view what,
                                  std::span<const Migration> migrations) {
    OpenOptions options;
    options.access = access;
    auto db = Database::open(path, options);
    if (!db) return db;
    Result<void> done;
    if (access == Access::kReadOnly) {
        done = require_version(*db, what, migrations);
    } else {
        done = db->exec("PRAGMA secure_delete = ON");
        if (done) done = migrate(*db, what, migrations);
    }
    if (!done) return fail(std::move(done.error()));
    return db;
}

}  // namespace leeway::store::sqlite
