#include "methods/cascade/check/agreement.hpp"

#include "base/strings.hpp"
#include "methods/agent_cache/answer_judge.hpp"
#include "methods/cascade/check/arithmetic.hpp"
#include "methods/cascade/check/json_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

namespace leeway::cascade::check {
namespace {

constexpr std::array<std::string_view, 6> kLeads{
    "####", "\"answer\":", "final answer is", "final answer:", "the answer is", "answer:"};
constexpr std::array<std::string_view, 3> kArticles{"the", "a", "an"};

std::string lowered(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = ascii_lower(c);
    return out;
}

/// What an answer says in the end, as it is spelled.
std::string told(std::string_view text) {
    if (const auto json = json_of(text); json && json->is_object()) {
        const json::Node* const answer = json->find("answer");
        if (answer != nullptr) return answer->is_string() ? answer->text : answer->json();
    }
    const std::string low = lowered(text);
    std::size_t from = std::string::npos;
    for (const std::string_view lead : kLeads) {
        const std::size_t at = low.rfind(lead);
        if (at != std::string::npos) {
            from = at + lead.size();
            break;
        }
    }
    if (from == std::string::npos) return std::string(text);
    return std::string(text.substr(from, text.find('\n', from) - from));
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_letter(char c) noexcept {
    const char low = ascii_lower(c);
    return (low >= 'a' && low <= 'z') || (static_cast<unsigned char>(c) & 0x80U) != 0;
}

/// Words in small letters with one space between, articles left out; a point between digits stays.
std::string plain(std::string_view text) {
    const std::string low = lowered(text);
    std::string out;
    std::string word;
    const auto end_word = [&] {
        const bool article = std::find(kArticles.begin(), kArticles.end(), word) != kArticles.end();
        if (!word.empty() && !article) {
            if (!out.empty()) out += ' ';
            out += word;
        }
        word.clear();
    };
    for (std::size_t i = 0; i < low.size(); ++i) {
        const char c = low[i];
        const bool point =
            c == '.' && i > 0 && i + 1 < low.size() && is_digit(low[i - 1]) && is_digit(low[i + 1]);
        if (is_digit(c) || is_letter(c) || point) {
            word += c;
        } else {
            end_word();
        }
    }
    end_word();
    return out;
}

/// Whether a text is one number, perhaps with a sign, a currency and a word of unit.
bool is_one_number(const std::string& text) {
    std::size_t numbers = 0;
    std::size_t words = 0;
    for (std::size_t i = 0; i < text.size();) {
        if (is_digit(text[i])) {
            ++numbers;
            while (i < text.size() && (is_digit(text[i]) || text[i] == ',' || text[i] == '.')) ++i;
        } else if (is_letter(text[i])) {
            ++words;
            while (i < text.size() && is_letter(text[i])) ++i;
        } else {
            ++i;
        }
    }
    constexpr std::size_t kUnits = 2;
    return numbers == 1 && words <= kUnits;
}

}  // namespace

std::string final_answer(std::string_view text) {
    const std::string end = told(text);
    if (is_one_number(end)) {
        if (const auto number = last_number(end); number && std::isfinite(*number))
            return fmt::format("{:.10g}", *number == 0 ? 0.0 : *number);
    }
    return plain(end);
}

std::optional<bool> say_the_same(std::string_view a, std::string_view b) {
    const std::string final = final_answer(a);
    if (!final.empty() && final == final_answer(b)) return true;
    switch (agent_cache::compare_answers(a, b)) {
        case agent_cache::Comparison::kSame: return true;
        case agent_cache::Comparison::kDifferent: return false;
        case agent_cache::Comparison::kUnclear: break;
    }
    return std::nullopt;
}

Agreement agreement_of(std::span<const std::string> samples) {
    struct Votes {
        std::size_t count = 0;
        std::size_t first = 0;
    };
    std::map<std::string, Votes> votes;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        std::string answer = final_answer(samples[i]);
        if (answer.empty()) continue;
        const auto [at, is_new] = votes.try_emplace(std::move(answer), Votes{0, i});
        ++at->second.count;
    }
    Agreement out;
    out.distinct = votes.size();
    std::size_t most = 0;
    for (const auto& [answer, one] : votes) {
        if (one.count < most || (one.count == most && one.first > out.first)) continue;
        most = one.count;
        out.first = one.first;
    }
    if (!samples.empty())
        out.share = static_cast<double>(most) / static_cast<double>(samples.size());
    return out;
}

}  // namespace leeway::cascade::check
