#pragma once

#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <type_traits>

namespace leeway::models {

/// Reads a file from front to back through a small buffer. The first failure sticks: later reads give
/// zeros, so a parser checks `ok()` where it is about to rely on a value.
class GgufReader {
public:
    explicit GgufReader(const std::filesystem::path& file);
    ~GgufReader();
    GgufReader(const GgufReader&) = delete;
    GgufReader& operator=(const GgufReader&) = delete;

    [[nodiscard]] bool ok() const noexcept { return !failed_; }
    /// What failed; empty while `ok()`.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
    [[nodiscard]] std::uint64_t left() const noexcept { return size_ - position_; }

    /// Marks the file as bad; the first reason is kept.
    void fail_with(std::string problem);

    /// A number in little-endian order.
    template <class T>
    [[nodiscard]] T number() {
        static_assert(std::is_arithmetic_v<T>);
        T value{};
        std::array<char, sizeof(T)> bytes{};
        if (read(bytes.data(), bytes.size())) std::memcpy(&value, bytes.data(), sizeof(T));
        return value;
    }
    /// A string with its 64-bit length; longer than `limit` is a failure that names `what`.
    [[nodiscard]] std::string text(std::uint64_t limit, const char* what);
    /// Skips a string likewise, without keeping it.
    void skip_text(std::uint64_t limit, const char* what);
    /// Skips bytes that must be there.
    void skip(std::uint64_t count);

private:
    bool read(char* to, std::size_t count);
    bool fill();

    int fd_;
    bool failed_ = false;
    std::string problem_;
    std::uint64_t size_ = 0;
    std::uint64_t position_ = 0;  // of the next byte to hand out
    std::uint64_t buffer_start_ = 0;  // file position of buffer_[0]
    std::size_t buffer_size_ = 0;
    std::array<char, 65536> buffer_{};
};

}  // namespace leeway::models
