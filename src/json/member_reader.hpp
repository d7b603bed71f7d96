#pragma once

#include "json/node.hpp"
#include "json/number.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::json {

/// Reads members of one object, which outlives it, and remembers the first that is missing or out of range: for files
/// that a program wrote, where it is enough to say which.
class MemberReader {
public:
    explicit MemberReader(const Node& node) : node_(node) {}

    std::string text(std::string_view key) {
        const Node* found = node_.find(key);
        if (found != nullptr && found->is_string()) return found->text;
        miss(key);
        return {};
    }
    double number(std::string_view key, double least, double most) {
        const Node* found = node_.find(key);
        const auto value = found != nullptr && found->kind == Node::Kind::kRaw
                               ? to_double(found->text)
                               : std::nullopt;
        if (value && *value >= least && *value <= most) return *value;
        miss(key);
        return least;
    }
    /// 0 to `most`.
    std::size_t count(std::string_view key, std::int64_t most = 1'000'000'000'000) {
        return static_cast<std::size_t>(integer(key, most));
    }
    std::int64_t integer(std::string_view key, std::int64_t most) {
        const Node* found = node_.find(key);
        const auto value = found != nullptr ? found->integer() : std::nullopt;
        if (value && *value >= 0 && *value <= most) return *value;
        miss(key);
        return 0;
    }
    bool yes(std::string_view key) {
        const Node* found = node_.find(key);
        if (found == nullptr || !found->is_bool()) miss(key);
        return found != nullptr && found->is_true();
    }
    /// Marks a member that somebody else found wrong.
    void miss(std::string_view key) {
        if (missing_.empty()) missing_ = key;
    }
    [[nodiscard]] const std::string& missing() const noexcept { return missing_; }

private:
    const Node& node_;
    std::string missing_;
};

}  // namespace leeway::json
