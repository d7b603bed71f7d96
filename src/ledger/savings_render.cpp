#include "json/write.hpp"
#include "ledger/report_parts.hpp"
#include "ledger/savings.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::ledger {
namespace {

constexpr int kBarWidth = 40;

std::string estimate(double value) {
    return fmt::format("{}${:.3g}", value < 0 ? "-" : "", value < 0 ? -value : value);
}

Int128 magnitude(PicoUsdSum amount) {
    return amount.value() < 0 ? -amount.value() : amount.value();
}

/// What is known how, over all steps, without regard to signs.
std::array<Int128, 4> by_label(const SavingsReport& report) {
    std::array<Int128, 4> out{};
    for (const StepSum& step : report.steps) {
        for (std::size_t i = 0; i < out.size(); ++i) out[i] += magnitude(step.by_label[i]);
    }
    return out;
}

double share(Int128 part, const std::array<Int128, 4>& all) {
    const Int128 sum = all[1] + all[2] + all[3];
    return sum == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(sum);
}

PicoUsdSum saved(const SavingsReport& report) { return report.baseline.minus(report.actual); }

/// "computed" or "computed, modelled".
std::string labels_text(const StepSum& step) {
    std::string out;
    for (std::size_t i = 1; i < step.by_label.size(); ++i) {
        if (step.by_label[i].value() == 0) continue;
        if (!out.empty()) out += ", ";
        out += prices::kSavingLabelNames[i];
    }
    return out;
}

/// A bar between two amounts on a scale that begins at zero.
std::string bar(Int128 from, Int128 to, Int128 scale, const char* block) {
    if (scale <= 0) return {};
    const auto cell = [&](Int128 amount) {
        return static_cast<int>(
            std::clamp<Int128>((amount * kBarWidth + scale / 2) / scale, 0, kBarWidth));
    };
    const int low = cell(std::min(from, to));
    const int high = std::max(cell(std::max(from, to)), from == to ? low : low + 1);
    std::string out(static_cast<std::size_t>(low), ' ');
    for (int i = low; i < high; ++i) out += block;
    return out;
}

std::string_view claim_text(Comparison::Claim claim) {
    switch (claim) {
        case Comparison::Claim::kTooLittle: return "too_little_evidence";
        case Comparison::Claim::kNoDifference: return "no_difference_shown";
        case Comparison::Claim::kSaves: return "saves";
        case Comparison::Claim::kCostsMore: return "costs_more";
    }
    return "too_little_evidence";
}

std::string comparison_line(const Comparison& c) {
    std::string counts = fmt::format("  {}: {} held out ({} errors), {} not ({} errors); ",
                                     c.route.empty() ? "(none)" : c.route, c.held_out.requests,
                                     c.held_out.errors, c.treated.requests, c.treated.errors);
    const std::string interval =
        fmt::format("{} per request, 95 % interval {} to {}", estimate(c.difference_usd),
                    estimate(c.low_usd), estimate(c.high_usd));
    switch (c.claim) {
        case Comparison::Claim::kTooLittle:
            return counts + fmt::format(
                                "too little evidence: {} priced requests are needed on "
                                "either side\n",
                                kLeastEvidence);
        case Comparison::Claim::kNoDifference:
            return counts + "no difference shown: " + interval + "\n";
        case Comparison::Claim::kSaves: return counts + "saves " + interval + "\n";
        case Comparison::Claim::kCostsMore: return counts + "COSTS MORE: " + interval + "\n";
    }
    return counts;
}

void arm_json(json::Writer& out, const char* name, const ArmTotals& arm) {
    out.key(name).object().key("requests").integer(arm.requests);
    out.key("errors").integer(arm.errors).key("priced_requests").integer(arm.known);
    out.key("spent_pico_usd").raw(to_pico_string(arm.spent));
    out.close_object();
}

}  // namespace

