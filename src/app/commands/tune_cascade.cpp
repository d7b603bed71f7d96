#include "app/commands/policy_signing.hpp"
#include "app/commands/policy_text.hpp"
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

}  // namespace

int run_tune_cascade(const TuneCascadeOptions& options) {
    const auto key = read_signing_key(options.sign);
    if (!key) return report_failure(key.error());
    const auto file = tune(options);
    if (!file) return report_failure(file.error());
    const auto text = signed_policy(cascade::write_cascade_file(*file), *key);
    if (!text) return report_failure(text.error());
    if (!options.output.empty()) {
        if (const auto written = replace_file(options.output, *text); !written)
            return report_failure(written.error());
    }
    const int printed =
        print_out(options.json ? *text : policy_text(*file) + made_text(options.output, *key));
    if (printed != 0) return printed;
    return file->certificate.certified ? 0 : kNotEnough;
}

}  // namespace leeway::app
