#include "app/config_reader.hpp"

#include "base/strings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <tuple>

namespace leeway::app {
namespace {

// A brace ends a plain YAML scalar inside {…}, so `{api_key: ${KEY}}` would not parse. While YAML
// reads the text, the braces of a variable are these two control characters, which YAML text cannot
// hold otherwise; no column moves.
constexpr char kOpen = '\x0e';
constexpr char kClose = '\x0f';
// "$${" asks for a plain "${"; the second dollar is swapped meanwhile.
constexpr char kEscape = '\x10';

constexpr std::size_t kMostText = 1024 * 1024;  // a configuration is some kilobytes

/// Only looks where a document begins.
struct DocumentStart final : YAML::EventHandler {
    YAML::Mark mark;
    void OnDocumentStart(const YAML::Mark& at) override { mark = at; }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string hide_variables(std::string text) {
    for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 2)) {
        if (at > 0 && text[at - 1] == '$') {
            text[at] = kEscape;
            text[at + 1] = kOpen;
            continue;
        }
        const std::size_t end = text.find_first_of("}\n", at);
        if (end == std::string::npos || text[end] != '}') continue;
        text[at + 1] = kOpen;
        text[end] = kClose;
    }
    return text;
}

}  // namespace

std::string ConfigProblem::text() const {
    const char* kind = is_error ? "error" : "warning";
    if (line == 0) return fmt::format("{}: {}: {}", file, kind, message);
    return fmt::format("{}:{}:{}: {}: {}", file, line, column, kind, message);
}

void ConfigSource::add(bool is_error, const YAML::Mark& mark, std::string message) {
    ConfigProblem problem;
    problem.is_error = is_error;
    problem.file = name_;
    if (!mark.is_null()) {
        problem.line = static_cast<std::uint32_t>(mark.line + 1);
        problem.column = static_cast<std::uint32_t>(mark.column + 1);
    }
    problem.message = std::move(message);
    problems_.push_back(std::move(problem));
    if (is_error) ++errors_;
}

void ConfigSource::error(const YAML::Mark& mark, std::string_view what, const Error& error) {
    add(true, mark, fmt::format("{}: {}", what, error.text()));
}

void ConfigSource::unknown(const YAML::Mark& mark, std::string_view what, std::string_view word,
                           const std::vector<std::string>& known) {
    const auto near = nearest(word, known);
    const std::string hint = near            ? fmt::format(" (did you mean '{}'?)", *near)
                             : known.empty() ? std::string(" (there is none)")
                                             : fmt::format(" (known: {})", fmt::join(known, ", "));
    add(true, mark, fmt::format("unknown {} '{}'{}", what, word, hint));
}

std::vector<ConfigProblem> ConfigSource::take_problems() {
    std::sort(
        problems_.begin(), problems_.end(), [](const ConfigProblem& a, const ConfigProblem& b) {
            return std::tie(a.line, a.column, a.message) < std::tie(b.line, b.column, b.message);
        });
    errors_ = 0;
    return std::move(problems_);
}

