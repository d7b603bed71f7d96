#include "app/commands/policy_text.hpp"

#include "app/terminal.hpp"

#include <fmt/format.h>

#include <vector>

namespace leeway::app {

std::string policy_text(const cascade::CascadeFile& file) {
    const cascade::Certificate& shown = file.certificate;
    std::string out =
        fmt::format("{} → {}, {} rows of {}\n", file.weak, file.strong, shown.rows, file.tasks);
    if (!shown.certified) {
        out += fmt::format("not enough evidence for a harm of at most {:.2f} % at {:.0f} %: {}\n",
                           100 * file.promise.max_harm, 100 * file.promise.confidence, shown.why);
    } else {
        const double rows = static_cast<double>(shown.rows);
        out += fmt::format(
            "certified: at most {:.2f} % of the requests are harmed, with {:.0f} % confidence\n"
            "  taken       {:.1f} % of the cheap answers: those whose tokens have a mean "
            "probability "
            "of {:.4f} or more\n"
            "  harmed      {} of {} ({:.2f} %), at most {:.2f} %\n"
            "  saving      {:.1f} % of what the strong model alone costs, all cheap calls paid\n",
            100 * file.promise.max_harm, 100 * file.promise.confidence,
            100 * static_cast<double>(shown.accepted) / rows,
            cascade::probability_of(shown.cut.confidence), shown.harmed, shown.rows,
            100 * static_cast<double>(shown.harmed) / rows, 100 * shown.limit, 100 * shown.saving);
    }
    return out;
}

std::string policy_text(const router::RouterFile& file) {
    const router::RouterEvidence& shown = file.evidence;
    std::string out = fmt::format("{} rows of {}", shown.rows, shown.outcomes);
    if (shown.incomplete > 0)
        out += fmt::format(", without {} in which an outcome is missing", shown.incomplete);
    out += fmt::format("; vectors of {}\n\n", file.embedding_model);
    std::vector<std::vector<std::string>> rows{{"model", "quality", "USD per 1,000 calls"}};
    for (const router::LearnedModel& one : file.state.models)
        rows.push_back({one.model, fmt::format("{:.4f}", one.mean_quality),
                        fmt::format("{:.4f}", router::in_usd(one.mean_cost) * 1000)});
    out += table(rows) + "\n";
    if (!shown.enough) {
        out += fmt::format("not enough evidence: {}\nthe policy keeps to {}\n", shown.why,
                           file.state.models[file.policy.trades.front().single].model);
    } else {
        out += fmt::format(
            "better than single models: {:+.2f} pp of quality ({:+.2f} to {:+.2f}) at the same "
            "price of money, on rows that took no part in fitting ({} parts, seed {})\n"
            "  routed          quality {:.4f} at {:.4f} USD per 1,000 calls\n"
            "  single models   quality {:.4f} at {:.4f}\n",
            100 * shown.gain, 100 * shown.gain_low, 100 * shown.gain_high, shown.folds, shown.seed,
            shown.quality, shown.cost_usd * 1000, shown.zero_quality, shown.zero_cost_usd * 1000);
    }
    return out;
}

}  // namespace leeway::app
