#pragma once

#include "app/import/import.hpp"
#include "base/result.hpp"

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::app::imports {

/// A value of the source with its place. Copies share the tree.
struct Item {
    std::uint32_t line = 0;
    std::string path;  ///< "model_list[0].model_name"; empty: the whole file
    std::string key;   ///< the last step of it
    std::string word;  ///< the same in snake_case
    YAML::Node value;

    Item(std::uint32_t on_line, std::string at, std::string last, std::string snake_case,
         const YAML::Node& node)
        : line(on_line),
          path(std::move(at)),
          key(std::move(last)),
          word(std::move(snake_case)),
          value(node) {}
    Item(const Item&) = default;
    ~Item() = default;
    Item& operator=(const Item& other) {
        line = other.line;
        path = other.path;
        key = other.key;
        word = other.word;
        value.reset(other.value);  // an assignment of nodes writes into their tree
        return *this;
    }

    [[nodiscard]] bool is_null() const { return !value.IsDefined() || value.IsNull(); }
    [[nodiscard]] bool is_map() const { return value.IsDefined() && value.IsMap(); }
    [[nodiscard]] bool is_list() const { return value.IsDefined() && value.IsSequence(); }
    [[nodiscard]] bool is_scalar() const { return value.IsDefined() && value.IsScalar(); }
    /// Its text as it stands in the source; empty when it is no scalar.
    [[nodiscard]] std::string text() const;
    /// Its members that are not null, with those of merge keys (`<<`); none when it is no map.
    [[nodiscard]] std::vector<Item> members() const;
    [[nodiscard]] std::vector<Item> elements() const;
    [[nodiscard]] std::optional<Item> member(std::string_view name) const;
};

/// Parses YAML (or JSON, which is checked to be JSON first), one document with a map at its top, at
/// most 1 MiB.
[[nodiscard]] Result<Item> read_source(const std::string& text, bool is_json);

/// Place of what is about the whole source.
inline constexpr std::string_view kWhole = "(the file)";

/// Gathers what was carried over and what was not.
class Report {
public:
    void carried(const Item& item, std::string to, std::string note = {}) {
        carried_.push_back({item.line, item.path, std::move(to), std::move(note)});
    }
    void dropped(const Item& item, std::string_view why, std::string_view instead = {}) {
        dropped_.push_back({item.line, item.path.empty() ? std::string(kWhole) : item.path,
                            std::string(why), std::string(instead)});
    }
    /// The members of a map, or the elements of a list; another value is dropped.
    [[nodiscard]] std::vector<Item> members_of(const Item& map);
    [[nodiscard]] std::vector<Item> elements_of(const Item& list);
    /// Moves all of it to `out`, in the order of the lines.
    void finish(Imported& out);

private:
    std::vector<Carried> carried_;
    std::vector<NotCarried> dropped_;
};

/// What happens to one key of a map: `carry` deals with it, or, without one, it is listed as not
/// carried. A mapping that Leeway learns later is one more row with a `carry`.
template <class State>
struct Rule {
    std::string_view key;  ///< "a*": every key that begins so
    void (*carry)(State&, const Item&) = nullptr;
    std::string_view why;
    std::string_view instead;
};

inline constexpr std::string_view kUnknownKey = "the importer does not know it";

/// Applies the first rule of the tables that fits to each member of `map`; those without one are not
/// carried, for the reason `unknown`. `state` has a member `report`.
template <class State>
void apply(const Item& map, std::initializer_list<std::span<const Rule<State>>> tables,
           State& state, std::string_view unknown = kUnknownKey) {
    for (const Item& item : state.report.members_of(map)) {
        const Rule<State>* found = nullptr;
        for (const auto& rules : tables) {
            for (std::size_t i = 0; i < rules.size() && found == nullptr; ++i) {
                const bool begins = rules[i].key.ends_with('*');
                const auto key = rules[i].key.substr(0, rules[i].key.size() - (begins ? 1 : 0));
                const bool fits = begins ? item.word.starts_with(key) : item.word == key;
                if (fits) found = &rules[i];
            }
        }
        if (found == nullptr) {
            state.report.dropped(item, unknown);
        } else if (found->carry != nullptr) {
            found->carry(state, item);
        } else {
            state.report.dropped(item, found->why, found->instead);
        }
    }
}

/// `number` × 10^shift as plain decimal text without needless zeros, exactly; nullopt when `number` is
/// no decimal number ≥ 0 ("1.5e-07", ".25", "3") or has more than `decimals` decimals then.
[[nodiscard]] std::optional<std::string> scaled(std::string_view number, int shift, int decimals);

}  // namespace leeway::app::imports
