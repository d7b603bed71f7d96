#include "app/config_model.hpp"
#include "base/money.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

using std::chrono::milliseconds;

void read_api_key(ConfigSource& source, Section& section, ProviderConfig& out) {
    const auto raw = section.raw_scalar("api_key");
    if (!raw) return;
    const ConfigSource::Expanded value = ConfigSource::expand(raw->text);
    if (!value.bad && value.from_environment && (!value.unset.empty() || value.text.empty())) {
        out.disabled_reason =
            value.unset.empty()
                ? fmt::format("the API key of provider '{}' is empty", out.name)
                : fmt::format(
                      "provider '{}' has no API key: set the environment variable {} and "
                      "restart",
                      out.name, value.unset);
        source.warning(raw->mark, fmt::format("{}; until then its models answer with an error",
                                              out.disabled_reason));
        return;
    }
    section.secret("api_key", out.api_key);
    const std::string& key = out.api_key.expose();
    if (section.has("api_key") && key.empty() && !value.bad) {
        source.error(raw->mark, "'api_key' is empty (leave the line out when none is needed)");
    }
    // The key goes into a header line as it is.
    if (std::any_of(key.begin(), key.end(), [](char c) { return c <= ' ' || c >= '\x7f'; })) {
        source.error(raw->mark,
                     "'api_key' holds a space, a line break or a character outside ASCII");
    }
}

void read_openai(ConfigSource& source, Section& section, ProviderConfig& out) {
    section.text("base_url", out.base_url);
    const YAML::Mark url_mark = section.mark("base_url");
    if (!section.has("base_url")) {
        source.error(url_mark, fmt::format("provider '{}' needs a base_url, such as "
                                           "https://api.openai.com/v1",
                                           out.name));
    }
    const auto url = net::parse_base_url(out.base_url);
    if (!url && !out.base_url.empty()) source.error(url_mark, "base_url", url.error());
    read_api_key(source, section, out);
    if (!out.api_key.empty() && url && !url->tls && !is_this_machine(url->address)) {
        source.warning(url_mark,
                       fmt::format("the API key of provider '{}' travels unencrypted; use "
                                   "https:// if the network is not yours",
                                   out.name));
    }
    section.text("ca_file", out.ca_file);
}

/// `most_usd` is what no vendor asks: beyond it the unit is very likely wrong.
void read_rate(ConfigSource& source, Section& section, std::string_view key, std::int64_t most_usd,
               std::optional<FemtoUsdPerUnit>& out) {
    const auto value = section.scalar(key);
    if (!value) return;
    const auto rate = parse_usd_per_million(value->text);
    if (!rate) {
        source.error(value->mark, key, rate.error());
        return;
    }
    constexpr std::int64_t kUsdPerMillion = 1'000'000'000;  // in 1e-15 USD per token
    if (rate->value() > most_usd * kUsdPerMillion) {
        source.error(
            value->mark,
            fmt::format("{}: {} USD per million tokens is more than any model costs; is it "
                        "cents, or a price for another number of tokens?",
                        key, value->text));
        return;
    }
    if (rate->value() > 0 && rate->value() < kUsdPerMillion / 1000) {
        source.warning(value->mark,
                       fmt::format("{}: {} USD per million tokens is very little; did you type a "
                                   "price per token, or per thousand tokens?",
                                   key, value->text));
    }
    out = *rate;
}

void read_price(ConfigSource& source, Section section, prices::ModelPrice& out) {
    constexpr std::int64_t kMostInput = 1'000;
    constexpr std::int64_t kMostOutput = 5'000;
    read_rate(source, section, "input", kMostInput, out.input);
    read_rate(source, section, "cached_input", kMostInput, out.cached_input);
    read_rate(source, section, "cache_write", kMostInput, out.cache_write);
    read_rate(source, section, "output", kMostOutput, out.output);
    read_rate(source, section, "audio_input", kMostInput, out.audio_input);
    read_rate(source, section, "audio_output", kMostOutput, out.audio_output);
    section.finish();
}

}  // namespace

void read_provider(ConfigSource& source, const PlacedText& name, Section& section, Draft& draft) {
    ProviderConfig out;
    out.name = name.text;
    section.choice<Dialect>("dialect", out.dialect,
                            {{"openai", Dialect::kOpenAi}, {"embedded", Dialect::kEmbedded}});
    if (!section.has("dialect")) {
        source.error(name.mark,
                     fmt::format("provider '{}' needs a dialect: openai or embedded", out.name));
    }
    for (const char* key : {"base_url", "api_key", "ca_file"}) {
        section.declare(key);
        if (out.dialect == Dialect::kEmbedded && section.has(key)) {
            source.error(section.mark(key), fmt::format("an embedded provider has no {}", key));
        }
    }
    if (out.dialect == Dialect::kOpenAi) read_openai(source, section, out);
    Section timeouts = section.section("timeouts");
    timeouts.duration("connect", out.timeouts.connect, milliseconds(1));
    timeouts.duration("first_byte", out.timeouts.first_byte, milliseconds(1));
    timeouts.duration("between_chunks", out.timeouts.between_chunks, milliseconds(1));
    timeouts.duration("total", out.timeouts.total, milliseconds(1));
    timeouts.finish();
    section.number("max_connections", out.max_connections, 1, 65'535);
    draft.provider_marks.push_back({name.mark, section.mark("ca_file")});
    draft.config.providers.push_back(std::move(out));
    section.finish();
}

void read_model(ConfigSource& source, const PlacedText& name, Section& section, Draft& draft) {
    ModelConfig out;
    out.name = name.text;
    out.upstream_name = name.text;
    section.text("provider", out.provider);
    if (!section.has("provider")) {
        source.error(name.mark, fmt::format("model '{}' needs a provider", out.name));
    }
    section.text("name", out.upstream_name);
    read_price(source, section.section("price"), out.price);
    section.text("file", out.file);
    if (out.file.find('/') != std::string::npos || out.file == "." || out.file == "..") {
        source.error(section.mark("file"),
                     "'file' is the name of a file inside local.folder, without a path");
    }
    section.text("sha256", out.sha256);
    if (!out.sha256.empty() &&
        (out.sha256.size() != 64 ||
         out.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)) {
        source.error(section.mark("sha256"), "'sha256' must be 64 lower-case hexadecimal digits");
    }
    std::vector<PlacedText> tags;
    section.list("tags", tags);
    for (PlacedText& tag : tags) out.tags.push_back(std::move(tag.text));
    draft.model_marks.push_back({name.mark, section.mark("provider"), section.mark("file")});
    draft.config.models.push_back(std::move(out));
    section.finish();
}

}  // namespace leeway::app
