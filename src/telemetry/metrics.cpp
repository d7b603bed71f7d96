#include "telemetry/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace leeway::telemetry {
namespace {

// Four buckets to each power of two: at most 19 % apart.
std::size_t bucket_of(std::int64_t us) {
    if (us < 4) return static_cast<std::size_t>(std::max<std::int64_t>(us, 0));
    const auto value = static_cast<std::uint64_t>(us);
    const int log = static_cast<int>(std::bit_width(value)) - 1;
    const auto quarter = (value >> (log - 2)) & 3;
    return std::min(static_cast<std::size_t>(log - 1) * 4 + quarter, Histogram::kBuckets - 1);
}

/// The first value that is beyond the bucket.
std::int64_t bucket_end(std::size_t bucket) {
    if (bucket < 4) return static_cast<std::int64_t>(bucket) + 1;
    const auto log = bucket / 4 + 1;
    return static_cast<std::int64_t>((4 + bucket % 4 + 1) << (log - 2));
}

constexpr std::array<std::int64_t, 16> kBoundsUs = {
    50,     100,     250,     500,       1'000,     2'500,      5'000,       10'000,
    50'000, 100'000, 500'000, 1'000'000, 5'000'000, 30'000'000, 120'000'000, 600'000'000};

void append_histogram(std::string& out, std::string_view name, std::string_view label,
                      std::string_view value, const Histogram& histogram) {
    const auto line = [&](std::string_view bound, std::uint64_t count) {
        if (label.empty()) {
            append_sample(out, fmt::format("{}_bucket", name), {{"le", bound}},
                          std::to_string(count));
        } else {
            append_sample(out, fmt::format("{}_bucket", name), {{label, value}, {"le", bound}},
                          std::to_string(count));
        }
    };
    for (const std::int64_t bound : kBoundsUs) {
        line(fmt::format("{}", static_cast<double>(bound) / 1e6), histogram.at_most(bound));
    }
    line("+Inf", histogram.count());
    const std::string sum = fmt::format("{:.6f}", static_cast<double>(histogram.sum_us()) / 1e6);
    const std::string labels =
        label.empty() ? std::string() : fmt::format("{{{}=\"{}\"}}", label, value);
    out += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, labels, sum, name, labels,
                       histogram.count());
}

}  // namespace

void Histogram::record(Duration value) noexcept {
    const std::int64_t us = to_us(value);
    ++buckets_[bucket_of(us)];
    ++count_;
    sum_us_ += us;
}

void Histogram::merge(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_us_ += other.sum_us_;
}

std::uint64_t Histogram::at_most(std::int64_t bound_us) const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kBuckets && bucket_end(i) <= bound_us + 1; ++i) sum += buckets_[i];
    return sum;
}

void WorkerMetrics::request(const RequestSample& sample) {
    const View key{sample.endpoint, sample.route, sample.model, sample.source, sample.status};
    auto place = requests_.find(key);
    if (place == requests_.end()) place = requests_.emplace(Key(key), Totals{}).first;
    Totals& totals = place->second;
    ++totals.requests;
    totals.input_tokens += sample.usage.input_total();
    totals.output_tokens += sample.usage.output_total();
    if (sample.cost) totals.cost.add(*sample.cost);
    if (sample.baseline) totals.baseline.add(*sample.baseline);
    totals.cost_unknown += sample.cost_unknown ? 1 : 0;
    total_.record(sample.total);
    overhead_.record(sample.overhead);
}

void WorkerMetrics::stage_ran(std::string_view stage, Duration took) {
    auto place = stages_.find(stage);
    if (place == stages_.end()) place = stages_.emplace(std::string(stage), Histogram()).first;
    place->second.record(took);
}

void WorkerMetrics::tried(std::string_view route, std::string_view word) {
    ++trials_[{std::string(route), std::string(word)}];
}

void WorkerMetrics::stage_skipped(std::string_view stage, std::string_view reason) {
    ++skipped_[{std::string(stage), std::string(reason)}];
}

void WorkerMetrics::merge(const WorkerMetrics& other) {
    for (const auto& [key, totals] : other.requests_) {
        Totals& mine = requests_[key];
        mine.requests += totals.requests;
        mine.input_tokens += totals.input_tokens;
        mine.output_tokens += totals.output_tokens;
        mine.cost.add(totals.cost);
        mine.baseline.add(totals.baseline);
        mine.cost_unknown += totals.cost_unknown;
    }
    for (const auto& [stage, histogram] : other.stages_) stages_[stage].merge(histogram);
    for (const auto& [key, count] : other.skipped_) skipped_[key] += count;
    for (const auto& [key, count] : other.trials_) trials_[key] += count;
    total_.merge(other.total_);
    overhead_.merge(other.overhead_);
    new_connections_ += other.new_connections_;
    reused_connections_ += other.reused_connections_;
    open_streams_ += other.open_streams_;
    rows_lost_ += other.rows_lost_;
    retries_ += other.retries_;
    retries_refused_ += other.retries_refused_;
    fallbacks_ += other.fallbacks_;
    for (std::size_t i = 0; i < kDoubles; ++i) doubles_[i] += other.doubles_[i];
}

