#pragma once

#include "base/hash.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace leeway::models {

/// Vectors of texts in an append-only file, one file per fingerprint: docs/formats/embedding-cache.md. Several
/// processes may use it at once. A cut tail is dropped, a damaged record is not found. The texts are not in it, only
/// their SHA-256. One thread at a time.
class VectorFile {
public:
    /// Makes the folder and the file when they are not there; a file of another form is replaced. Errors: kConfig (no
    /// permission, a full disk).
    [[nodiscard]] static Result<VectorFile> open(const std::filesystem::path& folder,
                                                 std::string_view fingerprint,
                                                 std::uint32_t dimension);
    ~VectorFile();
    VectorFile(VectorFile&& other) noexcept;
    VectorFile& operator=(VectorFile&&) = delete;
    VectorFile(const VectorFile&) = delete;
    VectorFile& operator=(const VectorFile&) = delete;

    /// Looks for what this and other processes have added since.
    void refresh();
    /// The vector of a text, valid until the next `refresh`; empty when it is not there.
    [[nodiscard]] std::span<const float> find(const Sha256& text) const noexcept;
    /// Appends `texts.size()` vectors (rows of `values`). Not found before the next `refresh`. Errors: kConfig; what
    /// was written of it is dropped by the next writer.
    [[nodiscard]] Result<void> append(std::span<const Sha256> texts, std::span<const float> values);

    [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }

private:
    VectorFile(int fd, std::string path, std::uint32_t dimension) noexcept
        : fd_(fd), path_(std::move(path)), dimension_(dimension) {}
    [[nodiscard]] std::size_t record_bytes() const noexcept;
    void unmap() noexcept;

    int fd_;
    std::string path_;
    std::uint32_t dimension_;
    const char* map_ = nullptr;
    std::size_t mapped_ = 0;  // bytes
    std::size_t indexed_ = 0;  // records that are in records_
    std::unordered_map<Sha256, std::uint32_t, Sha256Hasher>
        records_;  // text -> number of its record
};

}  // namespace leeway::models
