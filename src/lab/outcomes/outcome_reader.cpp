#include "lab/outcomes/outcome_reader.hpp"

#include "base/gzip_file.hpp"
#include "json/node.hpp"
#include "lab/outcomes/csv_rows.hpp"
#include "lab/outcomes/outcome_builder.hpp"
#include "lab/outcomes/python_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace leeway::lab {
namespace {

constexpr std::size_t kMostLineBytes = CsvRows::kMostFieldBytes;

/// What a file calls a field.
struct FieldName {
    std::string_view name;
    OutcomeField field;
};
constexpr std::array kColumns{
    FieldName{"quality", OutcomeField::kQuality},
    FieldName{"cost_usd", OutcomeField::kCostUsd},
    FieldName{"mean_logprob", OutcomeField::kLogprob},
    FieldName{"latency_ms", OutcomeField::kLatencyMs},
    FieldName{"tok_in", OutcomeField::kTokensIn},
    FieldName{"tok_out", OutcomeField::kTokensOut},
    FieldName{"price_in_usd_per_m", OutcomeField::kPricePerMillion},
};

constexpr std::array kLlmrouterMembers{
    FieldName{"performance", OutcomeField::kQuality},
    FieldName{"input_tokens", OutcomeField::kTokensIn},
    FieldName{"output_tokens", OutcomeField::kTokensOut},
    FieldName{"cost", OutcomeField::kCostUsd},
};

/// What is wrong, and where.
tl::unexpected<Error> fail_at(std::string_view place, const Error& error) {
    return fail(ErrorCode::kConfig, fmt::format("{}: {}", place, error.message), error.hint);
}

/// A column of which cells are read.
struct Column {
    std::size_t at = 0;
    std::size_t model = 0;
    OutcomeField field = OutcomeField::kQuality;
};

/// Where a CSV file has what; -1: nowhere.
struct Layout {
    int text = -1;
    int id = -1;
    int task = -1;
    int split = -1;
    bool python_text = false;  ///< the text is a list as Python writes it
    std::vector<Column> cells;
};

int place(const std::vector<std::string>& head, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
        const auto at = std::ranges::find(head, name);
        if (at != head.end()) return static_cast<int>(at - head.begin());
    }
    return -1;
}

/// RouterBench: quality stands in a column that is called as the model, its cost in "<model>|total_cost".
Layout routerbench(const std::vector<std::string>& head, OutcomeBuilder& builder) {
    constexpr std::string_view kCost = "|total_cost";
    Layout out;
    out.text = place(head, {"prompt"});
    out.id = place(head, {"sample_id"});
    out.task = place(head, {"eval_name"});
    out.split = place(head, {"split"});
    out.python_text = true;
    for (std::size_t c = 0; c < head.size(); ++c) {
        if (!head[c].ends_with(kCost)) continue;
        const std::string model = head[c].substr(0, head[c].size() - kCost.size());
        const int quality = place(head, {model});
        if (quality < 0) continue;
        const std::size_t number = builder.model(model);
        out.cells.push_back({static_cast<std::size_t>(quality), number, OutcomeField::kQuality});
        out.cells.push_back({c, number, OutcomeField::kCostUsd});
    }
    return out;
}

Result<Layout> own(const std::vector<std::string>& head, OutcomeBuilder& builder) {
    Layout out;
    out.text = place(head, {"query"});
    out.id = place(head, {"qid", "id"});
    out.task = place(head, {"task"});
    out.split = place(head, {"split"});
    for (std::size_t c = 0; c < head.size(); ++c) {
        const std::size_t bar = head[c].rfind('|');
        if (bar == std::string::npos) continue;
        const std::string_view name = std::string_view(head[c]).substr(bar + 1);
        if (name == "response") continue;
        const auto field = std::ranges::find(kColumns, name, &FieldName::name);
        if (field == kColumns.end()) {
            return fail(ErrorCode::kConfig,
                        fmt::format("line 1, column {}: '{}' is not known", c + 1, head[c]),
                        "after the bar stands quality, cost_usd, mean_logprob, latency_ms, tok_in, "
                        "tok_out, price_in_usd_per_m or response");
        }
        if (place(head, {head[c].substr(0, bar) + "|quality"}) < 0) {
            return fail(ErrorCode::kConfig,
                        fmt::format("line 1, column {}: '{}' without a column '{}|quality'", c + 1,
                                    head[c], head[c].substr(0, bar)));
        }
        out.cells.push_back({c, builder.model(head[c].substr(0, bar)), field->field});
    }
    return out;
}

Result<Layout> layout_of(const std::vector<std::string>& head, OutcomeBuilder& builder) {
    for (std::size_t c = 0; c < head.size(); ++c) {
        const auto again =
            std::find(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(c), head[c]);
        if (again != head.begin() + static_cast<std::ptrdiff_t>(c) && !head[c].empty())
            return fail(ErrorCode::kConfig,
                        fmt::format("line 1, column {}: '{}' stands twice", c + 1, head[c]));
    }
    const bool bench = place(head, {"prompt"}) >= 0 && place(head, {"eval_name"}) >= 0;
    auto out = bench ? Result<Layout>(routerbench(head, builder)) : own(head, builder);
    if (!out) return out;
    if (out->text < 0 || out->cells.empty()) {
        return fail(ErrorCode::kConfig, "line 1: these are no outcomes",
                    "the first line of a table names the columns query and MODEL|quality, one of "
                    "RouterBench prompt, eval_name, MODEL and MODEL|total_cost");
    }
    return out;
}

std::string field(const std::vector<std::string>& row, int at) {
    return at < 0 ? std::string() : row[static_cast<std::size_t>(at)];
}

