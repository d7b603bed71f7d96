#include "methods/cascade/check/json_schema.hpp"

#include "json/number.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace leeway::cascade::check {
namespace {

using json::Node;

constexpr std::size_t kMostSteps = 100'000;
constexpr std::size_t kMostDepth = 128;

/// Keywords that say nothing about what is valid.
constexpr std::array<std::string_view, 14> kAnnotations{
    "title", "description", "default",  "examples",  "$schema",    "$id",    "$comment",
    "$defs", "definitions", "readOnly", "writeOnly", "deprecated", "strict", "nullable"};

std::size_t code_points(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

std::optional<double> number_of(const Node& node) {
    return node.is_number() ? json::to_double(node.text) : std::nullopt;
}

bool equal(const Node& a, const Node& b);

bool equal_objects(const Node& a, const Node& b) {
    return a.members.size() == b.members.size() &&
           std::all_of(a.members.begin(), a.members.end(), [&](const Node::Member& member) {
               const Node* const other = b.find(member.key);
               return other != nullptr && equal(member.value, *other);
           });
}

bool equal(const Node& a, const Node& b) {
    if (a.kind != b.kind) return false;
    switch (a.kind) {
        case Node::Kind::kNull: return true;
        case Node::Kind::kString: return a.text == b.text;
        case Node::Kind::kArray:
            return std::equal(a.elements.begin(), a.elements.end(), b.elements.begin(),
                              b.elements.end(), equal);
        case Node::Kind::kObject: return equal_objects(a, b);
        case Node::Kind::kRaw: break;
    }
    if (a.is_bool() || b.is_bool()) return a.text == b.text;
    std::string first;
    std::string second;
    json::append_normal_number(first, a.text);
    json::append_normal_number(second, b.text);
    return first == second;
}

bool is_whole(const Node& value) {
    const auto number = number_of(value);
    return number && std::floor(*number) == *number;
}

bool is_of(const Node& value, std::string_view type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "null") return value.is_null();
    if (type == "boolean") return value.is_bool();
    if (type == "number") return value.is_number();
    return type == "integer" && is_whole(value);
}

/// One check; `path` grows and shrinks as it walks.
class Checker {
public:
    explicit Checker(const Node& root) : root_(root) {}

    bool valid(const Node& value, const Node& schema) {
        if (++steps_ > kMostSteps || depth_ >= kMostDepth) {
            unknown_ = true;
            return true;
        }
        ++depth_;
        const bool out = valid_here(value, schema);
        --depth_;
        return out;
    }
    [[nodiscard]] bool unknown() const noexcept { return unknown_; }
    [[nodiscard]] std::string why() const { return why_; }

private:
    bool fault(std::string_view what) {
        if (why_.empty()) why_ = fmt::format("{}: {}", path_.empty() ? "/" : path_, what);
        return false;
    }

    bool valid_here(const Node& value, const Node& schema) {
        if (schema.is_bool()) return schema.is_true() || fault("nothing is allowed here");
        if (!schema.is_object()) {
            unknown_ = true;
            return true;
        }
        return std::all_of(
            schema.members.begin(), schema.members.end(),
            [&](const Node::Member& rule) { return holds(value, schema, rule.key, rule.value); });
    }

    bool holds(const Node& value, const Node& schema, std::string_view key, const Node& rule) {
        if (std::find(kAnnotations.begin(), kAnnotations.end(), key) != kAnnotations.end())
            return true;
        if (key == "type") return type(value, rule);
        if (key == "enum") {
            return std::any_of(rule.elements.begin(), rule.elements.end(),
                               [&](const Node& one) { return equal(value, one); }) ||
                   fault("not one of the values of enum");
        }
        if (key == "const") return equal(value, rule) || fault("not the constant");
        if (key == "$ref") return reference(value, rule);
        if (key == "allOf" || key == "anyOf" || key == "oneOf") return of(value, key, rule);
        if (key == "not") return negated(value, rule);
        if (value.is_object()) {
            if (const auto known = object_rule(value, schema, key, rule)) return *known;
        } else if (value.is_array()) {
            if (const auto known = array_rule(value, schema, key, rule)) return *known;
        } else if (value.is_string()) {
            if (const auto known = string_rule(value, key, rule)) return *known;
        } else if (value.is_number()) {
            if (const auto known = number_rule(value, key, rule)) return *known;
        }
        if (!is_rule_of_others(key)) unknown_ = true;
        return true;
    }

