#pragma once

#include "base/secret.hpp"
#include "net/http_message.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace leeway::providers {

/// What AWS takes requests with.
struct AwsCredentials {
    std::string access_key;
    Secret secret_key;
    Secret session_token;  ///< of temporary credentials; empty: none
    std::string region;
};

struct SigningInput {
    std::string_view method = "POST";
    std::string_view path;  ///< as it stands in the request line
    std::string_view query;  ///< likewise, without its "?"
    std::span<const net::Field>
        headers;  ///< all that are signed, `host` and `x-amz-date` among them; lower-case names
    std::string_view body;
    std::string_view service;
    std::int64_t unix_s = 0;
};

/// The value of `Authorization` by Signature Version 4 (AWS, "Create a signed AWS API request"), with the path encoded
/// once more, as all services but S3 want it.
[[nodiscard]] std::string aws_authorization(const AwsCredentials& credentials,
                                            const SigningInput& input);
/// "20150830T123600Z", as `x-amz-date` has it.
[[nodiscard]] std::string aws_time(std::int64_t unix_s);
/// Everything but letters, digits and "-._~" as %XX; `kept` stays too.
[[nodiscard]] std::string uri_encode(std::string_view text, std::string_view kept = {});

}  // namespace leeway::providers
