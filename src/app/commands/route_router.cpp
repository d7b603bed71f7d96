#include "app/commands/route_router.hpp"

#include "app/config_embeddings.hpp"
#include "app/config_names.hpp"
#include "app/config_router.hpp"
#include "app/terminal.hpp"
#include "json/write.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {
namespace {

using router::LearnedRouter;
using router::ModelSet;
using router::Prediction;

/// What decides at one of the two trades of a mixture.
struct Choice {
    std::size_t trade = 0;
    double share = 1;
    std::size_t model = 0;
};

struct Explained {
    const LearnedRouter* router = nullptr;
    std::vector<Prediction> told;
    ModelSet able = 0;
    std::vector<Choice> choices;
};

ModelSet able_models(const Config& config, const LearnedRouter& router) {
    ModelSet out = 0;
    for (std::size_t m = 0; m < router.models(); ++m) {
        const ModelConfig* model = find_named(config.models, router.model(m));
        const ProviderConfig* provider =
            model == nullptr ? nullptr : find_named(config.providers, model->provider);
        if (provider != nullptr && provider->disabled_reason.empty()) out |= ModelSet{1} << m;
    }
    return out;
}

std::vector<Choice> choices_of(const Explained& e) {
    const cascade::Mixture& mixture = e.router->mixture();
    std::vector<Choice> out{{mixture.first, 1 - mixture.share, 0}};
    if (mixture.share > 0) out.push_back({mixture.second, mixture.share, 0});
    for (Choice& one : out) one.model = e.router->choose(one.trade, e.told, e.able);
    return out;
}

/// Quality less the price of its cost at the first trade.
double value_of(const Explained& e, std::size_t m) {
    const double lambda = e.router->policy().trades[e.choices.front().trade].lambda;
    return static_cast<double>(e.told[m].quality) - lambda * router::in_usd(e.told[m].cost);
}

std::string as_json(const Explained& e, const RouteConfig& route) {
    const LearnedRouter& learned = *e.router;
    std::string out;
    json::Writer writer(out);
    writer.object().key("route").string(route.name).key("policy").string(route.router.policy);
    writer.key("enough").boolean(learned.evidence().enough);
    writer.key("why").string(learned.evidence().why);
    writer.key("model").string(learned.model(e.choices.front().model));
    if (learned.spending().budget_usd) {
        writer.key("budget_usd").number(*learned.spending().budget_usd);
    } else {
        writer.key("lambda").number(learned.spending().lambda);
    }
    writer.key("paced").boolean(route.router.paced).key("choices").array();
    for (const Choice& one : e.choices) {
        const router::RouteTrade& trade = learned.policy().trades[one.trade];
        writer.object().key("share").number(one.share).key("lambda").number(trade.lambda);
        writer.key("learned").boolean(trade.learned).key("margin").number(trade.margin);
        writer.key("single").string(learned.model(trade.single));
        writer.key("model").string(learned.model(one.model)).close_object();
    }
    writer.close_array().key("models").array();
    for (std::size_t m = 0; m < e.told.size(); ++m) {
        writer.object().key("model").string(learned.model(m));
        writer.key("quality").number(static_cast<double>(e.told[m].quality));
        writer.key("cost_usd").number(router::in_usd(e.told[m].cost));
        writer.key("value").number(value_of(e, m));
        writer.key("tokens_out");
        std::isnan(e.told[m].tokens_out) ? writer.null()
                                         : writer.number(static_cast<double>(e.told[m].tokens_out));
        writer.key("eligible").boolean(router::holds(e.able, m)).close_object();
    }
    writer.close_array().close_object();
    return out + "\n";
}

std::string as_text(const Explained& e, const RouteConfig& route) {
    const LearnedRouter& learned = *e.router;
    std::string out;
    for (const Choice& one : e.choices) {
        const router::RouteTrade& trade = learned.policy().trades[one.trade];
        std::string why = "its quality less the price of its cost is the largest";
        if (one.model == trade.single)
            why = trade.learned
                      ? fmt::format("no other is expected to gain {:.2f} or more", trade.margin)
                      : "predictions have not shown to be better there";
        const std::string chance =
            e.choices.size() > 1 ? fmt::format(" with probability {:.2f}", one.share) : "";
        out += fmt::format("{}{}, at {:.4g} of quality per USD: {}\n", learned.model(one.model),
                           chance, trade.lambda, why);
    }
    if (!learned.evidence().enough)
        out += fmt::format("not enough evidence to route: {}\n", learned.evidence().why);
    if (route.router.paced) out += "the gateway's own price of money moves with what was spent\n";
    std::vector<std::vector<std::string>> rows{
        {"model", "quality", "USD per 1,000 calls", "value", "output tokens", ""}};
    for (std::size_t m = 0; m < e.told.size(); ++m) {
        rows.push_back({learned.model(m), fmt::format("{:.3f}", e.told[m].quality),
                        fmt::format("{:.4f}", router::in_usd(e.told[m].cost) * 1000),
                        fmt::format("{:.3f}", value_of(e, m)),
                        std::isnan(e.told[m].tokens_out)
                            ? std::string("-")
                            : fmt::format("{:.0f}", e.told[m].tokens_out),
                        router::holds(e.able, m) ? "" : "switched off"});
    }
    return out + "\n" + table(rows);
}

}  // namespace

int explain_router(const Config& config, const RouteConfig& route, const RouteOptions& options,
                   const std::string& text) {
    const auto learned = load_router(config, route);
    if (!learned) return report_failure(learned.error());
    EmbeddingOptions embedding = options.embedding;
    if (const ModelConfig* model = embedding_model(config);
        model != nullptr && embedding.model.empty())
        embedding.model = model->name;
    const auto embedder = open_embedder(&config, embedding);
    if (!embedder) return report_failure(embedder.error());
    if ((*embedder)->model().fingerprint != (*learned)->fingerprint()) {
        return report_failure(
            {ErrorCode::kConfig,
             fmt::format("the policy was made for vectors of {}, not of {}",
                         (*learned)->embedding_model(), (*embedder)->model().name),
             "name that model with --model",
             {},
             {}});
    }
    const std::vector<std::string> texts{text};
    const auto vectors = (*embedder)->embed(texts);
    if (!vectors) return report_failure(vectors.error());
    Explained out;
    out.router = learned->get();
    out.told = out.router->predict(vectors->row(0), text);
    out.able = able_models(config, *out.router);
    if (out.able == 0)
        return report_failure(
            {ErrorCode::kUnavailable, "all models of the router are switched off", {}, {}, {}});
    out.choices = choices_of(out);
    return print_out(options.json ? as_json(out, route) : as_text(out, route));
}

}  // namespace leeway::app
