#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace leeway::json::testing {

/// The folder `below` of the public test data, or an empty path when it is not on this machine. Looked
/// for under $LEEWAY_TEST_DATA, else beside the source tree.
inline std::filesystem::path test_data(std::string_view below) {
    const char* root = std::getenv("LEEWAY_TEST_DATA");
    std::filesystem::path folder = root != nullptr ? root : LEEWAY_SOURCE_DIR "/../shared/data";
    folder /= below;
    std::error_code error;
    return std::filesystem::is_directory(folder, error) ? folder : std::filesystem::path();
}

/// What a test that needs the data says when it is skipped.
inline std::string skip_message(std::string_view below) {
    return "no test data '" + std::string(below) +
           "': set LEEWAY_TEST_DATA to the folder that holds it";
}

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The regular files in `folder` by name.
inline std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace leeway::json::testing
