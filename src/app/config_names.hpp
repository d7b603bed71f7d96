#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

// Parts of a configuration are found by their names.

template <class T>
[[nodiscard]] std::vector<std::string> names_of(const std::vector<T>& items) {
    std::vector<std::string> out;
    out.reserve(items.size());
    for (const T& item : items) out.push_back(item.name);
    return out;
}

[[nodiscard]] inline bool contains(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// The first of this name; null: there is none.
template <class T>
[[nodiscard]] const T* find_named(const std::vector<T>& items, std::string_view name) {
    const auto at =
        std::find_if(items.begin(), items.end(), [&](const T& item) { return item.name == name; });
    return at == items.end() ? nullptr : &*at;
}

}  // namespace leeway::app
