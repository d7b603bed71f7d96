#pragma once

#include <string>

namespace leeway::app {

/// The client API and the admin port as an OpenAPI 3.1 document (JSON, with line breaks): the places of
/// places.hpp, what is read of their bodies, and the errors in each dialect.
[[nodiscard]] std::string openapi_document();

}  // namespace leeway::app
