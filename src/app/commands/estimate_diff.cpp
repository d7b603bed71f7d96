#include "app/commands/estimate_diff.hpp"

#include "app/terminal.hpp"
#include "json/write.hpp"
#include "lab/estimate/json_tree.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

using lab::JsonTree;

/// What is compared of a model on one side.
struct Side {
    std::string model;
    std::optional<PicoUsdSum> request;  ///< mean; nullopt: unknown
    std::optional<PicoUsdSum> month;    ///< mean; nullopt: unknown, or nobody said how many
    std::array<std::int64_t, lab::kPartCount> tokens{};
};

tl::unexpected<Error> bad(const std::string& path, std::string_view what) {
    return fail(ErrorCode::kInvalidRequest, fmt::format("{}: {}", path, what),
                "what `leeway estimate --json` prints is expected, or a request, or a workload");
}

std::optional<PicoUsdSum> mean_in(const JsonTree& outcome, std::string_view per) {
    const JsonTree* spread = outcome.find(per);
    if (spread == nullptr) return std::nullopt;
    const std::string_view text = spread->string("mean_pico");
    if (text.empty() || text.size() > 30) return std::nullopt;
    Int128 value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return PicoUsdSum(value);
}

Result<std::vector<Side>> sides_in(const JsonTree& json, const std::string& path) {
    std::vector<Side> out;
    for (const JsonTree& model : json.find("models")->items) {
        const JsonTree* base = model.find("base");
        if (base == nullptr || model.string("model").empty()) {
            return bad(path, "a model has no name or no result");
        }
        Side& side = out.emplace_back();
        side.model = model.string("model");
        const JsonTree* known = base->find("known");
        if (known != nullptr && known->text == "true") {
            side.request = mean_in(*base, "per_request");
            side.month = mean_in(*base, "per_month");
            if (!side.request) return bad(path, "a model has no mean");
        }
        if (const JsonTree* parts = base->find("by_part")) {
            for (const JsonTree& part : parts->items) {
                for (std::size_t p = 0; p < lab::kPartCount; ++p) {
                    if (part.string("part") == lab::kPartNames[p]) {
                        side.tokens[p] = part.integer("tokens").value_or(0);
                    }
                }
            }
        }
    }
    if (out.empty()) return bad(path, "it has no models");
    return out;
}

Result<std::vector<Side>> sides_of(const std::string& path, const EstimateOptions& options,
                                   EstimateSources& sources, const lab::Recorded& recorded) {
    if (!path.ends_with(".yaml") && !path.ends_with(".yml")) {
        const auto text = read_input(path, std::size_t{1} << 30U);
        if (!text) return fail(text.error());
        const auto json = lab::read_json(*text);
        if (!json) return bad(path, json.error().message);
        if (json->find("estimate") != nullptr && json->find("models") != nullptr) {
            return sides_in(*json, path);
        }
    }
    auto scenario = read_scenario_file(path, options);
    if (!scenario) return fail(scenario.error());
    const auto estimate = make_estimate(options, sources, std::move(*scenario), recorded);
    if (!estimate) return fail(estimate.error());
    std::vector<Side> out;
    for (const ModelEstimate& model : estimate->models) {
        Side& side = out.emplace_back();
        side.model = model.model;
        side.tokens = model.base.tokens;
        if (!model.base.known()) continue;
        side.request = model.base.per_request.mean;
        if (model.base.per_month) side.month = model.base.per_month->mean;
    }
    return out;
}

/// A model on both sides.
struct Pair {
    const Side* base;
    const Side* head;
    [[nodiscard]] std::string name() const {
        return base->model == head->model ? base->model : base->model + " -> " + head->model;
    }
    /// By how many percent of `base` the head is dearer; nullopt: one of them is unknown, or the base is free.
    [[nodiscard]] std::optional<double> change() const {
        if (!base->request || !head->request || base->request->value() == 0) return std::nullopt;
        return static_cast<double>(head->request->minus(*base->request).value()) /
               static_cast<double>(base->request->value()) * 100;
    }
    [[nodiscard]] bool within(std::int64_t threshold_permille) const {
        if (!base->request || !head->request) return false;
        // In integers: exactly the threshold is within it.
        return (head->request->value() - base->request->value()) * 1000 <=
               base->request->value() * threshold_permille;
    }
};

std::string money(const std::optional<PicoUsdSum>& amount) {
    return amount ? usd_text(*amount) : "unknown";
}

std::string change_text(const Pair& pair) {
    const auto change = pair.change();
    return change ? fmt::format("{:+.1f} %", *change) : "unknown";
}

std::vector<std::vector<std::string>> cost_rows(const std::vector<Pair>& pairs) {
    const bool months = std::any_of(pairs.begin(), pairs.end(), [](const Pair& pair) {
        return pair.base->month && pair.head->month;
    });
    std::vector<std::vector<std::string>> rows{{"MODEL", "BASE", "HEAD", "CHANGE"}};
    if (months) rows[0].insert(rows[0].end(), {"BASE A MONTH", "HEAD A MONTH"});
    for (const Pair& pair : pairs) {
        rows.push_back(
            {pair.name(), money(pair.base->request), money(pair.head->request), change_text(pair)});
        if (months) {
            rows.back().insert(rows.back().end(),
                               {money(pair.base->month), money(pair.head->month)});
        }
    }
    return rows;
}

