#include "lab/estimate/recorded.hpp"

#include "base/strings.hpp"
#include "lab/estimate/json_tree.hpp"
#include "prices/book.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <utility>

namespace leeway::lab {
namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 40;
constexpr std::int64_t kMonthUs = std::int64_t{30} * 86'400 * 1'000'000;
constexpr std::size_t kMostPrompts = 5000;
constexpr std::size_t kMostLine = std::size_t{64} << 20U;

/// A moment as the export writes it, to the second: 2026-11-24T09:30:15.25Z.
std::optional<std::int64_t> seconds_of(std::string_view text) {
    const auto day = prices::parse_day(text.substr(0, 10));
    if (!day || text.size() < 19) return std::nullopt;
    const auto hours = parse_u64(text.substr(11, 2));
    const auto minutes = parse_u64(text.substr(14, 2));
    const auto seconds = parse_u64(text.substr(17, 2));
    if (!hours || !minutes || !seconds) return std::nullopt;
    return *day + static_cast<std::int64_t>(*hours * 3600 + *minutes * 60 + *seconds);
}

std::int64_t moment_us(const JsonTree& line) {
    constexpr std::int64_t kMost = std::int64_t{1} << 40;
    if (const auto number = line.integer("ts")) {
        return std::llabs(*number) < kMost ? *number * 1'000'000 : 0;
    }
    return seconds_of(line.string("ts")).value_or(0) * 1'000'000;
}

/// False: the line says nothing of tokens.
bool read_counts(const JsonTree& line, RecordedCall& out) {
    const JsonTree* usage = line.find("usage");
    if (usage == nullptr) {
        const auto input = line.integer("input_tokens");
        const auto output = line.integer("output_tokens");
        if (!input || !output) return false;
        out.input = *input;
        out.output = *output;
        out.cached = line.integer("cached_input_tokens").value_or(0);
        out.reasoning = line.integer("reasoning_tokens").value_or(0);
        return true;
    }
    // Lines of an export. An answer that was cut says nothing of how long answers are.
    if (line.integer("attempt") == 0 || line.string("end") != "ok") return false;
    const auto input = usage->integer("prompt_tokens");
    const auto output = usage->integer("completion_tokens");
    if (!input || !output) return false;
    out.input = *input;
    out.output = *output;
    if (const JsonTree* buckets = usage->find("buckets")) {
        out.cached = buckets->integer("cached_input").value_or(0);
        out.reasoning = buckets->integer("reasoning_output").value_or(0);
    }
    return true;
}

bool possible(const RecordedCall& call) {
    const auto fits = [](std::int64_t count, std::int64_t most) {
        return count >= 0 && count <= most;
    };
    return fits(call.input, kMostTokens) && fits(call.output, kMostTokens) &&
           fits(call.cached, call.input) && fits(call.reasoning, call.output);
}

std::int64_t permille(double ratio) { return std::llround(std::clamp(ratio, -1e6, 1e6) * 1000); }

/// What the call costs, or the tokens of its answer where that is unknown.
double worth(const RecordedCall& call, std::int64_t output, const PricedModel& model,
             std::int64_t unix_s, bool& priced) {
    const prices::Usage usage{{prices::Bucket::kInput, call.input - call.cached},
                              {prices::Bucket::kCachedInput, call.cached},
                              {prices::Bucket::kOutput, output}};
    const auto cost = model.prices.price(usage, {.unix_s = unix_s}).cost;
    priced = cost.has_value();
    return cost ? static_cast<double>(cost->value()) : static_cast<double>(output);
}

/// Route and model.
using FlowKey = std::pair<std::string, std::string>;
using Calls = std::vector<const RecordedCall*>;

std::map<FlowKey, Calls> grouped(const Recorded& recorded) {
    std::map<FlowKey, Calls> out;
    for (const RecordedCall& call : recorded.calls) out[{call.route, call.model}].push_back(&call);
    return out;
}

std::string flow_name(const FlowKey& key) {
    return key.first.empty() ? key.second : key.first + " " + key.second;
}

Result<void> read_line(std::string_view raw, std::size_t number, std::string_view route,
                       Recorded& out) {
    const std::string_view text = trim(raw);
    if (text.empty() || text == "\r") return {};
    const auto line = read_json(text);
    if (!line || !line->is(JsonTree::Kind::kObject)) {
        return fail(ErrorCode::kInvalidRequest,
                    line ? fmt::format("line {} is not a JSON object", number)
                         : fmt::format("line {}: {}", number, line.error().message),
                    "the lines of `leeway ledger export --jsonl` are expected, or objects with "
                    "model, input_tokens and output_tokens");
    }
    RecordedCall call;
    call.line = number;
    call.model = line->string("model");
    call.route = line->string("route");
    call.ts_us = moment_us(*line);
    if (!read_counts(*line, call) || call.model.empty()) {
        ++out.passed_over;
        return {};
    }
    if (!possible(call)) {
        return fail(ErrorCode::kInvalidRequest,
                    fmt::format("line {} has a count that cannot be", number));
    }
    if (route.empty() || route == call.route) out.calls.push_back(std::move(call));
    return {};
}

Backtest test_calls(const std::string& name, const Calls& calls, const PricedModel& model,
                    std::int64_t unix_s) {
    Backtest out;
    out.name = name;
    out.fitted = calls.size() / 2;
    out.tested = calls.size() - out.fitted;
    std::vector<Observed> rows;
    rows.reserve(out.fitted);
    for (std::size_t i = 0; i < out.fitted; ++i)
        rows.push_back({calls[i]->input, calls[i]->output});
    const Lengths lengths = Lengths::fitted(rows);
    constexpr int kSteps = 20;
    std::vector<double> errors;
    double expected = 0;
    double actual = 0;
    for (std::size_t i = out.fitted; i < calls.size(); ++i) {
        const RecordedCall& call = *calls[i];
        if (call.output < lengths.bound(call.input, 0.1)) ++out.beneath;
        if (call.output > lengths.bound(call.input, 0.9)) ++out.above;
        const double truth = worth(call, call.output, model, unix_s, out.priced);
        const double middle = worth(call, lengths.at(call.input, 0.5), model, unix_s, out.priced);
        if (truth > 0) errors.push_back(std::abs(middle - truth) / truth);
        actual += truth;
        for (int step = 0; step < kSteps; ++step) {
            const std::int64_t length = lengths.at(call.input, (step + 0.5) / kSteps);
            expected += worth(call, length, model, unix_s, out.priced) / kSteps;
        }
    }
    if (!errors.empty()) {
        const auto middle = errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2);
        std::nth_element(errors.begin(), middle, errors.end());
        out.median_error_permille = permille(*middle);
    }
    if (actual > 0) out.sum_error_permille = permille(expected / actual - 1);
    return out;
}

}  // namespace

