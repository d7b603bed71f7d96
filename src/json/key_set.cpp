#include "json/key_set.hpp"

#include "json/text.hpp"

#include <algorithm>

namespace leeway::json {

bool KeySet::add(std::string_view raw, bool escaped) {
    std::string_view key = raw;
    if (escaped) {
        decoded_.emplace_front();
        if (append_unescaped(decoded_.front(), raw)) key = decoded_.front();
    }
    for (std::size_t i = 0; i < few_count_; ++i) {
        if (few_[i] == key) {
            duplicate_ = key;
            return false;
        }
    }
    if (few_count_ < kFew) {
        few_[few_count_++] = key;
    } else {
        many_.push_back(key);
    }
    return true;
}

bool KeySet::all_differ() {
    if (many_.empty()) return true;
    std::sort(many_.begin(), many_.end());
    const auto twin = std::adjacent_find(many_.begin(), many_.end());
    if (twin == many_.end()) return true;
    duplicate_ = *twin;
    return false;
}

}  // namespace leeway::json
