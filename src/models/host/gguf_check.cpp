#include "models/host/gguf_check.hpp"

#include "models/host/gguf_reader.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <limits>
#include <map>
#include <unordered_set>
#include <utility>

namespace leeway::models {
namespace {

// Far above every published model, far below what hurts.
constexpr std::uint64_t kMaxKeys = 1U << 16U;
constexpr std::uint64_t kMaxTensors = 1U << 16U;
constexpr std::uint64_t kMaxKeyBytes = 1024;
constexpr std::uint64_t kMaxTextBytes = 16U << 20U;      // chat templates and licences
constexpr std::uint64_t kMaxArrayItems = 16U << 20U;     // vocabularies
constexpr std::uint64_t kMaxTensorName = 63;             // llama.cpp's own limit
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::uint64_t kMaxInt64 =
    static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

enum class ValueType : std::uint32_t {
    kU8,
    kI8,
    kU16,
    kI16,
    kU32,
    kI32,
    kF32,
    kBool,
    kString,
    kArray,
    kU64,
    kI64,
    kF64
};
constexpr std::uint32_t kValueTypes = 13;
constexpr std::array<std::uint8_t, kValueTypes> kValueBytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/// A scalar as far as we need it.
struct Value {
    ValueType type = ValueType::kU8;
    std::uint64_t number = 0;  // integers (negative ones as their two's complement) and bool
    std::string text;
    std::uint64_t items = 0;   // arrays
    std::uint64_t first = 0;   // arrays of 32-bit integers: the first item
};

bool multiply(std::uint64_t a, std::uint64_t b, std::uint64_t& product) noexcept {
    return !__builtin_mul_overflow(a, b, &product);
}
bool add(std::uint64_t a, std::uint64_t b, std::uint64_t& sum) noexcept {
    return !__builtin_add_overflow(a, b, &sum);
}

/// One pass over one file.
class Check {
public:
    explicit Check(const std::filesystem::path& file) : reader_(file) {}

    bool run() {
        header();
        for (std::uint64_t i = 0; i < keys_ && reader_.ok(); ++i) key_value(i);
        if (reader_.ok()) model_facts();
        tensors();
        return reader_.ok();
    }

    [[nodiscard]] const std::string& problem() const { return reader_.problem(); }
    [[nodiscard]] GgufInfo take_info() { return std::move(info_); }

private:
    void header();
    void key_value(std::uint64_t index);
    Value value(std::uint32_t type, const std::string& key);
    void array(const std::string& key, Value& out);
    void note(const std::string& key, Value value);
    void model_facts();
    void tensors();
    void tensor(std::uint64_t index, std::uint64_t& expected_offset);
    std::uint32_t model_number(const std::string& suffix) const;

