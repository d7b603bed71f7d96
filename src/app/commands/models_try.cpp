#include "app/commands/models_local.hpp"
#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "base/strings.hpp"
#include "json/write.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace leeway::app {
namespace {

constexpr int kMaxTokens = 256;
constexpr std::size_t kValuesShown = 6;

double seconds_since(TimePoint start) {
    return std::chrono::duration<double>(monotonic_now() - start).count();
}

/// Brings the answer from the engine's thread to this one.
class Inbox final : public models::ChatSink {
public:
    void on_delta(const models::ChatDelta& delta) noexcept override {
        const std::scoped_lock lock(mutex_);
        if (!first_) first_ = monotonic_now();
        text_ += delta.text;
        changed_.notify_one();
    }
    void on_done(const models::ChatEnd& end) noexcept override {
        const std::scoped_lock lock(mutex_);
        end_ = end;
        changed_.notify_one();
    }
    /// Waits for more text. False: the answer has ended; `text` is its rest.
    bool next(std::string& text) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return end_ || !text_.empty(); });
        text = std::exchange(text_, {});
        return !end_;
    }
    [[nodiscard]] const models::ChatEnd& end() const { return *end_; }
    [[nodiscard]] std::optional<TimePoint> first() const { return first_; }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string text_;
    std::optional<TimePoint> first_;
    std::optional<models::ChatEnd> end_;
};

int try_chat(models::Engine& engine, const ModelsOptions& options) {
    const auto inbox = std::make_shared<Inbox>();
    models::ChatJob job;
    job.messages.push_back(
        {"user", options.prompt.empty() ? "Hello! Who are you?" : options.prompt});
    job.sampling.temperature = 0;
    job.sampling.max_tokens = kMaxTokens;
    job.sink = inbox;
    const TimePoint start = monotonic_now();
    if (auto id = engine.submit_chat(std::move(job)); !id) return report_failure(id.error());
    std::string answer;
    std::string piece;
    bool more = true;
    while (more) {
        more = inbox->next(piece);
        answer += piece;
        if (!options.json && print_out(piece) != 0) return 1;
    }
    const double total = seconds_since(start);
    const models::ChatEnd& end = inbox->end();
    if (end.error) return report_failure(*end.error);
    const double first =
        inbox->first() ? std::chrono::duration<double>(*inbox->first() - start).count() : total;
    // The first token comes out of the prompt's evaluation; the others are what decoding takes.
    const double decoded = std::max(0.0, static_cast<double>(end.usage.completion_tokens) - 1);
    const double speed = total > first ? decoded / (total - first) : 0;
    const char* reason = end.reason == models::FinishReason::kLength ? "length" : "stop";
    if (!options.json) {
        fmt::print(
            stderr,
            "\n\n{} tokens at {:.1f} tokens/s; the first after {:.0f} ms ({} prompt tokens){}\n",
            end.usage.completion_tokens, speed, first * 1000, end.usage.prompt_tokens,
            end.reason == models::FinishReason::kLength ? "; cut at the limit of the trial" : "");
        return 0;
    }
    std::string out;
    json::Writer writer(out);
    writer.object().key("model").string(options.model).key("answer").string(answer);
    writer.key("finish_reason").string(reason);
    writer.key("prompt_tokens").integer(end.usage.prompt_tokens);
    writer.key("completion_tokens").integer(end.usage.completion_tokens);
    writer.key("first_token_seconds").number(first).key("seconds").number(total);
    writer.key("tokens_per_second").number(speed).close_object();
    return print_out(out + "\n");
}

int try_embedding(models::Engine& engine, const ModelsOptions& options) {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<models::Embeddings>> result;
    models::EmbedJob job;
    job.texts.push_back(options.prompt.empty() ? "Hello! Who are you?" : options.prompt);
    job.done = [&](Result<models::Embeddings> made) {
        const std::scoped_lock lock(mutex);
        result.emplace(std::move(made));
        changed.notify_one();
    };
    const TimePoint start = monotonic_now();
    if (auto id = engine.submit_embeddings(std::move(job)); !id) return report_failure(id.error());
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return result.has_value(); });
    }
    const double seconds = seconds_since(start);
    if (!*result) return report_failure(result->error());
    const models::Embeddings& made = **result;
    if (!options.json) {
        std::string values;
        for (const float value :
             std::span(made.values).first(std::min(kValuesShown, made.values.size()))) {
            values += fmt::format("{:.5f} ", value);
        }
        return print_out(fmt::format("{} values from {} tokens in {:.1f} ms: {}…\n", made.dimension,
                                     made.tokens[0], seconds * 1000, values));
    }
    std::string out;
    json::Writer writer(out);
    writer.object().key("model").string(options.model).key("dimension").integer(made.dimension);
    writer.key("tokens").integer(made.tokens[0]).key("seconds").number(seconds);
    writer.key("embedding").array();
    for (const float value : made.values) writer.number(static_cast<double>(value));
    writer.close_array().close_object();
    return print_out(out + "\n");
}

}  // namespace

int load_model(const Config& config, const ModelsOptions& options) {
    const auto model = embedded_model(config, options.model);
    if (!model) return report_failure(model.error());
    const std::uint64_t before = resident_bytes();
    const TimePoint start = monotonic_now();
    const auto engine = load_here(config, options.model, !options.json);
    if (!engine) return report_failure(engine.error());
    const double seconds = seconds_since(start);
    const std::uint64_t after = resident_bytes();
    const std::uint64_t taken = after > before ? after - before : 0;
    const models::EngineInfo& info = (*engine)->info();
    const char* kind = info.kind == models::EngineKind::kEmbedding ? "embedding" : "chat";
    if (!options.json) {
        return print_out(fmt::format(
            "{}: {}, {} model, loaded in {:.2f} s\n"
            "  weights {}, resident memory {} ({} of it by this model)\n"
            "  context {} of {} tokens, width {}, vocabulary {}, {} requests at once\n",
            options.model, info.description, kind, seconds, human_bytes(info.weight_bytes),
            human_bytes(after), human_bytes(taken), info.context_tokens, info.trained_context,
            info.dimension, info.vocabulary, info.sequences));
    }
    std::string out;
    json::Writer writer(out);
    const auto number = [&](const char* key, std::uint64_t value) {
        writer.key(key).integer(static_cast<std::int64_t>(value));
    };
    writer.object().key("model").string(options.model).key("description").string(info.description);
    writer.key("kind").string(kind).key("architecture").string(info.architecture);
    writer.key("seconds").number(seconds);
    number("weight_bytes", info.weight_bytes);
    number("file_bytes", info.file_bytes);
    number("resident_bytes", after);
    number("resident_bytes_of_model", taken);
    number("context_tokens", info.context_tokens);
    number("trained_context", info.trained_context);
    number("dimension", info.dimension);
    number("vocabulary", info.vocabulary);
    number("parameters", info.parameters);
    number("sequences", info.sequences);
    writer.close_object();
    return print_out(out + "\n");
}

int try_model(const Config& config, const ModelsOptions& options) {
    const auto model = embedded_model(config, options.model);
    if (!model) return report_failure(model.error());
    const auto engine = load_here(config, options.model, !options.json);
    if (!engine) return report_failure(engine.error());
    const bool vectors = (*engine)->info().kind == models::EngineKind::kEmbedding;
    return vectors ? try_embedding(**engine, options) : try_chat(**engine, options);
}

}  // namespace leeway::app
