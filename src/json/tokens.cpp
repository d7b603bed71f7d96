#include "json/tokens.hpp"

#include "json/text.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <utility>

namespace leeway::json {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// Simdjson's positions are 32 bits wide.
constexpr std::size_t kMaxText = 0xFFFFFF00u;
constexpr std::size_t kSmallCapacity = 64 * 1024;
// A thread that once read a huge body gives that memory back with the next ordinary one.
constexpr std::size_t kKeptCapacity = 4 * 1024 * 1024;

struct Flaw {
    std::size_t offset = 0;
    std::string_view why;
};

/// The slow way to what stage one refused, to be able to say where it is.
Flaw find_flaw(std::string_view text) {
    bool in_string = false;
    std::size_t opened = 0;
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte >= 0x80) {
            const std::size_t length = utf8_length(text.substr(i));
            if (length == 0) return {i, "invalid UTF-8"};
            i += length;
            continue;
        }
        if (in_string && byte < 0x20) return {i, "unescaped control character in a string"};
        if (byte == '\\') {
            ++i;  // whatever is escaped cannot close the string
            if (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80 &&
                static_cast<unsigned char>(text[i]) >= 0x20) {
                ++i;
            }
            continue;
        }
        if (byte == '"') {
            in_string = !in_string;
            opened = i;
        }
        ++i;
    }
    if (in_string) return {opened, "string that is never closed"};
    return {0, "text that is not JSON"};
}

}  // namespace

struct Indexer::Impl {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
    std::size_t capacity = 0;
};

Indexer::Indexer() : impl_(std::make_unique<Impl>()) {}
Indexer::~Indexer() = default;

Result<Tokens> Indexer::index(std::string_view text) {
    if (text.empty()) return fail(syntax_error(text, 0, "the text is empty"));
    if (text.size() > kMaxText) {
        return fail(ErrorCode::kPayloadTooLarge, "the JSON text is larger than 4 GiB");
    }
    const bool too_small = impl_->capacity < text.size();
    const bool too_large = impl_->capacity > kKeptCapacity && text.size() <= kSmallCapacity;
    if (too_small || too_large) {
        impl_->stage.reset();
        impl_->capacity = 0;
        const std::size_t capacity = std::max(kSmallCapacity, text.size() + text.size() / 4);
        // The depth is ours to check, so simdjson's own stacks stay minimal.
        if (simdjson::get_active_implementation()->create_dom_parser_implementation(
                capacity, 1, impl_->stage) != simdjson::SUCCESS) {
            return fail(ErrorCode::kUnavailable, "not enough memory to read the JSON text");
        }
        impl_->capacity = capacity;
    }
    auto& stage = *impl_->stage;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    const auto code = stage.stage1(bytes, text.size(), simdjson::stage1_mode::regular);
    if (code == simdjson::EMPTY) return fail(syntax_error(text, 0, "the text is empty"));
    if (code != simdjson::SUCCESS) {
        const Flaw flaw = find_flaw(text);
        return fail(syntax_error(text, flaw.offset, flaw.why));
    }
    if (text.starts_with(kByteOrderMark)) {
        return fail(syntax_error(text, 0, "a byte order mark, which JSON must not begin with,"));
    }
    stage.structural_indexes[stage.n_structural_indexes] = static_cast<std::uint32_t>(text.size());
    return Tokens{text, stage.structural_indexes.get(), stage.n_structural_indexes};
}

Result<Tokens> Indexer::index_lenient(std::string_view text, std::string& shadow) {
    auto tokens = index(text);
    if (tokens || text.empty()) return tokens;
    shadow = text;
    for (char& c : shadow) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x80) c = '?';
        if (byte < 0x20) c = ' ';
    }
    return index(shadow);
}

Indexer& thread_indexer() {
    thread_local Indexer indexer;
    return indexer;
}

Error syntax_error(std::string_view text, std::size_t offset, std::string_view why) {
    offset = std::min(offset, text.size());
    const std::string_view before = text.substr(0, offset);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    Error error;
    error.code = ErrorCode::kInvalidRequest;
    error.message = fmt::format("{} at byte {} (line {}, column {})", why, offset, line,
                                offset - line_start + 1);
    error.reason = "invalid_json";
    return error;
}

}  // namespace leeway::json
