#include "json/tokens.hpp"

#include "app/commands.hpp"
#include "app/commands/tokens_show.hpp"
#include "app/default_paths.hpp"
#include "app/price_layers.hpp"
#include "app/terminal.hpp"
#include "app/vocabularies.hpp"
#include "base/clock.hpp"
#include "base/strings.hpp"
#include "json/text.hpp"
#include "json/write.hpp"
#include "tokens/chat_count.hpp"
#include "tokens/scan.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

using tokens::TokenCount;

constexpr std::size_t kShownBytes = 4096;
/// What the comparison shows when no model is named: one of each way to count.
const std::vector<std::string>& usual_models() {
    static const std::vector<std::string> models{
        "gpt-5", "gpt-4", "gpt-oss-120b", "claude-opus-4-7", "claude-sonnet-4-5", "gemini-2.5-pro"};
    return models;
}

/// A model of the comparison.
struct Row {
    std::string model;
    std::string vocabulary;
    TokenCount count;
    std::string note;
    std::string priced_as;  ///< provider/model of the price book; empty: not in it
    std::optional<PicoUsd> cost;  ///< of the text as fresh input; nullopt: unknown
};

/// What the text costs as input of the row's model today.
void price(Row& row, const prices::PriceBook* book) {
    if (book == nullptr) return;
    const auto found = book->named(row.model);
    if (found.model == nullptr) return;
    row.priced_as = found.provider->id + "/" + found.model->id;
    prices::PriceQuery today;
    today.unix_s = unix_now_s();
    const prices::Usage usage{{prices::Bucket::kInput, row.count.tokens}};
    row.cost = prices::ModelPrices(found.model->sheets).price(usage, today).cost;
}

tokens::CalibrationFeatures features_of(std::string_view text, std::size_t base_tokens) {
    tokens::CalibrationFeatures out;
    out.requests = 0;
    out.base_tokens = static_cast<double>(base_tokens);
    for (const char c : text) {
        out.digit_bytes += c >= '0' && c <= '9' ? 1 : 0;
        out.other_bytes += static_cast<unsigned char>(c) >= 0x80 ? 1 : 0;
    }
    return out;
}

Result<Row> count_for(Tokenizers& all, const std::string& model, std::string_view text,
                      bool request) {
    tokens::ModelTokens rule = all.rule_of(model);
    Row row;
    row.model = model;
    const auto tokenizer = all.for_rule(rule, row.note);
    if (!tokenizer) return fail(tokenizer.error());
    row.vocabulary = rule.vocabulary;
    const tokens::Calibration learned = all.calibration_of(rule, model);
    if (request) {
        const auto chat = tokens::count_chat(
            text, {.model = model, .rule = rule, .tokenizer = *tokenizer, .calibration = &learned});
        if (!chat) return fail(chat.error());
        row.count = chat->total;
        return row;
    }
    const std::size_t base = (*tokenizer)->count(text);
    if (rule.exact) {
        row.count = TokenCount::exact(static_cast<std::int64_t>(base));
        return row;
    }
    row.count = learned.estimate(features_of(text, base));
    return row;
}

/// Counts as the configuration says, and with what its gateway has learned, where one is named.
Result<void> set_up(Tokenizers& all, const PlaceOptions& place) {
    if (!place.config.empty()) {
        const auto config = load_config(place.config);
        if (!config) return fail(config.error());
        all.use(*config);
    }
    if (place.config.empty() && place.state.empty()) return {};
    const auto state = state_folder_of(place);
    if (!state) return fail(state.error());
    return all.use_state(*state);
}

std::string interval(const TokenCount& count) {
    if (count.low == count.high) return "-";
    return fmt::format("{}–{}", count.low, count.high);
}

/// Columns are padded by characters; the dash of an interval is one character in three bytes.
std::string interval_cell(const TokenCount& count, std::size_t width) {
    std::string out = interval(count);
    const std::size_t shown = count.low == count.high ? out.size() : out.size() - 2;
    return out + std::string(width > shown ? width - shown : 0, ' ');
}

std::string table(const std::vector<Row>& rows) {
    std::size_t model = 5;
    std::size_t vocabulary = 10;
    for (const Row& row : rows) {
        model = std::max(model, row.model.size());
        vocabulary = std::max(vocabulary, row.vocabulary.size());
    }
    std::size_t cost = 9;
    for (const Row& row : rows) {
        if (row.cost) cost = std::max(cost, to_usd_string(*row.cost).size());
    }
    std::string out = fmt::format("{:<{}}  {:<{}}  {:>10}  {:<10}  {:<17}  {:>{}}  {}\n", "MODEL",
                                  model, "VOCABULARY", vocabulary, "TOKENS", "QUALITY",
                                  "95 % INTERVAL", "USD INPUT", cost, "PRICED AS");
    for (const Row& row : rows) {
        out += fmt::format(
            "{:<{}}  {:<{}}  {:>10}  {:<10}  {}  {:>{}}  {}{}{}\n", row.model, model,
            row.vocabulary, vocabulary, row.count.tokens, to_string(row.count.quality),
            interval_cell(row.count, 17), row.cost ? to_usd_string(*row.cost) : "unknown", cost,
            row.priced_as.empty() ? "-" : row.priced_as, row.note.empty() ? "" : "  ", row.note);
    }
    return out;
}

