#include "methods/router/semantic/arguments/argument_parser.hpp"

#include "json/node.hpp"
#include "methods/router/semantic/arguments/argument_candidates.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace leeway::router {
namespace {

enum class Kind : std::uint8_t { kPattern, kDate, kNumber, kChoice, kBoolean, kString };
constexpr std::array kOrder{Kind::kPattern, Kind::kDate,    Kind::kNumber,
                            Kind::kChoice,  Kind::kBoolean, Kind::kString};

Kind kind_of(const ArgumentProperty& property) noexcept {
    switch (property.type) {
        case ArgumentType::kInteger:
        case ArgumentType::kNumber: return Kind::kNumber;
        case ArgumentType::kBoolean: return Kind::kBoolean;
        case ArgumentType::kString: break;
    }
    if (property.regex) return Kind::kPattern;
    if (property.date) return Kind::kDate;
    return property.choices.empty() ? Kind::kString : Kind::kChoice;
}

class Parser {
public:
    Parser(const ArgumentSchema& schema, std::string_view text, Day today)
        : schema_(schema),
          in_(text, today),
          out_(schema.properties.size()),
          candidates_(schema.properties.size()) {}

    std::vector<ArgumentValue> run() {
        for (const Kind kind : kOrder) {
            std::vector<std::size_t> open;
            for (std::size_t i = 0; i < schema_.properties.size(); ++i) {
                if (kind_of(schema_.properties[i]) != kind) continue;
                candidates_[i] = candidates_of(kind, schema_.properties[i]);
                drop_claimed(candidates_[i]);
                open.push_back(i);
            }
            take_cued(open);
            take_left_over(open);
        }
        return std::move(out_);
    }

private:
    [[nodiscard]] Candidates candidates_of(Kind kind, const ArgumentProperty& property) const {
        switch (kind) {
            case Kind::kPattern: return pattern_candidates(property, in_);
            case Kind::kDate: return date_candidates(property, in_);
            case Kind::kNumber: return number_candidates(property, in_, claims_);
            case Kind::kChoice: return choice_candidates(property, in_);
            case Kind::kBoolean: return boolean_candidates(property, in_);
            case Kind::kString: break;
        }
        return string_candidates(property, schema_, in_, claims_);
    }
    void drop_claimed(Candidates& candidates) const {
        std::erase_if(candidates, [&](const ArgumentCandidate& one) {
            return std::any_of(claims_.begin(), claims_.end(),
                               [&](const Span& claim) { return claim.overlaps(one.span); });
        });
    }

    /// One value: it is found. Several: which one is meant is not known.
    void settle(std::size_t property, const Candidates& among) {
        if (among.empty()) return;
        ArgumentValue& value = out_[property];
        const bool same = std::all_of(among.begin(), among.end(), [&](const auto& one) {
            return one.json == among.front().json && !one.unsure;
        });
        value.state = same ? ArgumentState::kFound : ArgumentState::kAmbiguous;
        if (!same) return;
        value.json = among.front().json;
        value.span = among.front().span;
    }
    void claim(const Candidates& taken) {
        for (const ArgumentCandidate& one : taken) claims_.push_back(one.span);
    }

    /// Properties with a value beside one of their words are done; `open` keeps the others.
    void take_cued(std::vector<std::size_t>& open) {
        Candidates taken;
        std::erase_if(open, [&](std::size_t i) {
            Candidates cued = candidates_[i];
            std::erase_if(cued, [](const auto& one) { return !one.cued; });
            settle(i, cued);
            taken.insert(taken.end(), cued.begin(), cued.end());
            return !cued.empty();
        });
        claim(taken);
        for (const std::size_t i : open) drop_claimed(candidates_[i]);
    }

    void take_left_over(const std::vector<std::size_t>& open) {
        for (const std::size_t i : open)
            std::erase_if(candidates_[i], [](const auto& one) { return !one.alone; });
        Candidates taken;
        for (const std::size_t i : open) {
            Candidates mine = candidates_[i];
            const bool shared = std::any_of(open.begin(), open.end(), [&](std::size_t other) {
                return other != i && overlap(mine, candidates_[other]);
            });
            // It may be the other's.
            if (shared && !mine.empty()) mine.front().unsure = true;
            settle(i, mine);
            taken.insert(taken.end(), mine.begin(), mine.end());
        }
        claim(taken);
    }
    [[nodiscard]] static bool overlap(const Candidates& a, const Candidates& b) {
        for (const ArgumentCandidate& one : a)
            for (const ArgumentCandidate& other : b)
                if (one.span.overlaps(other.span)) return true;
        return false;
    }

    const ArgumentSchema& schema_;
    const ArgumentText in_;
    std::vector<ArgumentValue> out_;
    std::vector<Candidates> candidates_;
    Claims claims_;
};

}  // namespace

std::string_view to_string(ArgumentState state) noexcept {
    switch (state) {
        case ArgumentState::kMissing: break;
        case ArgumentState::kAmbiguous: return "ambiguous";
        case ArgumentState::kFound: return "found";
    }
    return "missing";
}

std::string ArgumentValue::text() const {
    if (json.empty()) return {};
    const auto node = json::parse_node(json);
    return node ? node->text : std::string();
}

std::vector<ArgumentValue> parse_arguments(const ArgumentSchema& schema, std::string_view text,
                                           Day today) {
    if (schema.properties.empty()) return {};
    return Parser(schema, text, today).run();
}

}  // namespace leeway::router
