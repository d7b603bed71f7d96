#include "base/file_hash.hpp"

#include "base/hash.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace leeway {

Result<std::string> sha256_of_file(const std::filesystem::path& file) {
    const auto problem = [&](const char* what) {
        return fail(ErrorCode::kConfig, fmt::format("file {} cannot be {}: {}", file.string(), what,
                                                    std::strerror(errno)));
    };
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return problem("opened");
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          &EVP_MD_CTX_free);
    bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
    std::vector<char> buffer(std::size_t{1} << 20U);
    ssize_t got = 1;
    while (good && got != 0) {
        got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        good = got >= 0 &&
               EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(got)) == 1;
    }
    ::close(fd);
    Sha256 digest{};
    unsigned length = 0;
    if (!good || EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1)
        return problem("read");
    return to_hex(digest);
}

}  // namespace leeway
