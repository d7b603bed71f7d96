#include "methods/router/semantic/rule.hpp"

#include "base/strings.hpp"
#include "methods/router/semantic/words.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

namespace leeway::router {

class Rule::Condition {
public:
    virtual ~Condition() = default;
    [[nodiscard]] virtual bool holds(TextSignals& signals) const = 0;
};

namespace {

using Node = std::unique_ptr<const Rule::Condition>;
// Deeper than anybody writes, and far from the end of the stack.
constexpr int kMostDepth = 64;

class Keyword final : public Rule::Condition {
public:
    explicit Keyword(std::vector<std::string> phrases) : phrases_(std::move(phrases)) {}
    [[nodiscard]] bool holds(TextSignals& signals) const override {
        return std::any_of(phrases_.begin(), phrases_.end(),
                           [&](const std::string& one) { return signals.has_phrase(one); });
    }

private:
    std::vector<std::string> phrases_;  // folded
};

class Matches final : public Rule::Condition {
public:
    explicit Matches(const std::string& pattern) : pattern_(pattern, RE2::Quiet) {}
    [[nodiscard]] const RE2& pattern() const noexcept { return pattern_; }
    [[nodiscard]] bool holds(TextSignals& signals) const override {
        const std::string_view text = signals.text();
        return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), pattern_);
    }

private:
    RE2 pattern_;
};

class Language final : public Rule::Condition {
public:
    explicit Language(std::vector<std::string> codes) : codes_(std::move(codes)) {}
    [[nodiscard]] bool holds(TextSignals& signals) const override {
        return std::find(codes_.begin(), codes_.end(), signals.language()) != codes_.end();
    }

private:
    std::vector<std::string> codes_;
};

class Length final : public Rule::Condition {
public:
    Length(bool longer, std::size_t limit) : longer_(longer), limit_(limit) {}
    [[nodiscard]] bool holds(TextSignals& signals) const override {
        return longer_ ? signals.characters() > limit_ : signals.characters() < limit_;
    }

private:
    bool longer_;
    std::size_t limit_;
};

class Not final : public Rule::Condition {
public:
    explicit Not(Node inner) : inner_(std::move(inner)) {}
    [[nodiscard]] bool holds(TextSignals& signals) const override {
        return !inner_->holds(signals);
    }

private:
    Node inner_;
};

class Either final : public Rule::Condition {
public:
    Either(std::vector<Node> parts, bool all) : parts_(std::move(parts)), all_(all) {}
    [[nodiscard]] bool holds(TextSignals& signals) const override {
        const auto one = [&](const Node& part) {
            return part->holds(signals);
        };
        return all_ ? std::all_of(parts_.begin(), parts_.end(), one)
                    : std::any_of(parts_.begin(), parts_.end(), one);
    }

private:
    std::vector<Node> parts_;
    bool all_;
};

class Parser {
public:
    explicit Parser(std::string_view text) noexcept : text_(text) {}