    /// Rules that say nothing about a value of another type.
    static bool is_rule_of_others(std::string_view key) {
        constexpr std::array<std::string_view, 18> kRules{
            "required",         "properties",    "additionalProperties",
            "minProperties",    "maxProperties", "items",
            "prefixItems",      "minItems",      "maxItems",
            "uniqueItems",      "minLength",     "maxLength",
            "minimum",          "maximum",       "exclusiveMinimum",
            "exclusiveMaximum", "multipleOf",    "pattern"};
        return std::find(kRules.begin(), kRules.end(), key) != kRules.end();
    }

    bool type(const Node& value, const Node& rule) {
        const bool right =
            rule.is_string() ? is_of(value, rule.text)
                             : std::any_of(rule.elements.begin(), rule.elements.end(),
                                           [&](const Node& one) { return is_of(value, one.text); });
        return right || fault(rule.is_string() ? fmt::format("not of type {}", rule.text)
                                               : std::string("of none of its types"));
    }

    bool reference(const Node& value, const Node& rule) {
        const Node* target = &root_;
        std::string_view rest = rule.text;
        if (!rule.is_string() || rest.substr(0, 1) != "#") target = nullptr;
        rest.remove_prefix(std::min<std::size_t>(1, rest.size()));
        while (target != nullptr && !rest.empty()) {
            rest.remove_prefix(1);  // the slash
            const std::size_t end = std::min(rest.find('/'), rest.size());
            target = target->find(rest.substr(0, end));
            rest.remove_prefix(end);
        }
        if (target == nullptr) {
            unknown_ = true;
            return true;
        }
        return valid(value, *target);
    }

    /// Tries without leaving a fault behind.
    bool holds_quietly(const Node& value, const Node& schema) {
        std::string why = std::exchange(why_, {});
        const bool out = valid(value, schema);
        why_ = std::move(why);
        return out;
    }

    bool of(const Node& value, std::string_view key, const Node& rule) {
        if (key == "allOf") {
            return std::all_of(rule.elements.begin(), rule.elements.end(),
                               [&](const Node& one) { return valid(value, one); });
        }
        const auto matches =
            std::count_if(rule.elements.begin(), rule.elements.end(),
                          [&](const Node& one) { return holds_quietly(value, one); });
        if (key == "anyOf") return matches > 0 || fault("none of anyOf holds");
        // Where some rule is unknown, a second match may be none.
        if (matches > 1 && unknown_) return true;
        return matches == 1 || fault(fmt::format("{} of oneOf hold", matches));
    }

    bool negated(const Node& value, const Node& rule) {
        const bool before = std::exchange(unknown_, false);
        const bool held = holds_quietly(value, rule);
        const bool unsure = std::exchange(unknown_, unknown_ || before) && held;
        return !held || unsure || fault("what must not hold does");
    }

    bool below(std::string_view step, const Node& value, const Node& schema) {
        const std::size_t length = path_.size();
        path_ += '/';
        path_ += step;
        const bool out = valid(value, schema);
        path_.resize(length);
        return out;
    }

    std::optional<bool> object_rule(const Node& value, const Node& schema, std::string_view key,
                                    const Node& rule) {
        if (key == "required") {
            for (const Node& name : rule.elements)
                if (value.find(name.text) == nullptr)
                    return fault(fmt::format("{} is missing", name.text));
            return true;
        }
        if (key == "properties") {
            for (const Node::Member& member : value.members) {
                const Node* const described = rule.find(member.key);
                if (described != nullptr && !below(member.key, member.value, *described))
                    return false;
            }
            return true;
        }
        if (key == "additionalProperties") {
            if (schema.find("patternProperties") != nullptr) {  // which are additional?
                unknown_ = true;
                return true;
            }
            const Node* const properties = schema.find("properties");
            for (const Node::Member& member : value.members) {
                if (properties != nullptr && properties->find(member.key) != nullptr) continue;
                if (!below(member.key, member.value, rule)) return false;
            }
            return true;
        }
        if (key == "minProperties" || key == "maxProperties")
            return within(static_cast<double>(value.members.size()), key, rule, "members");
        return std::nullopt;
    }

