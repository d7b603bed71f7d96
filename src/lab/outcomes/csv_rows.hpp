#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::lab {

/// Gives the next bytes of a file: fills `to` as far as there are any and returns how many; 0 is the end.
using ReadBytes = std::function<Result<std::size_t>(std::span<char> to)>;

/// Reads a CSV file (RFC 4180) row by row in constant memory: fields may be quoted and then hold commas, line ends and
/// doubled quotes; lines end with LF or CRLF; a byte order mark is passed over. One thread at a time.
class CsvRows {
public:
    explicit CsvRows(ReadBytes bytes) : bytes_(std::move(bytes)) {}

    /// The next row, false at the end. Lines without anything are passed over. Errors (kConfig), with line and column:
    /// a quote that is not closed or stands within a field, a field of more than kMostFieldBytes, more than kMostFields
    /// fields; and those of `bytes`.
    [[nodiscard]] Result<bool> next();
    /// The fields of that row, valid until the next call.
    [[nodiscard]] const std::vector<std::string>& fields() const noexcept { return fields_; }
    /// The line in which that row begins, from 1.
    [[nodiscard]] std::size_t line() const noexcept { return row_line_; }

    static constexpr std::size_t kMostFieldBytes = 64UL * 1024 * 1024;
    static constexpr std::size_t kMostFields = 65536;

private:
    [[nodiscard]] Result<int> take();  // the next byte, -1 at the end
    [[nodiscard]] Result<int> peek();
    [[nodiscard]] Result<bool> quoted(std::string& field);  // after the opening quote
    [[nodiscard]] tl::unexpected<Error> bad(std::string_view why) const;

    ReadBytes bytes_;
    std::vector<char> buffer_;
    std::size_t at_ = 0;
    std::size_t filled_ = 0;
    bool started_ = false;
    std::size_t line_ = 1;
    std::size_t row_line_ = 0;
    std::vector<std::string> fields_;
};

}  // namespace leeway::lab
