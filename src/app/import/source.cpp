#include "app/import/source.hpp"

#include "base/strings.hpp"
#include "json/validate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace leeway::app::imports {
namespace {

constexpr std::size_t kMostText = 1024 * 1024;
constexpr int kMostMerges = 8;  // of merge keys inside merged maps

/// "overrideParams" and "override_params" are one key.
std::string snake_case(const std::string& key) {
    std::string out;
    for (const char c : key) {
        const char lower = ascii_lower(c);
        if (lower != c && !out.empty() && out.back() != '_') out += '_';
        out += lower;
    }
    return out;
}

/// Keys in capitals are names of variables and stay.
bool is_camel_case(const std::string& key) {
    return !key.empty() && ascii_lower(key.front()) == key.front();
}

std::uint32_t line_of(const YAML::Node& node, std::uint32_t otherwise) {
    const YAML::Mark mark = node.Mark();
    return mark.is_null() ? otherwise : static_cast<std::uint32_t>(mark.line + 1);
}

void add_members(const Item& item, const YAML::Node& map, int merges, std::vector<Item>& out) {
    for (const auto& pair : map) {
        if (!pair.first.IsScalar() || pair.first.Scalar() == "<<") continue;
        const std::string& key = pair.first.Scalar();
        std::string path = item.path.empty() ? key : fmt::format("{}.{}", item.path, key);
        const bool seen = std::any_of(out.begin(), out.end(),
                                      [&](const Item& other) { return other.path == path; });
        if (seen) continue;
        out.push_back({line_of(pair.first, item.line), std::move(path), key,
                       is_camel_case(key) ? snake_case(key) : key, pair.second});
    }
    if (merges == 0) return;
    for (const auto& pair : map) {
        if (!pair.first.IsScalar() || pair.first.Scalar() != "<<") continue;
        if (pair.second.IsMap()) add_members(item, pair.second, merges - 1, out);
        if (!pair.second.IsSequence()) continue;
        for (const YAML::Node& merged : pair.second) {
            if (merged.IsMap()) add_members(item, merged, merges - 1, out);
        }
    }
}

}  // namespace

std::string Item::text() const { return is_scalar() ? value.Scalar() : std::string(); }

std::vector<Item> Item::members() const {
    std::vector<Item> out;
    if (is_map()) add_members(*this, value, kMostMerges, out);
    std::erase_if(out, [](const Item& item) { return item.is_null(); });
    return out;
}

std::vector<Item> Item::elements() const {
    std::vector<Item> out;
    if (!is_list()) return out;
    std::size_t number = 0;
    for (const YAML::Node& node : value) {
        const std::string step = fmt::format("[{}]", number++);
        out.push_back({line_of(node, line), path + step, step, step, node});
    }
    return out;
}

std::optional<Item> Item::member(std::string_view name) const {
    for (Item& item : members()) {
        if (item.word == name) return std::move(item);
    }
    return std::nullopt;
}

Result<Item> read_source(const std::string& text, bool is_json) {
    const auto bad = [](std::string message, std::string hint = {}) {
        return fail(ErrorCode::kConfig, std::move(message), std::move(hint));
    };
    if (text.size() > kMostText)
        return bad("the file is larger than 1 MiB", "is it the right one?");
    if (is_json) {
        if (const auto ok = json::validate(text, {.max_bytes = kMostText, .unique_keys = true});
            !ok) {
            return bad(fmt::format("not a JSON file: {}", ok.error().message));
        }
    }
    for (const char c : text) {
        if ((c >= 0 && c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == '\x7f') {
            return bad("the file holds control characters", "is it a text file?");
        }
    }
    try {
        const std::vector<YAML::Node> documents = YAML::LoadAll(text);
        if (documents.size() > 1) {
            return bad("the file holds more than one YAML document", "import them one by one");
        }
        if (documents.empty() || !documents.front().IsMap()) {
            return bad("the file is no map of keys and values at its top");
        }
        return Item{1, {}, {}, {}, documents.front()};
    } catch (const YAML::Exception& exception) {
        return bad(
            fmt::format("line {}: not valid YAML: {}", exception.mark.line + 1, exception.msg));
    }
}

std::vector<Item> Report::members_of(const Item& map) {
    if (!map.is_map()) dropped(map, "it is no map of keys and values");
    return map.members();
}

std::vector<Item> Report::elements_of(const Item& list) {
    if (!list.is_list()) dropped(list, "it is no list");
    return list.elements();
}

void Report::finish(Imported& out) {
    std::sort(carried_.begin(), carried_.end(), [](const Carried& a, const Carried& b) {
        return std::tie(a.line, a.from, a.to) < std::tie(b.line, b.from, b.to);
    });
    std::sort(dropped_.begin(), dropped_.end(), [](const NotCarried& a, const NotCarried& b) {
        return std::tie(a.line, a.from, a.why) < std::tie(b.line, b.from, b.why);
    });
    // What several models share, such as a credential, is told once.
    const auto carried_end = std::unique(
        carried_.begin(), carried_.end(),
        [](const Carried& a, const Carried& b) { return a.from == b.from && a.to == b.to; });
    const auto dropped_end =
        std::unique(dropped_.begin(), dropped_.end(), [](const NotCarried& a, const NotCarried& b) {
            return a.from == b.from && a.why == b.why;
        });
    carried_.erase(carried_end, carried_.end());
    dropped_.erase(dropped_end, dropped_.end());
    out.carried = std::move(carried_);
    out.not_carried = std::move(dropped_);
}

std::optional<std::string> scaled(std::string_view number, int shift, int decimals) {
    constexpr std::size_t kMostDigits = 60;
    constexpr std::uint64_t kMostExponent = 60;
    if (number.starts_with('+')) number.remove_prefix(1);
    const std::size_t e = number.find_first_of("eE");
    std::string_view mantissa = number.substr(0, e);
    int exponent = shift;
    if (e != std::string_view::npos) {
        std::string_view power = number.substr(e + 1);
        const bool down = power.starts_with('-');
        if (down || power.starts_with('+')) power.remove_prefix(1);
        const auto value = parse_u64(power);
        if (!value || *value > kMostExponent) return std::nullopt;
        exponent += down ? -static_cast<int>(*value) : static_cast<int>(*value);
    }
    const std::size_t dot = mantissa.find('.');
    std::string digits(mantissa.substr(0, dot));
    if (dot != std::string_view::npos) {
        const std::string_view fraction = mantissa.substr(dot + 1);
        digits += fraction;
        exponent -= static_cast<int>(fraction.size());
    }
    const bool all_digits = digits.find_first_not_of("0123456789") == std::string::npos;
    if (digits.empty() || !all_digits || digits.size() > kMostDigits) return std::nullopt;

    // digits × 10^exponent: no zeros at either end, then the point goes to its place.
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    if (digits.empty()) return "0";
    while (digits.back() == '0') {
        digits.pop_back();
        ++exponent;
    }
    if (exponent >= 0) return digits + std::string(static_cast<std::size_t>(exponent), '0');
    const auto places = static_cast<std::size_t>(-exponent);
    if (-exponent > decimals) return std::nullopt;
    if (digits.size() <= places) digits.insert(0, places - digits.size() + 1, '0');
    digits.insert(digits.size() - places, 1, '.');
    return digits;
}

}  // namespace leeway::app::imports
