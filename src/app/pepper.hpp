#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"

#include <string>

namespace leeway::app {

/// Makes `folder` and its parents when missing; what it makes only the owner can enter.
[[nodiscard]] Result<void> make_private_folder(const std::string& folder);

/// The 32 random bytes of `<state>/pepper`. When the file is missing it is made if `may_create`,
/// safely when two processes do so at once; otherwise that is an error, because the stored keys
/// were made with the pepper that is gone. Also an error: others than the owner can read it, or its
/// length is wrong.
[[nodiscard]] Result<Secret> load_pepper(const std::string& state_folder, bool may_create);

}  // namespace leeway::app
