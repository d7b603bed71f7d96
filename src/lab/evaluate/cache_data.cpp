#include "lab/evaluate/cache_data.hpp"

#include "json/node.hpp"

#include <fmt/format.h>

#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

namespace leeway::lab {
namespace {

/// Texts by number, each once.
class Texts {
public:
    std::uint32_t number(const std::string& text, bool* known = nullptr) {
        const auto [at, fresh] =
            numbers_.try_emplace(text, static_cast<std::uint32_t>(texts.size()));
        if (fresh) texts.push_back(text);
        if (known != nullptr) *known = !fresh;
        return at->second;
    }
    std::vector<std::string> texts;

private:
    std::unordered_map<std::string, std::uint32_t> numbers_;
};

/// Union-find with path halving.
class Classes {
public:
    std::uint32_t of(std::uint32_t x) {
        grow(x);
        while (parents_[x] != x) {
            parents_[x] = parents_[parents_[x]];
            x = parents_[x];
        }
        return x;
    }
    void join(std::uint32_t a, std::uint32_t b) {
        const std::uint32_t root = of(a);
        parents_[of(b)] = root;
    }

private:
    void grow(std::uint32_t x) {
        while (parents_.size() <= x)
            parents_.push_back(static_cast<std::uint32_t>(parents_.size()));
    }
    std::vector<std::uint32_t> parents_;
};

tl::unexpected<Error> bad_line(std::size_t number, std::string_view why) {
    return fail(
        ErrorCode::kConfig, fmt::format("line {}: {}", number, why),
        R"(a line of pairs is {"a": "…", "b": "…", "same": true}, one of a stream {"text": "…", "answer": "…"})");
}

std::optional<bool> truth(const json::Node* node) {
    if (node == nullptr || node->kind != json::Node::Kind::kRaw) return std::nullopt;
    if (node->text == "true" || node->text == "1") return true;
    if (node->text == "false" || node->text == "0") return false;
    return std::nullopt;
}

/// Calls `take(line, number)` for each line that is not empty until it fails.
template <class Take>
Result<void> each_line(std::string_view text, Take&& take) {
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        auto node = json::parse_node(line);
        if (!node) return bad_line(number, node.error().message);
        if (!node->is_object()) return bad_line(number, "this is no JSON object");
        if (auto taken = take(*node, number); !taken) return taken;
    }
    return {};
}

Result<CacheFile> read_pairs(std::string_view text) {
    CacheFile out;
    Texts texts;
    Classes classes;
    auto read = each_line(text, [&](const json::Node& line, std::size_t number) -> Result<void> {
        const json::Node* const a = line.find("a");
        const json::Node* const b = line.find("b");
        const auto same = truth(line.find("same"));
        if (a == nullptr || b == nullptr || !a->is_string() || !b->is_string() || !same) {
            return bad_line(number, R"("a" and "b" must be strings, "same" true or false)");
        }
        ++out.lines;
        const std::uint32_t first = texts.number(a->text);
        const std::uint32_t second = texts.number(b->text);
        if (*same) {
            classes.join(first, second);
        } else {
            out.different.push_back({first, second});
        }
        return {};
    });
    if (!read) return fail(std::move(read.error()));
    for (const DifferentPair& pair : out.different) {
        out.conflicts += classes.of(pair.a) == classes.of(pair.b) ? 1 : 0;
    }
    out.data.texts = std::move(texts.texts);
    for (std::uint32_t i = 0; i < out.data.texts.size(); ++i) {
        out.data.answers.push_back(classes.of(i));
    }
    return out;
}

Result<CacheFile> read_stream(std::string_view text) {
    CacheFile out;
    Texts texts;
    Texts answers;
    auto read = each_line(text, [&](const json::Node& line, std::size_t number) -> Result<void> {
        const json::Node* const asked = line.find("text");
        const json::Node* const answer = line.find("answer");
        if (asked == nullptr || answer == nullptr || !asked->is_string()) {
            return bad_line(number, R"("text" must be a string, and there must be an "answer")");
        }
        ++out.lines;
        bool known = false;
        const std::uint32_t question = texts.number(asked->text, &known);
        const std::uint32_t is = answers.number(answer->json());
        if (!known) {
            out.data.answers.push_back(is);
        } else {
            ++out.repeated;
            out.conflicts += out.data.answers[question] == is ? 0 : 1;
        }
        return {};
    });
    if (!read) return fail(std::move(read.error()));
    out.data.texts = std::move(texts.texts);
    return out;
}

}  // namespace

Result<CacheFileKind> cache_file_kind(std::string_view text) {
    std::optional<CacheFileKind> kind;
    auto read = each_line(text, [&](const json::Node& line, std::size_t) -> Result<void> {
        kind = line.find("same") != nullptr ? CacheFileKind::kPairs : CacheFileKind::kStream;
        return fail(ErrorCode::kConfig, "");  // one line is enough
    });
    if (kind) return *kind;
    if (!read) return fail(std::move(read.error()));
    return fail(ErrorCode::kConfig, "there is no line in it");
}

Result<CacheFile> read_cache_file(std::string_view text, CacheFileKind kind) {
    auto out = kind == CacheFileKind::kPairs ? read_pairs(text) : read_stream(text);
    if (!out) return out;
    if (out->data.texts.size() < 2) {
        return fail(ErrorCode::kConfig, "there are fewer than two different texts in it");
    }
    out->data.questions.reserve(out->data.texts.size());
    for (const std::string& one : out->data.texts) {
        out->data.questions.push_back(agent_cache::semantic::read_question(one));
    }
    return out;
}

}  // namespace leeway::lab
