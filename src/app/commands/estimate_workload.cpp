#include "app/commands/estimate_inputs.hpp"
#include "app/config_reader.hpp"
#include "app/terminal.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

namespace leeway::app {
namespace {

using lab::Part;

constexpr std::uint32_t kMostTokens = 100'000'000;
constexpr std::uint32_t kMostCalls = 1000;

enum class Kind : std::uint8_t { kQa, kPromptEngineered, kRag, kMultiAgent };

/// Calls of a role: "3" or "2-6".
void read_calls(ConfigSource& source, Section& section, lab::Call& out) {
    const auto text = section.scalar("calls");
    if (!text) return;
    const std::size_t dash = text->text.find('-');
    const auto least = parse_u64(text->text.substr(0, dash));
    const auto most = dash == std::string::npos ? least : parse_u64(text->text.substr(dash + 1));
    if (!least || !most || *most < *least || *most == 0 || *most > kMostCalls) {
        source.error(text->mark, fmt::format("calls: '{}' is neither a number from 1 to {} nor a "
                                             "range such as 2-6",
                                             text->text, kMostCalls));
        return;
    }
    out.times_least = static_cast<std::int64_t>(*least);
    out.times_most = static_cast<std::int64_t>(*most);
}

/// "output" and "output_p90", or the same of reasoning.
std::optional<lab::Lengths> read_lengths(ConfigSource& source, Section& section, const char* name) {
    const std::string name_p90 = std::string(name) + "_p90";
    std::uint32_t middle = 0;
    std::uint32_t high = 0;
    section.number(name, middle, 1, kMostTokens);
    section.number(name_p90, high, 1, kMostTokens);
    if (high == 0) {
        return middle == 0 ? std::nullopt : std::optional(lab::Lengths::constant(middle));
    }
    if (middle == 0 || high < middle) {
        source.error(
            section.mark(name_p90),
            fmt::format("'{}' needs '{}', the median, which it is not below", name_p90, name));
        return std::nullopt;
    }
    return lab::Lengths::between(middle, high);
}

/// What a call sends and gets, besides what its kind adds.
lab::Call read_call(ConfigSource& source, Section& section, lab::Prompt& prompt) {
    lab::Call out;
    const auto tokens = [&](const char* name, Part part) {
        std::uint32_t count = 0;
        section.number(name, count, 0, kMostTokens);
        prompt.tokens[lab::index_of(part)] += count;
    };
    tokens("system", Part::kSystem);
    tokens("tools", Part::kTools);
    tokens("history", Part::kHistory);
    tokens("question", Part::kUser);
    if (section.has("model")) section.text("model", out.model);
    out.output = read_lengths(source, section, "output");
    out.reasoning = read_lengths(source, section, "reasoning");
    std::uint32_t most = 0;
    section.number("max_tokens", most, 1, kMostTokens);
    if (most > 0) out.max_tokens = most;
    return out;
}

std::vector<lab::Call> read_roles(ConfigSource& source, Section& section) {
    std::uint32_t shared = 0;
    section.number("shared", shared, 0, kMostTokens);
    std::vector<lab::Call> out;
    for (Section& role : section.list_of_sections("roles")) {
        auto prompt = std::make_shared<lab::Prompt>();
        prompt->tokens[lab::index_of(Part::kShared)] = shared;
        prompt->constant_parts = true;
        std::string name;
        role.text("name", name);
        lab::Call call = read_call(source, role, *prompt);
        call.role = name;
        call.prior = "agent";
        read_calls(source, role, call);
        std::uint32_t growth = 0;
        role.number("growth", growth, 0, kMostTokens);
        call.history_per_call = growth;
        call.prompts.push_back(std::move(prompt));
        role.finish();
        out.push_back(std::move(call));
    }
    if (out.empty()) source.error(section.mark(), "a multi-agent flow needs 'roles'");
    return out;
}

lab::Call read_single(ConfigSource& source, Section& section, Kind kind) {
    auto prompt = std::make_shared<lab::Prompt>();
    prompt->constant_parts = true;
    lab::Call out = read_call(source, section, *prompt);
    if (kind == Kind::kPromptEngineered) {
        std::uint32_t examples = 0;
        section.number("examples", examples, 0, kMostTokens);
        prompt->tokens[lab::index_of(Part::kSystem)] += examples;
        out.prior = "reasoned";
    }
    if (kind == Kind::kRag) {
        std::uint32_t chunks = 0;
        std::uint32_t chunk_tokens = 0;
        section.number("chunks", chunks, 1, 10'000);
        section.number("chunk_tokens", chunk_tokens, 1, 1'000'000);
        if (chunks == 0 || chunk_tokens == 0) {
            source.error(section.mark(), "a rag flow needs 'chunks' and 'chunk_tokens'");
        }
        prompt->tokens[lab::index_of(Part::kRetrieved)] = std::int64_t{chunks} * chunk_tokens;
        out.prior = "grounded";
    }
    if (prompt->tokens == lab::PartTokens{}) {
        source.error(section.mark(), "a flow needs tokens: system, tools, history or question");
    }
    out.prompts.push_back(std::move(prompt));
    return out;
}

lab::Flow read_flow(ConfigSource& source, Section& section, std::size_t number) {
    lab::Flow out;
    out.name = fmt::format("flow {}", number);
    section.text("name", out.name);
    Kind kind = Kind::kQa;
    section.choice("kind", kind,
                   {{"qa", Kind::kQa},
                    {"prompt-engineered", Kind::kPromptEngineered},
                    {"rag", Kind::kRag},
                    {"multi-agent", Kind::kMultiAgent}});
    if (!section.has("kind")) source.error(section.mark(), "a flow needs a 'kind'");
    std::uint32_t requests = 0;
    section.number("requests_per_month", requests, 1, 2'000'000'000);
    if (requests == 0) source.error(section.mark(), "a flow needs 'requests_per_month'");
    out.requests_per_month = requests;
    if (kind == Kind::kMultiAgent) {
        out.calls = read_roles(source, section);
    } else {
        out.calls.push_back(read_single(source, section, kind));
    }
    section.finish();
    return out;
}

}  // namespace

Result<lab::Scenario> read_workload(const std::string& path) {
    const auto text = read_input(path, std::size_t{16} << 20U);
    if (!text) return fail(text.error());
    ConfigSource source(path);
    lab::Scenario out;
    out.source = "workload";
    bool rag = false;
    try {
        if (const auto root = source.parse(*text)) {
            Section top(source, *root, std::string(), YAML::Mark());
            if (top.has("model")) top.text("model", out.model);
            for (Section& section : top.list_of_sections("flows")) {
                out.flows.push_back(read_flow(source, section, out.flows.size() + 1));
                rag = rag || out.flows.back().calls.front().prior == "grounded";
            }
            top.finish();
            if (out.flows.empty()) source.error(YAML::Mark(), "a workload needs 'flows'");
        }
    } catch (const YAML::Exception& exception) {
        source.error(exception.mark, exception.msg);
    }
    std::string problems;
    for (const ConfigProblem& problem : source.take_problems()) {
        if (!problem.is_error) continue;
        if (!problems.empty()) problems += '\n';
        problems += problem.text();
    }
    if (!problems.empty()) {
        return fail(ErrorCode::kConfig, std::move(problems),
                    "docs/formats/workload.md says what a workload file has");
    }
    out.assumptions.emplace_back(
        "the file's tokens are of o200k_base; other models' counts are estimated from them");
    if (rag) out.unknown.emplace_back("embedding of questions and documents, reranking, storage");
    return out;
}

}  // namespace leeway::app
