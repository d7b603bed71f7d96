#pragma once

#include "base/result.hpp"

#include <string>

namespace leeway::store::sqlite {

class Database;

// For databases whose contents can be done without.

/// An error that lies in the file (damaged, foreign, newer), not in the
/// machine around it.
[[nodiscard]] bool is_of_the_file(const Error& error) noexcept;

/// Moves a database that nobody has open, with its log, to `<path>.set-aside`. False: it could not be moved.
[[nodiscard]] bool set_aside(const std::string& path);

/// Gives a bounded number of unused pages back to the file system when there are many. Only with
/// `PRAGMA auto_vacuum = INCREMENTAL`.
[[nodiscard]] Result<void> shrink(Database& db);

}  // namespace leeway::store::sqlite
