#pragma once

#include <string>
#include <string_view>

namespace leeway::lab {

/// The strings of a list as Python writes it (`['What is …', "it's"]`), a line each. What is no such list, or has half a
/// surrogate pair in it, is given back as it is.
[[nodiscard]] std::string text_of_python_list(std::string_view text);

}  // namespace leeway::lab
