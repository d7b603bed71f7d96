#include "app/config_values.hpp"
#include "app/import/litellm.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace leeway::app::imports {
namespace {

constexpr std::string_view kNotAName =
    "a name has 1 to 128 characters: printable ASCII without spaces, commas, quotes, backslashes "
    "and $";

/// One entry of model_list.
struct Deployment {
    Report& report;
    Draft::Model model;
    bool azure = false;
    std::uint64_t weight = 1;
};

/// USD per token there, USD per million tokens here.
struct PriceKey {
    std::string_view litellm, ours;
};
constexpr std::array kPriceKeys{
    PriceKey{"input_cost_per_token", "input"},
    PriceKey{"output_cost_per_token", "output"},
    PriceKey{"cache_read_input_token_cost", "cached_input"},
    PriceKey{"cache_creation_input_token_cost", "cache_write"},
    PriceKey{"cache_creation_input_token_cost_above_1hr", "cache_write_1h_input"},
    PriceKey{"input_cost_per_audio_token", "audio_input"},
    PriceKey{"output_cost_per_audio_token", "audio_output"},
    PriceKey{"input_cost_per_image_token", "image_input"},
    PriceKey{"output_cost_per_image_token", "image_output"},
    PriceKey{"output_cost_per_reasoning_token", "reasoning_output"},
};

void carry_price(Deployment& one, const Item& item) {
    const auto* key = std::find_if(kPriceKeys.begin(), kPriceKeys.end(),
                                   [&](const PriceKey& k) { return k.litellm == item.word; });
    const std::string ours(key->ours);
    auto& price = one.model.price;
    const bool twice = std::any_of(price.begin(), price.end(),
                                   [&](const auto& known) { return known.first == ours; });
    if (twice) {
        one.report.dropped(item, "the same price stands in litellm_params, which counts");
        return;
    }
    const auto rate = usd_per_million(item.text(), ours.find("output") != std::string::npos);
    if (!rate) {
        one.report.dropped(
            item,
            "it is no price per token that can be written exactly in USD per million "
            "tokens with nine decimals",
            "write the price of the model by hand");
        return;
    }
    price.emplace_back(ours, *rate);
    one.report.carried(item, fmt::format("models.{}.price.{}", one.model.name, ours));
}

constexpr std::string_view kPriceKind = "Leeway prices tokens and machine hours";
constexpr std::string_view kPriceInstead =
    "price: of the model, or the overlay of the price book (docs/formats/prices.md)";

void carry_model(Deployment& one, const Item& item) {
    one.report.carried(item, fmt::format("models.{}", one.model.name));
}
void carry_provider(Deployment& one, const Item& item) {
    one.report.carried(item, fmt::format("providers.{}", one.model.provider));
}
void carry_retries(Deployment& one, const Item& item) {
    if (retry_count(item)) return carry_provider(one, item);
    one.report.dropped(item, "it is no whole number from 0 to 10", "retries: of the provider");
}
/// What was dealt with already.
void done(Deployment& /*one*/, const Item& /*item*/) {}

constexpr Rule<Deployment> kPrices[] = {
    {"input_cost_per_token", carry_price, {}, {}},
    {"output_cost_per_token", carry_price, {}, {}},
    {"cache_read_input_token_cost", carry_price, {}, {}},
    {"cache_creation_input_token_cost", carry_price, {}, {}},
    {"cache_creation_input_token_cost_above_1hr", carry_price, {}, {}},
    {"input_cost_per_audio_token", carry_price, {}, {}},
    {"output_cost_per_audio_token", carry_price, {}, {}},
    {"input_cost_per_image_token", carry_price, {}, {}},
    {"output_cost_per_image_token", carry_price, {}, {}},
    {"output_cost_per_reasoning_token", carry_price, {}, {}},
    {"input_cost_per_*", nullptr, kPriceKind, kPriceInstead},
    {"output_cost_per_*", nullptr, kPriceKind, kPriceInstead},
    {"cache_read_*", nullptr, kPriceKind, kPriceInstead},
    {"cache_creation_*", nullptr, kPriceKind, kPriceInstead},
};

constexpr Rule<Deployment> kParams[] = {
    {"model", carry_model, {}, {}},
    {"custom_llm_provider", carry_provider, {}, {}},
    {"api_key", done, {}, {}},
    {"api_base", done, {}, {}},
    {"base_url", done, {}, {}},
    {"timeout", done, {}, {}},
    {"litellm_credential_name", done, {}, {}},
    {"api_version",
     [](Deployment& one, const Item& item) {
         if (one.azure) {
             one.report.carried(
                 item, "-", "the v1 API of Azure OpenAI, which Leeway uses, has no api-version");
         } else {
             one.report.dropped(item, "only Azure OpenAI has versions of its API");
         }
     },
     {},
     {}},
    {"rpm", nullptr, "limits count callers, not deployments",
     "limits: or a key's requests_per_minute"},
    {"tpm", nullptr, "limits count callers, not deployments",
     "limits: or a key's tokens_per_minute"},
    {"max_parallel_requests", nullptr, "limits count callers, not deployments",
     "limits: with parallel"},
    {"default_api_key_rpm_limit", nullptr, "limits of a key hold for all its models",
     "a key's requests_per_minute"},
    {"default_api_key_tpm_limit", nullptr, "limits of a key hold for all its models",
     "a key's tokens_per_minute"},
    {"max_budget", nullptr, "budgets have no scope for one deployment",
     "budgets: with scope global"},
    {"budget_duration", nullptr, "budgets have no scope for one deployment",
     "budgets: with scope global"},
    {"weight",
     [](Deployment& one, const Item& item) {
         constexpr std::uint64_t kMost = 1'000;
         const auto weight = parse_u64(item.text());
         if (!weight || *weight == 0 || *weight > kMost) {
             one.report.dropped(item, "it is no whole number from 1 to 1000",
                                "weight: of the model's targets");
             return;
         }
         one.weight = *weight;
         carry_model(one, item);
     },
     {},
     {}},
    {"order", nullptr, "targets of a model have weights, no order", "fallbacks: of the model"},
    {"num_retries", carry_retries, {}, {}},
    {"max_retries", carry_retries, {}, {}},
    {"cooldown_time",
     [](Deployment& one, const Item& item) {
         if (duration_of_seconds(item)) return carry_provider(one, item);
         one.report.dropped(item, "it is no number of seconds", "breaker: of the provider");
     },
     {},
     {}},
    {"stream_timeout", nullptr, "streams and whole answers have the same timeouts",
     "timeouts of the provider"},
    {"tags", nullptr, "routing by tags is not in the configuration", "a model name for each"},
    {"region_name", nullptr, "routing by region is not in the configuration",
     "region: of the provider, where prices depend on it"},
    {"organization", nullptr, "Leeway sends no OpenAI-Organization header",
     "a key of that organization"},
    {"extra_headers", nullptr, "Leeway adds no headers to a request", kSendIt},
    {"headers", nullptr, "Leeway adds no headers to a request", kSendIt},
    {"extra_body", nullptr, kDefaults, kSendIt},
    {"temperature", nullptr, kDefaults, kSendIt},
    {"top_p", nullptr, kDefaults, kSendIt},
    {"max_tokens", nullptr, kDefaults, kSendIt},
    {"max_completion_tokens", nullptr, kDefaults, kSendIt},
    {"stop", nullptr, kDefaults, kSendIt},
    {"seed", nullptr, kDefaults, kSendIt},
    {"n", nullptr, kDefaults, kSendIt},
    {"stream", nullptr, kDefaults, kSendIt},
    {"presence_penalty", nullptr, kDefaults, kSendIt},
    {"frequency_penalty", nullptr, kDefaults, kSendIt},
    {"reasoning_effort", nullptr, kDefaults, kSendIt},
    {"thinking", nullptr, kDefaults, kSendIt},
    {"drop_params",
     nullptr,
     "between dialects Leeway drops what cannot be told and says so in a header",
     {}},
    {"additional_drop_params", nullptr, "fields are passed on as they are", "do not send them"},
    {"mock_response", nullptr, "Leeway makes no answers up", {}},
};

constexpr Rule<Deployment> kModelInfo[] = {
    {"mode",
     [](Deployment& one, const Item& item) {
         if (item.text() == "embedding") {
             one.model.embedding = true;
             one.report.carried(item, fmt::format("models.{}.tags", one.model.name));
         } else if (item.text() == "chat") {
             one.report.carried(item, fmt::format("models.{}", one.model.name));
         } else {
             one.report.dropped(item, "Leeway serves chat and embeddings");
         }
     },
     {},
     {}},
    {"base_model", nullptr, "the price book is asked for the name that the provider knows",
     "price: of the model, when `leeway prices` does not find it"},
    {"access_groups", nullptr, "keys name the models that they may use", "a key's `models`"},
    {"team_id", nullptr, "keys name the models that they may use", "a key's `models`"},
    {"id", nullptr, kDescribes, {}},
    {"description", nullptr, kDescribes, {}},
    {"metadata", nullptr, kDescribes, {}},
    {"tier", nullptr, kDescribes, {}},
    {"max_*", nullptr, kDescribes, {}},
    {"supports_*", nullptr, kDescribes, {}},
    {"supported_*", nullptr, kDescribes, {}},
    {"health_check_*", nullptr, "Leeway asks no model on its own", "GET /readyz on the admin port"},
};

constexpr Rule<Deployment> kEntry[] = {
    {"model_name", carry_model, {}, {}},
    {"litellm_params",
     [](Deployment& one, const Item& params) {
         apply<Deployment>(params, {kPrices, kParams}, one);
     },
     {},
     {}},
    {"model_info",
     [](Deployment& one, const Item& info) { apply<Deployment>(info, {kPrices, kModelInfo}, one); },
     {},
     {}},
    {"rpm", nullptr, "limits count callers, not deployments",
     "limits: or a key's requests_per_minute"},
    {"tpm", nullptr, "limits count callers, not deployments",
     "limits: or a key's tokens_per_minute"},
};

/// LiteLLM's provider and its name of the model, from "provider/name" or from a well-known name.
std::pair<std::string, std::string> provider_and_name(const Item& params) {
    const auto item = params.member("model");
    const std::string model = item ? item->text() : std::string();
    const auto custom = params.member("custom_llm_provider");
    const std::size_t slash = model.find('/');
    const std::string prefix = slash == std::string::npos ? std::string() : model.substr(0, slash);
    if (custom && custom->text() != prefix) return {custom->text(), model};
    if (!prefix.empty()) return {prefix, model.substr(slash + 1)};
    for (const auto& [begin, provider] : {std::pair("gpt-", "openai"),
                                          {"chatgpt-", "openai"},
                                          {"o1", "openai"},
                                          {"o3", "openai"},
                                          {"o4", "openai"},
                                          {"text-embedding-", "openai"},
                                          {"claude-", "anthropic"}}) {
        if (model.starts_with(begin)) return {provider, model};
    }
    return {std::string(), model};
}

/// The credential that a deployment names; nullopt when it names none or there is none.
std::optional<Item> credential_of(const LitellmState& state, const Item& params) {
    const auto wanted = params.member("litellm_credential_name");
    if (!wanted) return std::nullopt;
    for (const Item& credential : state.credentials) {
        const auto name = credential.member("credential_name");
        if (name && name->text() == wanted->text()) return credential;
    }
    return std::nullopt;
}

/// A setting of a deployment, or of the credential that it names.
std::optional<Item> setting(const LitellmState& state, const Item& params, std::string_view key) {
    if (auto own = params.member(key)) return own;
    const auto credential = credential_of(state, params);
    const auto values = credential ? credential->member("credential_values") : std::nullopt;
    return values ? values->member(key) : std::nullopt;
}

struct Address {
    std::string url;
    std::optional<Item> item;
    std::string note;
};

/// The base URL of a deployment; nullopt when it has none that can be used.
std::optional<Address> address_of(LitellmState& state, const Item& params, const Preset& preset) {
    auto item = setting(state, params, "api_base");
    if (!item) item = setting(state, params, "base_url");
    if (!item) {
        if (preset.litellm == "azure") {  // LiteLLM looks there too
            return Address{
                state.draft.variable("AZURE_API_BASE") + std::string(preset.path), {}, {}};
        }
        if (preset.base_url.empty()) return std::nullopt;
        return Address{std::string(preset.base_url), {}, {}};
    }
    if (const std::string name = variable_of(item->text()); !name.empty()) {
        const std::string note =
            preset.path.empty()
                ? ""
                : fmt::format("{} must be without {} and without a slash at its end", name,
                              preset.path);
        return Address{state.draft.variable(name) + std::string(preset.path), item, note};
    }
    auto url = plain_url(item->text());
    if (!url) return std::nullopt;
    for (const std::string_view end : {"/chat/completions", "/messages"}) {
        if (url->ends_with(end)) url->resize(url->size() - end.size());
    }
    if (preset.litellm == "azure") url->resize(std::min(url->find("/openai"), url->size()));
    if (!preset.path.empty() && !url->ends_with(preset.path)) *url += preset.path;
    return Address{std::move(*url), item, {}};
}

/// The API key of a deployment as a value of ours; empty: it has none.
std::string api_key_of(LitellmState& state, const Item& params, const Preset& preset,
                       std::string& note, std::optional<Item>& item) {
    item = setting(state, params, "api_key");
    if (!item) {
        return preset.variable.empty() ? std::string()
                                       : state.draft.variable(std::string(preset.variable));
    }
    if (const std::string name = variable_of(item->text()); !name.empty()) {
        return state.draft.variable(name);
    }
    std::string wanted(preset.variable);
    if (wanted.empty()) {
        for (const char c : preset.name)
            wanted += c == '-' ? '_' : static_cast<char>(c - 'a' + 'A');
        wanted += "_API_KEY";
    }
    std::string value = state.draft.secret_variable(wanted, item->text());
    note = fmt::format("the key stands in the file; put it into the environment as {}",
                       value.substr(2, value.size() - 3));
    return value;
}

/// LiteLLM's timeouts bound the silence, not a stream as a whole.
void set_timeouts(LitellmState& state, const Item& params, Draft::Provider& provider,
                  std::optional<Item>& used) {
    used = params.member("timeout");
    if (!used && state.timeout) {
        used = state.timeout;
        state.timeout_used = true;
    } else if (!used && state.request_timeout) {
        used = state.request_timeout;
        state.request_timeout_used = true;
    }
    const auto duration = used ? duration_of_seconds(*used) : std::nullopt;
    if (!duration) return;
    provider.first_byte = *duration;
    provider.between_chunks = *duration;
    constexpr std::int64_t kTotalMs = 600'000;  // ours, unless more is asked for
    const auto ms = parse_duration(*duration);
    if (ms && ms->count() > kTotalMs) provider.total = *duration;
}

/// What its provider does about failures: as the deployment says, else as all do.
void set_traffic(const LitellmState& state, const Item& params, Draft::Provider& provider) {
    provider.retries = state.retries;
    provider.failures = state.failures;
    provider.open = state.open;
    for (const std::string_view key : {"max_retries", "num_retries"}) {
        const auto item = params.member(key);
        const auto count = item ? retry_count(*item) : std::nullopt;
        if (count) provider.retries = *count;
    }
    const auto cooldown = params.member("cooldown_time");
    const auto open = cooldown ? duration_of_seconds(*cooldown) : std::nullopt;
    if (open) provider.open = *open;
}

/// Price and kind of the model that an entry makes.
Draft::Model look_at(const Item& entry) {
    Report untold;
    Deployment one{untold, {}, false, 1};
    apply<Deployment>(entry, {kEntry}, one);
    return std::move(one.model);
}

/// Adds a deployment to the model that another one of the same name has made.
void add_place(Draft::Model& model, const Deployment& one) {
    if (model.targets.empty())
        model.targets.push_back({model.provider, model.upstream, model.weight});
    model.targets.push_back({one.model.provider, one.model.upstream, one.weight});
}

}  // namespace