    GgufReader reader_;
    GgufInfo info_;
    std::uint64_t keys_ = 0;
    std::uint64_t alignment_ = 32;
    std::uint64_t data_end_ = 0;  // of the last tensor, without its padding
    std::unordered_set<std::string> names_;    // keys first, then tensor names
    std::map<std::string, Value, std::less<>> facts_;  // scalars whose text is short
    std::map<std::uint32_t, std::uint64_t> parameters_by_type_;
};

void Check::header() {
    info_.file_bytes = reader_.size();
    const auto magic = reader_.number<std::uint32_t>();
    if (!reader_.ok() || magic != 0x46554747) {  // "GGUF"
        return reader_.fail_with("is not a GGUF file: it does not start with \"GGUF\"");
    }
    info_.version = reader_.number<std::uint32_t>();
    if (reader_.ok() && info_.version != 2 && info_.version != 3) {
        return reader_.fail_with(
            fmt::format("has GGUF version {}; 2 and 3 are understood{}", info_.version,
                        info_.version > 0xFFFF ? " (a big-endian file?)" : ""));
    }
    info_.tensor_count = reader_.number<std::uint64_t>();
    keys_ = reader_.number<std::uint64_t>();
    if (info_.tensor_count > kMaxTensors || keys_ > kMaxKeys) {
        reader_.fail_with(
            fmt::format("claims {} tensors and {} keys; at most {} of each are accepted",
                        info_.tensor_count, keys_, kMaxKeys));
    }
}

void Check::key_value(std::uint64_t index) {
    const std::string key = reader_.text(kMaxKeyBytes, "the name of a key");
    if (reader_.ok() && key.empty())
        reader_.fail_with(fmt::format("has key {} without a name", index));
    const auto type = reader_.number<std::uint32_t>();
    if (!reader_.ok()) return;
    if (!names_.insert(key).second)
        return reader_.fail_with(fmt::format("has the key '{}' twice", key));
    Value read = value(type, key);
    if (reader_.ok()) note(key, std::move(read));
}

Value Check::value(std::uint32_t type, const std::string& key) {
    Value out;
    if (type >= kValueTypes) {
        reader_.fail_with(fmt::format("has key '{}' of unknown type {}", key, type));
        return out;
    }
    out.type = static_cast<ValueType>(type);
    switch (out.type) {
        case ValueType::kU8: out.number = reader_.number<std::uint8_t>(); break;
        case ValueType::kI8:
            out.number = static_cast<std::uint64_t>(std::int64_t{reader_.number<std::int8_t>()});
            break;
        case ValueType::kU16: out.number = reader_.number<std::uint16_t>(); break;
        case ValueType::kI16:
            out.number = static_cast<std::uint64_t>(reader_.number<std::int16_t>());
            break;
        case ValueType::kU32: out.number = reader_.number<std::uint32_t>(); break;
        case ValueType::kI32:
            out.number = static_cast<std::uint64_t>(reader_.number<std::int32_t>());
            break;
        case ValueType::kU64: out.number = reader_.number<std::uint64_t>(); break;
        case ValueType::kI64:
            out.number = static_cast<std::uint64_t>(reader_.number<std::int64_t>());
            break;
        case ValueType::kBool: out.number = reader_.number<std::uint8_t>(); break;
        case ValueType::kF32:
        case ValueType::kF64: reader_.skip(kValueBytes[type]); break;
        case ValueType::kString: out.text = reader_.text(kMaxTextBytes, "a text"); break;
        case ValueType::kArray: array(key, out); break;
    }
    if (out.type == ValueType::kBool && out.number > 1) {
        reader_.fail_with(fmt::format("has key '{}' with the truth value {}", key, out.number));
    }
    return out;
}

void Check::array(const std::string& key, Value& out) {
    const auto type = reader_.number<std::uint32_t>();
    out.items = reader_.number<std::uint64_t>();
    if (!reader_.ok()) return;
    if (type >= kValueTypes || type == static_cast<std::uint32_t>(ValueType::kArray)) {
        return reader_.fail_with(
            fmt::format("has key '{}', an array of unknown type {}", key, type));
    }
    if (out.items > kMaxArrayItems) {
        return reader_.fail_with(fmt::format("has key '{}' with {} items; at most {} are accepted",
                                             key, out.items, kMaxArrayItems));
    }
    if (type == static_cast<std::uint32_t>(ValueType::kString)) {
        for (std::uint64_t i = 0; i < out.items && reader_.ok(); ++i) {
            reader_.skip_text(kMaxTextBytes, "an item of an array");
        }
        return;
    }
    std::uint64_t bytes = out.items * kValueBytes[type];  // both are small: cannot overflow
    if (kValueBytes[type] == 4 && out.items > 0) {
        out.first = reader_.number<std::uint32_t>();
        bytes -= 4;
    }
    reader_.skip(bytes);
}

void Check::note(const std::string& key, Value value) {
    if (key == "general.alignment") {
        if (value.type != ValueType::kU32 || !std::has_single_bit(value.number) ||
            value.number > (1U << 20U)) {
            return reader_.fail_with(
                fmt::format("has the alignment {}: not a sensible power of two", value.number));
        }
        alignment_ = value.number;
    }
    if (key == "tokenizer.chat_template") info_.has_chat_template = !value.text.empty();
    if (key == "tokenizer.ggml.tokens") info_.vocabulary = static_cast<std::uint32_t>(value.items);
    if (key == "general.name") info_.name = value.text.substr(0, 200);
    if (value.text.size() <= 200) facts_.emplace(key, std::move(value));
}

std::uint32_t Check::model_number(const std::string& suffix) const {
    const auto found = facts_.find(info_.architecture + "." + suffix);
    if (found == facts_.end()) return 0;
    const Value& value = found->second;
    const std::uint64_t number = value.type == ValueType::kArray ? value.first : value.number;
    return number > std::numeric_limits<std::uint32_t>::max() ? 0
                                                              : static_cast<std::uint32_t>(number);
}

void Check::model_facts() {
    const auto architecture = facts_.find("general.architecture");
    if (architecture == facts_.end() || architecture->second.text.empty()) {
        return reader_.fail_with("does not say its architecture (key 'general.architecture')");
    }
    info_.architecture = architecture->second.text;
    const auto splits = facts_.find("split.count");
    if (splits != facts_.end() && splits->second.number > 1) {
        return reader_.fail_with(fmt::format(
            "is one of {} parts: join them with llama-gguf-split --merge", splits->second.number));
    }
    info_.block_count = model_number("block_count");
    info_.context_length = model_number("context_length");
    info_.embedding_length = model_number("embedding_length");
    info_.head_count = model_number("attention.head_count");
    info_.head_count_kv = model_number("attention.head_count_kv");
    info_.key_length = model_number("attention.key_length");
    info_.value_length = model_number("attention.value_length");
    const auto causal = facts_.find(info_.architecture + ".attention.causal");
    info_.causal = causal == facts_.end() || causal->second.number != 0;
    info_.has_pooling = model_number("pooling_type") != 0;
}

void Check::tensors() {
    names_.clear();
    std::uint64_t expected_offset = 0;
    for (std::uint64_t i = 0; i < info_.tensor_count && reader_.ok(); ++i)
        tensor(i, expected_offset);
    if (!reader_.ok()) return;
    info_.tensor_bytes = expected_offset;
    const std::uint64_t padding = (alignment_ - reader_.position() % alignment_) % alignment_;
    const std::uint64_t there = reader_.left() >= padding ? reader_.left() - padding : 0;
    if (there < data_end_) {
        return reader_.fail_with(
            fmt::format("is cut: its tensors need {} bytes, {} are there", data_end_, there));
    }
    std::uint64_t most = 0;
    for (const auto& [type, parameters] : parameters_by_type_) {
        if (parameters < most) continue;
        most = parameters;
        info_.quantization = gguf_tensor_type(type).name;
    }
}

void Check::tensor(std::uint64_t index, std::uint64_t& expected_offset) {
    const std::string name = reader_.text(kMaxTensorName, "the name of a tensor");
    const auto dimensions = reader_.number<std::uint32_t>();
    if (!reader_.ok()) return;
    if (name.empty() || !names_.insert(name).second) {
        return reader_.fail_with(
            fmt::format("has tensor {} '{}' twice or without a name", index, name));
    }
    if (dimensions == 0 || dimensions > kMaxDimensions) {
        return reader_.fail_with(
            fmt::format("has tensor '{}' with {} dimensions", name, dimensions));
    }
    std::uint64_t row = 0;
    std::uint64_t count = 1;
    bool fits = true;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
        const auto size = reader_.number<std::uint64_t>();
        if (i == 0) row = size;
        fits = fits && size > 0 && multiply(count, size, count) && count <= kMaxInt64;
    }
    const auto type_number = reader_.number<std::uint32_t>();
    const auto offset = reader_.number<std::uint64_t>();
    if (!reader_.ok()) return;
    if (!fits)
        return reader_.fail_with(fmt::format("has tensor '{}' of an impossible shape", name));
    const GgufTensorType type = gguf_tensor_type(type_number);
    if (type.block == 0 || row % type.block != 0) {
        return reader_.fail_with(fmt::format("has tensor '{}' of type {} with rows of {} values",
                                             name, type_number, row));
    }
    std::uint64_t bytes = 0;
    std::uint64_t end = 0;
    if (!multiply(count / type.block, type.bytes, bytes) || !add(bytes, alignment_ - 1, bytes)) {
        return reader_.fail_with(fmt::format("has tensor '{}' of an impossible size", name));
    }
    data_end_ = expected_offset + bytes - (alignment_ - 1);  // the last padding may be missing
    bytes = bytes / alignment_ * alignment_;
    if (offset != expected_offset || !add(offset, bytes, end) || end > kMaxInt64) {
        return reader_.fail_with(fmt::format("has tensor '{}' at offset {}, expected {}", name,
                                             offset, expected_offset));
    }
    expected_offset = end;
    parameters_by_type_[type_number] += count;
    info_.parameters += count;
}

}  // namespace

