#include "tokens/vocabulary_file.hpp"

#include "tokens/unicode.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace leeway::tokens {
namespace {

/// A file's bytes as long as it lives.
class MappedFile {
public:
    explicit MappedFile(const std::string& path) {
        const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        struct stat facts{};
        if (file < 0 || fstat(file, &facts) != 0) {
            error_ = errno;
        } else if (!S_ISREG(facts.st_mode)) {
            error_ = EINVAL;
        } else if (facts.st_size > 0) {
            const auto size = static_cast<std::size_t>(facts.st_size);
            void* const at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
            if (at == MAP_FAILED) {
                error_ = errno;
            } else {
                bytes_ = {static_cast<const char*>(at), size};
            }
        }
        if (file >= 0) close(file);
    }
    ~MappedFile() {
        if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
    }
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }
    [[nodiscard]] int error() const noexcept { return error_; }

private:
    std::string_view bytes_;
    int error_ = 0;
};

std::string stem_of(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    return name.substr(0, name.find_last_of('.'));
}

Result<VocabularySource> read_any(std::string_view bytes, const std::string& path) {
    if (bytes.starts_with("GGUF")) return read_gguf(bytes);
    const std::size_t first = bytes.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && bytes[first] == '{') {
        // Both are JSON objects; only tekken's begins with these words.
        const std::string_view head = bytes.substr(0, 4096);
        const bool tekken = head.find("\"num_vocab_tokens\"") != std::string_view::npos ||
                            head.find("\"token_bytes\"") != std::string_view::npos;
        return tekken ? read_tekken_json(bytes) : read_tokenizer_json(bytes);
    }
    if (path.ends_with(".tiktoken")) {
        auto source = read_tiktoken(bytes);
        if (!source) return source;
        if (auto named = name_tiktoken(*source, stem_of(path)); !named) return fail(named.error());
        return source;
    }
    return fail(ErrorCode::kConfig, "it is no vocabulary that can be read",
                "GGUF, tokenizer.json, tekken.json, .tiktoken or one of ours");
}

}  // namespace

Result<std::shared_ptr<const Vocabulary>> open_vocabulary(const std::string& path) {
    const MappedFile file(path);
    if (file.error() != 0) {
        const auto code = file.error() == ENOENT ? ErrorCode::kNotFound : ErrorCode::kConfig;
        return fail(code, "cannot read " + path + ": " + std::strerror(file.error()));
    }
    const std::string_view magic(VocabularyHeader::kMagic.data(), VocabularyHeader::kMagic.size());
    if (file.bytes().starts_with(magic)) return Vocabulary::map(path);
    auto source = read_any(file.bytes(), path);
    if (!source) {
        source.error().message.insert(0, path + ": ");
        return fail(std::move(source.error()));
    }
    if (source->name.empty()) source->name = stem_of(path);
    const auto image = build_vocabulary(*source);
    if (!image) return fail(image.error());
    return Vocabulary::adopt(*image);
}

std::optional<std::string> unmap_bytes(std::string_view text) {
    // GPT-2's encoder.py: printable Latin-1 stands for itself, the other 68 bytes for U+0100 onwards.
    static const std::array<std::int16_t, 0x144> bytes_of = [] {
        std::array<std::int16_t, 0x144> out{};
        out.fill(-1);
        std::size_t next = 0x100;
        for (std::int16_t byte = 0; byte < 256; ++byte) {
            const bool itself =
                (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
            out[itself ? static_cast<std::size_t>(byte) : next++] = byte;
        }
        return out;
    }();
    std::string out;
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    const auto* const end = at + text.size();
    while (at < end) {
        const Char c = char_at(at, end);
        if (c.code >= bytes_of.size() || bytes_of[c.code] < 0) return std::nullopt;
        out.push_back(static_cast<char>(bytes_of[c.code]));
        at += c.length;
    }
    return out;
}

}  // namespace leeway::tokens
