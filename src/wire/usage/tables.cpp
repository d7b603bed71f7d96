#include "wire/usage/tables.hpp"

#include <array>
#include <cstddef>

// Where each provider tells what an answer used. Sources: the providers' API references and the
// recorded answers that cassettes_test.cpp checks.

namespace leeway::wire::usage {
namespace {

using prices::Bucket;
using enum FieldKind;

constexpr Field count(std::string_view key, Bucket bucket) {
    return {.key = key, .kind = kCount, .slot = slot(bucket)};
}
constexpr Field count(std::string_view key, Slot slot) {
    return {.key = key, .kind = kCount, .slot = slot};
}
constexpr Field add(std::string_view key, Bucket bucket) {
    return {.key = key, .kind = kAdd, .slot = slot(bucket)};
}
constexpr Field inside(std::string_view key, const Shape& shape) {
    return {.key = key, .kind = kObject, .shape = &shape};
}
constexpr Field each(std::string_view key, const List& list) {
    return {.key = key, .kind = kList, .list = &list};
}
constexpr Field word(std::string_view key, FieldKind kind) { return {.key = key, .kind = kind}; }
constexpr Variant is(std::string_view tag, Bucket bucket) { return {tag, slot(bucket)}; }

constexpr Step take(Bucket what, Bucket from) { return {Op::kTake, slot(what), slot(from)}; }
constexpr Step fit(Bucket what, Bucket from) { return {Op::kFit, slot(what), slot(from)}; }
constexpr Step overlap(Bucket what, Bucket from) { return {Op::kOverlap, slot(what), slot(from)}; }

template <std::size_t A, std::size_t B>
constexpr std::array<Field, A + B> joined(const std::array<Field, A>& a,
                                          const std::array<Field, B>& b) {
    std::array<Field, A + B> out{};
    for (std::size_t i = 0; i < A; ++i) out[i] = a[i];
    for (std::size_t i = 0; i < B; ++i) out[A + i] = b[i];
    return out;
}

// ------------------------------------------------------------------ OpenAI chat and its imitators
// Cached, written, audio and image tokens are parts of the prompt; reasoning, audio, image and
// predictions are parts of the completion.
constexpr std::array kCachedDetails{count("audio_tokens", Bucket::kCachedAudio),
                                    count("image_tokens", Bucket::kCachedImage)};
constexpr Shape kCachedDetailsShape{kCachedDetails};
constexpr std::array kPromptDetails{
    count("cached_tokens", Bucket::kCachedInput),
    count("audio_tokens", Bucket::kAudioInput),
    count("cache_write_tokens", Bucket::kCacheWrite),
    count("video_tokens", Bucket::kVideoInput),
    count("image_tokens", Bucket::kImageInput),
    inside("cached_tokens_details", kCachedDetailsShape),
};
constexpr Shape kPromptDetailsShape{kPromptDetails};
constexpr std::array kCompletionDetails{
    count("reasoning_tokens", Bucket::kReasoning),
    count("audio_tokens", Bucket::kAudioOutput),
    count("accepted_prediction_tokens", Bucket::kAcceptedPrediction),
    count("rejected_prediction_tokens", Bucket::kRejectedPrediction),
    count("image_tokens", Bucket::kImageOutput),
};
constexpr Shape kCompletionDetailsShape{kCompletionDetails};
constexpr std::array kChatFields{
    count("prompt_tokens", Bucket::kInput),
    count("completion_tokens", Bucket::kOutput),
    count("total_tokens", Slot::kTotal),
    inside("prompt_tokens_details", kPromptDetailsShape),
    inside("completion_tokens_details", kCompletionDetailsShape),
    count("prompt_cache_hit_tokens", Bucket::kCachedInput),  // DeepSeek's name
    count("cached_tokens", Bucket::kCachedInput),            // Moonshot's
};
constexpr Shape kChatUsage{kChatFields};
constexpr std::array kGroqPart{inside("usage", kChatUsage)};
constexpr Shape kGroqPartShape{kGroqPart};
constexpr std::array kChatDocument{
    inside("usage", kChatUsage),
    inside("x_groq", kGroqPartShape),  // the last chunk of older streams
    word("service_tier", kTier),
};
constexpr Shape kChatDocumentShape{kChatDocument};
constexpr std::array kChatSteps{
    take(Bucket::kCachedInput, Bucket::kInput),
    take(Bucket::kCacheWrite, Bucket::kInput),
    take(Bucket::kCachedAudio, Bucket::kCachedInput),
    take(Bucket::kCachedImage, Bucket::kCachedInput),
    overlap(Bucket::kAudioInput, Bucket::kCachedAudio),
    overlap(Bucket::kImageInput, Bucket::kCachedImage),
    // Cached tokens may be any of these (litellm#37407), and nobody says which.
    fit(Bucket::kAudioInput, Bucket::kInput),
    fit(Bucket::kImageInput, Bucket::kInput),
    fit(Bucket::kVideoInput, Bucket::kInput),
    Step{Op::kTakeOrBeside, slot(Bucket::kReasoning), slot(Bucket::kOutput)},
    take(Bucket::kAudioOutput, Bucket::kOutput),
    take(Bucket::kImageOutput, Bucket::kOutput),
    take(Bucket::kRejectedPrediction, Bucket::kOutput),
    take(Bucket::kAcceptedPrediction, Bucket::kOutput),
};

// Google's endpoint for OpenAI clients keeps thoughts out of the completion and names them nowhere
// but in the total.
constexpr std::array kGeminiChatSteps{
    take(Bucket::kCachedInput, Bucket::kInput),
    Step{Op::kTakeOrBeside, slot(Bucket::kReasoning), slot(Bucket::kOutput)},
    Step{Op::kRestOfTotal, slot(Bucket::kReasoning)},
};

// xAI: 10¹⁰ ticks are one USD, after discounts, with its tools.
constexpr std::array kXaiTools{
    add("web_search_calls", Bucket::kWebSearch),
    add("x_search_calls", Bucket::kWebSearch),
    add("code_interpreter_calls", Bucket::kCodeExecution),
    add("file_search_calls", Bucket::kFileSearch),
    add("document_search_calls", Bucket::kFileSearch),
};
constexpr Shape kXaiToolsShape{kXaiTools};
constexpr auto kXaiFields =
    joined(kChatFields, std::array{
                            Field{.key = "cost_in_usd_ticks", .kind = kTicks, .slot = Slot::kCost},
                            inside("server_side_tool_usage_details", kXaiToolsShape),
                            count("num_sources_used", Bucket::kCitations),
                        });
constexpr Shape kXaiUsage{kXaiFields};
constexpr std::array kXaiDocument{inside("usage", kXaiUsage), word("service_tier", kTier)};
constexpr Shape kXaiDocumentShape{kXaiDocument};

// OpenRouter: its own charge, and what the upstream took where the caller's own key paid it.
constexpr std::array kCostDetails{
    Field{.key = "upstream_inference_cost", .kind = kUsd, .slot = Slot::kUpstreamCost}};
constexpr Shape kCostDetailsShape{kCostDetails};
constexpr std::array kRouterTools{count("web_search_requests", Bucket::kWebSearch)};
constexpr Shape kRouterToolsShape{kRouterTools};
constexpr std::array kCostFields{
    Field{.key = "cost", .kind = kUsd, .slot = Slot::kCost},
    inside("cost_details", kCostDetailsShape),
    Field{.key = "is_byok", .kind = kFlag, .slot = Slot::kByok},
    inside("server_tool_use", kRouterToolsShape),
};
constexpr auto kRouterFields = joined(kChatFields, kCostFields);
constexpr Shape kRouterUsage{kRouterFields};
constexpr std::array kRouterDocument{inside("usage", kRouterUsage), word("service_tier", kTier)};
constexpr Shape kRouterDocumentShape{kRouterDocument};

// llama-server: `timings` tells what came from its prompt cache; its native endpoint has no `usage`.
constexpr std::array kTimings{count("cache_n", Bucket::kCachedInput)};
constexpr Shape kTimingsShape{kTimings};
constexpr std::array kLlamaDocument{
    inside("usage", kChatUsage),
    inside("timings", kTimingsShape),
    count("tokens_evaluated", Slot::kAltInput),
    count("tokens_predicted", Slot::kAltOutput),
};
constexpr Shape kLlamaDocumentShape{kLlamaDocument};
constexpr std::array kLlamaSteps{
    Step{Op::kIfAbsent, slot(Bucket::kInput), Slot::kAltInput},
    Step{Op::kIfAbsent, slot(Bucket::kOutput), Slot::kAltOutput},
    fit(Bucket::kCachedInput, Bucket::kInput),
    Step{Op::kTakeOrBeside, slot(Bucket::kReasoning), slot(Bucket::kOutput)},
};

// ------------------------------------------------------------------ OpenAI Responses
constexpr std::array kResponsesFields{
    count("input_tokens", Bucket::kInput),
    inside("input_tokens_details", kPromptDetailsShape),
    count("output_tokens", Bucket::kOutput),
    inside("output_tokens_details", kCompletionDetailsShape),
    count("total_tokens", Slot::kTotal),
};
constexpr Shape kResponsesUsage{kResponsesFields};
constexpr std::array kToolCalls{is("web_search_call", Bucket::kWebSearch),
                                is("file_search_call", Bucket::kFileSearch),
                                is("code_interpreter_call", Bucket::kCodeExecution)};
constexpr List kToolCallList{"type", {}, kToolCalls};
constexpr std::array kResponsesBody{inside("usage", kResponsesUsage), each("output", kToolCallList),
                                    word("service_tier", kTier)};
constexpr Shape kResponsesBodyShape{kResponsesBody};
constexpr auto kResponsesDocument =
    joined(kResponsesBody, std::array{inside("response", kResponsesBodyShape)});
constexpr Shape kResponsesDocumentShape{kResponsesDocument};
constexpr auto kRouterResponsesFields = joined(kResponsesFields, kCostFields);
constexpr Shape kRouterResponsesUsage{kRouterResponsesFields};
constexpr std::array kRouterResponsesBody{inside("usage", kRouterResponsesUsage),
                                          each("output", kToolCallList),
                                          word("service_tier", kTier)};
constexpr Shape kRouterResponsesBodyShape{kRouterResponsesBody};
constexpr auto kRouterResponsesDocument =
    joined(kRouterResponsesBody, std::array{inside("response", kRouterResponsesBodyShape)});
constexpr Shape kRouterResponsesDocumentShape{kRouterResponsesDocument};

// ------------------------------------------------------------------ Anthropic Messages
// Cache counters stand beside the input. Streams tell the input at the start and cumulative counts at
// the end, where server tools made more iterations; compaction is not in the top-level counts.
constexpr std::array kCreation{count("ephemeral_5m_input_tokens", Bucket::kCacheWrite5m),
                               count("ephemeral_1h_input_tokens", Bucket::kCacheWrite1h)};
constexpr Shape kCreationShape{kCreation};
constexpr std::array kSplitCreation{
    Field{.key = "ephemeral_5m_input_tokens", .kind = kAdd, .slot = Slot::kSplit5m},
    Field{.key = "ephemeral_1h_input_tokens", .kind = kAdd, .slot = Slot::kSplit1h}};
constexpr Shape kSplitCreationShape{kSplitCreation};
constexpr std::array kExtraCreation{
    Field{.key = "ephemeral_5m_input_tokens", .kind = kAdd, .slot = Slot::kExtraCacheWrite5m},
    Field{.key = "ephemeral_1h_input_tokens", .kind = kAdd, .slot = Slot::kExtraCacheWrite1h}};
constexpr Shape kExtraCreationShape{kExtraCreation};
constexpr std::array kMessageIteration{inside("cache_creation", kSplitCreationShape)};
constexpr Shape kMessageIterationShape{kMessageIteration};
constexpr std::array kCompaction{
    Field{.key = "input_tokens", .kind = kAdd, .slot = Slot::kExtraInput},
    Field{.key = "output_tokens", .kind = kAdd, .slot = Slot::kExtraOutput},
    Field{.key = "cache_read_input_tokens", .kind = kAdd, .slot = Slot::kExtraCachedInput},
    Field{.key = "cache_creation_input_tokens", .kind = kAdd, .slot = Slot::kExtraCacheWrite},
    inside("cache_creation", kExtraCreationShape),
};
constexpr Shape kCompactionShape{kCompaction};
constexpr std::array kAdvisor{
    Field{.key = "input_tokens", .kind = kAdd, .slot = Slot::kOtherModel},
    Field{.key = "output_tokens", .kind = kAdd, .slot = Slot::kOtherModel},
};
constexpr Shape kAdvisorShape{kAdvisor};
constexpr std::array kIterations{
    Variant{.tag = "message", .shape = &kMessageIterationShape},
    Variant{.tag = "compaction", .shape = &kCompactionShape},
    Variant{.tag = "advisor_message", .shape = &kAdvisorShape},
};
constexpr List kIterationList{"type", {}, kIterations};
constexpr std::array kServerTools{count("web_search_requests", Bucket::kWebSearch),
                                  count("web_fetch_requests", Bucket::kWebFetch),
                                  count("code_execution_requests", Bucket::kCodeExecution)};
constexpr Shape kServerToolsShape{kServerTools};
constexpr std::array kThinking{count("thinking_tokens", Bucket::kReasoning)};
constexpr Shape kThinkingShape{kThinking};
constexpr std::array kAnthropicFields{
    count("input_tokens", Bucket::kInput),
    count("cache_creation_input_tokens", Bucket::kCacheWrite),
    count("cache_read_input_tokens", Bucket::kCachedInput),
    inside("cache_creation", kCreationShape),
    count("output_tokens", Bucket::kOutput),
    inside("output_tokens_details", kThinkingShape),
    inside("server_tool_use", kServerToolsShape),
    each("iterations", kIterationList),
    word("service_tier", kTier),
    word("inference_geo", kRegion),
    word("speed", kSpeed),
};
constexpr Shape kAnthropicUsage{kAnthropicFields};
constexpr std::array kMessageStart{inside("usage", kAnthropicUsage)};
constexpr Shape kMessageStartShape{kMessageStart};
constexpr std::array kAnthropicDocument{inside("usage", kAnthropicUsage),
                                        inside("message", kMessageStartShape)};
constexpr Shape kAnthropicDocumentShape{kAnthropicDocument};
constexpr std::array kAnthropicSteps{
    Step{Op::kAtLeast, slot(Bucket::kCacheWrite5m), Slot::kSplit5m},
    Step{Op::kAtLeast, slot(Bucket::kCacheWrite1h), Slot::kSplit1h},
    Step{Op::kIfAbsent, slot(Bucket::kCacheWrite), slot(Bucket::kCacheWrite5m)},
    Step{Op::kIfAbsent, slot(Bucket::kCacheWrite), slot(Bucket::kCacheWrite1h)},
    take(Bucket::kCacheWrite1h, Bucket::kCacheWrite),
    take(Bucket::kCacheWrite5m, Bucket::kCacheWrite),
    Step{Op::kFollow, slot(Bucket::kCacheWrite1h), slot(Bucket::kCacheWrite)},
    Step{Op::kFollow, slot(Bucket::kCacheWrite5m), slot(Bucket::kCacheWrite)},
    Step{Op::kTake, Slot::kExtraCacheWrite1h, Slot::kExtraCacheWrite},
    Step{Op::kTake, Slot::kExtraCacheWrite5m, Slot::kExtraCacheWrite},
    take(Bucket::kReasoning, Bucket::kOutput),
    Step{Op::kAddTo, slot(Bucket::kInput), Slot::kExtraInput},
    Step{Op::kAddTo, slot(Bucket::kCachedInput), Slot::kExtraCachedInput},
    Step{Op::kAddTo, slot(Bucket::kCacheWrite), Slot::kExtraCacheWrite},
    Step{Op::kAddTo, slot(Bucket::kCacheWrite5m), Slot::kExtraCacheWrite5m},
    Step{Op::kAddTo, slot(Bucket::kCacheWrite1h), Slot::kExtraCacheWrite1h},
    Step{Op::kAddTo, slot(Bucket::kOutput), Slot::kExtraOutput},
};

// ------------------------------------------------------------------ Gemini
// Cached content is part of the prompt; modalities include what is cached of them. Thoughts stand
// outside the candidates, tool results outside the prompt.
constexpr std::array kPromptModalities{
    is("IMAGE", Bucket::kImageInput), is("AUDIO", Bucket::kAudioInput),
    is("VIDEO", Bucket::kVideoInput), is("DOCUMENT", Bucket::kDocumentInput)};
constexpr List kPromptModalityList{"modality", "tokenCount", kPromptModalities};
constexpr std::array kCacheModalities{is("AUDIO", Bucket::kCachedAudio),
                                      is("IMAGE", Bucket::kCachedImage),
                                      Variant{.tag = "VIDEO", .slot = Slot::kOverlapVideo},
                                      Variant{.tag = "DOCUMENT", .slot = Slot::kOverlapDocument}};
constexpr List kCacheModalityList{"modality", "tokenCount", kCacheModalities};
constexpr std::array kOutputModalities{is("AUDIO", Bucket::kAudioOutput),
                                       is("IMAGE", Bucket::kImageOutput)};
constexpr List kOutputModalityList{"modality", "tokenCount", kOutputModalities};
constexpr std::array kGeminiFields{
    count("promptTokenCount", Bucket::kInput),
    count("candidatesTokenCount", Bucket::kOutput),
    count("totalTokenCount", Slot::kTotal),
    count("thoughtsTokenCount", Bucket::kReasoning),
    count("cachedContentTokenCount", Bucket::kCachedInput),
    count("toolUsePromptTokenCount", Bucket::kToolPrompt),
    count("responseTokenCount", Bucket::kOutput),  // the live API's name
    each("promptTokensDetails", kPromptModalityList),
    each("cacheTokensDetails", kCacheModalityList),
    each("candidatesTokensDetails", kOutputModalityList),
    each("responseTokensDetails", kOutputModalityList),
    word("serviceTier", kTier),
    word("trafficType", kTier),
};
constexpr Shape kGeminiUsage{kGeminiFields};
constexpr std::array kGeminiDocument{inside("usageMetadata", kGeminiUsage)};
constexpr Shape kGeminiDocumentShape{kGeminiDocument};
constexpr std::array kGeminiSteps{
    take(Bucket::kCachedInput, Bucket::kInput),
    fit(Bucket::kCachedAudio, Bucket::kCachedInput),
    fit(Bucket::kCachedImage, Bucket::kCachedInput),
    overlap(Bucket::kAudioInput, Bucket::kCachedAudio),
    overlap(Bucket::kImageInput, Bucket::kCachedImage),
    Step{Op::kOverlap, slot(Bucket::kVideoInput), Slot::kOverlapVideo},
    Step{Op::kOverlap, slot(Bucket::kDocumentInput), Slot::kOverlapDocument},
    fit(Bucket::kAudioInput, Bucket::kInput),
    fit(Bucket::kImageInput, Bucket::kInput),
    fit(Bucket::kVideoInput, Bucket::kInput),
    fit(Bucket::kDocumentInput, Bucket::kInput),
    fit(Bucket::kAudioOutput, Bucket::kOutput),
    fit(Bucket::kImageOutput, Bucket::kOutput),
    // A cache that is made has a total only.
    Step{Op::kIfAbsent, slot(Bucket::kInput), Slot::kTotal},
};

// ------------------------------------------------------------------ Bedrock Converse: all beside each other
constexpr std::array kTtls{is("5m", Bucket::kCacheWrite5m), is("1h", Bucket::kCacheWrite1h)};
constexpr List kTtlList{"ttl", "inputTokens", kTtls};
constexpr std::array kBedrockFields{
    count("inputTokens", Bucket::kInput),
    count("outputTokens", Bucket::kOutput),
    count("totalTokens", Slot::kTotal),
    count("cacheReadInputTokens", Bucket::kCachedInput),
    count("cacheReadInputTokenCount", Bucket::kCachedInput),
    count("cacheWriteInputTokens", Bucket::kCacheWrite),
    count("cacheWriteInputTokenCount", Bucket::kCacheWrite),
    each("cacheDetails", kTtlList),
};
constexpr Shape kBedrockUsage{kBedrockFields};
constexpr std::array kTypedTier{word("type", kTier)};
constexpr Shape kTypedTierShape{kTypedTier};
constexpr std::array kBedrockBody{inside("usage", kBedrockUsage),
                                  inside("serviceTier", kTypedTierShape)};
constexpr Shape kBedrockBodyShape{kBedrockBody};
constexpr auto kBedrockDocument =
    joined(kBedrockBody, std::array{inside("metadata", kBedrockBodyShape)});
constexpr Shape kBedrockDocumentShape{kBedrockDocument};
constexpr std::array kBedrockSteps{take(Bucket::kCacheWrite1h, Bucket::kCacheWrite),
                                   take(Bucket::kCacheWrite5m, Bucket::kCacheWrite)};

// ------------------------------------------------------------------ Cohere: what is billed, not what was seen
constexpr std::array kBilledUnits{
    count("input_tokens", Bucket::kInput), count("output_tokens", Bucket::kOutput),
    count("search_units", Bucket::kRequests), count("images", Bucket::kImages)};
constexpr Shape kBilledUnitsShape{kBilledUnits};
constexpr std::array kSeenTokens{count("input_tokens", Slot::kAltInput),
                                 count("output_tokens", Slot::kAltOutput)};
constexpr Shape kSeenTokensShape{kSeenTokens};
constexpr std::array kCohereFields{inside("billed_units", kBilledUnitsShape),
                                   inside("tokens", kSeenTokensShape),
                                   count("cached_tokens", Bucket::kCachedInput)};
constexpr Shape kCohereUsage{kCohereFields};
constexpr std::array kCohereDelta{inside("usage", kCohereUsage)};
constexpr Shape kCohereDeltaShape{kCohereDelta};
constexpr std::array kCohereDocument{inside("usage", kCohereUsage),
                                     inside("meta", kCohereUsage),  // version 1, and embed
                                     inside("delta", kCohereDeltaShape)};
constexpr Shape kCohereDocumentShape{kCohereDocument};
constexpr std::array kCohereSteps{
    Step{Op::kIfAbsent, slot(Bucket::kInput), Slot::kAltInput},
    Step{Op::kIfAbsent, slot(Bucket::kOutput), Slot::kAltOutput},
    // Counts tokens that are not billed as well.
    fit(Bucket::kCachedInput, Bucket::kInput),
};

constexpr Table kChat{&kChatDocumentShape, &kChatUsage, kChatSteps};
constexpr std::array<Table, kFlavourNames.size()> kTables{
    kChat,
    Table{&kResponsesDocumentShape, &kResponsesUsage, kChatSteps},
    Table{&kAnthropicDocumentShape, &kAnthropicUsage, kAnthropicSteps, true},
    Table{&kGeminiDocumentShape, &kGeminiUsage, kGeminiSteps, true},
    Table{&kChatDocumentShape, &kChatUsage, kGeminiChatSteps},
    Table{&kBedrockDocumentShape, &kBedrockUsage, kBedrockSteps},
    Table{&kCohereDocumentShape, &kCohereUsage, kCohereSteps},
    kChat,
    kChat,
    Table{&kXaiDocumentShape, &kXaiUsage, kChatSteps, false, true},
    kChat,
    Table{&kRouterDocumentShape, &kRouterUsage, kChatSteps, false, true},
    Table{&kRouterResponsesDocumentShape, &kRouterResponsesUsage, kChatSteps, false, true},
    kChat,
    Table{&kLlamaDocumentShape, &kChatUsage, kLlamaSteps},
};

struct Host {
    std::string_view ending;
    Flavour flavour;
};
constexpr std::array kHosts{
    Host{"api.mistral.ai", Flavour::kMistral},
    Host{"api.deepseek.com", Flavour::kDeepSeek},
    Host{"api.x.ai", Flavour::kXai},
    Host{"api.groq.com", Flavour::kGroq},
    Host{"openrouter.ai", Flavour::kOpenRouter},
    Host{"generativelanguage.googleapis.com", Flavour::kGeminiChat},
};

}  // namespace

const Table& table_of(Flavour flavour) noexcept {
    return kTables[static_cast<std::size_t>(flavour)];
}

Flavour chat_flavour_of_host(std::string_view host) noexcept {
    for (const Host& known : kHosts) {
        if (!host.ends_with(known.ending)) continue;
        // "notapi.x.ai" is somebody else.
        const std::size_t rest = host.size() - known.ending.size();
        if (rest == 0 || host[rest - 1] == '.') return known.flavour;
    }
    return Flavour::kOpenAiChat;
}

}  // namespace leeway::wire::usage