Result<void> read_table(ReadBytes bytes, OutcomeBuilder& builder) {
    CsvRows rows(std::move(bytes));
    const auto first = rows.next();
    if (!first) return fail(first.error());
    if (!*first) return fail(ErrorCode::kConfig, "the file is empty");
    const std::vector<std::string> head = rows.fields();
    const auto layout = layout_of(head, builder);
    if (!layout) return fail(layout.error());
    for (;;) {
        const auto more = rows.next();
        if (!more) return fail(more.error());
        if (!*more) return {};
        const std::vector<std::string>& row = rows.fields();
        if (row.size() != head.size()) {
            return fail(ErrorCode::kConfig,
                        fmt::format("line {}: {} columns, and the first line has {}", rows.line(),
                                    row.size(), head.size()));
        }
        builder.count_row();
        std::string text = field(row, layout->text);
        if (layout->python_text) text = text_of_python_list(text);
        const auto query = builder.add({field(row, layout->id), field(row, layout->task),
                                        field(row, layout->split), std::move(text)});
        if (!query) continue;
        for (const Column& one : layout->cells) {
            auto set = builder.set(*query, one.model, one.field, row[one.at]);
            if (set) continue;
            return fail_at(
                fmt::format("line {}, column {} ({})", rows.line(), one.at + 1, head[one.at]),
                set.error());
        }
    }
}

/// LLMRouter: a JSON object per line, query and model.
Result<void> read_llmrouter_line(std::string_view line, OutcomeBuilder& builder) {
    const auto node = json::parse_node(line);
    if (!node) return fail(node.error());
    if (!node->is_object()) return fail(ErrorCode::kConfig, "this is no JSON object");
    const std::string_view query = node->text_of("query");
    const std::string_view model = node->text_of("model_name");
    if (query.empty() || model.empty())
        return fail(ErrorCode::kConfig, "\"query\" and \"model_name\" must be texts");
    const std::size_t m = builder.model(model);
    const auto q = builder.add_or_find({"", std::string(node->text_of("task_name")),
                                        std::string(node->text_of("split")), std::string(query)},
                                       m);
    if (!q) return {};
    for (const FieldName& one : kLlmrouterMembers) {
        const json::Node* const value = node->find(one.name);
        if (value == nullptr || value->is_null()) continue;
        if (!value->is_number())
            return fail(ErrorCode::kConfig, fmt::format("\"{}\" is no number", one.name));
        if (auto set = builder.set(*q, m, one.field, value->text); !set)
            return fail_at(fmt::format("\"{}\"", one.name), set.error());
    }
    return {};
}

Result<void> read_lines(const ReadBytes& bytes, OutcomeBuilder& builder) {
    std::string held;
    std::size_t number = 0;
    std::vector<char> buffer(256UL * 1024);
    const auto take = [&](std::string_view line) -> Result<void> {
        ++number;
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) return {};
        builder.count_row();
        auto done = read_llmrouter_line(line, builder);
        if (done) return done;
        return fail_at(fmt::format("line {}", number), done.error());
    };
    for (;;) {
        const auto got = bytes(std::span(buffer));
        if (!got) return fail(got.error());
        if (*got == 0) return held.empty() ? Result<void>() : take(held);
        std::string_view rest(buffer.data(), *got);
        for (std::size_t end = rest.find('\n'); end != std::string_view::npos;
             end = rest.find('\n')) {
            held.append(rest.substr(0, end));
            if (auto done = take(held); !done) return done;
            held.clear();
            rest.remove_prefix(end + 1);
        }
        held.append(rest);
        if (held.size() > kMostLineBytes)
            return fail(ErrorCode::kConfig, fmt::format("line {}: it is too long", number + 1));
    }
}

}  // namespace

Result<OutcomeTable> read_outcomes(const ReadBytes& bytes, const OutcomeReading& how) {
    // The first character tells lines of JSON from a table.
    std::string begin(1, '\0');
    const auto first = bytes(std::span(begin));
    if (!first) return fail(first.error());
    begin.resize(*first);
    const bool lines = begin == "{";
    const ReadBytes all = [&begin, &bytes](std::span<char> to) -> Result<std::size_t> {
        if (begin.empty()) return bytes(to);
        const std::size_t n = std::min(to.size(), begin.size());
        std::ranges::copy_n(begin.begin(), static_cast<std::ptrdiff_t>(n), to.begin());
        begin.erase(0, n);
        return n;
    };
    OutcomeBuilder builder(how);
    if (auto read = lines ? read_lines(all, builder) : read_table(all, builder); !read)
        return fail(std::move(read.error()));
    return std::move(builder).finish();
}

Result<OutcomeTable> read_outcome_file(const std::filesystem::path& path,
                                       const OutcomeReading& how) {
    auto file = GzipFile::open(path.string());
    if (!file) return fail(std::move(file.error()));
    bool of_file = false;  // its errors name it already
    auto out = read_outcomes(
        [&](std::span<char> to) {
            auto got = file->read(to);
            of_file = !got.has_value();
            return got;
        },
        how);
    if (out || of_file) return out;
    return fail_at(path.string(), out.error());
}

Result<void> require_costs(const OutcomeTable& table) {
    std::string names;
    for (const ModelOutcomes& one : table.models)
        if (!one.has_cost) names += (names.empty() ? "" : ", ") + one.model;
    if (names.empty()) return {};
    return fail(ErrorCode::kConfig, "the costs of these models are not known: " + names,
                "--price MODEL=USD gives a price per million tokens, once for each");
}

}  // namespace leeway::lab
