#include "app/import/draft.hpp"

#include "app/config.hpp"
#include "base/money.hpp"
#include "base/strings.hpp"
#include "json/write.hpp"
#include "net/address.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace leeway::app::imports {
namespace {

constexpr std::array kPresets{
    Preset{"openai", "openai", "openai", "openai", "https://api.openai.com/v1", "",
           "OPENAI_API_KEY", ""},
    Preset{"anthropic", "anthropic", "anthropic", "anthropic", "https://api.anthropic.com/v1",
           "/v1", "ANTHROPIC_API_KEY", ""},
    Preset{"gemini", "google", "gemini", "gemini",
           "https://generativelanguage.googleapis.com/v1beta", "/v1beta", "GEMINI_API_KEY", ""},
    Preset{"azure", "azure-openai", "azure", "openai", "", "/openai/v1", "AZURE_API_KEY", ""},
    Preset{"groq", "groq", "groq", "openai", "https://api.groq.com/openai/v1", "", "GROQ_API_KEY",
           ""},
    Preset{"mistral", "mistral-ai", "mistral", "openai", "https://api.mistral.ai/v1", "",
           "MISTRAL_API_KEY", ""},
    Preset{"deepseek", "deepseek", "deepseek", "openai", "https://api.deepseek.com/v1", "",
           "DEEPSEEK_API_KEY", ""},
    Preset{"xai", "x-ai", "xai", "openai", "https://api.x.ai/v1", "", "XAI_API_KEY", ""},
    Preset{"openrouter", "openrouter", "openrouter", "openai", "https://openrouter.ai/api/v1", "",
           "OPENROUTER_API_KEY", ""},
    Preset{"together_ai", "together-ai", "together", "openai", "https://api.together.xyz/v1", "",
           "TOGETHERAI_API_KEY", ""},
    Preset{"fireworks_ai", "fireworks-ai", "fireworks", "openai",
           "https://api.fireworks.ai/inference/v1", "", "FIREWORKS_API_KEY",
           "accounts/fireworks/models/"},
    Preset{"cerebras", "cerebras", "cerebras", "openai", "https://api.cerebras.ai/v1", "",
           "CEREBRAS_API_KEY", ""},
    Preset{"perplexity", "perplexity-ai", "perplexity", "openai", "https://api.perplexity.ai", "",
           "PERPLEXITYAI_API_KEY", ""},
    Preset{"deepinfra", "deepinfra", "deepinfra", "openai", "https://api.deepinfra.com/v1/openai",
           "", "DEEPINFRA_API_KEY", ""},
    Preset{"sambanova", "sambanova", "sambanova", "openai", "https://api.sambanova.ai/v1", "",
           "SAMBANOVA_API_KEY", ""},
    Preset{"nvidia_nim", "", "nvidia", "openai", "https://integrate.api.nvidia.com/v1", "",
           "NVIDIA_NIM_API_KEY", ""},
    Preset{"ollama", "ollama", "ollama", "openai", "http://localhost:11434/v1", "/v1", "", ""},
    Preset{"ollama_chat", "", "ollama", "openai", "http://localhost:11434/v1", "/v1", "", ""},
    Preset{"hosted_vllm", "", "vllm", "openai", "", "", "", ""},
    Preset{"lm_studio", "", "lm-studio", "openai", "", "", "", ""},
    Preset{"llamafile", "", "llamafile", "openai", "http://127.0.0.1:8080/v1", "", "", ""},
    Preset{"openai_like", "", "openai-like", "openai", "", "", "", ""},
    Preset{"custom_openai", "", "openai-like", "openai", "", "", "", ""},
    Preset{"litellm_proxy", "", "litellm", "openai", "", "", "LITELLM_PROXY_API_KEY", ""},
};

bool contains(const std::vector<std::string>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

using Values = std::vector<std::pair<std::string, std::string>>;

/// "{a: b, c: d}" without those that are empty; nothing when all are.
std::string map_of(const Values& values) {
    std::string out;
    for (const auto& [key, value] : values) {
        if (!value.empty()) out += fmt::format("{}{}: {}", out.empty() ? "{" : ", ", key, value);
    }
    return out.empty() ? out : out + "}";
}

/// A YAML scalar that reads as this text; empty text stays empty.
std::string quoted(const std::string& text) {
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    // To YAML these are more than text.
    constexpr std::array kWords{"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    const bool word = std::any_of(kWords.begin(), kWords.end(), [&](std::string_view known) {
        return equals_ignore_case(known, text);
    });
    const bool plain = !word && !text.empty() && ascii_lower(text.front()) >= 'a' &&
                       ascii_lower(text.front()) <= 'z' &&
                       text.find_first_not_of(kPlain) == std::string::npos;
    return text.empty() || plain ? text : json::quoted(text);
}

/// "[a, b]"; nothing when there are none.
std::string list_of(const std::vector<std::string>& names) {
    std::vector<std::string> out;
    out.reserve(names.size());
    for (const std::string& name : names) out.push_back(quoted(name));
    return out.empty() ? std::string() : fmt::format("[{}]", fmt::join(out, ", "));
}

std::string targets_of(const Draft::Model& model) {
    std::vector<std::string> out;
    out.reserve(model.targets.size());
    for (const Draft::Target& one : model.targets) {
        out.push_back(map_of({{"provider", quoted(one.provider)},
                              {"name", quoted(Draft::literal(one.upstream))},
                              {"weight", one.weight == 1 ? "" : std::to_string(one.weight)}}));
    }
    return out.empty() ? std::string() : fmt::format("[{}]", fmt::join(out, ", "));
}

void render_catalog(const Draft& draft, std::string& out) {
    const auto entry = [&out](const std::string& name, const Values& values) {
        out += fmt::format("  {}: {}\n", quoted(name), map_of(values));
    };
    if (!draft.providers.empty()) out += "providers:\n";
    for (const Draft::Provider& one : draft.providers) {
        entry(one.name, {{"dialect", one.dialect},
                         {"base_url", quoted(one.base_url)},
                         {"api_key", quoted(one.api_key)},
                         {"timeouts", map_of({{"first_byte", one.first_byte},
                                              {"between_chunks", one.between_chunks},
                                              {"total", one.total}})},
                         {"retries", map_of({{"attempts", one.retries}})},
                         {"breaker", map_of({{"failures", one.failures}, {"open", one.open}})}});
    }
    if (!draft.models.empty()) out += "models:\n";
    for (const Draft::Model& one : draft.models) {
        const bool same = one.upstream == one.name;
        const bool several = !one.targets.empty();
        entry(one.name, {{"provider", several ? "" : quoted(one.provider)},
                         {"name", several || same ? "" : quoted(Draft::literal(one.upstream))},
                         {"targets", targets_of(one)},
                         {"balance", one.balance},
                         {"fallbacks", list_of(one.fallbacks)},
                         {"price", map_of(one.price)},
                         {"tags", one.embedding ? "[embedding]" : ""}});
    }
    const std::string stages = draft.cache ? "[exact_cache]" : "";
    const std::string cache =
        draft.cache ? map_of({{"exact", "on"}, {"ttl", draft.cache_ttl}}) : "";
    if (draft.cache || !draft.routes.empty()) out += "routes:\n";
    if (draft.cache) entry("default", {{"stages", stages}, {"cache", cache}});
    for (const Draft::Route& one : draft.routes) {
        entry(one.name, {{"model", quoted(one.model)},
                         {"fallbacks", list_of(one.fallbacks)},
                         {"stages", stages},
                         {"cache", cache}});
    }
}

void render_rest(const Draft& draft, std::string& out) {
    const auto line = [&out](std::string_view head, const Values& values) {
        const std::string map = map_of(values);
        if (!map.empty()) out += fmt::format("{}{}\n", head, map);
    };
    line("keys:\n  - ", {{"name", draft.key_name}, {"secret", quoted(draft.key_secret)}});
    if (!draft.budgets.empty()) out += "budgets:\n";
    for (const Draft::Budget& one : draft.budgets) {
        line("  - ", {{"name", quoted(one.name)},
                      {"scope", one.scope},
                      {"match", quoted(Draft::literal(one.match))},
                      {"usd", one.usd},
                      {one.window_key, one.window}});
    }
    if (draft.parallel > 0) {
        line("limits:\n  - ",
             {{"name", "all"}, {"scope", "global"}, {"parallel", std::to_string(draft.parallel)}});
    }
    line("ledger: ", {{"retention_days", draft.retention_days}});
    line("log: ", {{"level", draft.log_level}, {"format", draft.log_format}});
}

/// With something that fits everywhere a variable stands here, be it a key, a secret or an address.
std::string with_variables_set(std::string text, const std::vector<std::string>& variables) {
    for (const std::string& name : variables) {
        const std::string reference = fmt::format("${{{}}}", name);
        for (std::size_t at = text.find(reference); at != std::string::npos;
             at = text.find(reference, at + 1)) {
            if (at == 0 || text[at - 1] != '$') {
                text.replace(at, reference.size(), "https://variable.invalid");
            }
        }
    }
    return text;
}

}  // namespace

