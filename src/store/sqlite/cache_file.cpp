#include "store/sqlite/cache_file.hpp"

#include "store/sqlite/database.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace leeway::store::sqlite {

bool is_of_the_file(const Error& error) noexcept {
    constexpr std::array<std::string_view, 5> kElsewhere = {"disk_full", "io_error", "busy",
                                                            "read_only", "cannot_open"};
    return std::find(kElsewhere.begin(), kElsewhere.end(), error.reason) == kElsewhere.end();
}

bool set_aside(const std::string& path) {
    const std::string to = path + ".set-aside";
    const bool moved = std::rename(path.c_str(), to.c_str()) == 0;
    // The log belongs to its file; a new file must not find it.
    if (std::rename((path + "-wal").c_str(), (to + "-wal").c_str()) != 0) {
        (void)std::remove((to + "-wal").c_str());
    }
    (void)std::remove((path + "-shm").c_str());
    return moved;
}

Result<void> shrink(Database& db) {
    const auto unused = db.query_int("PRAGMA freelist_count");
    if (!unused) return fail(unused.error());
    const auto pages = db.query_int("PRAGMA page_count");
    if (!pages) return fail(pages.error());
    // A quarter stays for the next rows: giving back and taking again would be work for nothing.
    if (unused->value_or(0) < 256 || unused->value_or(0) * 4 < pages->value_or(0)) return {};
    return db.exec("PRAGMA incremental_vacuum(1024)");
}

}  // namespace leeway::store::sqlite
