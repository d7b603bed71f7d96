#pragma once

// Test support only: writes small GGUF files.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::models::testing {

/// Builds the bytes of a GGUF file by hand, right or wrong as a test likes.
class GgufBuilder {
public:
    GgufBuilder& key_text(std::string_view key, std::string_view value) {
        text(keys_, key);
        number<std::uint32_t>(keys_, 8);
        text(keys_, value);
        ++key_count;
        return *this;
    }
    GgufBuilder& key_u32(std::string_view key, std::uint32_t value) {
        text(keys_, key);
        number<std::uint32_t>(keys_, 4);
        number(keys_, value);
        ++key_count;
        return *this;
    }
    GgufBuilder& key_texts(std::string_view key, const std::vector<std::string>& values) {
        text(keys_, key);
        number<std::uint32_t>(keys_, 9);
        number<std::uint32_t>(keys_, 8);
        number<std::uint64_t>(keys_, values.size());
        for (const std::string& value : values) text(keys_, value);
        ++key_count;
        return *this;
    }
    GgufBuilder& tensor(std::string_view name, std::uint32_t type, std::vector<std::uint64_t> shape,
                        std::uint64_t offset, std::uint64_t bytes) {
        text(tensors_, name);
        number(tensors_, static_cast<std::uint32_t>(shape.size()));
        for (const std::uint64_t size : shape) number(tensors_, size);
        number(tensors_, type);
        number(tensors_, offset);
        ++tensor_count;
        data_bytes = offset + bytes;
        return *this;
    }

    [[nodiscard]] std::string bytes() const {
        std::string out = magic;
        number(out, version);
        number(out, tensor_count);
        number(out, key_count);
        out += keys_ + tensors_;
        out.resize((out.size() + 31) / 32 * 32);
        out.resize(out.size() + data_bytes, '\x11');
        return out;
    }

    std::string magic = "GGUF";
    std::uint32_t version = 3;
    std::uint64_t tensor_count = 0;
    std::uint64_t key_count = 0;
    std::uint64_t data_bytes = 0;

private:
    template <class T>
    static void number(std::string& out, T value) {
        char raw[sizeof(T)];
        std::memcpy(raw, &value, sizeof(T));
        out.append(raw, sizeof(T));
    }
    static void text(std::string& out, std::string_view value) {
        number<std::uint64_t>(out, value.size());
        out.append(value);
    }

    std::string keys_;
    std::string tensors_;
};

/// A small file that passes the check: the head of a two-layer model and three tensors.
inline GgufBuilder tiny_gguf() {
    GgufBuilder builder;
    builder.key_text("general.architecture", "llama")
        .key_text("general.name", "Tiny")
        .key_u32("llama.block_count", 2)
        .key_u32("llama.context_length", 128)
        .key_u32("llama.embedding_length", 64)
        .key_u32("llama.attention.head_count", 4)
        .key_u32("llama.attention.head_count_kv", 2)
        .key_texts("tokenizer.ggml.tokens", {"a", "b", "c"})
        .key_text("tokenizer.chat_template", "<|im_start|>")
        .tensor("token_embd.weight", 3, {64, 8}, 0, 320)
        .tensor("norm.weight", 0, {10}, 320, 40)
        .tensor("out.weight", 1, {4, 4}, 384, 32);
    return builder;
}

}  // namespace leeway::models::testing