/// The NAME of "os.environ/NAME"; empty when it is another text.
std::string variable_of(const std::string& text) {
    if (!text.starts_with(kEnvironment)) return {};
    const std::string name = text.substr(kEnvironment.size());
    const bool good = std::all_of(name.begin(), name.end(), [](char c) {
        return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') ||
               c == '_';
    });
    return good ? name : std::string();
}

bool usable_name(const std::string& name) {
    return check_name(name).has_value() && name.find('$') == std::string::npos;
}

/// Seconds, also with a fraction, as a duration; nullopt when it is none.
std::optional<std::string> duration_of_seconds(const Item& item) {
    const auto ms = scaled(item.text(), 3, 0);
    if (!ms || ms->size() > 10 || *ms == "0") return std::nullopt;
    const bool whole = ms->ends_with("000");
    return whole ? ms->substr(0, ms->size() - 3) + "s" : *ms + "ms";
}

/// The name that a secret of the file gets must not be one that means something else in it.
void reserve_variables(LitellmState& state, const std::string& text) {
    for (std::size_t at = text.find(kEnvironment); at != std::string::npos;
         at = text.find(kEnvironment, at + 1)) {
        std::size_t end = at + kEnvironment.size();
        while (end < text.size() && !variable_of(text.substr(at, end + 1 - at)).empty()) ++end;
        state.draft.reserved.push_back(variable_of(text.substr(at, end - at)));
    }
    for (const Item& entry : state.deployments) {
        const auto params = entry.member("litellm_params");
        if (!params || setting(state, *params, "api_key")) continue;
        const Preset* preset = preset_of_litellm(provider_and_name(*params).first);
        if (preset != nullptr) state.draft.reserved.emplace_back(preset->variable);
    }
}

