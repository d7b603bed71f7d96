#include "app/commands/tune_cascade_options.hpp"
#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "lab/evaluate/cascade_data.hpp"
#include "lab/evaluate/certificate_evaluate.hpp"
#include "methods/cascade/cascade_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {
namespace {

constexpr int kNotEnough = 3;

/// The queries that both models answered, without other models; all as it is where there are none, which is told then.
lab::OutcomeTable pair_of(lab::OutcomeTable table, const std::vector<std::string>& models) {
    const auto weak = table.model(models[0]);
    const auto strong = table.model(models[1]);
    if (!weak || !strong) return table;
    std::vector<std::size_t> both;
    for (std::size_t query = 0; query < table.queries.size(); ++query)
        if (table.models[*weak].known(query) && table.models[*strong].known(query))
            both.push_back(query);
    if (both.empty()) return table;
    std::erase_if(table.models, [&](const lab::ModelOutcomes& one) {
        return one.model != models[0] && one.model != models[1];
    });
    return table.only(both);
}

std::vector<cascade::Score> scores_of(std::span<const cascade::JudgedRow> rows) {
    std::vector<cascade::Score> out;
    for (const cascade::JudgedRow& row : rows) out.push_back(row.score);
    return cascade::spread_scores(std::move(out));
}

Result<cascade::CascadeFile> tune(const TuneCascadeOptions& options) {
    auto read = read_outcome_rows(options.outcomes);
    if (!read) return fail(std::move(read.error()));
    const lab::OutcomeTable table = pair_of(std::move(read->table), options.models);
    const auto tasks = lab::cascade_data(table, options.outcomes.tasks);
    if (!tasks) return fail(tasks.error());
    auto pairs = lab::pair_rows(*tasks, options.models[0], options.models[1]);
    if (!pairs) return fail(std::move(pairs.error()));
    lab::PairRows all = lab::joined(*pairs);
    cascade::CascadeFile out;
    out.promise = {options.max_harm, options.confidence};
    out.tasks = std::move(all.task);
    out.certificate = cascade::certify(all.rows, out.promise);
    if (out.certificate.certified) out.scores = scores_of(all.rows);
    const auto& names = options.as.empty() ? options.models : options.as;
    out.weak = names[0];
    out.strong = names[1];
    out.outcomes = std::move(read->name);
    out.outcomes_sha256 = std::move(read->sha256);
    out.made_unix_s = unix_now_s();
    return out;
}

std::string as_text(const cascade::CascadeFile& file, const std::string& output) {
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
    out += output.empty() ? "nothing was written: --output FILE writes the policy\n"
                          : fmt::format("written to {}\n", output);
    return out;
}

}  // namespace

int run_tune_cascade(const TuneCascadeOptions& options) {
    const auto file = tune(options);
    if (!file) return report_failure(file.error());
    const std::string text = cascade::write_cascade_file(*file);
    if (!options.output.empty()) {
        if (const auto written = replace_file(options.output, text); !written)
            return report_failure(written.error());
    }
    const int printed = print_out(options.json ? text : as_text(*file, options.output));
    if (printed != 0) return printed;
    return file->certificate.certified ? 0 : kNotEnough;
}

}  // namespace leeway::app
