#include "app/commands/estimate_diff.hpp"
#include "app/commands/estimate_inputs.hpp"
#include "app/commands/estimate_show.hpp"
#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "base/strings.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace leeway::app {
namespace {

using lab::Call;
using lab::Flow;
using lab::Scenario;

constexpr int kBadInput = 2;

EstimateFormat format_of(const EstimateOptions& options) {
    return options.json       ? EstimateFormat::kJson
           : options.markdown ? EstimateFormat::kMarkdown
                              : EstimateFormat::kText;
}

/// "5", "2.5" as permille; nullopt: no such number.
std::optional<std::int64_t> permille_of(std::string text) {
    if (text.ends_with('%')) text.pop_back();
    const auto amount = parse_usd(trim(text));  // it reads any decimal exactly
    constexpr std::int64_t kOne = 1'000'000'000'000;
    if (!amount || amount->value() < 0 || amount->value() > 10'000 * kOne) return std::nullopt;
    return amount->value() / (kOne / 10);
}

tl::unexpected<Error> bad_switch(const std::string& text, std::string_view known) {
    return fail(ErrorCode::kConfig, fmt::format("--what-if: '{}' is not understood", text),
                std::string(known));
}

Result<lab::Switches> read_switches(const EstimateOptions& options) {
    lab::Switches out;
    constexpr std::string_view kKnown =
        "known: cache=on|off, tier=standard|batch|flex|priority|fast, region=NAME, "
        "retries=PERCENT, output=PERCENT";
    for (const std::string& text : options.what_if) {
        const std::size_t equals = text.find('=');
        const std::string name = text.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
        const auto number = permille_of(value);
        if (name == "cache" && (value == "on" || value == "off")) {
            out.cache = value == "on";
        } else if (name == "region" && !value.empty()) {
            out.region = value;
        } else if (name == "retries" && number && *number <= 1000) {
            out.retries_permille = *number;
        } else if (name == "output" && number && *number >= 10) {
            out.output_percent = *number / 10;
        } else if (const auto tier = std::find(prices::kTierNames.begin(), prices::kTierNames.end(),
                                               std::string_view(value));
                   name == "tier" && tier != prices::kTierNames.end()) {
            out.tier = static_cast<prices::Tier>(tier - prices::kTierNames.begin());
        } else {
            return bad_switch(text, kKnown);
        }
    }
    return out;
}

/// Whether a model thinks before it answers, at the caller's expense, though nobody recorded how much.
bool thinks(std::string_view model) {
    for (const std::string_view pattern :
         {"o1*", "o3*", "o4*", "gpt-5*", "gpt-oss*", "gemini-2.5*", "gemini-3*", "*reasoner*",
          "deepseek-r*", "*thinking*", "grok-4*", "magistral*"}) {
        if (tokens::matches_wildcard(pattern, tokens::bare_model_name(model))) {
            return model.find("chat") == std::string_view::npos;
        }
    }
    return false;
}

/// A model of an estimate and all that it needs to be priced.
struct Preparing {
    const EstimateOptions& options;
    EstimateSources& sources;
    const lab::Recorded& recorded;
};

lab::Answers answers_for(const Preparing& with, const Call& call, const std::string& model,
                         ModelEstimate& out) {
    if (call.output) {
        return {*call.output, call.reasoning_permille, call.reasoning,
                call.prompts.front()->counted_by.empty() ? "told" : "recorded answers"};
    }
    auto found = lab::answers_of(with.recorded, model);
    if (found) {
        if (call.reasoning) found->reasoning = call.reasoning;
        return std::move(*found);
    }
    const std::string kind = with.options.prior.empty() ? call.prior : with.options.prior;
    const lab::Prior* prior = lab::find_prior(kind);
    if (prior == nullptr) prior = lab::find_prior("chat");
    if (!call.reasoning && thinks(model)) {
        out.notes.push_back(fmt::format(
            "{}: reasoning before the answer, which it bills as output; the ledger has no "
            "answers of it",
            model));
    }
    return {lab::Lengths::of(*prior), 0, call.reasoning, fmt::format("prior {}", prior->kind)};
}

Result<lab::PreparedCall> prepare_call(const Preparing& with, const Call& call,
                                       const std::string& model, ModelEstimate& out) {
    lab::PreparedCall prepared;
    prepared.call = &call;
    prepared.model = &with.sources.model(model);
    std::string note;
    Tokenizers& all = with.sources.tokenizers();
    lab::Counters counters;
    counters.rule_of = [&](const std::string& name) {
        return all.rule_of(name);
    };
    counters.tokenizer_for = [&](tokens::ModelTokens& rule, std::string& said) {
        return all.for_rule(rule, said);
    };
    counters.calibration_of = [&](const tokens::ModelTokens& rule, const std::string& name) {
        return all.calibration_of(rule, name);
    };
    for (const auto& prompt : call.prompts) {
        auto counted = lab::count_prompt(*prompt, model, counters, note);
        if (!counted) return fail(std::move(counted.error()));
        prepared.prompts.push_back(*counted);
    }
    if (!note.empty()) out.notes.push_back(fmt::format("{}: {}", model, note));
    prepared.answers = answers_for(with, call, model, out);
    return prepared;
}

/// The mean count of a call's prompts, with the worst quality.
tokens::TokenCount mean_count(const lab::PreparedCall& call) {
    Int128 tokens = 0;
    Int128 low = 0;
    Int128 high = 0;
    tokens::Quality quality = call.prompts.front().count.quality;
    for (const lab::CountedPrompt& prompt : call.prompts) {
        tokens += prompt.count.tokens;
        low += prompt.count.low;
        high += prompt.count.high;
        quality = tokens::worse(quality, prompt.count.quality);
    }
    const auto n = static_cast<std::int64_t>(call.prompts.size());
    const auto mean = [n](Int128 sum) {
        return static_cast<std::int64_t>((sum + n / 2) / n);
    };
    return {mean(tokens), mean(low), mean(high), quality};
}

/// What the table says of all calls together.
void name_and_count(const lab::Prepared& prepared, bool own_models, bool recorded,
                    ModelEstimate& out) {
    std::vector<std::string> names;
    std::vector<std::string> sources;
    const auto note = [](std::vector<std::string>& seen, const std::string& text) {
        if (std::find(seen.begin(), seen.end(), text) == seen.end()) seen.push_back(text);
    };
    std::size_t calls = 0;
    for (const lab::PreparedFlow& flow : prepared) {
        for (const lab::PreparedCall& call : flow.calls) {
            note(names, call.model->name);
            note(sources, call.answers.source);
            const tokens::TokenCount count = mean_count(call);
            out.input = ++calls == 1 ? count : tokens::TokenCount{};
        }
    }
    if (calls > 1) out.input = tokens::TokenCount{};
    if (own_models) {
        out.model = names.size() == 1 ? names.front() : recorded ? "as recorded" : "as in the file";
    }
    out.output_from = fmt::format("{}", fmt::join(sources, ", "));
}

Result<ModelEstimate> estimate_model(const Preparing& with, const Scenario& scenario,
                                     const std::string& asked, const lab::Switches& what_if,
                                     const lab::Evaluation& how) {
    ModelEstimate out;
    out.model = asked.empty() ? "as recorded" : asked;
    lab::Prepared prepared;
    std::vector<std::string> priced_as;
    for (const Flow& flow : scenario.flows) {
        lab::PreparedFlow& ready = prepared.emplace_back();
        ready.flow = &flow;
        ready.requests_per_month = flow.requests_per_month;
        for (const Call& call : flow.calls) {
            const std::string model = !asked.empty()        ? asked
                                      : !call.model.empty() ? call.model
                                                            : scenario.model;
            if (model.empty()) {
                return fail(ErrorCode::kConfig, "it is not said which model is asked",
                            "--models A,B, or a model in the file");
            }
            auto one = prepare_call(with, call, model, out);
            if (!one) return fail(std::move(one.error()));
            if (std::find(priced_as.begin(), priced_as.end(), one->model->priced_as) ==
                priced_as.end()) {
                priced_as.push_back(one->model->priced_as);
            }
            ready.calls.push_back(std::move(*one));
        }
    }
    if (priced_as.size() == 1) out.priced_as = priced_as.front();
    name_and_count(prepared, asked.empty(), scenario.source == "recorded", out);
    std::sort(out.notes.begin(), out.notes.end());
    out.notes.erase(std::unique(out.notes.begin(), out.notes.end()), out.notes.end());

    lab::Switches base;
    if (with.options.max_tokens > 0) {
        base.max_tokens = static_cast<std::int64_t>(with.options.max_tokens);
    }
    out.base = lab::evaluate(prepared, base, how);
    if (!with.options.what_if.empty()) {
        lab::Switches changed = what_if;
        changed.max_tokens = base.max_tokens;
        out.what_if = lab::evaluate(prepared, changed, how);
    }
    if (out.base.known()) out.levers = lab::rank_levers(prepared, base, how);
    return out;
}

void set_traffic(Scenario& scenario, std::uint64_t requests) {
    if (requests == 0) return;
    std::vector<std::int64_t> weights;
    weights.reserve(scenario.flows.size());
    for (const Flow& flow : scenario.flows) weights.push_back(flow.requests_per_month);
    if (std::accumulate(weights.begin(), weights.end(), std::int64_t{0}) == 0) {
        // Without times, flows are as frequent as their calls.
        for (std::size_t f = 0; f < weights.size(); ++f) {
            weights[f] = static_cast<std::int64_t>(scenario.flows[f].calls.front().prompts.size());
        }
    }
    std::vector<std::int64_t> parts(weights.size());
    lab::divide(static_cast<std::int64_t>(requests), weights.data(), parts.data(), weights.size());
    for (std::size_t f = 0; f < parts.size(); ++f) scenario.flows[f].requests_per_month = parts[f];
}

/// What past estimates of this kind were off by.
std::vector<std::string> back_tests(const Preparing& with, const Scenario& scenario,
                                    const Estimate& estimate, std::int64_t now_s) {
    std::vector<std::string> out;
    const auto tests = lab::backtest(
        with.recorded, [&](const std::string& name) { return with.sources.model(name); }, now_s);
    out.reserve(tests.size());
    for (const lab::Backtest& test : tests) {
        out.push_back(fmt::format(
            "{}: P10 to P90 held {} of {} recorded calls that were held back; half of them were "
            "within {}.{} % of P50",
            test.name, test.inside(), test.tested, test.median_error_permille / 10,
            test.median_error_permille % 10));
    }
    std::vector<std::string> kinds;
    for (const Flow& flow : scenario.flows) {
        for (const Call& call : flow.calls) {
            if (call.output) continue;
            const std::string kind = with.options.prior.empty() ? call.prior : with.options.prior;
            const bool used = std::any_of(
                estimate.models.begin(), estimate.models.end(),
                [&](const ModelEstimate& model) { return model.output_from.starts_with("prior"); });
            if (used && std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
                kinds.push_back(kind);
            }
        }
    }
    for (const std::string& kind : kinds) {
        const lab::Prior* prior = lab::find_prior(kind);
        if (prior == nullptr) continue;
        out.push_back(fmt::format(
            "prior {}: {} answers in {} groups ({}); P10 to P90 held {}.{} % of the answers of a "
            "group that was left out",
            prior->kind, prior->answers, prior->groups, prior->data_sets,
            prior->held_out_permille / 10, prior->held_out_permille % 10));
    }
    return out;
}

Result<PicoUsd> read_budget(const std::string& text) {
    const auto amount = parse_usd(text);
    if (!amount || amount->value() <= 0) {
        return fail(ErrorCode::kConfig, fmt::format("--budget: '{}' is no amount of USD", text),
                    "such as 500 or 12.50");
    }
    return *amount;
}

}  // namespace

Result<Estimate> make_estimate(const EstimateOptions& options, EstimateSources& sources,
                               Scenario scenario, const lab::Recorded& recorded) {
    const auto what_if = read_switches(options);
    if (!what_if) return fail(what_if.error());
    lab::Evaluation how;
    how.unix_s = unix_now_s();
    std::int64_t calls = 1;
    for (const Flow& flow : scenario.flows) {
        for (const Call& call : flow.calls) calls += call.times_most;
    }
    how.draws = static_cast<std::size_t>(std::clamp<std::int64_t>(20'000 / calls, 100, 1000));
    Estimate out;
    if (!options.budget.empty()) {
        const auto budget = read_budget(options.budget);
        if (!budget) return fail(budget.error());
        how.budget = out.budget = *budget;
    }
    set_traffic(scenario, options.requests_per_month);
    out.source = scenario.source;
    out.assumptions = scenario.assumptions;
    out.unknown = scenario.unknown;
    for (const Flow& flow : scenario.flows) out.requests_per_month += flow.requests_per_month;
    for (const std::string& text : options.what_if) {
        out.what_if += (out.what_if.empty() ? "" : ",") + text;
    }
    const Preparing with{options, sources, recorded};
    std::vector<std::string> models = options.models;
    if (models.empty()) models.emplace_back();
    for (const std::string& model : models) {
        auto one = estimate_model(with, scenario, model, *what_if, how);
        if (!one) return fail(std::move(one.error()));
        out.models.push_back(std::move(*one));
    }
    const std::string book = sources.book_text(how.unix_s);
    out.assumptions.push_back(book.empty() ? "there is no price book; prices are those of the "
                                             "configuration"
                                           : fmt::format("prices of today, from {}", book));
    if (scenario.source != "recorded") {
        out.assumptions.emplace_back(
            "no prompt cache and the standard tier, unless --what-if says otherwise");
    }
    if (what_if->cache == true && scenario.source == "recorded") {
        out.assumptions.emplace_back(
            "cache=on: the ledger holds no prompts, so only what was read from caches then is read "
            "now");
    } else if (what_if->cache == true) {
        out.assumptions.push_back(fmt::format(
            "cache=on: the constant beginning of a prompt is read when it was sent within 5 "
            "minutes{}, from 1024 tokens on, in steps of 128; writing is billed where the price "
            "book has a rate for it",
            out.requests_per_month > 0 ? " (requests arrive at random)"
                                       : "; one request alone only writes it"));
    }
    out.back_tests = back_tests(with, scenario, out, how.unix_s);
    return out;
}

int run_estimate(const EstimateOptions& options) {
    telemetry::start_log("error", false);
    using Action = EstimateOptions::Action;
    const auto bad = [&](const Error& error) {
        report_failure(error);
        return options.action == Action::kDiff ? kBadInput : 1;
    };
    auto sources = EstimateSources::open(options);
    if (!sources) return bad(sources.error());
    if (options.action == Action::kDiff) {
        const auto threshold = permille_of(options.threshold);
        if (!threshold) {
            return bad({ErrorCode::kConfig,
                        "--threshold: '" + options.threshold + "' is no percentage",
                        "such as 5 or 2.5",
                        {},
                        {}});
        }
        const auto diff = diff_estimates(options, *sources, *threshold);
        if (!diff) return bad(diff.error());
        if (print_out(diff->text) != 0) return kBadInput;
        return diff->within ? 0 : 1;
    }
    if (options.action == Action::kBacktest) {
        if (options.file.empty() && !options.recorded && options.ledger.empty()) {
            return bad({ErrorCode::kConfig,
                        "there is nothing to test",
                        "name a file of calls, or --recorded",
                        {},
                        {}});
        }
        const auto traffic = read_traffic(options);
        if (!traffic) return bad(traffic.error());
        const auto tests = lab::backtest(
            traffic->recorded, [&](const std::string& name) { return sources->model(name); },
            unix_now_s());
        if (tests.empty()) {
            return bad({ErrorCode::kNotFound,
                        fmt::format("no route and model has {} calls with both lengths",
                                    2 * lab::Lengths::kLeast),
                        "fewer say too little",
                        {},
                        {}});
        }
        return print_out(show_backtest(tests, traffic->recorded.passed_over, format_of(options)));
    }
    lab::Recorded recorded;
    auto scenario = read_scenario(options, recorded);
    if (!scenario) return bad(scenario.error());
    const auto estimate = make_estimate(options, *sources, std::move(*scenario), recorded);
    if (!estimate) return bad(estimate.error());
    return print_out(show_estimate(*estimate, format_of(options), wants_colour(stdout)));
}

}  // namespace leeway::app
