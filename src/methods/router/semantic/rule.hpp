#pragma once

#include "base/result.hpp"
#include "methods/router/semantic/signals.hpp"

#include <memory>
#include <string_view>

namespace leeway::router {

/// A condition on a text, such as
///
///     keyword(refund, "money back") and not (language(el) or longer(500))
///
///   keyword(A, …)     one of the words or quoted phrases stands in the text; case and accents do not count
///   matches("…")      the regular expression (RE2's syntax) is found in the text
///   language(en, …)   the text is in one of these languages; see TextSignals::language
///   longer(N), shorter(N)   the text has more, or fewer, than N characters
///
/// joined with `and`, `or`, `not` and parentheses; `and` binds closer than `or`. Immutable, any thread may ask.
class Rule {
public:
    /// Errors: kConfig, with the column of what is wrong.
    [[nodiscard]] static Result<Rule> parse(std::string_view text);
    Rule(Rule&&) noexcept;
    Rule& operator=(Rule&&) noexcept;
    ~Rule();

    [[nodiscard]] bool holds(TextSignals& signals) const;

    /// One node of the condition.
    class Condition;

private:
    explicit Rule(std::unique_ptr<const Condition> condition);
    std::unique_ptr<const Condition> condition_;
};

}  // namespace leeway::router