Result<Recorded> read_recorded(std::FILE* in, std::string_view route) {
    Recorded out;
    std::string rest;
    std::vector<char> block(std::size_t{1} << 20U);
    std::size_t number = 0;
    while (const std::size_t got = std::fread(block.data(), 1, block.size(), in)) {
        rest.append(block.data(), got);
        std::size_t begin = 0;
        for (std::size_t end = rest.find('\n'); end != std::string::npos;
             end = rest.find('\n', begin)) {
            const std::string_view line(rest.data() + begin, end - begin);
            if (auto read = read_line(line, ++number, route, out); !read) {
                return fail(std::move(read.error()));
            }
            begin = end + 1;
        }
        rest.erase(0, begin);
        if (rest.size() > kMostLine) {
            return fail(ErrorCode::kInvalidRequest, fmt::format("line {} has no end", number + 1));
        }
    }
    if (std::ferror(in) != 0) return fail(ErrorCode::kConfig, "the lines cannot be read");
    if (auto read = read_line(rest, ++number, route, out); !read) {
        return fail(std::move(read.error()));
    }
    std::sort(out.calls.begin(), out.calls.end(), [](const RecordedCall& a, const RecordedCall& b) {
        return a.ts_us == b.ts_us ? a.line < b.line : a.ts_us < b.ts_us;
    });
    return out;
}

