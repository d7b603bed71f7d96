#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <string>

namespace leeway {

/// SHA-256 of a whole file in lower-case hexadecimal, read in pieces. Errors: kConfig.
[[nodiscard]] Result<std::string> sha256_of_file(const std::filesystem::path& file);

}  // namespace leeway
