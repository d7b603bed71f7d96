#include "base/gzip_file.hpp"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace leeway {
namespace {

gzFile handle(void* file) noexcept { return static_cast<gzFile>(file); }

}  // namespace

void GzipFile::Close::operator()(void* file) const noexcept { (void)gzclose_r(handle(file)); }

Result<GzipFile> GzipFile::open(std::string path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error))
        return fail(ErrorCode::kConfig, path + ": this is a folder");
    errno = 0;
    gzFile file = gzopen(path.c_str(), "rbe");
    if (file == nullptr) {
        return fail(ErrorCode::kConfig, path + ": cannot be opened: " +
                                            (errno == 0 ? "out of memory" : std::strerror(errno)));
    }
    (void)gzbuffer(file, 128U * 1024);  // zlib's own default is 8 KiB
    return GzipFile(std::move(path), file);
}

Result<std::size_t> GzipFile::read(std::span<char> to) {
    const int got = gzread(handle(file_.get()), to.data(), static_cast<unsigned>(to.size()));
    // A file that ends within a member gives what it has and tells the fault with the last bytes.
    int code = Z_OK;
    const char* const why = gzerror(handle(file_.get()), &code);
    if (got >= 0 && (code == Z_OK || code == Z_STREAM_END)) return static_cast<std::size_t>(got);
    if (code == Z_BUF_ERROR)
        return fail(ErrorCode::kConfig, path_ + ": the gzip file is cut: its end is missing");
    if (code == Z_ERRNO)
        return fail(ErrorCode::kConfig, path_ + ": cannot be read: " + std::strerror(errno));
    return fail(ErrorCode::kConfig, path_ + ": the gzip file is damaged: " + why);
}

}  // namespace leeway