std::string render_savings_table(const SavingsReport& report, bool colour) {
    const auto paint = [&](const char* code, const std::string& text) {
        return colour ? code + text + "\x1b[0m" : text;
    };
    std::string title = "Leeway savings";
    for (const ReportFilter& filter : report.query.filters) {
        title += fmt::format(", {} {}", to_string(filter.by),
                             filter.value.empty() ? "(none)" : filter.value);
    }
    if (report.query.since_us) title += ", since " + iso_time(*report.query.since_us);
    if (report.query.until_us) title += ", until " + iso_time(*report.query.until_us);
    std::string out = paint("\x1b[1m", title) + "\n\n";
    if (report.known == 0) {
        return out + fmt::format("No request with a known waterfall; {} with an unknown one.\n",
                                 report.unknown);
    }
    const auto line = [&](std::string_view name, PicoUsdSum amount, std::string_view labels,
                          const std::string& picture, const char* code) {
        out += fmt::format("{:<13}{:>16}  {:<20} {}\n", name, usd_cell(amount), labels,
                           paint(code, picture));
    };
    Int128 scale = std::max(report.baseline.value(), report.actual.value());
    Int128 at = report.baseline.value();
    for (const StepSum& step : report.steps) {
        at -= step.total().value();
        scale = std::max(scale, at);
    }
    at = report.baseline.value();
    line("baseline", report.baseline, "", bar(0, at, scale, "█"), "\x1b[2m");
    for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
        const PicoUsdSum amount = report.steps[i].total();
        if (report.steps[i].requests == 0) continue;
        const Int128 next = at - amount.value();
        line(prices::kSavingStepNames[i], PicoUsdSum(-amount.value()), labels_text(report.steps[i]),
             bar(at, next, scale, "░"), amount.value() < 0 ? "\x1b[31m" : "\x1b[32m");
        at = next;
    }
    line("actual", report.actual, "", bar(0, at, scale, "█"), "\x1b[33m");
    const auto all = by_label(report);
    out += fmt::format("\nsaved {} of {} over {} requests", usd_cell(saved(report)),
                       usd_cell(report.baseline), report.known);
    if (all[1] + all[2] + all[3] > 0) {
        out += fmt::format(": {:.1f} % computed, {:.1f} % modelled, {:.1f} % measured",
                           100 * share(all[1], all), 100 * share(all[2], all),
                           100 * share(all[3], all));
    }
    out += "\n";
    if (report.unknown > 0) {
        out += fmt::format("{} requests are not in here: a price they need is unknown.\n",
                           report.unknown);
    }
    if (!report.comparisons.empty()) out += "\nMeasured against requests held out at random:\n";
    for (const Comparison& c : report.comparisons) out += comparison_line(c);
    return out;
}

std::string render_savings_json(const SavingsReport& report) {
    std::string text;
    json::Writer out(text);
    const auto time = [&out](const char* name, std::optional<std::int64_t> ts_us) {
        out.key(name);
        ts_us ? out.string(iso_time(*ts_us)) : out.null();
    };
    const auto money = [&out](const std::string& name, PicoUsdSum amount) {
        out.key(name + "_usd").string(to_usd_string(amount));
        out.key(name + "_pico_usd").raw(to_pico_string(amount));
    };
    out.object();
    time("since", report.query.since_us);
    time("until", report.query.until_us);
    out.key("requests").integer(report.known).key("unknown_requests").integer(report.unknown);
    money("baseline", report.baseline);
    money("actual", report.actual);
    money("saved", saved(report));
    out.key("steps").array();
    for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
        const StepSum& step = report.steps[i];
        out.object().key("step").string(prices::kSavingStepNames[i]);
        out.key("requests").integer(step.requests);
        money("saved", step.total());
        for (std::size_t label = 1; label < step.by_label.size(); ++label) {
            out.key(std::string(prices::kSavingLabelNames[label]) + "_pico_usd");
            out.raw(to_pico_string(step.by_label[label]));
        }
        out.close_object();
    }
    out.close_array().key("shares").object();
    const auto all = by_label(report);
    for (std::size_t i = 1; i < all.size(); ++i) {
        out.key(prices::kSavingLabelNames[i]).number(share(all[i], all));
    }
    out.close_object().key("holdout").array();
    for (const Comparison& c : report.comparisons) {
        out.object().key("route").string(c.route).key("claim").string(claim_text(c.claim));
        arm_json(out, "held_out", c.held_out);
        arm_json(out, "treated", c.treated);
        const bool any = c.claim != Comparison::Claim::kTooLittle;
        for (const auto& [name, value] : {std::pair{"difference_usd_per_request", c.difference_usd},
                                          {"low_usd_per_request", c.low_usd},
                                          {"high_usd_per_request", c.high_usd}}) {
            out.key(name);
            any ? out.number(value) : out.null();
        }
        out.close_object();
    }
    out.close_array().close_object();
    return text + "\n";
}

std::string render_savings_csv(const SavingsReport& report) {
    std::string out = "step,label,requests,amount_usd,amount_pico_usd\n";
    const auto line = [&out](std::string_view step, std::string_view label, std::int64_t requests,
                             PicoUsdSum amount) {
        out += fmt::format("{},{},{},{},{}\n", step, label, requests, to_usd_string(amount),
                           to_pico_string(amount));
    };
    line("baseline", "", report.known, report.baseline);
    for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
        for (std::size_t label = 1; label < 4; ++label) {
            const PicoUsdSum amount = report.steps[i].by_label[label];
            if (amount.value() == 0) continue;
            line(prices::kSavingStepNames[i], prices::kSavingLabelNames[label],
                 report.steps[i].requests, amount);
        }
    }
    line("actual", "", report.known, report.actual);
    return out;
}

}  // namespace leeway::ledger
