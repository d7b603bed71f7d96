#include "prices/match.hpp"

#include "base/strings.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <utility>

namespace leeway::prices {

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = ascii_lower(c);
    return out;
}

Result<Matcher> Matcher::of(Kind kind, std::string text) {
    Matcher out;
    out.kind_ = kind;
    if (kind == Kind::kRegex) {
        re2::RE2::Options options;
        options.set_log_errors(false);
        auto regex = std::make_shared<re2::RE2>(text, options);
        if (!regex->ok()) {
            return fail(ErrorCode::kConfig,
                        "the pattern '" + text + "' is none: " + regex->error());
        }
        out.regex_ = std::move(regex);
        return out;
    }
    out.text_ = lower_case(text);
    return out;
}

Matcher Matcher::of(Kind kind, std::vector<Matcher> parts) {
    Matcher out;
    out.kind_ = kind;
    out.parts_ = std::move(parts);
    return out;
}

Matcher::Kind Matcher::kind_of(std::string_view word) noexcept {
    constexpr std::pair<std::string_view, Kind> kWords[] = {{"equals", Kind::kEquals},
                                                            {"starts_with", Kind::kStartsWith},
                                                            {"ends_with", Kind::kEndsWith},
                                                            {"contains", Kind::kContains},
                                                            {"regex", Kind::kRegex},
                                                            {"or", Kind::kOr},
                                                            {"and", Kind::kAnd},
                                                            {"not", Kind::kNot}};
    for (const auto& [text, kind] : kWords) {
        if (text == word) return kind;
    }
    return Kind::kNever;
}

bool Matcher::matches(std::string_view lower) const {
    const auto part = [lower](const Matcher& matcher) {
        return matcher.matches(lower);
    };
    switch (kind_) {
        case Kind::kNever: return false;
        case Kind::kEquals: return lower == text_;
        case Kind::kStartsWith: return lower.starts_with(text_);
        case Kind::kEndsWith: return lower.ends_with(text_);
        case Kind::kContains: return lower.find(text_) != std::string_view::npos;
        case Kind::kRegex:
            return re2::RE2::PartialMatch(re2::StringPiece(lower.data(), lower.size()), *regex_);
        case Kind::kOr: return std::any_of(parts_.begin(), parts_.end(), part);
        case Kind::kAnd: return std::all_of(parts_.begin(), parts_.end(), part);
        case Kind::kNot: return std::none_of(parts_.begin(), parts_.end(), part);
    }
    return false;
}

}  // namespace leeway::prices