std::string WorkerMetrics::exposition() const {
    std::string out;
    const auto each = [&](std::string_view name, std::string_view help, const auto& value_of) {
        append_help(out, name, "counter", help);
        for (const auto& [key, totals] : requests_) {
            const auto& [endpoint, route, model, source, status] = key;
            append_sample(out, name,
                          {{"endpoint", endpoint},
                           {"route", route},
                           {"model", model},
                           {"source", source},
                           {"status", std::to_string(status)}},
                          value_of(totals));
        }
    };
    each("leeway_requests_total", "Finished requests.",
         [](const Totals& t) { return std::to_string(t.requests); });
    each("leeway_input_tokens_total", "Input tokens of answered requests.",
         [](const Totals& t) { return std::to_string(t.input_tokens); });
    each("leeway_output_tokens_total", "Output tokens of answered requests.",
         [](const Totals& t) { return std::to_string(t.output_tokens); });
    each("leeway_cost_usd_total", "What upstreams billed, where the price is known.",
         [](const Totals& t) { return to_usd_string(t.cost); });
    each("leeway_baseline_usd_total", "What it would have cost, where known.",
         [](const Totals& t) { return to_usd_string(t.baseline); });
    each("leeway_cost_unknown_total", "Requests whose cost is unknown.",
         [](const Totals& t) { return std::to_string(t.cost_unknown); });
    append_help(out, "leeway_request_seconds", "histogram", "From the first byte to the last.");
    append_histogram(out, "leeway_request_seconds", {}, {}, total_);
    append_help(out, "leeway_overhead_seconds", "histogram",
                "Time in the gateway itself, without waiting for upstreams.");
    append_histogram(out, "leeway_overhead_seconds", {}, {}, overhead_);
    append_help(out, "leeway_stage_seconds", "histogram", "Time in a stage.");
    for (const auto& [stage, histogram] : stages_)
        append_histogram(out, "leeway_stage_seconds", "stage", stage, histogram);
    append_help(out, "leeway_stage_skipped_total", "counter", "Optional stages that were skipped.");
    for (const auto& [key, count] : skipped_) {
        append_sample(out, "leeway_stage_skipped_total",
                      {{"stage", key.first}, {"reason", key.second}}, std::to_string(count));
    }
    append_help(out, "leeway_cascade_total", "counter",
                "Answers of cheap models on trial, by what became of them.");
    for (const auto& [key, count] : trials_) {
        append_sample(out, "leeway_cascade_total", {{"route", key.first}, {"verdict", key.second}},
                      std::to_string(count));
    }
    append_help(out, "leeway_upstream_connections_total", "counter",
                "Upstream connections by how they were had.");
    append_sample(out, "leeway_upstream_connections_total", {{"kind", "new"}},
                  std::to_string(new_connections_));
    append_sample(out, "leeway_upstream_connections_total", {{"kind", "reused"}},
                  std::to_string(reused_connections_));
    append_help(out, "leeway_open_streams", "gauge", "Streams that are being relayed.");
    append_sample(out, "leeway_open_streams", {}, std::to_string(open_streams_));
    append_help(out, "leeway_ledger_rows_lost_total", "counter",
                "Records the ledger could not keep (must be 0).");
    append_sample(out, "leeway_ledger_rows_lost_total", {}, std::to_string(rows_lost_));
    append_help(out, "leeway_retries_total", "counter", "Attempts that were made again.");
    append_sample(out, "leeway_retries_total", {}, std::to_string(retries_));
    append_help(out, "leeway_retries_refused_total", "counter",
                "Retries that the retry budget had no room for.");
    append_sample(out, "leeway_retries_refused_total", {}, std::to_string(retries_refused_));
    append_help(out, "leeway_fallbacks_total", "counter",
                "Attempts at a model that stands in for another.");
    append_sample(out, "leeway_fallbacks_total", {}, std::to_string(fallbacks_));
    constexpr std::array<std::pair<std::string_view, std::string_view>, kDoubles> kNames{
        {{"leeway_hedges_total", "A second target was asked: the first was slow to begin."},
         {"leeway_hedges_won_total", "Of these, the second target answered."},
         {"leeway_hedges_left_total", "No second target could be asked."},
         {"leeway_shadows_total", "Copies of requests sent to a second model, for nobody."},
         {"leeway_shadows_left_total", "Copies that were not sent: too many, or no budget."}}};
    for (std::size_t i = 0; i < kDoubles; ++i) {
        append_help(out, kNames[i].first, "counter", kNames[i].second);
        append_sample(out, kNames[i].first, {}, std::to_string(doubles_[i]));
    }
    return out;
}

void append_help(std::string& out, std::string_view name, std::string_view type,
                 std::string_view help) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void append_sample(std::string& out, std::string_view name,
                   std::initializer_list<std::pair<std::string_view, std::string_view>> labels,
                   std::string_view value) {
    out.append(name);
    if (labels.size() > 0) {
        char separator = '{';
        for (const auto& [label, text] : labels) {
            out.push_back(separator);
            separator = ',';
            out.append(label).append("=\"");
            for (const char c : text) {
                if (c == '"' || c == '\\') out.push_back('\\');
                if (c == '\n') {
                    out.append("\\n");
                } else {
                    out.push_back(c);
                }
            }
            out.push_back('"');
        }
        out.push_back('}');
    }
    out.append(" ").append(value).push_back('\n');
}

}  // namespace leeway::telemetry
