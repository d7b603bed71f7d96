#pragma once

#include <array>
#include <cstddef>
#include <forward_list>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::json {

/// The keys of one object, to find a duplicate. Cheap for ordinary objects (no allocation up to
/// `kFew` keys) and n·log n for hostile ones, with no hash to attack. Views into the text.
class KeySet {
public:
    /// Adds a key as it is spelled between its quotes; `escaped`: it holds a backslash. False when the
    /// key is already known to be a duplicate.
    [[nodiscard]] bool add(std::string_view raw, bool escaped);
    /// After the last key: whether all keys differ.
    [[nodiscard]] bool all_differ();
    /// The key that came twice, once one of the above was false.
    [[nodiscard]] const std::string& duplicate() const noexcept { return duplicate_; }

private:
    static constexpr std::size_t kFew = 16;

    std::array<std::string_view, kFew> few_;
    std::size_t few_count_ = 0;
    std::vector<std::string_view> many_;
    std::forward_list<std::string> decoded_;  // stable addresses
    std::string duplicate_;
};

}  // namespace leeway::json
