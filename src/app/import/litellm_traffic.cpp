#include "app/config_values.hpp"
#include "app/import/litellm.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app::imports {
namespace {

constexpr std::string_view kRetries = "retries: of the providers";
constexpr std::string_view kBreaker = "breaker: of the providers";
constexpr std::string_view kFallbacks = "fallbacks: of the model";

/// A setting for all providers. The first that names it counts, as most may stand in two sections.
void set_once(LitellmState& state, const Item& item, std::string& place,
              const std::optional<std::string>& value, std::string_view not_one,
              std::string_view instead, std::string note = {}) {
    if (!value) return state.report.dropped(item, not_one, instead);
    if (!place.empty() && place != *value)
        return state.report.dropped(item, "another setting has said it already", instead);
    place = *value;
    state.report.carried(item, "providers", std::move(note));
}

void carry_retries(LitellmState& state, const Item& item) {
    set_once(state, item, state.retries, retry_count(item), "it is no whole number from 0 to 10",
             kRetries);
}

/// So many failures are allowed, the next one is too many.
std::optional<std::string> failures_of(const Item& item) {
    constexpr std::uint64_t kMost = 999'999;
    const auto allowed = parse_u64(item.text());
    return allowed && *allowed <= kMost ? std::optional(std::to_string(*allowed + 1))
                                        : std::nullopt;
}

void carry_strategy(LitellmState& state, const Item& item) {
    struct Strategy {
        std::string_view litellm, ours;
    };
    constexpr Strategy kStrategies[] = {{"simple-shuffle", "weighted"},
                                        {"least-busy", "least_pending"},
                                        {"latency-based-routing", "peak_ewma"}};
    for (const Strategy& one : kStrategies) {
        if (item.text() != one.litellm) continue;
        state.balance = one.ours;
        return state.report.carried(item, "models.*.balance");
    }
    state.report.dropped(item, "a model's targets are not chosen by their use or their price",
                         "balance: of the model, weighted unless it says otherwise");
}

constexpr Rule<LitellmState> kRules[] = {
    {"routing_strategy", carry_strategy, {}, {}},
    {"routing_*", nullptr, "balance: of a model has no arguments", "balance: of the model"},
    {"fallbacks",
     [](LitellmState& s, const Item& item) {
         for (const Item& one : s.report.elements_of(item)) {
             for (const Item& of_model : s.report.members_of(one)) s.fallbacks.push_back(of_model);
         }
     },
     {},
     {}},
    {"default_fallbacks",
     [](LitellmState& s, const Item& item) { s.default_fallbacks = item; },
     {},
     {}},
    {"context_window_fallbacks", nullptr,
     "fallbacks stand in for models that give no answer, not for refusals of the request",
     kFallbacks},
    {"content_policy_fallbacks", nullptr,
     "fallbacks stand in for models that give no answer, not for refusals of the request",
     kFallbacks},
    {"max_fallbacks", nullptr, "all fallbacks of a model are tried", kFallbacks},
    {"num_retries", carry_retries, {}, {}},
    {"max_retries", carry_retries, {}, {}},
    {"retry_*", nullptr, "which failures are tried again, and the waits' growth, are fixed",
     "retries: {base: …, cap: …} of the providers"},
    {"model_group_retry_policy", nullptr, "which failures are tried again is fixed", kRetries},
    {"allowed_fails",
     [](LitellmState& s, const Item& item) {
         set_once(s, item, s.failures, failures_of(item), "it is no whole number", kBreaker,
                  "counts failures in a row, not those of a minute");
     },
     {},
     {}},
    {"allowed_fails_policy", nullptr, "a breaker counts all failures alike", kBreaker},
    {"cooldown_time",
     [](LitellmState& s, const Item& item) {
         set_once(s, item, s.open, duration_of_seconds(item), "it is no number of seconds",
                  kBreaker);
     },
     {},
     {}},
    {"disable_cooldowns",
     [](LitellmState& s, const Item& item) {
         const auto off = parse_switch(item.text());
         if (!off) return s.report.dropped(item, "it is neither true nor false", kBreaker);
         if (*off) s.failures = "0";
         s.report.carried(item, "providers");
     },
     {},
     {}},
};

/// The model that a name of the source means; empty: there is none here.
std::string meant(const Draft& draft, const std::string& name) {
    if (draft.has_model(name)) return name;
    const auto at = std::find_if(draft.routes.begin(), draft.routes.end(),
                                 [&](const Draft::Route& one) { return one.name == name; });
    return at == draft.routes.end() ? std::string() : at->model;
}

/// The models of a list, without `own`. Names that mean none are told.
std::vector<std::string> models_of(LitellmState& state, const Item& list, const std::string& own,
                                   const std::string& to) {
    std::vector<std::string> out;
    for (const Item& one : state.report.elements_of(list)) {
        const std::string name = meant(state.draft, one.text());
        const bool twice = std::find(out.begin(), out.end(), name) != out.end();
        if (name.empty() || name == own || twice) {
            state.report.dropped(one, "it names no other model", kFallbacks);
            continue;
        }
        state.report.carried(one, to);
        out.push_back(name);
    }
    return out;
}

void add_default_fallbacks(LitellmState& state, const Item& list) {
    const std::vector<std::string> names = models_of(state, list, {}, "models.*.fallbacks");
    for (Draft::Model& model : state.draft.models) {
        if (!model.fallbacks.empty()) continue;
        for (const std::string& name : names) {
            if (name != model.name) model.fallbacks.push_back(name);
        }
    }
}

}  // namespace

std::span<const Rule<LitellmState>> traffic_rules() noexcept { return kRules; }

void finish_traffic(LitellmState& state) {
    Draft& draft = state.draft;
    for (Draft::Model& model : draft.models) {
        if (!model.targets.empty() && state.balance != "weighted") model.balance = state.balance;
    }
    for (const Item& one : state.fallbacks) {
        if (one.key == "*") continue;
        Draft::Model* model = draft.find_model(one.key);
        const auto route = std::find_if(draft.routes.begin(), draft.routes.end(),
                                        [&](const Draft::Route& r) { return r.name == one.key; });
        if (model != nullptr) {
            model->fallbacks =
                models_of(state, one, model->name, fmt::format("models.{}.fallbacks", model->name));
        } else if (route != draft.routes.end()) {
            route->fallbacks = models_of(state, one, route->model,
                                         fmt::format("routes.{}.fallbacks", route->name));
        } else {
            state.report.dropped(one, "there is no model that it is for", kFallbacks);
        }
    }
    for (const Item& one : state.fallbacks) {
        if (one.key == "*") add_default_fallbacks(state, one);
    }
    if (state.default_fallbacks) add_default_fallbacks(state, *state.default_fallbacks);
}

}  // namespace leeway::app::imports