    Result<Node> whole() {
        auto out = any(0);
        if (!out) return out;
        if (skip(); at_ < text_.size()) return wrong("'and', 'or' or the end was expected");
        return out;
    }

private:
    [[nodiscard]] tl::unexpected<Error> wrong(std::string_view what) const {
        return fail(ErrorCode::kConfig, fmt::format("column {}: {}", at_ + 1, what));
    }
    void skip() noexcept {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0)
            ++at_;
    }
    bool take(char c) noexcept {
        skip();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    [[nodiscard]] std::string_view peek_word() noexcept {
        skip();
        std::size_t end = at_;
        while (end < text_.size() &&
               (std::isalnum(static_cast<unsigned char>(text_[end])) != 0 || text_[end] == '_'))
            ++end;
        return text_.substr(at_, end - at_);
    }
    bool take_word(std::string_view word) noexcept {
        if (peek_word() != word) return false;
        at_ += word.size();
        return true;
    }

    Result<Node> any(int depth) { return joined(depth, false); }
    Result<Node> joined(int depth, bool all) {
        std::vector<Node> parts;
        do {
            auto part = all ? single(depth) : joined(depth, true);
            if (!part) return part;
            parts.push_back(std::move(*part));
        } while (take_word(all ? "and" : "or"));
        if (parts.size() == 1) return std::move(parts.front());
        return std::make_unique<Either>(std::move(parts), all);
    }
    Result<Node> single(int depth) {
        if (depth > kMostDepth) return wrong("too deep");
        if (take_word("not")) {
            auto inner = single(depth + 1);
            if (!inner) return inner;
            return std::make_unique<Not>(std::move(*inner));
        }
        if (take('(')) {
            auto inner = any(depth + 1);
            if (inner && !take(')')) return wrong("')' was expected");
            return inner;
        }
        return call();
    }

    Result<std::vector<std::string>> arguments() {
        if (!take('(')) return wrong("'(' was expected");
        std::vector<std::string> out;
        do {
            skip();
            std::string one;
            if (take('"')) {
                while (at_ < text_.size() && text_[at_] != '"') {
                    // Only a quote is escaped: a regular expression keeps its backslashes.
                    const bool quote = text_.substr(at_).starts_with("\\\"");
                    at_ += quote ? 1 : 0;
                    one += text_[at_++];
                }
                if (!take('"')) return wrong("a quote is not closed");
            } else {
                const std::size_t begin = at_;
                while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != ')') ++at_;
                one = trim(text_.substr(begin, at_ - begin));
            }
            if (one.empty()) return wrong("an argument is empty");
            out.push_back(std::move(one));
        } while (take(','));
        if (!take(')')) return wrong("',' or ')' was expected");
        return out;
    }

    Result<Node> call() {
        static constexpr std::array<std::string_view, 5> kNames{"keyword", "matches", "language",
                                                                "longer", "shorter"};
        const std::string_view name = peek_word();
        if (std::find(kNames.begin(), kNames.end(), name) == kNames.end()) {
            if (name.empty()) return wrong("a condition was expected, such as keyword(refund)");
            const std::vector<std::string> known(kNames.begin(), kNames.end());
            const auto near = nearest(name, known);
            return wrong(fmt::format("unknown condition '{}'{}", name,
                                     near ? fmt::format(" (did you mean '{}'?)", *near)
                                          : fmt::format(" (there are: {})", join_names(known))));
        }
        at_ += name.size();
        auto made = arguments();
        if (!made) return fail(std::move(made.error()));
        if (name == "keyword") return keyword(std::move(*made));
        if (name == "language") return language(std::move(*made));
        if (made->size() != 1) return wrong(fmt::format("{} takes one argument", name));
        if (name == "matches") return matches(made->front());
        const auto limit = parse_u64(made->front());
        if (!limit) return wrong(fmt::format("'{}' is no number of characters", made->front()));
        return std::make_unique<Length>(name == "longer", static_cast<std::size_t>(*limit));
    }
    static std::string join_names(const std::vector<std::string>& names) {
        std::string out;
        for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
        return out;
    }
    Result<Node> keyword(std::vector<std::string> phrases) const {
        for (std::string& one : phrases) {
            std::string as_words = folded(one);
            if (as_words.size() < 2) return wrong(fmt::format("'{}' has no word in it", one));
            one = std::move(as_words);
        }
        return std::make_unique<Keyword>(std::move(phrases));
    }
    Result<Node> matches(const std::string& pattern) const {
        auto out = std::make_unique<Matches>(pattern);
        if (!out->pattern().ok())
            return wrong(
                fmt::format("the regular expression is wrong: {}", out->pattern().error()));
        return out;
    }
    Result<Node> language(std::vector<std::string> codes) const {
        for (const std::string& code : codes) {
            if (code.size() != 2 || known_languages().find(code) == std::string_view::npos)
                return wrong(
                    fmt::format("unknown language '{}' (there are: {})", code, known_languages()));
        }
        return std::make_unique<Language>(std::move(codes));
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

Rule::Rule(std::unique_ptr<const Condition> condition) : condition_(std::move(condition)) {}
Rule::Rule(Rule&&) noexcept = default;
Rule& Rule::operator=(Rule&&) noexcept = default;
Rule::~Rule() = default;

Result<Rule> Rule::parse(std::string_view text) {
    auto condition = Parser(text).whole();
    if (!condition) return fail(std::move(condition.error()));
    return Rule(std::move(*condition));
}

bool Rule::holds(TextSignals& signals) const { return condition_->holds(signals); }

}  // namespace leeway::router
