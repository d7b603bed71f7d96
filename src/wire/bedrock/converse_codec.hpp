#pragma once

#include "wire/canonical/codec.hpp"

namespace leeway::wire::bedrock {

/// AWS Bedrock's Converse and ConverseStream, for whatever model runs there. What Converse has no field for, and only
/// Claude knows (thinking, top_k), goes as `additionalModelRequestFields`.
class ConverseCodec final : public UpstreamCodec {
public:
    [[nodiscard]] Result<std::string> write_request(const ChatRequest& request,
                                                    const RequestTarget& target,
                                                    Losses& losses) const override;
    [[nodiscard]] Result<ChatAnswer> read_answer(std::string_view body,
                                                 usage::Flavour flavour) const override;
    [[nodiscard]] std::unique_ptr<openai::EventScanner> scanner() const override;
    [[nodiscard]] std::unique_ptr<StreamReader> stream_reader(
        usage::Flavour flavour) const override;
    [[nodiscard]] Error read_error(int status, std::string_view body) const override;
};

[[nodiscard]] StopReason stop_of(std::string_view stop_reason) noexcept;

}  // namespace leeway::wire::bedrock
