#include "app/openapi.hpp"

#include "app/commands.hpp"
#include "app/terminal.hpp"

namespace leeway::app {

int run_openapi(const OpenapiOptions&) { return print_out(openapi_document()); }

}  // namespace leeway::app