void write_row(json::Writer& writer, const Row& row) {
    writer.object().key("model").string(row.model).key("vocabulary").string(row.vocabulary);
    writer.key("count").integer(row.count.tokens).key("low").integer(row.count.low);
    writer.key("high").integer(row.count.high).key("quality").string(to_string(row.count.quality));
    writer.key("input_usd");
    row.cost ? writer.string(to_usd_string(*row.cost)) : writer.null();
    writer.key("priced_as");
    row.priced_as.empty() ? writer.null() : writer.string(row.priced_as);
    writer.close_object();
}

/// What the options say about which tokenizer is the one that is shown.
struct Chosen {
    std::string model;       ///< empty: a vocabulary was named
    std::string vocabulary;
    tokens::Tokenizer* tokenizer = nullptr;
    std::string note;
};
Result<Chosen> choose(Tokenizers& all, const TokensOptions& options) {
    Chosen out;
    if (!options.vocabulary.empty()) {
        out.vocabulary = options.vocabulary;
    } else {
        out.model = options.models.empty() ? usual_models().front() : options.models.front();
        tokens::ModelTokens rule = all.rule_of(out.model);
        const auto tokenizer = all.for_rule(rule, out.note);
        if (!tokenizer) return fail(tokenizer.error());
        out.vocabulary = rule.vocabulary;
    }
    const auto tokenizer = all.named(out.vocabulary);
    if (!tokenizer) return fail(tokenizer.error());
    out.tokenizer = *tokenizer;
    return out;
}

int print_json(const TokensOptions& options, const Chosen& chosen, std::string_view text,
               const std::vector<Row>& rows) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("vocabulary").string(chosen.tokenizer->vocabulary().name());
    writer.key("bytes").integer(static_cast<std::int64_t>(text.size()));
    if (!options.request) {
        const auto ids = chosen.tokenizer->encode(text);
        writer.key("count").integer(static_cast<std::int64_t>(ids.size()));
        if (options.ids) {
            writer.key("ids").array();
            for (const tokens::TokenId id : ids) writer.integer(id);
            writer.close_array();
        }
    }
    writer.key("models").array();
    for (const Row& row : rows) write_row(writer, row);
    writer.close_array().close_object();
    return print_out(out + "\n");
}

int run_lines(const TokensOptions& options, tokens::Tokenizer& tokenizer,
              const std::string& input) {
    std::string_view rest = input;
    std::string out;
    std::size_t number = 0;
    while (!rest.empty()) {
        ++number;
        const std::size_t end = rest.find('\n');
        const std::string_view line = trim(rest.substr(0, end));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        if (line.empty()) continue;
        const bool quoted = line.size() >= 2 && line.front() == '"' && line.back() == '"';
        const auto text = quoted ? json::unescape(line.substr(1, line.size() - 2)) : std::nullopt;
        if (!text) {
            print_out(out);
            return report_failure({ErrorCode::kInvalidRequest,
                                   fmt::format("line {} is not a JSON string", number),
                                   {},
                                   {},
                                   {}});
        }
        json::Writer writer(out);
        writer.object().key("count");
        if (options.ids) {
            const auto ids = tokenizer.encode(*text);
            writer.integer(static_cast<std::int64_t>(ids.size())).key("ids").array();
            for (const tokens::TokenId id : ids) writer.integer(id);
            writer.close_array();
        } else {
            writer.integer(static_cast<std::int64_t>(tokenizer.count(*text)));
        }
        writer.close_object();
        out += '\n';
        if (out.size() > (std::size_t{1} << 20U)) {
            if (print_out(out) != 0) return 1;
            out.clear();
        }
    }
    return print_out(out);
}

}  // namespace

int run_tokens(const TokensOptions& options) {
    Tokenizers all;
    if (auto ready = set_up(all, options.place); !ready) return report_failure(ready.error());
    const auto chosen = choose(all, options);
    if (!chosen) return report_failure(chosen.error());
    const auto text = read_input(options.file, tokens::kMaxTextBytes);
    if (!text) return report_failure(text.error());
    if (options.jsonl) return run_lines(options, *chosen->tokenizer, *text);

    const auto book = load_price_book({.book = default_price_book()});
    if (!book) return report_failure(book.error());
    std::vector<Row> rows;
    std::vector<std::string> models = options.models;
    if (models.empty() && options.vocabulary.empty()) models = usual_models();
    for (const std::string& model : models) {
        auto row = count_for(all, model, *text, options.request);
        if (!row) return report_failure(row.error());
        price(*row, book->get());
        rows.push_back(std::move(*row));
    }
    if (options.json) return print_json(options, *chosen, *text, rows);

    const bool colour = wants_colour(stdout);
    std::string out;
    if (!options.request) {
        const std::size_t count = chosen->tokenizer->count(*text);
        out += fmt::format("{} tokens  {}{}  {} bytes\n\n",
                           coloured(std::to_string(count), Colour::kBold, colour),
                           chosen->tokenizer->vocabulary().name(),
                           chosen->model.empty() ? "" : " (" + chosen->model + ")", text->size());
        if (!text->empty())
            out += show_tokens(*chosen->tokenizer, *text, colour, kShownBytes) + "\n";
    }
    if (!rows.empty()) out += table(rows);
    return print_out(out);
}

}  // namespace leeway::app