std::uint64_t GgufInfo::kv_bytes_per_token() const noexcept {
    if (is_embedding_model() || head_count == 0) return 0;
    const std::uint64_t heads = head_count_kv != 0 ? head_count_kv : head_count;
    const std::uint64_t width = embedding_length / head_count;
    const std::uint64_t key = key_length != 0 ? key_length : width;
    const std::uint64_t value = value_length != 0 ? value_length : width;
    return 2 * block_count * heads * (key + value);
}

GgufTensorType gguf_tensor_type(std::uint32_t number) noexcept {
    static constexpr std::array<GgufTensorType, 43> kTypes{{
        {"F32", 1, 4},        {"F16", 1, 2},       {"Q4_0", 32, 18},     {"Q4_1", 32, 20},
        {"", 0, 0},           {"", 0, 0},          {"Q5_0", 32, 22},     {"Q5_1", 32, 24},
        {"Q8_0", 32, 34},     {"Q8_1", 32, 36},    {"Q2_K", 256, 84},    {"Q3_K", 256, 110},
        {"Q4_K", 256, 144},   {"Q5_K", 256, 176},  {"Q6_K", 256, 210},   {"Q8_K", 256, 292},
        {"IQ2_XXS", 256, 66}, {"IQ2_XS", 256, 74}, {"IQ3_XXS", 256, 98}, {"IQ1_S", 256, 50},
        {"IQ4_NL", 32, 18},   {"IQ3_S", 256, 110}, {"IQ2_S", 256, 82},   {"IQ4_XS", 256, 136},
        {"I8", 1, 1},         {"I16", 1, 2},       {"I32", 1, 4},        {"I64", 1, 8},
        {"F64", 1, 8},        {"IQ1_M", 256, 56},  {"BF16", 1, 2},       {"", 0, 0},
        {"", 0, 0},           {"", 0, 0},          {"TQ1_0", 256, 54},   {"TQ2_0", 256, 66},
        {"", 0, 0},           {"", 0, 0},          {"", 0, 0},           {"MXFP4", 32, 17},
        {"NVFP4", 64, 36},    {"Q1_0", 128, 18},   {"Q2_0", 64, 18},
    }};
    return number < kTypes.size() ? kTypes[number] : GgufTensorType{"", 0, 0};
}

Result<GgufInfo> check_gguf(const std::filesystem::path& file) {
    Check check(file);
    if (!check.run()) {
        return fail(ErrorCode::kConfig,
                    fmt::format("model file {} {}", file.string(), check.problem()),
                    "fetch the file again, or name another one");
    }
    return check.take_info();
}

}  // namespace leeway::models