std::optional<YAML::Node> ConfigSource::parse(const std::string& text) {
    const YAML::Mark nowhere = YAML::Mark::null_mark();
    if (text.size() > kMostText) {
        error(nowhere, "the file is larger than 1 MiB; is it the right one?");
        return std::nullopt;
    }
    for (const char c : text) {
        if ((c >= 0 && c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == '\x7f') {
            error(nowhere, "the file holds control characters; is it a text file?");
            return std::nullopt;
        }
    }
    try {
        const std::string hidden = hide_variables(text);
        // Not LoadAll: where the parser stops without being at the end, that finds empty documents without end.
        std::istringstream stream(hidden);
        YAML::Parser parser(stream);
        DocumentStart seen;
        if (!parser.HandleNextDocument(seen)) return YAML::Node();
        if (parser.HandleNextDocument(seen)) {
            error(seen.mark, "a second document begins here; a file holds one (remove '---')");
            return std::nullopt;
        }
        return YAML::Load(hidden);
    } catch (const YAML::Exception& exception) {
        error(exception.mark, fmt::format("not valid YAML: {}", exception.msg));
        return std::nullopt;
    }
}

ConfigSource::Expanded ConfigSource::variable(const std::string& name) {
    return expand(std::string{'$', kOpen} + name + kClose);
}

ConfigSource::Expanded ConfigSource::expand(const std::string& scalar) {
    Expanded out;
    for (std::size_t at = 0; at < scalar.size(); ++at) {
        const char c = scalar[at];
        const char next = at + 1 < scalar.size() ? scalar[at + 1] : '\0';
        if (c == '$' && next == kEscape) continue;  // its successor becomes the dollar
        if (c == kEscape) {
            out.text += "${";
            ++at;
            continue;
        }
        if (c != '$' || (next != kOpen && next != '{')) {
            out.text += c == kClose ? '}' : c;
            continue;
        }
        const std::size_t end = scalar.find(kClose, at);
        std::size_t name_end = at + 2;
        while (name_end < scalar.size() && is_name_char(scalar[name_end])) ++name_end;
        const std::string name = scalar.substr(at + 2, name_end - at - 2);
        const bool has_default = scalar.compare(name_end, 2, ":-") == 0;
        if (end == std::string::npos || name.empty() || (!has_default && name_end != end)) {
            out.bad = true;
            return out;
        }
        out.from_environment = true;
        // Read once while loading, before threads that could call setenv exist.
        const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
        if (value != nullptr && (*value != '\0' || !has_default)) {
            out.text += value;
        } else if (has_default) {
            out.text += scalar.substr(name_end + 2, end - name_end - 2);
        } else if (out.unset.empty()) {
            out.unset = name;
        }
        at = end;
    }
    return out;
}

Section::Section(ConfigSource& source, const YAML::Node& node, std::string path,
                 const YAML::Mark& mark)
    : source_(source), path_(std::move(path)), mark_(mark) {
    if (!node.IsDefined() || node.IsNull()) return;
    if (!node.IsMap()) {
        source_.error(mark, fmt::format("{} must be a map of keys and values",
                                        path_.empty() ? "the file" : path_));
        return;
    }
    for (const auto& pair : node) {
        if (!pair.first.IsScalar()) {
            source_.error(pair.first.Mark(), "a key must be a word");
            continue;
        }
        const std::string& key = pair.first.Scalar();
        const auto same = std::find_if(entries_.begin(), entries_.end(),
                                       [&](const Entry& entry) { return entry.key == key; });
        if (same != entries_.end()) {
            source_.error(pair.first.Mark(), fmt::format("'{}' stands here twice; first in line {}",
                                                         key, same->key_mark.line + 1));
            continue;
        }
        entries_.push_back({key, pair.first.Mark(), pair.second});
    }
}

std::string Section::path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void Section::declare(std::string_view key) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
}

bool Section::has(std::string_view key) const {
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const Entry& entry) { return entry.key == key; });
}

YAML::Mark Section::mark(std::string_view key) const {
    for (const Entry& entry : entries_) {
        if (entry.key == key) return entry.value.IsNull() ? entry.key_mark : entry.value.Mark();
    }
    return mark_;
}

const Section::Entry* Section::find(std::string_view key) {
    declare(key);
    for (const Entry& entry : entries_) {
        if (entry.key == key) return &entry;
    }
    return nullptr;
}

std::optional<PlacedText> Section::raw_scalar(std::string_view key) {
    const Entry* entry = find(key);
    if (entry == nullptr) return std::nullopt;
    if (!entry->value.IsScalar()) {
        source_.error(entry->key_mark, entry->value.IsNull()
                                           ? fmt::format("'{}' has no value", key)
                                           : fmt::format("'{}' must be a single value", key));
        return std::nullopt;
    }
    return PlacedText{entry->value.Scalar(), entry->value.Mark()};
}

std::optional<PlacedText> Section::expanded(const PlacedText& raw, std::string_view key) {
    ConfigSource::Expanded value = ConfigSource::expand(raw.text);
    if (value.bad) {
        source_.error(raw.mark, fmt::format("'{}': write a variable as ${{NAME}} or "
                                            "${{NAME:-default}}, and a plain ${{ as $${{",
                                            key));
        return std::nullopt;
    }
    if (!value.unset.empty()) {
        source_.error(
            raw.mark,
            fmt::format("'{}' needs the environment variable {}, which is not set (export "
                        "it, or give a default: ${{{}:-value}})",
                        key, value.unset, value.unset));
        return std::nullopt;
    }
    return PlacedText{std::move(value.text), raw.mark};
}

std::optional<PlacedText> Section::scalar(std::string_view key) {
    const auto raw = raw_scalar(key);
    return raw ? expanded(*raw, key) : std::nullopt;
}

void Section::text(std::string_view key, std::string& out) {
    auto value = scalar(key);
    if (!value) return;
    if (value->text.empty()) {
        source_.error(value->mark, fmt::format("'{}' is empty", key));
        return;
    }
    out = std::move(value->text);
}

bool Section::secret(std::string_view key, Secret& out) {
    auto value = scalar(key);
    if (value) out = Secret(std::move(value->text));
    return value.has_value();
}

