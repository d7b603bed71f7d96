#include "app/commands/replay_ledger.hpp"
#include "app/commands/replay_show.hpp"
#include "app/terminal.hpp"
#include "lab/replay/cascade_policy.hpp"
#include "lab/replay/table_recording.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

namespace leeway::app {
namespace {

Result<cascade::CascadeFile> read_policy(const std::string& path) {
    constexpr std::size_t kMost = 1024 * 1024;
    const auto text = read_input(path, kMost);
    if (!text) return fail(text.error());
    auto file = cascade::read_cascade_file(*text);
    if (!file)
        return fail(ErrorCode::kConfig, fmt::format("{}: {}", path, file.error().message),
                    "leeway tune cascade writes policies");
    return file;
}

Result<ReplayRun> replay(const ReplayOptions& options) {
    ReplayRun out;
    auto policy = read_policy(options.policy);
    if (!policy) return fail(std::move(policy.error()));
    out.policy = std::move(*policy);
    out.plan.resamples = options.resamples;
    out.plan.seed = options.seed;
    out.plan.confidence = out.policy.promise.confidence;
    const lab::ReplayedCascade replayed(out.policy);
    const std::span<const std::string> names =
        options.models.empty() ? replayed.models() : std::span<const std::string>(options.models);
    lab::OutcomeTable table;  // what the requests look into
    Result<std::vector<lab::RecordedRequest>> requests;
    if (options.ledger) {
        out.recording = "ledger";
        requests = recorded_requests_of_ledger(options, names);
    } else {
        out.recording = std::filesystem::path(options.outcomes.file).filename().string();
        auto read = read_outcome_table(options.outcomes);
        if (!read) return fail(std::move(read.error()));
        table = std::move(*read);
        requests = lab::recorded_requests(table, names);
    }
    if (!requests) return fail(std::move(requests.error()));
    auto report = lab::replay(replayed, *requests, out.plan);
    if (!report) return fail(std::move(report.error()));
    out.report = std::move(*report);
    return out;
}

}  // namespace

int run_replay(const ReplayOptions& options) {
    const auto run = replay(options);
    if (!run) return report_failure(run.error());
    if (!options.svg.empty()) {
        const auto picture = replay_picture(*run);
        if (picture.empty())
            return report_failure({ErrorCode::kInvalidRequest,
                                   "there is no picture to draw: no quality is known",
                                   "leave out --svg",
                                   {},
                                   {}});
        if (const auto written = replace_file(options.svg, lab::as_svg(picture)); !written)
            return report_failure(written.error());
    }
    return print_out(options.json ? replay_json(*run) : replay_text(*run));
}

}  // namespace leeway::app
