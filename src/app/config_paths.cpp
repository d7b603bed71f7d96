#include "app/config_model.hpp"
#include "app/default_paths.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace leeway::app {
namespace {

namespace fs = std::filesystem;

fs::path absolute(const fs::path& path) {
    std::error_code error;
    const fs::path out = fs::absolute(path, error);
    return error ? path : out.lexically_normal();
}

}  // namespace

std::string resolve_path(const std::string& config_path, const std::string& path) {
    if (path.empty() || path.front() == '/') return path;
    if (path.starts_with("~/")) return environment("HOME") + path.substr(1);
    fs::path folder = absolute(config_path).parent_path();
    if (folder.filename() == "config") folder = folder.parent_path();
    std::string out = (folder / path).lexically_normal().string();
    while (out.size() > 1 && out.back() == '/') out.pop_back();
    return out;
}

void fill_paths(Config& config) {
    config.server.state = resolve_path(config.path, config.server.state);
    config.local.folder = config.local.folder.empty()
                              ? default_model_folder()
                              : resolve_path(config.path, config.local.folder);
    config.prices.book = config.prices.book_named ? resolve_path(config.path, config.prices.book)
                                                  : default_price_book();
    // A name stays one: it is looked for where the vocabularies are.
    const auto resolve_vocabulary = [&](std::string& name) {
        if (name.find('/') != std::string::npos) name = resolve_path(config.path, name);
    };
    for (ModelConfig& model : config.models) resolve_vocabulary(model.vocabulary);
    for (tokens::ModelRule& rule : config.tokenizers) resolve_vocabulary(rule.tokens.vocabulary);
    config.prices.overlay = resolve_path(config.path, config.prices.overlay);
    for (RouteConfig& route : config.routes) {
        route.semantic_routes.file = resolve_path(config.path, route.semantic_routes.file);
        route.guard.topics = resolve_path(config.path, route.guard.topics);
        route.cascade.policy = resolve_path(config.path, route.cascade.policy);
        route.router.policy = resolve_path(config.path, route.router.policy);
    }
    for (ProviderConfig& provider : config.providers) {
        provider.ca_file = resolve_path(config.path, provider.ca_file);
        provider.vertex.service_account =
            resolve_path(config.path, provider.vertex.service_account);
    }
}

Result<std::string> default_config_path() {
    std::string here = "config/leeway.yaml";
    if (access(here.c_str(), F_OK) == 0) return here;
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    if (!error) {
        // build/release/leeway -> the project two folders up
        const fs::path project = program.parent_path().parent_path().parent_path();
        const fs::path there = project / here;
        if (access(there.c_str(), F_OK) == 0) return there.string();
        return fail(
            ErrorCode::kConfig,
            fmt::format("no configuration file: neither ./{} nor {} exists", here, there.string()),
            "give one with --config FILE");
    }
    return fail(ErrorCode::kConfig, fmt::format("no configuration file ./{}", here),
                "give one with --config FILE");
}

}  // namespace leeway::app