void Section::number(std::string_view key, std::uint32_t& out, std::uint32_t least,
                     std::uint32_t most) {
    const auto value = scalar(key);
    if (!value) return;
    const auto parsed = parse_u64(value->text);
    if (!parsed || *parsed < least || *parsed > most) {
        source_.error(value->mark, fmt::format("{}: '{}' is not a whole number from {} to {}", key,
                                               value->text, least, most));
        return;
    }
    out = static_cast<std::uint32_t>(*parsed);
}

void Section::bytes(std::string_view key, std::uint64_t& out, std::uint64_t least,
                    std::uint64_t most) {
    const auto value = scalar(key);
    if (!value) return;
    const auto parsed = parse_bytes(value->text);
    if (!parsed) {
        source_.error(value->mark, key, parsed.error());
    } else if (*parsed < least || *parsed > most) {
        source_.error(value->mark, fmt::format("{}: {} is not between {} and {}", key, value->text,
                                               human_bytes(least), human_bytes(most)));
    } else {
        out = *parsed;
    }
}

void Section::duration(std::string_view key, std::chrono::milliseconds& out,
                       std::chrono::milliseconds least) {
    const auto value = scalar(key);
    if (!value) return;
    // Deadlines are added to the clock: keep them far from overflow.
    constexpr std::chrono::milliseconds kMost = std::chrono::hours(24 * 365 * 10);
    const auto parsed = parse_duration(value->text);
    if (!parsed) {
        source_.error(value->mark, key, parsed.error());
    } else if (*parsed < least || *parsed > kMost) {
        source_.error(value->mark, fmt::format("{}: {} is not between {}ms and ten years", key,
                                               value->text, least.count()));
    } else {
        out = *parsed;
    }
}

void Section::seconds(std::string_view key, std::chrono::seconds& out, std::chrono::seconds least) {
    std::chrono::milliseconds ms = out;
    duration(key, ms, least);
    if (ms.count() % 1000 != 0) {
        source_.error(mark(key), fmt::format("{}: write whole seconds", key));
        return;
    }
    out = std::chrono::duration_cast<std::chrono::seconds>(ms);
}

void Section::on_off(std::string_view key, bool& out) {
    const auto value = scalar(key);
    if (!value) return;
    const auto parsed = parse_switch(value->text);
    if (!parsed) {
        source_.error(value->mark, key, parsed.error());
        return;
    }
    out = *parsed;
}

void Section::date(std::string_view key, std::optional<std::int64_t>& out) {
    const auto value = scalar(key);
    if (!value) return;
    const auto parsed = parse_date(value->text);
    if (!parsed) {
        source_.error(value->mark, key, parsed.error());
        return;
    }
    out = *parsed;
}

void Section::list(std::string_view key, std::vector<PlacedText>& out) {
    const Entry* entry = find(key);
    if (entry == nullptr) return;
    if (!entry->value.IsSequence()) {
        source_.error(entry->key_mark, fmt::format("'{}' must be a list, such as [a, b]", key));
        return;
    }
    out.clear();
    for (const YAML::Node& item : entry->value) {
        if (!item.IsScalar()) {
            source_.error(item.Mark(), fmt::format("'{}' must hold words only", key));
            continue;
        }
        if (auto value = expanded({item.Scalar(), item.Mark()}, key)) {
            out.push_back(std::move(*value));
        }
    }
}

Section Section::section(std::string_view key) {
    const Entry* entry = find(key);
    if (entry == nullptr) return {source_, YAML::Node(), path_of(key), mark_};
    return {source_, entry->value, path_of(key), entry->key_mark};
}

std::vector<std::pair<PlacedText, Section>> Section::named_sections() {
    std::vector<std::pair<PlacedText, Section>> out;
    for (const Entry& entry : entries_) {
        declare(entry.key);
        if (const auto ok = check_name(entry.key); !ok) {
            source_.error(entry.key_mark, ok.error().text());
        }
        out.emplace_back(PlacedText{entry.key, entry.key_mark},
                         Section(source_, entry.value, path_of(entry.key), entry.key_mark));
    }
    return out;
}

std::vector<Section> Section::list_of_sections(std::string_view key) {
    std::vector<Section> out;
    const Entry* entry = find(key);
    if (entry == nullptr || entry->value.IsNull()) return out;
    if (!entry->value.IsSequence()) {
        source_.error(entry->key_mark,
                      fmt::format("'{}' must be a list: lines that begin with '-'", key));
        return out;
    }
    std::size_t number = 0;
    for (const YAML::Node& item : entry->value) {
        out.emplace_back(source_, item, fmt::format("{}[{}]", path_of(key), number++), item.Mark());
    }
    return out;
}

void Section::finish() {
    for (const Entry& entry : entries_) {
        if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
        source_.unknown(entry.key_mark, "key", entry.key, known_);
    }
}

}  // namespace leeway::app
