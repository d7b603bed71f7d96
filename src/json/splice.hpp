#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::json {

/// Replaces `length` bytes at `offset` of the original by `replacement`; length 0 inserts.
struct Edit {
    std::size_t offset = 0;
    std::size_t length = 0;
    std::string replacement;
};

/// Edits over immutable bytes. The result is a list of views into the original and the replacements, for
/// a scatter write: spans that no edit touches are never copied.
///
/// The original must outlive the splice, and the splice must outlive the views, which `add` and moving
/// the splice make invalid.
class Splice {
public:
    explicit Splice(std::string_view original) noexcept : original_(original) {}

    /// Takes an edit, in any order. Several insertions at one offset appear in the order they were added.
    /// Fails with `kInternal` when it leaves the original or overlaps an earlier edit; nothing changes then.
    [[nodiscard]] Result<void> add(Edit edit);

    [[nodiscard]] bool empty() const noexcept { return edits_.empty(); }
    [[nodiscard]] std::string_view original() const noexcept { return original_; }
    /// Sorted by offset.
    [[nodiscard]] const std::vector<Edit>& edits() const noexcept { return edits_; }
    /// Size of the result in bytes.
    [[nodiscard]] std::size_t size() const noexcept { return original_.size() + added_ - removed_; }
    /// The result in order; no view is empty.
    [[nodiscard]] std::vector<std::string_view> pieces() const;
    /// The result as one string.
    [[nodiscard]] std::string str() const;

private:
    std::string_view original_;
    std::vector<Edit> edits_;
    std::size_t added_ = 0;
    std::size_t removed_ = 0;
};

}  // namespace leeway::json
