#include "app/commands/estimate_show.hpp"

#include "app/terminal.hpp"
#include "json/write.hpp"
#include "ledger/report_parts.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

using lab::Outcome;
using lab::Spread;
using Rows = std::vector<std::vector<std::string>>;

std::string percent(std::int64_t permille) {
    return fmt::format("{}{}.{} %", permille < 0 ? "-" : "", std::abs(permille) / 10,
                       std::abs(permille) % 10);
}

std::int64_t share_permille(PicoUsdSum part, PicoUsdSum whole) {
    if (whole.value() <= 0) return 0;
    const Int128 twice = part.value() * 2000 / whole.value();
    return static_cast<std::int64_t>((twice + (twice < 0 ? -1 : 1)) / 2);
}

std::string tokens_text(const tokens::TokenCount& count) {
    if (count.high == 0) return "by part, below";
    if (count.low == count.high) {
        return fmt::format("{} {}", count.tokens, to_string(count.quality));
    }
    return fmt::format("{} ({}–{}) {}", count.tokens, count.low, count.high,
                       to_string(count.quality));
}

void add_spread(std::vector<std::string>& row, const Spread& spread) {
    for (const PicoUsdSum& amount : {spread.p10, spread.p50, spread.p90, spread.p99}) {
        row.push_back(usd_text(amount));
    }
}

/// Text for a cell of a Markdown table.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '|') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

/// Text or Markdown out of headings, tables and lists.
class Page {
public:
    Page(bool markdown, bool colour) : markdown_(markdown), colour_(colour) {}

    void heading(const std::string& text) {
        if (!out_.empty()) out_ += '\n';
        out_ += markdown_ ? fmt::format("**{}**\n\n", text)
                          : coloured(text, Colour::kBold, colour_) + "\n";
    }
    void rows(const Rows& rows) {
        if (!markdown_) {
            out_ += table(rows);
            return;
        }
        for (std::size_t i = 0; i < rows.size(); ++i) {
            out_ += "|";
            for (const std::string& cell : rows[i]) out_ += " " + escaped(cell) + " |";
            out_ += "\n";
            if (i > 0) continue;
            out_ += "|";
            for (std::size_t c = 0; c < rows[0].size(); ++c) out_ += "---|";
            out_ += "\n";
        }
    }
    void list(const std::string& title, const std::vector<std::string>& lines) {
        if (lines.empty()) return;
        heading(title);
        for (const std::string& line : lines) {
            out_ += fmt::format("{} {}\n", markdown_ ? "-" : " ", line);
        }
    }
    void line(const std::string& text) { out_ += text + "\n"; }
    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    bool markdown_;
    bool colour_;
    std::string out_;
};

void add_outcome_rows(Rows& rows, const std::string& name, const Outcome& outcome,
                      const std::optional<PicoUsd>& budget) {
    if (!outcome.known()) {
        std::vector<std::string> row{name, outcome.unknown_because};
        row.resize(budget ? 7 : 6, "-");
        std::fill(row.begin() + 2, row.begin() + 6, "unknown");
        rows.push_back(std::move(row));
        return;
    }
    const auto add = [&](const char* per, const Spread& spread, std::string chance) {
        std::vector<std::string> row{name, per};
        add_spread(row, spread);
        if (budget) row.push_back(std::move(chance));
        rows.push_back(std::move(row));
    };
    add("request", outcome.per_request, "-");
    add("1000 requests", outcome.per_thousand, "-");
    if (outcome.per_month) {
        add("month", *outcome.per_month,
            outcome.within_budget_permille ? percent(*outcome.within_budget_permille) : "-");
    }
}

Rows cost_rows(const Estimate& estimate) {
    Rows rows{{"MODEL", "PER", "P10", "P50", "P90", "P99"}};
    if (estimate.budget) rows[0].emplace_back("WITHIN BUDGET");
    for (const ModelEstimate& model : estimate.models) {
        add_outcome_rows(rows, model.model, model.base, estimate.budget);
        if (model.what_if) {
            add_outcome_rows(rows, fmt::format("{} {}", model.model, estimate.what_if),
                             *model.what_if, estimate.budget);
        }
    }
    return rows;
}

