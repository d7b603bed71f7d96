#pragma once

#include "wire/canonical/codec.hpp"

namespace leeway::wire::cohere {

/// Cohere's own chat, POST /v2/chat. Its citations have no form elsewhere and are left out. What the model plans before
/// it calls tools (`tool_plan`) is the text of that message in other dialects.
class ChatCodec final : public UpstreamCodec {
public:
    [[nodiscard]] Result<std::string> write_request(const ChatRequest& request,
                                                    const RequestTarget& target,
                                                    Losses& losses) const override;
    [[nodiscard]] Result<ChatAnswer> read_answer(std::string_view body,
                                                 usage::Flavour flavour) const override;
    [[nodiscard]] std::unique_ptr<StreamReader> stream_reader(
        usage::Flavour flavour) const override;
    [[nodiscard]] Error read_error(int status, std::string_view body) const override;
};

}  // namespace leeway::wire::cohere
