#pragma once

#include "guard/budget/window.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::budget {

/// Whose money it is. The numbers stand in journals: never renumber.
enum class ScopeKind : std::uint8_t { kGlobal, kTeam, kKey, kUser, kSession, kTag };
inline constexpr std::array<std::string_view, 6> kScopeNames{"global", "team",    "key",
                                                             "user",   "session", "tag"};
[[nodiscard]] constexpr std::string_view to_string(ScopeKind kind) noexcept {
    return kScopeNames[static_cast<std::size_t>(kind)];
}

/// One thing that a request counts for: ("team", "travel"). `value` is empty for kGlobal.
struct Scope {
    ScopeKind kind = ScopeKind::kGlobal;
    std::string value;
    friend bool operator==(const Scope&, const Scope&) = default;
};
/// "global", "team:travel". The inverse of parse_scope.
[[nodiscard]] std::string to_string(const Scope& scope);
/// nullopt: no such kind.
[[nodiscard]] std::optional<Scope> parse_scope(std::string_view text);

enum class Unit : std::uint8_t { kUsd, kTokens };
[[nodiscard]] constexpr std::string_view to_string(Unit unit) noexcept {
    return unit == Unit::kUsd ? "usd" : "tokens";
}

/// Money in 1e-12 USD and tokens (input and output together) of one request. Never negative.
struct Amount {
    std::int64_t pico_usd = 0;
    std::int64_t tokens = 0;
    [[nodiscard]] std::int64_t of(Unit unit) const noexcept {
        return unit == Unit::kUsd ? pico_usd : tokens;
    }
    friend bool operator==(const Amount&, const Amount&) = default;
};

/// One limit as configured.
struct BudgetSpec {
    std::string name;  ///< unique
    ScopeKind scope = ScopeKind::kGlobal;
    std::string match;  ///< the value that it is for; empty: every value has this limit for itself
    Unit unit = Unit::kUsd;
    std::int64_t limit = 0;  ///< 1e-12 USD, or tokens
    WindowSpec window;
    bool hard = true;  ///< false: counts and tells, refuses nothing
    std::vector<std::uint32_t> alerts_bp;  ///< rising, in 0.01 % of the limit
};

}  // namespace leeway::budget
