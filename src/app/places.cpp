#include "app/places.hpp"

#include <array>

namespace leeway::app {
namespace {

using enum wire::Dialect;
using PlaceKind = Place::Kind;

constexpr std::string_view kModelName = "{model}";
constexpr std::string_view kId = "{id}";

// Google's SDKs ask for v1beta or v1. Its methods come before the entries, whose names may be anything.
constexpr std::array kPlaces = {
    Place{PlaceKind::kChat, kOpenAiChat, false, "/v1/chat/completions", "createChatCompletion",
          "Chat completion (OpenAI)"},
    Place{PlaceKind::kChat, kAnthropic, false, "/v1/messages", "createMessage",
          "Message (Anthropic)"},
    Place{PlaceKind::kChat, kOpenAiResponses, false, "/v1/responses", "createResponse",
          "Response (OpenAI)"},
    Place{PlaceKind::kResponse, kOpenAiResponses, false, "/v1/responses/{id}", "response",
          "One response that is kept (OpenAI)"},
    Place{PlaceKind::kResponseInput, kOpenAiResponses, false, "/v1/responses/{id}/input_items",
          "responseInputItems", "What a response was made from (OpenAI)"},
    Place{PlaceKind::kResponseCancel, kOpenAiResponses, false, "/v1/responses/{id}/cancel",
          "cancelResponse", "End of a response in the background (OpenAI)"},
    Place{PlaceKind::kEmbeddings, kOpenAiChat, false, "/v1/embeddings", "createEmbedding",
          "Embeddings (OpenAI)"},
    Place{PlaceKind::kCompletions, kOpenAiChat, false, "/v1/completions", "createCompletion",
          "Legacy completion (OpenAI)"},
    Place{PlaceKind::kRerank, kOpenAiChat, false, "/v1/rerank", "rerank", "Rerank (Cohere)"},
    Place{PlaceKind::kRerank, kOpenAiChat, false, "/v2/rerank", "rerankV2", "Rerank (Cohere, v2)"},
    Place{PlaceKind::kFeedback, kOpenAiChat, false, "/v1/feedback", "createFeedback",
          "What a caller says of an answer (Leeway)"},
    Place{PlaceKind::kFiles, kOpenAiChat, false, "/v1/files", "files", "Files (OpenAI)"},
    Place{PlaceKind::kFile, kOpenAiChat, false, "/v1/files/{id}", "file", "One file (OpenAI)"},
    Place{PlaceKind::kFileContent, kOpenAiChat, false, "/v1/files/{id}/content", "fileContent",
          "Content of a file (OpenAI)"},
    Place{PlaceKind::kBatches, kOpenAiChat, false, "/v1/batches", "batches", "Batches (OpenAI)"},
    Place{PlaceKind::kBatch, kOpenAiChat, false, "/v1/batches/{id}", "batch", "One batch (OpenAI)"},
    Place{PlaceKind::kBatchCancel, kOpenAiChat, false, "/v1/batches/{id}/cancel", "cancelBatch",
          "End of a batch (OpenAI)"},
    Place{PlaceKind::kBatches, kAnthropic, false, "/v1/messages/batches", "messageBatches",
          "Message batches (Anthropic)"},
    Place{PlaceKind::kBatch, kAnthropic, false, "/v1/messages/batches/{id}", "messageBatch",
          "One message batch (Anthropic)"},
    Place{PlaceKind::kBatchResults, kAnthropic, false, "/v1/messages/batches/{id}/results",
          "messageBatchResults", "Answers of a message batch (Anthropic)"},
    Place{PlaceKind::kBatchCancel, kAnthropic, false, "/v1/messages/batches/{id}/cancel",
          "cancelMessageBatch", "End of a message batch (Anthropic)"},
    Place{PlaceKind::kCountTokens, kAnthropic, false, "/v1/messages/count_tokens",
          "countMessageTokens", "Tokens of a message (Anthropic)"},
    Place{PlaceKind::kChat, kGemini, false, "/v1beta/models/{model}:generateContent",
          "generateContent", "Content (Gemini)"},
    Place{PlaceKind::kChat, kGemini, true, "/v1beta/models/{model}:streamGenerateContent",
          "streamGenerateContent", "Streamed content (Gemini)"},
    Place{PlaceKind::kCountTokens, kGemini, false, "/v1beta/models/{model}:countTokens",
          "countTokens", "Tokens of contents (Gemini)"},
    Place{PlaceKind::kEmbeddings, kGemini, false, "/v1beta/models/{model}:embedContent",
          "embedContent", "Embedding of a content (Gemini)"},
    Place{PlaceKind::kEmbeddings, kGemini, false, "/v1beta/models/{model}:batchEmbedContents",
          "batchEmbedContents", "Embeddings of contents (Gemini)"},
    Place{PlaceKind::kChat, kGemini, false, "/v1/models/{model}:generateContent",
          "generateContentV1", "Content (Gemini, v1)"},
    Place{PlaceKind::kChat, kGemini, true, "/v1/models/{model}:streamGenerateContent",
          "streamGenerateContentV1", "Streamed content (Gemini, v1)"},
    Place{PlaceKind::kCountTokens, kGemini, false, "/v1/models/{model}:countTokens",
          "countTokensV1", "Tokens of contents (Gemini, v1)"},
    Place{PlaceKind::kEmbeddings, kGemini, false, "/v1/models/{model}:embedContent",
          "embedContentV1", "Embedding of a content (Gemini, v1)"},
    Place{PlaceKind::kEmbeddings, kGemini, false, "/v1/models/{model}:batchEmbedContents",
          "batchEmbedContentsV1", "Embeddings of contents (Gemini, v1)"},
    Place{PlaceKind::kModels, kOpenAiChat, false, "/v1/models", "listModels",
          "Models that the caller may name, as its dialect lists them"},
    Place{PlaceKind::kModel, kOpenAiChat, false, "/v1/models/{model}", "getModel", "One model"},
    Place{PlaceKind::kModels, kGemini, false, "/v1beta/models", "listModelsV1beta",
          "Models that the caller may name (Gemini)"},
    Place{PlaceKind::kModel, kGemini, false, "/v1beta/models/{model}", "getModelV1beta",
          "One model (Gemini)"},
};

/// The name where `{model}` or `{id}` stands; nullopt: the path is another one.
std::optional<std::string_view> match(std::string_view pattern, std::string_view path) noexcept {
    const std::size_t at = pattern.find('{');
    if (at == std::string_view::npos) {
        return path == pattern ? std::optional(std::string_view()) : std::nullopt;
    }
    const bool is_id = pattern.substr(at).starts_with(kId);
    const std::string_view suffix = pattern.substr(at + (is_id ? kId : kModelName).size());
    if (path.size() <= at + suffix.size() || !path.starts_with(pattern.substr(0, at)) ||
        !path.ends_with(suffix)) {
        return std::nullopt;
    }
    const std::string_view name = path.substr(at, path.size() - at - suffix.size());
    if (is_id && name.find('/') != std::string_view::npos) return std::nullopt;
    return name;
}

}  // namespace

std::span<const Place> places() noexcept { return kPlaces; }

bool allows(std::string_view methods, std::string_view method) noexcept {
    while (!methods.empty()) {
        const std::size_t comma = methods.find(',');
        if (methods.substr(0, comma) == method) return true;
        if (comma == std::string_view::npos) break;
        methods.remove_prefix(comma + 2);
    }
    return false;
}

std::optional<FoundPlace> find_place(std::string_view path) noexcept {
    if (path.ends_with("/models/")) path.remove_suffix(1);
    for (const Place& place : kPlaces) {
        if (const auto model = match(place.pattern, path)) return FoundPlace{&place, *model};
    }
    return std::nullopt;
}

}  // namespace leeway::app
