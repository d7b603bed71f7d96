#include "app/config_model.hpp"
#include "providers/presets.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace leeway::app {
namespace {

using std::chrono::milliseconds;
using Dialect = ProviderDialect;

bool is_chat(Dialect dialect) { return dialect == Dialect::kOpenAi || dialect == Dialect::kAzure; }

/// A credential as the file has it, else from the environment's `variable`. While a variable is not set the provider
/// is switched off, unless it is `optional`.
struct Credential {
    const char* key;
    const char* what;  ///< for people
    std::string variable;  ///< empty: none
    bool optional = false;
};

void read_credential(ConfigSource& source, Section& section, const Credential& wanted, Secret& out,
                     ProviderConfig& provider) {
    const auto raw = section.raw_scalar(wanted.key);
    if (!raw && (wanted.variable.empty() || section.has(wanted.key))) return;
    const YAML::Mark mark = raw ? raw->mark : section.mark();
    const ConfigSource::Expanded value =
        raw ? ConfigSource::expand(raw->text) : ConfigSource::variable(wanted.variable);
    if (!value.bad && value.from_environment && (!value.unset.empty() || value.text.empty())) {
        if (wanted.optional && (!raw || value.unset.empty())) return;
        provider.disabled_reason =
            value.unset.empty()
                ? fmt::format("the {} of provider '{}' is empty", wanted.what, provider.name)
                : fmt::format(
                      "provider '{}' has no {}: set the environment variable {} and "
                      "restart",
                      provider.name, wanted.what, value.unset);
        source.warning(mark, fmt::format("{}; until then its models answer with an error",
                                         provider.disabled_reason));
        return;
    }
    if (raw) {
        section.secret(wanted.key, out);
    } else {
        out = Secret(value.text);
    }
    const std::string& secret = out.expose();
    if (section.has(wanted.key) && secret.empty() && !value.bad) {
        source.error(mark, fmt::format("'{}' is empty (leave the line out when none is needed)",
                                       wanted.key));
    }
    // It goes into a header line as it is.
    if (std::any_of(secret.begin(), secret.end(), [](char c) { return c <= ' ' || c >= '\x7f'; })) {
        source.error(mark,
                     fmt::format("'{}' holds a space, a line break or a character outside ASCII",
                                 wanted.key));
    }
}

void read_plain_word(ConfigSource& source, Section& section, std::string_view key,
                     std::string& out) {
    section.text(key, out);
    // They become a part of addresses.
    if (out.empty() || out.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:") !=
                           std::string::npos) {
        source.error(section.mark(key),
                     fmt::format("'{}' is needed: letters, digits and -_.: only", key));
    }
}

void read_aws(ConfigSource& source, Section section, bool has_api_key, ProviderConfig& out) {
    if (!section.has("region")) {
        out.aws.region = ConfigSource::variable("AWS_REGION").text;
    }
    read_plain_word(source, section, "region", out.aws.region);
    if (!has_api_key) {
        read_credential(source, section, {"access_key", "access key", "AWS_ACCESS_KEY_ID"},
                        out.aws.access_key, out);
        read_credential(source, section, {"secret_key", "secret key", "AWS_SECRET_ACCESS_KEY"},
                        out.aws.secret_key, out);
        read_credential(source, section,
                        {"session_token", "session token", "AWS_SESSION_TOKEN", true},
                        out.aws.session_token, out);
    }
    section.finish();
    if (out.base_url.empty())
        out.base_url = fmt::format("https://bedrock-runtime.{}.amazonaws.com", out.aws.region);
}

void read_vertex(ConfigSource& source, Section section, ProviderConfig& out,
                 YAML::Mark& file_mark) {
    read_plain_word(source, section, "project", out.vertex.project);
    read_plain_word(source, section, "location", out.vertex.location);
    section.text("service_account", out.vertex.service_account);
    file_mark = section.mark("service_account");
    if (out.vertex.service_account.empty())
        source.error(section.mark("service_account"),
                     "'service_account' is needed: the key file of one");
    section.finish();
    if (!out.base_url.empty()) return;
    const bool global = out.vertex.location == "global";
    out.base_url = fmt::format("https://{}aiplatform.googleapis.com/v1",
                               global ? std::string() : out.vertex.location + "-");
}

/// Addresses are those that the vendor's own SDK takes, with the version in them.
void read_remote(ConfigSource& source, Section& section, const providers::Preset* preset,
                 ProviderConfig& out, ProviderMarks& marks) {
    section.text("base_url", out.base_url);
    const YAML::Mark url_mark = section.mark("base_url");
    Credential key{"api_key", "API key", {}};
    if (preset != nullptr && out.dialect != Dialect::kVertex) {
        if (!section.has("base_url")) out.base_url = preset->base_url;
        key.variable = preset->key_variable;
        key.optional = !preset->needs_key;
    }
    read_credential(source, section, key, out.api_key, out);
    if (out.dialect == Dialect::kBedrock)
        read_aws(source, section.section("aws"), section.has("api_key"), out);
    if (out.dialect == Dialect::kVertex)
        read_vertex(source, section.section("vertex"), out, marks.service_account);
    if (out.base_url.empty() && (preset != nullptr || !section.has("preset"))) {
        source.error(url_mark,
                     fmt::format("provider '{}' needs a base_url, such as "
                                 "https://api.openai.com/v1, https://api.anthropic.com/v1 or "
                                 "https://generativelanguage.googleapis.com/v1beta",
                                 out.name));
    }
    const auto url = net::parse_base_url(out.base_url);
    if (!url && !out.base_url.empty()) source.error(url_mark, "base_url", url.error());
    const bool has_secret = !out.api_key.empty() || !out.vertex.service_account.empty();
    if (has_secret && url && !url->tls && !is_this_machine(url->address)) {
        source.warning(url_mark,
                       fmt::format("the API key of provider '{}' travels unencrypted; use "
                                   "https:// if the network is not yours",
                                   out.name));
    }
    if (url && out.dialect == Dialect::kAzure && url->path.find("/openai") != std::string::npos) {
        source.error(url_mark,
                     "base_url: the address of Azure's resource alone, without /openai, such as "
                     "https://NAME.openai.azure.com");
    }
    section.text("ca_file", out.ca_file);
    marks.ca_file = section.mark("ca_file");
    const bool is_openai = url && url->address.host == "api.openai.com";
    if (preset != nullptr) {
        out.quirks = preset->quirks;
        out.usage = preset->flavour;
    } else if (is_openai || out.dialect == Dialect::kAzure) {
        out.quirks = wire::kOpenAiQuirks;
        out.quirks.service_tier = is_openai;  // Azure has tiers of deployments instead
    }
}

void read_quirks(ConfigSource& source, Section& section, ProviderConfig& out) {
    if (section.has("quirks") && !is_chat(out.dialect))
        source.error(section.mark("quirks"), "only providers of the dialect openai have quirks");
    Section quirks = section.section("quirks");
    for (const wire::ChatQuirk& quirk : wire::kChatQuirks)
        quirks.on_off(quirk.name, out.quirks.*quirk.flag);
    quirks.finish();
    const auto usage = section.scalar("usage");
    if (!usage) return;
    const auto& names = wire::usage::kFlavourNames;
    const auto found = std::find(names.begin(), names.end(), usage->text);
    if (found == names.end()) {
        source.unknown(usage->mark, "usage", usage->text, {names.begin(), names.end()});
    } else {
        out.usage = static_cast<wire::usage::Flavour>(found - names.begin());
    }
}

Dialect dialect_of(const providers::Preset& preset) {
    switch (preset.dialect) {
        case wire::Dialect::kOpenAiChat: break;
        case wire::Dialect::kOpenAiResponses: return Dialect::kResponses;
        case wire::Dialect::kAnthropic: return Dialect::kAnthropic;
        case wire::Dialect::kGemini: return Dialect::kGemini;
        case wire::Dialect::kBedrock: return Dialect::kBedrock;
        case wire::Dialect::kCohere: return Dialect::kCohere;
    }
    return Dialect::kOpenAi;
}

const providers::Preset* read_preset(ConfigSource& source, Section& section, ProviderConfig& out) {
    const auto name = section.scalar("preset");
    if (!name) return nullptr;
    const providers::Preset* preset = providers::find_preset(name->text);
    if (preset == nullptr) {
        std::vector<std::string> known;
        for (const providers::Preset& one : providers::presets()) known.emplace_back(one.name);
        source.unknown(name->mark, "preset", name->text, known);
        return nullptr;
    }
    out.preset = name->text;
    out.dialect = dialect_of(*preset);
    if (section.has("dialect"))
        source.error(section.mark("dialect"),
                     fmt::format("the preset '{}' has its dialect already: leave "
                                 "one of the two out",
                                 out.preset));
    return preset;
}

/// How its failures are met.
void read_traffic(ConfigSource& source, Section& section, ProviderConfig& out) {
    Section retries = section.section("retries");
    retries.number("attempts", out.retries.attempts, 0, 10);
    retries.duration("base", out.retries.base, milliseconds(1));
    retries.duration("cap", out.retries.cap, milliseconds(1));
    retries.finish();
    Section breaker = section.section("breaker");
    breaker.number("failures", out.breaker.failures, 0, 1'000'000);
    read_percentage(source, breaker, "error_rate", out.breaker.error_bp);
    if (out.breaker.error_bp == 0) {
        source.error(breaker.mark("error_rate"),
                     "error_rate: 0% would never ask; failures: 0 switches the breaker off");
    }
    breaker.duration("window", out.breaker.window, milliseconds(100));
    breaker.duration("open", out.breaker.open, milliseconds(1));
    breaker.duration("slow", out.breaker.slow, milliseconds(1));
    breaker.finish();
    section.number("parallel", out.breaker.parallel, 0, 1'000'000);
}

/// What only one kind of provider has.
void refuse_strangers(ConfigSource& source, Section& section, const ProviderConfig& out) {
    struct Only {
        const char* key;
        Dialect dialect;
        const char* name;
    };
    for (const Only& only :
         {Only{"api_version", Dialect::kAzure, "azure"}, Only{"aws", Dialect::kBedrock, "bedrock"},
          Only{"vertex", Dialect::kVertex, "vertex"}}) {
        section.declare(only.key);
        if (section.has(only.key) && out.dialect != only.dialect)
            source.error(
                section.mark(only.key),
                fmt::format("only a provider of the dialect {} has '{}'", only.name, only.key));
    }
    if (out.dialect == Dialect::kVertex && section.has("api_key"))
        source.error(section.mark("api_key"),
                     "Vertex takes no API key: give vertex.service_account");
    if (out.dialect != Dialect::kEmbedded) return;
    for (const char* key :
         {"base_url", "api_key", "ca_file", "usage", "quirks", "retries", "breaker", "parallel"}) {
        section.declare(key);
        if (section.has(key))
            source.error(section.mark(key), fmt::format("an embedded provider has no {}", key));
    }
}

}  // namespace

