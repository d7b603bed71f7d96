#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace leeway {

/// Reads a file from its beginning; one that is gzip is unpacked on the way, in constant memory. One thread at a time.
class GzipFile {
public:
    /// Errors: kConfig (it cannot be opened, it is a folder).
    [[nodiscard]] static Result<GzipFile> open(std::string path);

    /// Fills `to` as far as there is something and returns how many bytes; 0 is the end. Errors: kConfig (damaged or
    /// cut gzip, the disk); they name the file.
    [[nodiscard]] Result<std::size_t> read(std::span<char> to);

private:
    struct Close {
        void operator()(void* file) const noexcept;
    };
    GzipFile(std::string path, void* file) : path_(std::move(path)), file_(file) {}

    std::string path_;
    std::unique_ptr<void, Close> file_;  // zlib's gzFile
};

}  // namespace leeway