std::vector<std::vector<std::string>> token_rows(const Pair& pair) {
    std::vector<std::vector<std::string>> rows{{"PART", "BASE", "HEAD", "CHANGE"}};
    for (std::size_t p = 0; p < lab::kPartCount; ++p) {
        const std::int64_t base = pair.base->tokens[p];
        const std::int64_t head = pair.head->tokens[p];
        if (base == 0 && head == 0) continue;
        rows.push_back({std::string(lab::kPartNames[p]), std::to_string(base), std::to_string(head),
                        fmt::format("{:+}", head - base)});
    }
    return rows;
}

std::string markdown(const std::vector<std::vector<std::string>>& rows) {
    std::string out;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        out += fmt::format("| {} |\n", fmt::join(rows[i], " | "));
        if (i > 0) continue;
        out += "|";
        for (std::size_t c = 0; c < rows[0].size(); ++c) out += c == 0 ? "---|" : "---:|";
        out += "\n";
    }
    return out;
}

std::string as_json(const std::vector<Pair>& pairs, std::int64_t threshold_permille, bool within) {
    std::string text;
    json::Writer out(text);
    const auto amount = [&](const char* name, const std::optional<PicoUsdSum>& value) {
        out.key(name);
        value ? out.string(to_pico_string(*value)) : out.null();
    };
    out.object().key("threshold_percent").number(static_cast<double>(threshold_permille) / 10);
    out.key("within").boolean(within).key("models").array();
    for (const Pair& pair : pairs) {
        out.object().key("model").string(pair.name());
        amount("base_request_pico", pair.base->request);
        amount("head_request_pico", pair.head->request);
        amount("base_month_pico", pair.base->month);
        amount("head_month_pico", pair.head->month);
        const auto change = pair.change();
        out.key("change_percent");
        change ? out.number(*change) : out.null();
        out.key("within").boolean(pair.within(threshold_permille)).key("tokens").array();
        for (std::size_t p = 0; p < lab::kPartCount; ++p) {
            if (pair.base->tokens[p] == 0 && pair.head->tokens[p] == 0) continue;
            out.object().key("part").string(lab::kPartNames[p]);
            out.key("base").integer(pair.base->tokens[p]);
            out.key("head").integer(pair.head->tokens[p]).close_object();
        }
        out.close_array().close_object();
    }
    out.close_array().close_object();
    return text + "\n";
}

}  // namespace

Result<EstimateDiff> diff_estimates(const EstimateOptions& options, EstimateSources& sources,
                                    std::int64_t threshold_permille) {
    const lab::Recorded recorded = traffic_if_any(options);
    const auto base = sides_of(options.file, options, sources, recorded);
    if (!base) return fail(base.error());
    const auto head = sides_of(options.other, options, sources, recorded);
    if (!head) return fail(head.error());
    std::vector<Pair> pairs;
    const bool single = base->size() == 1 && head->size() == 1;
    for (const Side& side : *base) {
        const auto same = std::find_if(head->begin(), head->end(), [&](const Side& other) {
            return single || other.model == side.model;
        });
        if (same != head->end()) pairs.push_back({&side, &*same});
    }
    if (pairs.empty() || pairs.size() != base->size() || pairs.size() != head->size()) {
        return fail(
            ErrorCode::kInvalidRequest,
            fmt::format("{} and {} are not about the same models", options.file, options.other),
            "--models A,B says which to compare");
    }
    EstimateDiff out;
    out.within = std::all_of(pairs.begin(), pairs.end(),
                             [&](const Pair& pair) { return pair.within(threshold_permille); });
    if (options.json) {
        out.text = as_json(pairs, threshold_permille, out.within);
        return out;
    }
    const bool unknown = std::any_of(pairs.begin(), pairs.end(), [](const Pair& pair) {
        return !pair.base->request || !pair.head->request;
    });
    const std::string verdict =
        fmt::format("{} {}.{} % that the cost of a request may rise{}",
                    out.within ? "Within the" : "**Not** within the", threshold_permille / 10,
                    threshold_permille % 10, unknown ? ", as a price is unknown" : "");
    if (options.markdown) {
        out.text = fmt::format(
            "### What this change costs\n\n{}.\n\n{}\nMean USD of a request, as "
            "`leeway estimate` foretells it.\n\n<details><summary>Tokens of a "
            "request, {}</summary>\n\n{}\n</details>\n",
            verdict, markdown(cost_rows(pairs)), pairs.front().name(),
            markdown(token_rows(pairs.front())));
        return out;
    }
    std::string plain = verdict;
    if (!out.within) plain = "Not" + plain.substr(7);
    out.text = fmt::format("{}\nMean USD of a request.\n\n{}Tokens of a request, {}:\n{}",
                           table(cost_rows(pairs)), plain + ".\n\n", pairs.front().name(),
                           table(token_rows(pairs.front())));
    return out;
}

}  // namespace leeway::app