void add_deployment(LitellmState& state, const Item& entry) {
    const auto params = entry.member("litellm_params");
    const auto name_item = entry.member("model_name");
    Report& report = state.report;
    if (!params || !name_item || name_item->text().empty() || !params->member("model")) {
        report.dropped(entry, "it has no model_name, or no model among its litellm_params");
        return;
    }
    const std::string name = name_item->text();
    auto [litellm_provider, upstream] = provider_and_name(*params);
    const Preset* preset = preset_of_litellm(litellm_provider);
    if (preset == nullptr) {
        report.dropped(
            entry,
            litellm_provider.empty()
                ? std::string("its `model` does not say which provider it is of")
                : fmt::format("Leeway does not speak with the provider '{}' that its `model` "
                              "names",
                              usable_name(litellm_provider) ? litellm_provider : "…"),
            litellm_provider.empty()
                ? "write PROVIDER/NAME and import again"
                : "when it has an OpenAI-compatible address, write `model: openai/NAME` with "
                  "that api_base and import again");
        return;
    }
    const auto credential = credential_of(state, *params);
    if (params->member("litellm_credential_name") && !credential) {
        report.dropped(entry, "credential_list has no credential of its litellm_credential_name");
        return;
    }
    const auto address = address_of(state, *params, *preset);
    if (!address) {
        report.dropped(entry,
                       "it has no api_base that can be used: a plain http or https address without "
                       "query and credentials",
                       "correct it and import again");
        return;
    }
    Draft::Provider provider;
    provider.name = preset->name;
    provider.dialect = preset->dialect;
    if (litellm_provider == "openai" && upstream.starts_with("responses/")) {
        provider.dialect = "responses";
        upstream.erase(0, upstream.find('/') + 1);
    }
    provider.base_url = address->url;
    std::string key_note;
    std::optional<Item> key_item;
    std::optional<Item> timeout_item;
    provider.api_key = api_key_of(state, *params, *preset, key_note, key_item);
    set_timeouts(state, *params, provider, timeout_item);
    set_traffic(state, *params, provider);
    const std::string provider_name = state.draft.provider(std::move(provider));

    const std::string place = fmt::format("providers.{}", provider_name);
    if (address->item) report.carried(*address->item, place + ".base_url", address->note);
    if (key_item) report.carried(*key_item, place + ".api_key", key_note);
    if (timeout_item) {
        if (duration_of_seconds(*timeout_item)) {
            report.carried(*timeout_item, place + ".timeouts");
        } else {
            report.dropped(*timeout_item, "it is no number of seconds",
                           "timeouts of the provider in the new file");
        }
    }
    if (name.find('*') != std::string::npos || upstream.find('*') != std::string::npos) {
        report.dropped(
            entry, "a name with * stands for many models; Leeway's models have names",
            fmt::format("add each model that is asked for under models: with provider: {}",
                        provider_name));
        return;
    }
    if (!usable_name(name)) {
        report.dropped(entry, "its model_name cannot be a name here", kNotAName);
        return;
    }
    const Draft::Model made = look_at(entry);
    auto& groups = state.groups;
    Draft::Model* shared = std::find(groups.begin(), groups.end(), name) == groups.end()
                               ? nullptr
                               : state.draft.find_model(name);
    if (shared != nullptr && (shared->price != made.price || shared->embedding != made.embedding))
        shared = nullptr;
    Deployment one{report, {}, preset->litellm == "azure", 1};
    one.model.name = shared != nullptr ? name : state.draft.free_name(name);
    one.model.provider = provider_name;
    if (!preset->model_prefix.empty() && upstream.find('/') == std::string::npos) {
        upstream.insert(0, preset->model_prefix);
    }
    one.model.upstream = upstream;
    if (one.model.name != name) {
        report.dropped(entry,
                       fmt::format("a model has one price, and another deployment that is called "
                                   "{} has another; this one is called {} here",
                                   name, one.model.name),
                       "fallbacks: of the model");
    }
    apply<Deployment>(entry, {kEntry}, one);
    if (credential) {
        state.used_credentials.push_back(credential->member("credential_name")->line);
        carry_provider(one, *params->member("litellm_credential_name"));
    }
    if (shared != nullptr) return add_place(*shared, one);
    if (one.model.name == name) groups.push_back(name);
    one.model.weight = one.weight;
    state.draft.models.push_back(std::move(one.model));
}

}  // namespace leeway::app::imports