Rows model_rows(const Estimate& estimate) {
    Rows rows{{"MODEL", "INPUT TOKENS", "OUTPUT FROM", "PRICED AS"}};
    for (const ModelEstimate& model : estimate.models) {
        rows.push_back({model.model, tokens_text(model.input), model.output_from,
                        model.priced_as.empty() ? "-" : model.priced_as});
    }
    return rows;
}

void add_detail(Page& page, const ModelEstimate& model) {
    const Outcome& base = model.base;
    const PicoUsdSum whole = base.per_request.mean;
    page.heading(fmt::format("{}: where the mean of a request goes", model.model));
    Rows parts{{"PART", "TOKENS", "USD", "SHARE"}};
    for (std::size_t p = 0; p < lab::kPartCount; ++p) {
        if (base.tokens[p] == 0 && base.by_part[p].value() == 0) continue;
        parts.push_back({std::string(lab::kPartNames[p]), std::to_string(base.tokens[p]),
                         usd_text(base.by_part[p]),
                         percent(share_permille(base.by_part[p], whole))});
    }
    page.rows(parts);
    page.line("");
    Rows buckets{{"BUCKET", "USD", "SHARE"}};
    for (const prices::BucketInfo& info : prices::kBuckets) {
        const PicoUsdSum amount = base.by_bucket[prices::index_of(info.bucket)];
        if (amount.value() == 0) continue;
        buckets.push_back(
            {std::string(info.name), usd_text(amount), percent(share_permille(amount, whole))});
    }
    page.rows(buckets);
    if (base.flows.size() > 1) {
        page.line("");
        Rows flows{{"FLOW", "REQUESTS A MONTH", "P10", "P50", "P90", "P99", "MONTH"}};
        for (const lab::FlowOutcome& flow : base.flows) {
            std::vector<std::string> row{flow.name, std::to_string(flow.requests_per_month)};
            add_spread(row, flow.per_request);
            row.push_back(usd_text(flow.month_mean));
            flows.push_back(std::move(row));
        }
        page.rows(flows);
    }
    if (!model.levers.empty()) {
        const PicoUsdSum all = base.per_month ? base.per_month->mean : base.per_thousand.mean;
        page.heading(fmt::format("{}: what moves it most", model.model));
        Rows levers{
            {"CHANGE", base.per_month ? "USD SAVED A MONTH" : "USD SAVED PER 1000", "SHARE"}};
        for (const lab::Lever& lever : model.levers) {
            levers.push_back(
                {lever.what, usd_text(lever.saves), percent(share_permille(lever.saves, all))});
        }
        page.rows(levers);
    }
}

std::string as_page(const Estimate& estimate, bool markdown, bool colour) {
    Page page(markdown, colour);
    page.heading(
        fmt::format("Estimate of {}{}, USD",
                    estimate.source == "recorded" ? "recorded traffic" : "a " + estimate.source,
                    estimate.requests_per_month > 0
                        ? fmt::format(", {} requests a month", estimate.requests_per_month)
                        : std::string()));
    page.rows(cost_rows(estimate));
    page.line("");
    page.rows(model_rows(estimate));
    if (estimate.budget) {
        for (const ModelEstimate& model : estimate.models) {
            if (!model.base.most_requests) continue;
            page.line("");
            page.line(fmt::format("{}: {} requests a month fit into {} USD in nine months of ten",
                                  model.model, *model.base.most_requests,
                                  usd_text(PicoUsdSum(Int128{estimate.budget->value()}))));
        }
    }
    for (const ModelEstimate& model : estimate.models) {
        if (model.base.known()) {
            add_detail(page, model);
            break;
        }
    }
    page.list("Assumed", estimate.assumptions);
    std::vector<std::string> unknown = estimate.unknown;
    for (const ModelEstimate& model : estimate.models) {
        if (!model.base.known()) {
            unknown.push_back(fmt::format("{}: {}", model.model, model.base.unknown_because));
        }
        if (model.what_if && !model.what_if->known()) {
            unknown.push_back(fmt::format("{} {}: {}", model.model, estimate.what_if,
                                          model.what_if->unknown_because));
        }
        unknown.insert(unknown.end(), model.notes.begin(), model.notes.end());
    }
    page.list("Not in these figures", unknown);
    page.list("How far such estimates were off", estimate.back_tests);
    return page.take();
}

