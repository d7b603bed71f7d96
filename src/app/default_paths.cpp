#include "app/default_paths.hpp"

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

std::string environment(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::string() : std::string(value);
}

std::string cache_folder() {
    std::string cache = environment("LEEWAY_CACHE");
    if (cache.empty()) {
        const std::string xdg = environment("XDG_CACHE_HOME");
        cache = xdg.empty() ? environment("HOME") + "/.cache/leeway" : xdg + "/leeway";
    }
    return cache;
}

std::string default_model_folder() {
    if (const std::string folder = environment("LEEWAY_MODELS"); !folder.empty()) {
        return absolute(folder).string();
    }
    return cache_folder() + "/models";
}

std::string default_price_book() {
    std::string path = environment("LEEWAY_PRICES");
    path = path.empty() ? cache_folder() + "/prices/book.json" : absolute(path).string();
    return access(path.c_str(), F_OK) == 0 ? path : std::string();
}

std::string default_vocabulary_folder() {
    const std::string folder = environment("LEEWAY_VOCABULARIES");
    return folder.empty() ? cache_folder() + "/vocabularies" : folder;
}

}  // namespace leeway::app