    std::optional<bool> array_rule(const Node& value, const Node& schema, std::string_view key,
                                   const Node& rule) {
        const std::vector<Node>& elements = value.elements;
        if (key == "prefixItems") {
            for (std::size_t i = 0; i < std::min(elements.size(), rule.elements.size()); ++i)
                if (!below(std::to_string(i), elements[i], rule.elements[i])) return false;
            return true;
        }
        if (key == "items") {
            const Node* const prefix = schema.find("prefixItems");
            for (std::size_t i = prefix != nullptr ? prefix->elements.size() : 0;
                 i < elements.size(); ++i)
                if (!below(std::to_string(i), elements[i], rule)) return false;
            return true;
        }
        if (key == "minItems" || key == "maxItems")
            return within(static_cast<double>(elements.size()), key, rule, "elements");
        if (key == "uniqueItems") {
            if (!rule.is_true()) return true;
            for (std::size_t i = 0; i < elements.size(); ++i) {
                steps_ += i;
                if (steps_ > kMostSteps) {
                    unknown_ = true;
                    return true;
                }
                for (std::size_t j = 0; j < i; ++j)
                    if (equal(elements[i], elements[j])) return fault("an element comes twice");
            }
            return true;
        }
        return std::nullopt;
    }

    std::optional<bool> string_rule(const Node& value, std::string_view key, const Node& rule) {
        if (key == "minLength" || key == "maxLength")
            return within(static_cast<double>(code_points(value.text)), key, rule, "characters");
        if (key == "pattern") unknown_ = true;
        return std::nullopt;
    }

    std::optional<bool> number_rule(const Node& value, std::string_view key, const Node& rule) {
        const auto number = number_of(value);
        const auto limit = number_of(rule);
        if (!number || !limit) return std::nullopt;
        if (key == "minimum") return *number >= *limit || fault("below the minimum");
        if (key == "maximum") return *number <= *limit || fault("above the maximum");
        if (key == "exclusiveMinimum") return *number > *limit || fault("not above the minimum");
        if (key == "exclusiveMaximum") return *number < *limit || fault("not below the maximum");
        if (key == "multipleOf" && *limit > 0) {
            constexpr double kRounding = 1e-9;
            const double times = *number / *limit;
            return std::abs(times - std::round(times)) <=
                       kRounding * std::max(1.0, std::abs(times)) ||
                   fault("not a multiple");
        }
        return std::nullopt;
    }

    bool within(double count, std::string_view key, const Node& rule, std::string_view what) {
        const auto limit = number_of(rule);
        if (!limit) {
            unknown_ = true;
            return true;
        }
        if (key.substr(0, 3) == "min")
            return count >= *limit || fault(fmt::format("too few {}", what));
        return count <= *limit || fault(fmt::format("too many {}", what));
    }

    const Node& root_;
    std::string path_;
    std::string why_;
    std::size_t steps_ = 0;
    std::size_t depth_ = 0;
    bool unknown_ = false;
};

std::optional<Node> parsed(std::string_view text) {
    auto node = json::parse_node(text);
    if (!node) return std::nullopt;
    return std::move(*node);
}

}  // namespace

SchemaVerdict check_schema(const Node& value, const Node& schema) {
    Checker checker(schema);
    if (!checker.valid(value, schema)) return {Validity::kInvalid, checker.why()};
    return {checker.unknown() ? Validity::kUnknown : Validity::kValid, {}};
}

std::optional<Node> json_of(std::string_view answer) {
    if (auto whole = parsed(answer)) return whole;
    constexpr std::string_view kFence = "```";
    if (const std::size_t open = answer.find(kFence); open != std::string_view::npos) {
        const std::size_t line = answer.find('\n', open);
        const std::size_t close = line == std::string_view::npos ? line : answer.find(kFence, line);
        if (close != std::string_view::npos)
            if (auto inside = parsed(answer.substr(line + 1, close - line - 1))) return inside;
    }
    const std::size_t begin = answer.find_first_of("{[");
    if (begin == std::string_view::npos) return std::nullopt;
    const std::size_t end = answer.rfind(answer[begin] == '{' ? '}' : ']');
    if (end == std::string_view::npos || end < begin) return std::nullopt;
    return parsed(answer.substr(begin, end - begin + 1));
}

SchemaVerdict check_answer(std::string_view answer, std::string_view schema) {
    const auto rules = parsed(schema);
    const auto value = json_of(answer);
    if (!value) return {Validity::kInvalid, "the answer has no JSON"};
    if (!rules) return {Validity::kUnknown, "the schema is no JSON"};
    return check_schema(*value, *rules);
}

}  // namespace leeway::cascade::check
