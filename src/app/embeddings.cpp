#include "app/embeddings.hpp"

#include "app/config_embeddings.hpp"
#include "app/price_layers.hpp"
#include "app/provider_setup.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <utility>

namespace leeway::app {
namespace {

// A provider answers in tens of milliseconds, most of them on the way: calls need not wait for each other. Our own
// host computes, and what waits meanwhile makes the better batch.
constexpr std::size_t kCallsAtProvider = 8;
// Whatever a provider's tokenizer makes of it, a byte is not more than one token, and 8,191 is OpenAI's limit.
constexpr std::size_t kMostBytesAtProvider = 8'000;

const ProviderConfig& provider_of(const Config& config, const ModelConfig& model) {
    return *std::find_if(config.providers.begin(), config.providers.end(),
                         [&](const ProviderConfig& one) { return one.name == model.provider; });
}

const std::string& upstream_name(const ModelConfig& model) {
    return model.upstream_name.empty() ? model.name : model.upstream_name;
}

/// All that tells which weights answer, as far as the configuration says.
std::string identity_of(const Config& config, const ModelConfig& model,
                        const ProviderConfig& provider) {
    if (provider.dialect == ProviderDialect::kEmbedded) {
        return fmt::format("file\n{}\n{}\n{}\n{}", config.local.folder, model.file, model.sha256,
                           config.local.context);
    }
    return fmt::format("provider\n{}\n{}\n{}", provider.name, provider.base_url,
                       upstream_name(model));
}

void append_waits(std::string& out, const telemetry::Histogram& waits) {
    struct Bound {
        std::int64_t us;
        std::string_view text;
    };
    constexpr std::array<Bound, 9> kBounds{{{1'000, "0.001"},
                                            {2'000, "0.002"},
                                            {5'000, "0.005"},
                                            {10'000, "0.01"},
                                            {20'000, "0.02"},
                                            {50'000, "0.05"},
                                            {100'000, "0.1"},
                                            {500'000, "0.5"},
                                            {2'000'000, "2"}}};
    telemetry::append_help(out, "leeway_embedding_wait_seconds", "histogram",
                           "Until a vector was there that was not in the memo.");
    for (const Bound& bound : kBounds) {
        telemetry::append_sample(out, "leeway_embedding_wait_seconds_bucket", {{"le", bound.text}},
                                 std::to_string(waits.at_most(bound.us)));
    }
    telemetry::append_sample(out, "leeway_embedding_wait_seconds_bucket", {{"le", "+Inf"}},
                             std::to_string(waits.count()));
    telemetry::append_sample(out, "leeway_embedding_wait_seconds_sum", {},
                             fmt::format("{:.6f}", static_cast<double>(waits.sum_us()) / 1e6));
    telemetry::append_sample(out, "leeway_embedding_wait_seconds_count", {},
                             std::to_string(waits.count()));
}

}  // namespace

Embeddings::Embeddings()
    : at_(std::make_unique<EmbeddingLoop>()),
      service_(std::make_unique<models::EmbedService>(at_->loop, models::EmbedQueue::Limits{})) {}

Embeddings::~Embeddings() { stop(); }

Result<std::optional<Embeddings::Prepared>> Embeddings::prepare(
    const Config& config, const EmbeddingServices& services) const {
    const ModelConfig* const model = embedding_model(config);
    if (model == nullptr) return std::optional<Prepared>();
    const ProviderConfig& provider = provider_of(config, *model);
    const bool embedded = provider.dialect == ProviderDialect::kEmbedded;
    EmbeddingUpstreamParts parts;
    auto made = make_provider(provider, services.host ? services.host->url : std::string(),
                              services.tokens);
    if (!made) return fail(std::move(made.error()));
    parts.provider = std::move(*made);
    parts.model.name = model->name;
    parts.model.upstream_name = upstream_name(*model);
    parts.model.provider_name = provider.name;
    parts.model.disabled = provider.disabled_reason;
    parts.model.price = std::make_shared<const prices::ModelPrices>(
        prices_of(config, *model, services.prices.get()));
    parts.identity = identity_of(config, *model, provider);
    if (embedded) parts.host = services.host;
    if (!embedded && services.breakers != nullptr) {
        parts.breaker = services.breakers->get(provider.name, model->name,
                                               parts.model.upstream_name, provider.breaker);
    }
    if (!config.budgets.empty()) parts.budgets = services.budgets;
    Prepared out;
    out.settings.identity = parts.identity;
    out.settings.name = model->name;
    out.settings.timeout = config.embeddings.timeout;
    out.settings.memo_bytes = config.embeddings.memo_bytes;
    out.settings.batch = config.embeddings.batch;
    out.settings.local = embedded;
    if (!embedded) {
        out.settings.calls = kCallsAtProvider;
        out.settings.most_bytes = kMostBytesAtProvider;
    }
    // A provider would be paid for it, and has its models loaded.
    out.warm = embedded && parts.identity != identity_ && needs_embeddings(config);
    out.source = std::make_shared<EmbeddingUpstream>(*at_, std::move(parts));
    return std::optional(std::move(out));
}

void Embeddings::use(std::optional<Prepared> prepared) {
    if (!prepared) {  // nothing of the new configuration asks, and its host may have to end
        identity_.clear();
        service_->use(nullptr, {}, false);
        return;
    }
    identity_ = prepared->settings.identity;
    service_->use(std::move(prepared->source), std::move(prepared->settings), prepared->warm);
    if (thread_.joinable()) return;
    thread_ = std::thread([this] {
        ::pthread_setname_np(::pthread_self(), "embed");
        at_->loop.run();
    });
    running_.store(true);
}

void Embeddings::copy_metrics(std::function<void(telemetry::WorkerMetrics)> done) {
    at_->loop.post([this, tell = std::move(done)] { tell(at_->state.metrics); });
}

void Embeddings::stop() {
    if (!thread_.joinable()) return;
    service_->stop();
    at_->loop.stop();
    thread_.join();
    running_.store(false);
}

std::string Embeddings::metrics() const {
    std::string out;
    if (!running()) return out;
    const models::EmbedStats stats = service_->stats();
    const auto line = [&out](std::string_view name, std::string_view type, std::string_view help,
                             std::uint64_t value) {
        telemetry::append_help(out, name, type, help);
        telemetry::append_sample(out, name, {}, std::to_string(value));
    };
    line("leeway_embedding_texts_total", "counter", "Texts whose vectors requests asked for.",
         stats.texts);
    line("leeway_embedding_memo_hits_total", "counter", "Of these, found in the memo.",
         stats.memo_hits);
    line("leeway_embedding_joined_total", "counter",
         "Of these, under way for another request already.", stats.joined);
    line("leeway_embedding_late_total", "counter", "Vectors that were not there in time.",
         stats.late);
    line("leeway_embedding_refused_total", "counter", "Texts refused, as too many waited.",
         stats.refused);
    line("leeway_embedding_failed_total", "counter", "Texts whose model gave no vector.",
         stats.failed);
    line("leeway_embedding_batches_total", "counter", "Calls of the model.", stats.batches);
    line("leeway_embedding_batches_failed_total", "counter", "Of these, without vectors.",
         stats.failed_batches);
    line("leeway_embedding_batched_texts_total", "counter", "Texts in all calls together.",
         stats.batched_texts);
    line("leeway_embedding_model_changes_total", "counter",
         "Times that the memo was dropped because the model was another.", stats.model_changes);
    line("leeway_embedding_memo_bytes", "gauge", "What the vectors in memory take.",
         stats.memo_bytes);
    line("leeway_embedding_memo_entries", "gauge", "Vectors in memory.", stats.memo_entries);
    line("leeway_embedding_waiting", "gauge", "Texts that no call has yet.", stats.waiting);
    append_waits(out, stats.waits);
    return out;
}

}  // namespace leeway::app
