#pragma once

#include "app/config.hpp"
#include "app/config_values.hpp"

#include <yaml-cpp/yaml.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::app {

/// One configuration text while it is read: collects the problems and replaces `${NAME}`.
class ConfigSource {
public:
    explicit ConfigSource(std::string name) : name_(std::move(name)) {}

    void error(const YAML::Mark& mark, std::string message) { add(true, mark, std::move(message)); }
    /// The error's message and hint at `mark`; `what` (a key) comes first.
    void error(const YAML::Mark& mark, std::string_view what, const Error& error);
    void warning(const YAML::Mark& mark, std::string message) {
        add(false, mark, std::move(message));
    }
    /// An unknown word: "unknown WHAT 'word' (did you mean …?)", or the list when none is near.
    void unknown(const YAML::Mark& mark, std::string_view what, std::string_view word,
                 const std::vector<std::string>& known);

    /// Parses the text: one document with a map (or nothing) at its top. On failure a problem is
    /// recorded and nothing returned.
    [[nodiscard]] std::optional<YAML::Node> parse(const std::string& text);

    struct Expanded {
        std::string text;
        std::string unset;  ///< first variable that is not set and has no default
        bool from_environment = false;
        bool bad = false;  ///< malformed `${`
    };
    /// Replaces the variables of a scalar that parse() gave. Records nothing.
    [[nodiscard]] static Expanded expand(const std::string& scalar);
    /// What expand makes of `${name}`.
    [[nodiscard]] static Expanded variable(const std::string& name);

    [[nodiscard]] bool has_errors() const noexcept { return errors_ > 0; }
    /// All problems in the order of their lines.
    [[nodiscard]] std::vector<ConfigProblem> take_problems();

private:
    void add(bool is_error, const YAML::Mark& mark, std::string message);

    std::string name_;
    std::vector<ConfigProblem> problems_;
    std::size_t errors_ = 0;
};

/// A value together with its place, for the checks that come after reading.
struct PlacedText {
    std::string text;
    YAML::Mark mark;
};

/// One map of the file. Each getter leaves its `out` as it was when the key is absent or wrong (and
/// records the error). The getters also tell which keys are known here: `finish` reports the others.
class Section {
public:
    /// `node` must be a map or null; anything else is recorded as an error and reads as empty.
    Section(ConfigSource& source, const YAML::Node& node, std::string path, const YAML::Mark& mark);

    void text(std::string_view key, std::string& out);
    /// False when it is absent or wrong.
    bool secret(std::string_view key, Secret& out);
    void number(std::string_view key, std::uint32_t& out, std::uint32_t least, std::uint32_t most);
    void bytes(std::string_view key, std::uint64_t& out, std::uint64_t least, std::uint64_t most);
    void duration(std::string_view key, std::chrono::milliseconds& out,
                  std::chrono::milliseconds least);
    /// A duration that must be whole seconds.
    void seconds(std::string_view key, std::chrono::seconds& out, std::chrono::seconds least);
    void on_off(std::string_view key, bool& out);
    void date(std::string_view key, std::optional<std::int64_t>& out);
    void list(std::string_view key, std::vector<PlacedText>& out);

    /// One of the given words.
    template <class T>
    void choice(std::string_view key, T& out,
                std::initializer_list<std::pair<std::string_view, T>> words) {
        std::vector<std::string> known;
        const auto value = scalar(key);
        for (const auto& [word, meaning] : words) {
            known.emplace_back(word);
            if (value && value->text == word) {
                out = meaning;
                return;
            }
        }
        if (value) source_.unknown(value->mark, std::string(key), value->text, known);
    }

    /// The expanded scalar; nullopt when absent or wrong.
    [[nodiscard]] std::optional<PlacedText> scalar(std::string_view key);
    /// The scalar as it stands, `${NAME}` not yet replaced; nullopt when absent or not a scalar.
    [[nodiscard]] std::optional<PlacedText> raw_scalar(std::string_view key);
    /// The map under `key`; an empty section when absent.
    [[nodiscard]] Section section(std::string_view key);
    /// Every key of this map with its map, for maps whose keys are names. The names are checked.
    [[nodiscard]] std::vector<std::pair<PlacedText, Section>> named_sections();
    /// The maps of the list under `key`.
    [[nodiscard]] std::vector<Section> list_of_sections(std::string_view key);

    /// Marks `key` as known without reading it.
    void declare(std::string_view key);
    [[nodiscard]] bool has(std::string_view key) const;
    /// Where `key` stands; the map's own place when it is absent.
    [[nodiscard]] YAML::Mark mark(std::string_view key) const;
    [[nodiscard]] YAML::Mark mark() const { return mark_; }
    /// Reports keys that no getter asked for. Call it last.
    void finish();

private:
    struct Entry {
        std::string key;
        YAML::Mark key_mark;
        YAML::Node value;
    };

    [[nodiscard]] const Entry* find(std::string_view key);
    [[nodiscard]] std::string path_of(std::string_view key) const;
    [[nodiscard]] std::optional<PlacedText> expanded(const PlacedText& raw, std::string_view key);

    ConfigSource& source_;
    std::string path_;
    YAML::Mark mark_;
    std::vector<Entry> entries_;
    std::vector<std::string> known_;
};

}  // namespace leeway::app
