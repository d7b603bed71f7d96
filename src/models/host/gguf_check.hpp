#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace leeway::models {

/// What a GGUF file says about itself. Numbers are 0 and texts empty where it says nothing.
struct GgufInfo {
    std::uint32_t version = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t tensor_count = 0;
    std::uint64_t tensor_bytes = 0;
    std::uint64_t parameters = 0;
    std::string architecture;
    std::string name;
    std::string quantization;  ///< the tensor type that holds the most parameters, e.g. "Q4_1"
    std::uint32_t block_count = 0;
    std::uint32_t context_length = 0;
    std::uint32_t embedding_length = 0;
    std::uint32_t head_count = 0;
    std::uint32_t head_count_kv = 0;
    std::uint32_t key_length = 0;
    std::uint32_t value_length = 0;
    std::uint32_t vocabulary = 0;
    bool causal = true;
    bool has_pooling = false;        ///< names how to pool, so it is a model for vectors
    bool has_chat_template = false;

    [[nodiscard]] bool is_embedding_model() const noexcept { return has_pooling || !causal; }
    /// Bytes of key-value cache per token with 16-bit entries; 0 for a model without one.
    [[nodiscard]] std::uint64_t kv_bytes_per_token() const noexcept;
};

/// Reads and checks the head of a GGUF file (version 2 or 3) before llama.cpp sees it: every count,
/// length, type, shape and offset against the file's size, without trusting any of them. A model file
/// that passes may still be nonsense to the loader, but is not cut and lies about no size. Reads a few
/// megabytes, allocates little. Errors (kConfig) name the file and what is wrong.
[[nodiscard]] Result<GgufInfo> check_gguf(const std::filesystem::path& file);

/// A tensor type of the format. `block` values take `bytes` bytes; block 0 = not a type.
struct GgufTensorType {
    const char* name;
    std::uint32_t block;
    std::uint32_t bytes;
};
/// By the number in the file. Unknown numbers give block 0.
[[nodiscard]] GgufTensorType gguf_tensor_type(std::uint32_t number) noexcept;

}  // namespace leeway::models
