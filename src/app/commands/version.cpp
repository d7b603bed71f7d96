#include "app/commands.hpp"
#include "app/terminal.hpp"
#include "json/write.hpp"
#include "leeway_build_info.hpp"

#include <fmt/format.h>

namespace leeway::app {
namespace {

#ifdef LEEWAY_HAVE_LLAMA
constexpr bool kHasEmbeddedModels = true;
#else
constexpr bool kHasEmbeddedModels = false;
#endif

}  // namespace

int run_version(const VersionOptions& options) {
    if (options.json) {
        std::string out;
        json::Writer writer(out);
        writer.object().key("version").string(LEEWAY_VERSION);
        writer.key("build").string(LEEWAY_BUILD_TYPE);
        writer.key("compiler").string(LEEWAY_BUILD_COMPILER);
        writer.key("embedded_models").boolean(kHasEmbeddedModels).close_object();
        return print_out(out + "\n");
    }
    return print_out(fmt::format("leeway {} ({}, {}, {} embedded models)\n", LEEWAY_VERSION,
                                 LEEWAY_BUILD_TYPE, LEEWAY_BUILD_COMPILER,
                                 kHasEmbeddedModels ? "with" : "without"));
}

}  // namespace leeway::app