void write_amount(json::Writer& out, const std::string& name, PicoUsdSum amount) {
    out.key(name + "_usd").string(to_usd_string(amount));
    out.key(name + "_pico").string(to_pico_string(amount));
}

void write_spread(json::Writer& out, const Spread& spread) {
    out.object();
    write_amount(out, "p10", spread.p10);
    write_amount(out, "p50", spread.p50);
    write_amount(out, "p90", spread.p90);
    write_amount(out, "p99", spread.p99);
    write_amount(out, "mean", spread.mean);
    out.close_object();
}

void write_parts(json::Writer& out, const Outcome& outcome) {
    out.key("by_part").array();
    for (std::size_t p = 0; p < lab::kPartCount; ++p) {
        if (outcome.tokens[p] == 0 && outcome.by_part[p].value() == 0) continue;
        out.object().key("part").string(lab::kPartNames[p]);
        out.key("tokens").integer(outcome.tokens[p]);
        if (outcome.known()) write_amount(out, "mean", outcome.by_part[p]);
        out.close_object();
    }
    out.close_array();
}

void write_outcome(json::Writer& out, const Outcome& outcome) {
    out.object().key("known").boolean(outcome.known());
    if (!outcome.known()) {
        out.key("unknown_because").string(outcome.unknown_because);
        out.key("per_request").null().key("per_thousand").null().key("per_month").null();
        write_parts(out, outcome);
        out.close_object();
        return;
    }
    out.key("per_request");
    write_spread(out, outcome.per_request);
    out.key("per_thousand");
    write_spread(out, outcome.per_thousand);
    out.key("per_month");
    if (outcome.per_month) {
        write_spread(out, *outcome.per_month);
    } else {
        out.null();
    }
    write_parts(out, outcome);
    out.key("by_bucket").array();
    for (const prices::BucketInfo& info : prices::kBuckets) {
        const PicoUsdSum amount = outcome.by_bucket[prices::index_of(info.bucket)];
        if (amount.value() == 0) continue;
        out.object().key("bucket").string(info.name);
        write_amount(out, "mean", amount);
        out.close_object();
    }
    out.close_array().key("flows").array();
    for (const lab::FlowOutcome& flow : outcome.flows) {
        out.object().key("name").string(flow.name);
        out.key("requests_per_month").integer(flow.requests_per_month).key("per_request");
        write_spread(out, flow.per_request);
        write_amount(out, "month_mean", flow.month_mean);
        out.close_object();
    }
    out.close_array().key("within_budget");
    if (outcome.within_budget_permille) {
        out.number(static_cast<double>(*outcome.within_budget_permille) / 1000);
    } else {
        out.null();
    }
    out.key("most_requests_per_month");
    outcome.most_requests ? out.integer(*outcome.most_requests) : out.null();
    out.close_object();
}

void write_texts(json::Writer& out, const char* name, const std::vector<std::string>& texts) {
    out.key(name).array();
    for (const std::string& text : texts) out.string(text);
    out.close_array();
}

