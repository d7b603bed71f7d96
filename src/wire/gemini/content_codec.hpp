#pragma once

#include "wire/canonical/codec.hpp"

namespace leeway::wire::gemini {

/// Google's generateContent and streamGenerateContent. The model and whether the answer is streamed stand in
/// the address: the caller of `read_request` sets them.
class ContentCodec final : public Codec {
public:
    [[nodiscard]] Result<ChatRequest> read_request(std::string_view body) const override;
    [[nodiscard]] Result<std::string> write_request(const ChatRequest& request,
                                                    const RequestTarget& target,
                                                    Losses& losses) const override;
    [[nodiscard]] Result<ChatAnswer> read_answer(std::string_view body,
                                                 usage::Flavour flavour) const override;
    [[nodiscard]] std::string write_answer(const ChatAnswer& answer,
                                           const AnswerFor& to) const override;
    [[nodiscard]] std::unique_ptr<openai::EventScanner> scanner() const override;
    [[nodiscard]] std::unique_ptr<StreamReader> stream_reader(
        usage::Flavour flavour) const override;
    [[nodiscard]] std::unique_ptr<StreamWriter> stream_writer(const AnswerFor& to) const override;
    [[nodiscard]] Error read_error(int status, std::string_view body) const override;
    [[nodiscard]] std::string write_error(const Error& error) const override;
    [[nodiscard]] std::string write_stream_error(const Error& error) const override;
};

}  // namespace leeway::wire::gemini
