#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace leeway::wire::openai {

/// One field of a form that was sent as `multipart/form-data` (RFC 7578).
struct FormPart {
    std::string name;
    std::string filename;  ///< empty: it is no file
    std::string_view content;  ///< a view into the body
};

/// The parts of a form in their order. Errors (kInvalidRequest, reason "invalid_form") say what is wrong: the
/// content type names no boundary, a part has no name, two have the same, or the last one has no end.
[[nodiscard]] Result<std::vector<FormPart>> read_form(std::string_view content_type,
                                                      std::string_view body);

}  // namespace leeway::wire::openai
