#include "methods/cascade/check/logprobs.hpp"

#include "json/cursor.hpp"
#include "json/number.hpp"
#include "json/tokens.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::cascade {
namespace {

using json::Cursor;

/// The member `logprob` of the token at the cursor.
std::optional<double> read_token(Cursor& cursor) {
    std::optional<double> out;
    std::string_view key;
    if (!cursor.open_object()) return out;
    while (cursor.next_member(key)) {
        if (key != "logprob" || cursor.kind() == 'n') {
            cursor.skip();
            continue;
        }
        std::string_view number;
        if (cursor.number(number)) out = json::to_double(number);
    }
    if (out && !std::isfinite(*out)) out.reset();
    return out;
}

/// The bytes of `logprobs` of the first choice; empty: it has none.
std::string_view logprobs_in(std::string_view answer) {
    const auto tokens = json::thread_indexer().index(answer);
    if (!tokens) return {};
    Cursor cursor(*tokens);
    std::string_view key;
    if (!cursor.open_object()) return {};
    while (cursor.next_member(key)) {
        if (key != "choices" || cursor.kind() != '[') {
            cursor.skip();
            continue;
        }
        cursor.open_array();
        if (!cursor.next_element() || !cursor.open_object()) return {};
        while (cursor.next_member(key)) {
            const std::size_t begin = cursor.offset();
            const bool found = key == "logprobs" && cursor.kind() == '{';
            if (!cursor.skip()) return {};
            if (found) return answer.substr(begin, cursor.value_end() - begin);
        }
        return {};
    }
    return {};
}

}  // namespace

void LogprobSum::add(std::string_view json) {
    const auto summary = summarise_logprobs(json);
    if (!summary) return;
    sum_ += summary->mean * static_cast<double>(summary->tokens);
    tokens_ += summary->tokens;
}

void LogprobSum::add_answer(std::string_view json) {
    // Most answers have none.
    if (json.find("\"logprob\"") == std::string_view::npos) return;
    if (const std::string_view found = logprobs_in(json); !found.empty()) add(found);
}

std::optional<double> LogprobSum::mean() const noexcept {
    if (tokens_ == 0) return std::nullopt;
    return sum_ / static_cast<double>(tokens_);
}

std::optional<LogprobSummary> summarise_logprobs(std::string_view json) {
    const auto tokens = json::thread_indexer().index(json);
    if (!tokens) return std::nullopt;
    Cursor cursor(*tokens);
    LogprobSummary out;
    double sum = 0;
    std::string_view key;
    if (!cursor.open_object()) return std::nullopt;
    while (cursor.next_member(key)) {
        if (key != "content" || cursor.kind() != '[') {
            cursor.skip();
            continue;
        }
        cursor.open_array();
        while (cursor.next_element()) {
            const auto logprob = read_token(cursor);
            if (!logprob) continue;
            if (out.tokens++ == 0) out.first = out.least = *logprob;
            out.least = std::min(out.least, *logprob);
            sum += *logprob;
        }
    }
    if (cursor.failed() || out.tokens == 0) return std::nullopt;
    out.mean = sum / static_cast<double>(out.tokens);
    return out;
}

}  // namespace leeway::cascade
