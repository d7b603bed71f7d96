#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "json/splice.hpp"
#include "net/http_client.hpp"
#include "pipeline/context.hpp"
#include "providers/retry.hpp"
#include "providers/sigv4.hpp"
#include "providers/token_source.hpp"
#include "wire/canonical/dialect.hpp"
#include "wire/canonical/quirks.hpp"
#include "wire/usage/flavour.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::providers {

enum class Kind : std::uint8_t {
    kRemote,
    kEmbedded,  ///< our supervised child process
};

/// An upstream as configured. Immutable; owned by a snapshot.
struct Provider {
    std::string name;
    Kind kind = Kind::kRemote;
    wire::Dialect dialect = wire::Dialect::kOpenAiChat;
    net::Origin origin;
    wire::usage::Flavour flavour = wire::usage::Flavour::kOpenAiChat;  ///< how it tells usage
    wire::ChatQuirks quirks;  ///< of OpenAI's chat dialect there
    std::string_view credential_header = "authorization";
    Secret authorization;  ///< value of that header; empty: none is sent
    std::optional<AwsCredentials> aws;  ///< requests are signed with these instead
    std::shared_ptr<TokenSource> tokens;  ///< or bear its tokens; null: not
    std::string
        deployments_version;  ///< Azure's addresses of deployments, with this api-version; empty: usual ones
    RetryPolicy retries;
    bool batches = false;  ///< takes files and batches of callers
};

/// A request made ready for a provider. Holds the bytes that `request` points to: must not move.
class PreparedRequest {
public:
    /// Applies the stages' edits, the model's upstream name, and the wish for usage in streams.
    /// `context` must outlive this. Fails when edits collide (a bug of ours).
    [[nodiscard]] static Result<void> prepare(const Provider& provider,
                                              const pipeline::RequestContext& context,
                                              PreparedRequest& out);
    /// With `body`, which is in the provider's dialect already, instead of the context's.
    static void prepare_body(const Provider& provider, const pipeline::RequestContext& context,
                             std::string body, PreparedRequest& out);
    PreparedRequest() : splice_({}) {}
    PreparedRequest(const PreparedRequest&) = delete;
    PreparedRequest& operator=(const PreparedRequest&) = delete;

    [[nodiscard]] net::UpstreamRequest request() const noexcept;
    /// We asked for usage that the client did not ask for: it must be hidden again.
    [[nodiscard]] bool hides_usage() const noexcept { return hides_usage_; }

private:
    json::Splice splice_;
    std::string joined_;  // when the edits make more pieces than one write takes
    std::vector<std::string_view> pieces_;
    void add_fields(const Provider& provider, const pipeline::RequestContext& context);
    void add_credentials(const Provider& provider);

    std::string target_;
    std::string idempotency_key_;
    std::string time_;  // values of fields
    std::string signature_;
    std::shared_ptr<const Secret> token_;
    std::vector<net::Field> fields_;
    bool hides_usage_ = false;
};

/// The header fields of a request that is passed on as it came: its content type (empty: it has no body), the
/// provider's credential and what of the caller's is meant for the vendor. Views into all of them.
[[nodiscard]] std::vector<net::Field> passed_fields(const Provider& provider,
                                                    const pipeline::HeaderSource& headers,
                                                    std::string_view content_type);

/// Replaces the provider's credential by *** in what it said: a server that shows what it was sent must not show that to
/// our callers. Credentials of fewer than eight characters are not looked for.
void hide_credential(const Provider& provider, std::string& text);

/// Whether a header of an upstream's answer is passed on to the client.
[[nodiscard]] bool passes_to_client(std::string_view name) noexcept;

}  // namespace leeway::providers
