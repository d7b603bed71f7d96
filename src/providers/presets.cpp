#include "providers/presets.hpp"

#include <algorithm>
#include <array>

namespace leeway::providers {
namespace {

using wire::ChatQuirks;
using wire::Dialect;
using wire::kOpenAiQuirks;
using wire::usage::Flavour;

// What a server takes besides the common part, by its own documentation. What it does not document it is not sent.
constexpr ChatQuirks kPlain{.reasoning_content = false};
constexpr ChatQuirks kThinks{.reasoning_content = true};
constexpr ChatQuirks kSamples{.top_k = true, .reasoning_content = false};
constexpr ChatQuirks kSamplesAndThinks{.top_k = true, .reasoning_content = true};
constexpr ChatQuirks kNewLimit{.max_completion_tokens = true, .reasoning_content = false};
constexpr ChatQuirks kRouter{.top_k = true, .reasoning_content = true, .cache_control = true};
constexpr ChatQuirks kMistral{
    .reasoning_content = false, .stream_options = false, .random_seed = true};

constexpr std::array<Preset, 32> kPresets{{
    {"anthropic", "Anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", true,
     Dialect::kAnthropic, Flavour::kAnthropic, kPlain},
    {"cerebras", "Cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kNewLimit},
    {"cohere", "Cohere: chat, embeddings and rerank", "https://api.cohere.com/v2", "COHERE_API_KEY",
     true, Dialect::kCohere, Flavour::kCohere, kPlain},
    {"cohere-compatible", "Cohere's OpenAI-compatible endpoint",
     "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY", true, Dialect::kOpenAiChat,
     Flavour::kOpenAiChat, kPlain},
    {"dashscope", "Alibaba Model Studio", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
     "DASHSCOPE_API_KEY", true, Dialect::kOpenAiChat, Flavour::kOpenAiChat, kSamples},
    {"deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kSamples},
    {"deepseek", "DeepSeek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kDeepSeek, kThinks},
    {"fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY",
     true, Dialect::kOpenAiChat, Flavour::kOpenAiChat, kSamplesAndThinks},
    {"gemini", "Google Gemini", "https://generativelanguage.googleapis.com/v1beta",
     "GEMINI_API_KEY", true, Dialect::kGemini, Flavour::kGemini, kPlain},
    {"groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", true, Dialect::kOpenAiChat,
     Flavour::kGroq, kNewLimit},
    {"huggingface", "Hugging Face Inference Providers", "https://router.huggingface.co/v1",
     "HF_TOKEN", true, Dialect::kOpenAiChat, Flavour::kOpenAiChat, kPlain},
    {"jina", "Jina AI: embeddings and rerank", "https://api.jina.ai/v1", "JINA_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kPlain},
    {"llama-server", "llama.cpp's server", "http://127.0.0.1:8080/v1", "LLAMA_API_KEY", false,
     Dialect::kOpenAiChat, Flavour::kLlamaServer, kSamplesAndThinks},
    {"lmstudio", "LM Studio", "http://127.0.0.1:1234/v1", "LM_API_TOKEN", false,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kSamples},
    {"mistral", "Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kMistral, kMistral},
    {"moonshot", "Moonshot AI (Kimi)", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kThinks},
    {"novita", "Novita AI", "https://api.novita.ai/openai/v1", "NOVITA_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kSamples},
    {"nvidia", "NVIDIA NIM", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kPlain},
    {"ollama", "Ollama", "http://127.0.0.1:11434/v1", "OLLAMA_API_KEY", false, Dialect::kOpenAiChat,
     Flavour::kOpenAiChat, kPlain},
    {"openai", "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", true, Dialect::kOpenAiChat,
     Flavour::kOpenAiChat, kOpenAiQuirks},
    {"openai-responses", "OpenAI, Responses", "https://api.openai.com/v1", "OPENAI_API_KEY", true,
     Dialect::kOpenAiResponses, Flavour::kOpenAiResponses, kOpenAiQuirks},
    {"openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenRouter, kRouter},
    {"perplexity", "Perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kPlain},
    {"sambanova", "SambaNova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kSamples},
    {"sglang", "SGLang", "http://127.0.0.1:30000/v1", "SGLANG_API_KEY", false, Dialect::kOpenAiChat,
     Flavour::kOpenAiChat, kSamplesAndThinks},
    {"tgi", "Text Generation Inference", "http://127.0.0.1:3000/v1", "", false,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kPlain},
    {"together", "Together AI", "https://api.together.xyz/v1", "TOGETHER_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kSamples},
    {"vercel", "Vercel AI Gateway", "https://ai-gateway.vercel.sh/v1", "AI_GATEWAY_API_KEY", true,
     Dialect::kOpenAiChat, Flavour::kOpenAiChat, kPlain},
    {"vllm", "vLLM", "http://127.0.0.1:8000/v1", "VLLM_API_KEY", false, Dialect::kOpenAiChat,
     Flavour::kVllm, kSamplesAndThinks},
    {"voyage", "Voyage AI: embeddings and rerank", "https://api.voyageai.com/v1", "VOYAGE_API_KEY",
     true, Dialect::kOpenAiChat, Flavour::kOpenAiChat, kPlain},
    {"xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY", true, Dialect::kOpenAiChat, Flavour::kXai,
     kNewLimit},
    {"zai", "Z.AI (GLM)", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", true, Dialect::kOpenAiChat,
     Flavour::kOpenAiChat, kThinks},
}};
static_assert(std::is_sorted(kPresets.begin(), kPresets.end(),
                             [](const Preset& a, const Preset& b) { return a.name < b.name; }));

}  // namespace

std::span<const Preset> presets() noexcept { return kPresets; }

const Preset* find_preset(std::string_view name) noexcept {
    const auto found = std::find_if(kPresets.begin(), kPresets.end(),
                                    [&](const Preset& preset) { return preset.name == name; });
    return found == kPresets.end() ? nullptr : &*found;
}

}  // namespace leeway::providers