Result<Scenario> scenario_of(const Recorded& recorded, std::optional<std::int64_t> since_us,
                             std::optional<std::int64_t> until_us) {
    if (recorded.calls.empty()) {
        return fail(ErrorCode::kNotFound, "no answered calls are recorded in that time",
                    "other times: --since, --until; all routes: leave --route out");
    }
    const std::int64_t from = since_us.value_or(recorded.calls.front().ts_us);
    const std::int64_t to = until_us.value_or(recorded.calls.back().ts_us);
    Scenario out;
    out.source = "recorded";
    for (const auto& [name, calls] : grouped(recorded)) {
        Flow& flow = out.flows.emplace_back();
        flow.name = flow_name(name);
        if (to > from && recorded.calls.front().ts_us != 0) {
            flow.requests_per_month = static_cast<std::int64_t>(
                Int128{kMonthUs} * static_cast<std::int64_t>(calls.size()) / (to - from));
        }
        Call& call = flow.calls.emplace_back();
        call.model = name.second;
        std::vector<Observed> rows;
        std::int64_t output = 0;
        std::int64_t reasoning = 0;
        for (const RecordedCall* one : calls) {
            rows.push_back({one->input, one->output});
            output += one->output;
            reasoning += one->reasoning;
        }
        call.output = Lengths::fitted(rows);
        call.reasoning_permille = output > 0 ? reasoning * 1000 / output : 0;
        const std::size_t step = (calls.size() + kMostPrompts - 1) / kMostPrompts;
        for (std::size_t i = 0; i < calls.size(); i += step) {
            auto prompt = std::make_shared<Prompt>();
            prompt->tokens[index_of(Part::kInput)] = calls[i]->input;
            prompt->counted_by = name.second;
            prompt->cached = calls[i]->cached;
            call.prompts.push_back(std::move(prompt));
        }
    }
    out.assumptions.push_back(
        fmt::format("{} recorded calls in {:.1f} days; the next month is like them, in number and "
                    "in length, and another "
                    "model answers at the length of the one that did",
                    recorded.calls.size(),
                    static_cast<double>(std::max<std::int64_t>(to - from, 0)) / 86'400e6));
    if (to <= from || recorded.calls.front().ts_us == 0) {
        out.assumptions.emplace_back(
            "the calls have no times, so nothing is known of a month: --requests-per-month");
    }
    return out;
}

std::optional<Answers> answers_of(const Recorded& recorded, std::string_view model) {
    std::vector<Observed> rows;
    std::int64_t output = 0;
    std::int64_t reasoning = 0;
    for (const RecordedCall& call : recorded.calls) {
        if (call.model != model) continue;
        rows.push_back({call.input, call.output});
        output += call.output;
        reasoning += call.reasoning;
    }
    if (rows.size() < Lengths::kLeast) return std::nullopt;
    return Answers{Lengths::fitted(rows), output > 0 ? reasoning * 1000 / output : 0, std::nullopt,
                   fmt::format("{} recorded answers of {}", rows.size(), model)};
}

std::vector<Backtest> backtest(const Recorded& recorded,
                               const std::function<PricedModel(const std::string&)>& model_of,
                               std::int64_t unix_s) {
    std::vector<Backtest> out;
    for (const auto& [name, calls] : grouped(recorded)) {
        if (calls.size() < 2 * Lengths::kLeast) continue;
        out.push_back(test_calls(flow_name(name), calls, model_of(name.second), unix_s));
    }
    std::sort(out.begin(), out.end(), [](const Backtest& a, const Backtest& b) {
        return a.tested == b.tested ? a.name < b.name : a.tested > b.tested;
    });
    return out;
}

}  // namespace leeway::lab