const Preset* preset_of_litellm(std::string_view provider) {
    const auto* at = std::find_if(kPresets.begin(), kPresets.end(), [&](const Preset& preset) {
        return !provider.empty() && preset.litellm == provider;
    });
    return at == kPresets.end() ? nullptr : at;
}

const Preset* preset_of_portkey(std::string_view provider) {
    const auto* at = std::find_if(kPresets.begin(), kPresets.end(), [&](const Preset& preset) {
        return !provider.empty() && preset.portkey == provider;
    });
    return at == kPresets.end() ? nullptr : at;
}

const std::string& Draft::provider(Provider wanted) {
    const auto same = [&](const Provider& one) {
        return one.dialect == wanted.dialect && one.base_url == wanted.base_url &&
               one.api_key == wanted.api_key && one.first_byte == wanted.first_byte &&
               one.between_chunks == wanted.between_chunks && one.total == wanted.total &&
               one.retries == wanted.retries && one.failures == wanted.failures &&
               one.open == wanted.open;
    };
    if (const auto at = std::find_if(providers.begin(), providers.end(), same);
        at != providers.end()) {
        return at->name;
    }
    const std::string base = wanted.name;
    const auto taken = [&](const Provider& one) {
        return one.name == wanted.name;
    };
    for (int n = 2; std::any_of(providers.begin(), providers.end(), taken); ++n) {
        wanted.name = fmt::format("{}-{}", base, n);
    }
    providers.push_back(std::move(wanted));
    return providers.back().name;
}

