#include "wire/canonical/codec.hpp"

#include "wire/anthropic/messages_codec.hpp"
#include "wire/bedrock/converse_codec.hpp"
#include "wire/cohere/chat_codec.hpp"
#include "wire/gemini/content_codec.hpp"
#include "wire/openai/chat_codec.hpp"
#include "wire/openai/responses_codec.hpp"

namespace leeway::wire {

const Codec& codec_of(Dialect dialect) noexcept {
    static const openai::ChatCodec chat;
    static const openai::ResponsesCodec responses;
    static const anthropic::MessagesCodec messages;
    static const gemini::ContentCodec content;
    switch (dialect) {
        case Dialect::kOpenAiChat: return chat;
        case Dialect::kOpenAiResponses: return responses;
        case Dialect::kAnthropic: return messages;
        case Dialect::kGemini: return content;
        case Dialect::kBedrock:
        case Dialect::kCohere: break;
    }
    return chat;
}

const UpstreamCodec& upstream_codec_of(Dialect dialect) noexcept {
    static const bedrock::ConverseCodec converse;
    static const cohere::ChatCodec cohere_chat;
    if (dialect == Dialect::kBedrock) return converse;
    if (dialect == Dialect::kCohere) return cohere_chat;
    return codec_of(dialect);
}

}  // namespace leeway::wire
