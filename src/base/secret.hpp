#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace leeway {

/// A secret that cannot be printed by accident: it has no stream or format conversion, and
/// `expose()` is the one, greppable way to the text.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}
    [[nodiscard]] const std::string& expose() const noexcept { return text_; }
    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
    friend bool operator==(const Secret&, const Secret&) = default;

private:
    std::string text_;
};

}  // namespace leeway