bool Draft::has_model(std::string_view name) const {
    return std::any_of(models.begin(), models.end(),
                       [&](const Model& model) { return model.name == name; });
}

Draft::Model* Draft::find_model(std::string_view name) {
    const auto at = std::find_if(models.begin(), models.end(),
                                 [&](const Model& model) { return model.name == name; });
    return at == models.end() ? nullptr : &*at;
}

std::string Draft::free_name(const std::string& wanted) const {
    std::string name = wanted;
    const auto route = [&](const Route& one) {
        return one.name == name;
    };
    for (int n = 2; has_model(name) || std::any_of(routes.begin(), routes.end(), route); ++n) {
        name = fmt::format("{}-{}", wanted, n);
    }
    return name;
}

std::string Draft::variable(const std::string& name) {
    if (!contains(variables, name)) variables.push_back(name);
    return fmt::format("${{{}}}", name);
}

std::string Draft::secret_variable(const std::string& wanted, const std::string& secret) {
    for (const auto& [known, name] : secrets_) {
        if (known == secret) return variable(name);
    }
    std::string name = wanted;
    for (int n = 2; contains(reserved, name) || contains(variables, name); ++n) {
        name = fmt::format("{}_{}", wanted, n);
    }
    secrets_.emplace_back(secret, name);
    return variable(name);
}

std::string Draft::literal(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i).starts_with("${")) out += '$';
        out += text[i];
    }
    return out;
}

std::optional<std::string> usd_per_million(std::string_view usd_per_token, bool output) {
    constexpr std::int64_t kOne = 1'000'000'000;  // USD per million tokens
    auto text = scaled(usd_per_token, 6, 9);
    if (!text) return std::nullopt;
    const auto rate = parse_usd_per_million(*text);
    if (!rate || rate->value() > (output ? 5'000 : 1'000) * kOne) return std::nullopt;
    return text;
}

std::optional<std::string> retry_count(const Item& item) {
    constexpr std::uint64_t kMost = 10;
    const auto count = parse_u64(item.text());
    return count && *count <= kMost ? std::optional(std::to_string(*count)) : std::nullopt;
}

std::optional<std::string> plain_url(std::string_view text) {
    while (text.ends_with('/')) text.remove_suffix(1);
    const bool http = text.starts_with("http://") || text.starts_with("https://");
    if (!http || text.find_first_of("@?#$\\\"") != std::string_view::npos) return std::nullopt;
    if (!net::parse_base_url(text)) return std::nullopt;
    return std::string(text);
}

Result<std::string> render(const Draft& draft, std::string_view command) {
    std::string out = fmt::format(
        "# Made by `leeway import {}`. `leeway check` tests it; config/leeway.yaml describes every "
        "option.\n",
        command);
    if (!draft.variables.empty()) {
        out += fmt::format("# Variables to set: {}\n", fmt::join(draft.variables, ", "));
    }
    if (!draft.body_bytes.empty()) {
        out += fmt::format("server:\n  limits: {{body_bytes: {}}}\n", draft.body_bytes);
    }
    render_catalog(draft, out);
    render_rest(draft, out);
    const auto read = parse_config(with_variables_set(out, draft.variables), "leeway.yaml");
    if (!read) {
        return fail(ErrorCode::kInternal,
                    fmt::format("the configuration that was made is not accepted: {}",
                                read.error().message),
                    "this is a fault of the importer: please report it");
    }
    return out;
}

}  // namespace leeway::app::imports