std::string as_json(const Estimate& estimate) {
    std::string text;
    json::Writer out(text);
    out.object().key("estimate").string(estimate.source).key("requests_per_month");
    estimate.requests_per_month > 0 ? out.integer(estimate.requests_per_month) : out.null();
    out.key("budget_usd");
    estimate.budget ? out.string(to_usd_string(*estimate.budget)) : out.null();
    out.key("what_if");
    estimate.what_if.empty() ? out.null() : out.string(estimate.what_if);
    out.key("models").array();
    for (const ModelEstimate& model : estimate.models) {
        out.object().key("model").string(model.model).key("priced_as");
        model.priced_as.empty() ? out.null() : out.string(model.priced_as);
        out.key("input_tokens");
        if (model.input.high == 0) {
            out.null();
        } else {
            out.object().key("count").integer(model.input.tokens);
            out.key("low").integer(model.input.low).key("high").integer(model.input.high);
            out.key("quality").string(to_string(model.input.quality)).close_object();
        }
        out.key("output_from").string(model.output_from);
        out.key("base");
        write_outcome(out, model.base);
        out.key("what_if");
        if (model.what_if) {
            write_outcome(out, *model.what_if);
        } else {
            out.null();
        }
        out.key("levers").array();
        for (const lab::Lever& lever : model.levers) {
            out.object().key("change").string(lever.what);
            write_amount(out, "saves", lever.saves);
            out.close_object();
        }
        out.close_array();
        write_texts(out, "not_covered", model.notes);
        out.close_object();
    }
    out.close_array();
    write_texts(out, "assumptions", estimate.assumptions);
    write_texts(out, "not_covered", estimate.unknown);
    write_texts(out, "back_tests", estimate.back_tests);
    out.close_object();
    return text + "\n";
}

}  // namespace

std::string usd_text(PicoUsdSum amount) { return ledger::display_usd(amount); }

std::string show_estimate(const Estimate& estimate, EstimateFormat format, bool colour) {
    if (format == EstimateFormat::kJson) return as_json(estimate);
    return as_page(estimate, format == EstimateFormat::kMarkdown, colour);
}

std::string show_backtest(const std::vector<lab::Backtest>& tests, std::size_t passed_over,
                          EstimateFormat format) {
    std::size_t tested = 0;
    std::size_t inside = 0;
    for (const lab::Backtest& test : tests) {
        tested += test.tested;
        inside += test.inside();
    }
    const auto permille = [](std::size_t part, std::size_t whole) {
        return static_cast<std::int64_t>(whole == 0 ? 0 : (part * 1000 + whole / 2) / whole);
    };
    if (format == EstimateFormat::kJson) {
        std::string text;
        json::Writer out(text);
        const auto share = [&](const char* name, std::size_t part, std::size_t whole) {
            out.key(name).number(
                whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole));
        };
        out.object().key("tested").integer(static_cast<std::int64_t>(tested));
        share("within_p10_p90", inside, tested);
        out.key("passed_over").integer(static_cast<std::int64_t>(passed_over));
        out.key("flows").array();
        for (const lab::Backtest& test : tests) {
            out.object().key("name").string(test.name);
            out.key("fitted").integer(static_cast<std::int64_t>(test.fitted));
            out.key("tested").integer(static_cast<std::int64_t>(test.tested));
            share("within_p10_p90", test.inside(), test.tested);
            share("below_p10", test.beneath, test.tested);
            share("above_p90", test.above, test.tested);
            out.key("error_of").string(test.priced ? "cost" : "output_tokens");
            out.key("median_absolute_error")
                .number(static_cast<double>(test.median_error_permille) / 1000);
            out.key("error_of_sum").number(static_cast<double>(test.sum_error_permille) / 1000);
            out.close_object();
        }
        out.close_array().close_object();
        return text + "\n";
    }
    Page page(format == EstimateFormat::kMarkdown, false);
    Rows rows{{"FLOW", "FITTED", "TESTED", "IN P10-P90", "BELOW", "ABOVE", "MEDIAN ERROR",
               "ERROR OF SUM", "OF"}};
    for (const lab::Backtest& test : tests) {
        rows.push_back({test.name, std::to_string(test.fitted), std::to_string(test.tested),
                        percent(permille(test.inside(), test.tested)),
                        percent(permille(test.beneath, test.tested)),
                        percent(permille(test.above, test.tested)),
                        percent(test.median_error_permille), percent(test.sum_error_permille),
                        test.priced ? "cost" : "output tokens"});
    }
    page.rows(rows);
    page.line("");
    page.line(
        fmt::format("P10 to P90 holds {} of {} calls that were held back; {} lines without "
                    "a whole answer were passed over",
                    percent(permille(inside, tested)), tested, passed_over));
    return page.take();
}

}  // namespace leeway::app