void read_provider(ConfigSource& source, const PlacedText& name, Section& section, Draft& draft) {
    ProviderConfig out;
    ProviderMarks marks;
    marks.name = name.mark;
    out.name = name.text;
    const providers::Preset* preset = read_preset(source, section, out);
    section.choice<Dialect>("dialect", out.dialect,
                            {{"openai", Dialect::kOpenAi},
                             {"embedded", Dialect::kEmbedded},
                             {"anthropic", Dialect::kAnthropic},
                             {"gemini", Dialect::kGemini},
                             {"responses", Dialect::kResponses},
                             {"azure", Dialect::kAzure},
                             {"bedrock", Dialect::kBedrock},
                             {"vertex", Dialect::kVertex},
                             {"cohere", Dialect::kCohere}});
    if (!section.has("dialect") && !section.has("preset")) {
        source.error(
            name.mark,
            fmt::format(
                "provider '{}' needs a preset (see `leeway providers`) or a dialect: openai, "
                "anthropic, gemini, responses, azure, bedrock, vertex, cohere or embedded",
                out.name));
    }
    refuse_strangers(source, section, out);
    if (out.dialect != Dialect::kEmbedded) {
        read_remote(source, section, preset, out, marks);
        read_quirks(source, section, out);
        if (out.dialect == Dialect::kAzure)
            read_plain_word(source, section, "api_version", out.api_version);
    }
    Section timeouts = section.section("timeouts");
    timeouts.duration("connect", out.timeouts.connect, milliseconds(1));
    timeouts.duration("first_byte", out.timeouts.first_byte, milliseconds(1));
    timeouts.duration("between_chunks", out.timeouts.between_chunks, milliseconds(1));
    timeouts.duration("total", out.timeouts.total, milliseconds(1));
    timeouts.finish();
    read_traffic(source, section, out);
    section.number("max_connections", out.max_connections, 1, 65'535);
    section.on_off("batches", out.batches);
    const bool may_batch = out.dialect == Dialect::kOpenAi || out.dialect == Dialect::kResponses ||
                           out.dialect == Dialect::kAnthropic;
    if (out.batches && !may_batch) {
        source.error(section.mark("batches"),
                     "only providers of the dialects openai, responses and anthropic take batches");
    }
    section.text("prices", out.price_name);
    section.text("region", out.region);
    for (Section& discount : section.list_of_sections("discounts")) {
        read_discount(source, std::move(discount), out);
    }
    for (Section& commitment : section.list_of_sections("commitments")) {
        read_commitment(source, std::move(commitment), out, marks);
    }
    draft.provider_marks.push_back(marks);
    draft.config.providers.push_back(std::move(out));
    section.finish();
}

}  // namespace leeway::app
