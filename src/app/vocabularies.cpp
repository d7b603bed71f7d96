#include "app/vocabularies.hpp"

#include "tokens/vocabulary_file.hpp"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace leeway::app {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::string() : std::string(value);
}

bool is_file(const fs::path& path) {
    std::error_code error;
    return fs::exists(path, error);
}

}  // namespace

std::string vocabulary_folder() {
    if (std::string folder = environment("LEEWAY_VOCABULARIES"); !folder.empty()) return folder;
    std::string cache = environment("LEEWAY_CACHE");
    if (cache.empty()) {
        const std::string xdg = environment("XDG_CACHE_HOME");
        cache = xdg.empty() ? environment("HOME") + "/.cache/leeway" : xdg + "/leeway";
    }
    return cache + "/vocabularies";
}

Result<std::shared_ptr<const tokens::Vocabulary>> open_named_vocabulary(const std::string& name) {
    if (name.find('/') == std::string::npos) {
        for (const char* ending : {".vocabulary", ".gguf", ".json"}) {
            const fs::path path = fs::path(vocabulary_folder()) / (name + ending);
            if (is_file(path)) return tokens::open_vocabulary(path.string());
        }
    }
    if (name.find('/') != std::string::npos || is_file(name)) return tokens::open_vocabulary(name);
    return fail(
        ErrorCode::kNotFound, "there is no vocabulary '" + name + "' in " + vocabulary_folder(),
        "tools/setup.sh makes cl100k_base, o200k_base and o200k_harmony; others: --vocabulary "
        "FILE, or put NAME.gguf or NAME.json there");
}

}  // namespace leeway::app
