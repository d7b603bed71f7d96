#include "app/provider_setup.hpp"

#include "net/address.hpp"

#include <utility>

namespace leeway::app {
namespace {

wire::Dialect wire_dialect(ProviderDialect dialect) {
    switch (dialect) {
        case ProviderDialect::kOpenAi:
        case ProviderDialect::kAzure:
        case ProviderDialect::kEmbedded: return wire::Dialect::kOpenAiChat;
        case ProviderDialect::kAnthropic: return wire::Dialect::kAnthropic;
        case ProviderDialect::kVertex:
        case ProviderDialect::kGemini: return wire::Dialect::kGemini;
        case ProviderDialect::kBedrock: return wire::Dialect::kBedrock;
        case ProviderDialect::kCohere: return wire::Dialect::kCohere;
        case ProviderDialect::kResponses: return wire::Dialect::kOpenAiResponses;
    }
    return wire::Dialect::kOpenAiChat;
}

wire::usage::Flavour flavour_of(ProviderDialect dialect, std::string_view host) {
    using wire::usage::Flavour;
    switch (dialect) {
        case ProviderDialect::kOpenAi: return wire::usage::chat_flavour_of_host(host);
        case ProviderDialect::kEmbedded: return Flavour::kLlamaServer;
        case ProviderDialect::kAnthropic: return Flavour::kAnthropic;
        case ProviderDialect::kVertex:
        case ProviderDialect::kGemini: return Flavour::kGemini;
        case ProviderDialect::kBedrock: return Flavour::kBedrock;
        case ProviderDialect::kCohere: return Flavour::kCohere;
        case ProviderDialect::kAzure: return Flavour::kOpenAiChat;
        case ProviderDialect::kResponses:
            return host == "openrouter.ai" ? Flavour::kOpenRouterResponses
                                           : Flavour::kOpenAiResponses;
    }
    return Flavour::kOpenAiChat;
}

/// The header that a provider's key goes into as it is; "authorization" has it behind "Bearer".
std::string_view credential_header(ProviderDialect dialect) {
    switch (dialect) {
        case ProviderDialect::kAnthropic: return "x-api-key";
        case ProviderDialect::kGemini: return "x-goog-api-key";
        case ProviderDialect::kAzure: return "api-key";
        default: return "authorization";
    }
}

/// Addresses and credentials of those that have their own way.
Result<void> add_service(const ProviderConfig& from, providers::TokenSources* tokens,
                         providers::Provider& to) {
    if (from.dialect == ProviderDialect::kAzure) {
        if (from.api_version == "v1") {
            to.origin.url.path += "/openai/v1";
        } else {
            to.deployments_version = from.api_version;
        }
    }
    if (from.dialect == ProviderDialect::kBedrock && !from.aws.secret_key.empty()) {
        to.aws = providers::AwsCredentials{from.aws.access_key.expose(), from.aws.secret_key,
                                           from.aws.session_token, from.aws.region};
    }
    if (from.dialect == ProviderDialect::kVertex) {
        to.origin.url.path += "/projects/" + from.vertex.project + "/locations/" +
                              from.vertex.location + "/publishers/google";
        auto source = tokens->source(from.vertex.service_account, from.ca_file);
        if (!source) return fail(std::move(source.error()));
        to.tokens = std::move(*source);
    }
    return {};
}

}  // namespace

Result<providers::Provider> make_provider(const ProviderConfig& from, const std::string& host_url,
                                          providers::TokenSources* tokens) {
    providers::Provider to;
    to.name = from.name;
    const bool embedded = from.dialect == ProviderDialect::kEmbedded;
    to.kind = embedded ? providers::Kind::kEmbedded : providers::Kind::kRemote;
    to.dialect = wire_dialect(from.dialect);
    auto url = net::parse_base_url(embedded ? host_url : from.base_url);
    if (!url) return fail(std::move(url.error()));
    to.origin.url = std::move(*url);
    if (to.origin.url.tls) {
        auto tls = net::make_tls_context(from.ca_file);
        if (!tls) return fail(std::move(tls.error()));
        to.origin.tls = std::move(*tls);
    }
    to.flavour = from.usage.value_or(flavour_of(from.dialect, to.origin.url.address.host));
    to.quirks = from.quirks;
    to.origin.timeouts = {from.timeouts.connect, from.timeouts.first_byte,
                          from.timeouts.between_chunks, from.timeouts.total};
    to.origin.max_connections = from.max_connections;
    to.retries = from.retries;
    to.batches = from.batches;
    // Its supervisor starts it again; a request that ended it is not given to it twice.
    if (embedded) to.retries.attempts = 0;
    // A change of what is trusted must not reuse connections made before it.
    to.origin.key =
        to.origin.url.address.text() + (to.origin.url.tls ? " tls " + from.ca_file : "");
    to.credential_header = credential_header(from.dialect);
    const bool bearer = to.credential_header == "authorization";
    if (!from.api_key.empty())
        to.authorization = bearer ? Secret("Bearer " + from.api_key.expose()) : from.api_key;
    if (auto added = add_service(from, tokens, to); !added) return fail(std::move(added.error()));
    return to;
}

}  // namespace leeway::app
