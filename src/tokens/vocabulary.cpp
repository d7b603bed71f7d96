#include "tokens/vocabulary.hpp"

#include "base/hash.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

namespace leeway::tokens {
namespace {

Error broken(const std::string& where, const char* why) {
    return {ErrorCode::kConfig,
            "vocabulary " + where + ": " + why,
            "delete it and run tools/setup.sh, which makes it again",
            {},
            {}};
}

}  // namespace

std::size_t Vocabulary::hash_bytes(std::string_view bytes) noexcept {
    // Eight bytes a step; the last step reads what is left. Multiplications spread low bits upwards,
    // the shift brings them back down.
    constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15U;
    std::uint64_t hash = bytes.size() * kFactor;
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    while (left > 0) {
        std::uint64_t word = 0;
        const std::size_t take = left < 8 ? left : 8;
        std::memcpy(&word, at, take);
        hash = (hash ^ word) * kFactor;
        hash ^= hash >> 32U;
        at += take;
        left -= take;
    }
    return static_cast<std::size_t>(hash ^ hash >> 16U);
}

Vocabulary::~Vocabulary() {
    if (mapping_ != nullptr) munmap(mapping_, mapped_bytes_);
}

Result<std::shared_ptr<const Vocabulary>> Vocabulary::map(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        const auto code = errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kConfig;
        return fail(code, "vocabulary " + path + ": " + std::strerror(errno),
                    "tools/setup.sh makes it; LEEWAY_VOCABULARIES names the folder");
    }
    struct stat facts{};
    const bool known = fstat(file, &facts) == 0 && facts.st_size > 0;
    const auto bytes = static_cast<std::size_t>(known ? facts.st_size : 0);
    void* const mapping =
        known ? mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
    close(file);
    if (mapping == MAP_FAILED) return fail(broken(path, "it cannot be read"));
    std::shared_ptr<Vocabulary> out(new Vocabulary());
    out->mapping_ = mapping;
    out->mapped_bytes_ = bytes;
    if (auto opened = out->open({static_cast<const char*>(mapping), bytes}, path); !opened) {
        return fail(std::move(opened.error()));
    }
    return out;
}

Result<std::shared_ptr<const Vocabulary>> Vocabulary::adopt(std::string image) {
    std::shared_ptr<Vocabulary> out(new Vocabulary());
    out->owned_ = std::move(image);
    if (auto opened = out->open(out->owned_, "in memory"); !opened) {
        return fail(std::move(opened.error()));
    }
    return out;
}

Result<void> Vocabulary::open(std::string_view image, const std::string& where) {
    using Header = VocabularyHeader;
    if (image.size() < sizeof(Header)) return fail(broken(where, "it is cut"));
    image_ = image;
    const Header& h = header();
    if (h.magic != Header::kMagic) return fail(broken(where, "it is not a vocabulary of leeway"));
    if (h.version != Header::kVersion) return fail(broken(where, "it is of another version"));
    if (h.file_bytes != image.size()) return fail(broken(where, "it is cut"));
    if (checksum64(image.substr(sizeof(Header))) != h.checksum) {
        return fail(broken(where, "its checksum is wrong"));
    }
    std::array<std::string_view, Header::kSections> parts;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const Header::Place& place = h.sections[i];
        if (place.offset % 8 != 0 || place.offset > image.size() ||
            place.bytes > image.size() - place.offset) {
            return fail(broken(where, "a section lies outside"));
        }
        parts[i] = image.substr(place.offset, place.bytes);
    }
    const auto as = [&parts]<class T>(Header::Section section, T*& out) {
        out = reinterpret_cast<T*>(parts[section].data());
        return parts[section].size() / sizeof(T);
    };
    const std::size_t n = h.tokens;
    const bool sizes_right =
        n > 0 && n < kNoRank && as(Header::kByteRanks, byte_ranks_) == 256 &&
        as(Header::kIds, ids_) == n && as(Header::kOffsets, offsets_) == n + 1 &&
        as(Header::kSplits, splits_) == n && std::has_single_bit(as(Header::kPairs, pairs_)) &&
        std::has_single_bit(as(Header::kPieces, pieces_)) &&
        (h.kind != VocabularyKind::kSentencePiece || as(Header::kScores, scores_) == n);
    if (!sizes_right) return fail(broken(where, "a section has the wrong size"));
    bytes_ = parts[Header::kBytes].data();
    pair_mask_ = parts[Header::kPairs].size() / sizeof(std::uint64_t) - 1;
    piece_mask_ = parts[Header::kPieces].size() / sizeof(Rank) - 1;
    name_ = {h.name.data(), strnlen(h.name.data(), h.name.size())};

    std::string_view rest = parts[Header::kSpecials];
    for (std::uint32_t i = 0; i < h.specials; ++i) {
        std::array<std::uint32_t, 2> head{};
        if (rest.size() < sizeof head) return fail(broken(where, "its special tokens are cut"));
        std::memcpy(head.data(), rest.data(), sizeof head);
        rest.remove_prefix(sizeof head);
        const bool always = head[1] >> 31U != 0;
        head[1] &= 0x7FFFFFFFU;
        const std::size_t padded = (std::size_t{head[1]} + 3) / 4 * 4;
        if (rest.size() < padded) return fail(broken(where, "its special tokens are cut"));
        specials_.push_back({std::string(rest.substr(0, head[1])), head[0], always});
        rest.remove_prefix(padded);
    }
    return check_tables(where);
}

Result<void> Vocabulary::check_tables(const std::string& where) const {
    // The checksum finds accidents; this keeps every index inside its table whoever wrote the file.
    const std::size_t n = header().tokens;
    const auto place = header().sections[VocabularyHeader::kBytes];
    bool good = offsets_[0] == 0 && offsets_[n] == place.bytes;
    for (std::size_t i = 0; i < n; ++i) {
        good &= offsets_[i] <= offsets_[i + 1];
        const Split split = splits_[i];
        if (split.left >= n || split.right >= n) {
            good = false;
        } else if (split.left != i || split.right != i) {
            // Its parts are shorter than it is, so undoing merges always ends.
            const auto length = [this](std::size_t t) {
                return offsets_[t + 1] - offsets_[t];
            };
            good &= length(split.left) + length(split.right) == length(i) &&
                    length(split.left) > 0 && length(split.right) > 0;
        }
    }
    for (unsigned byte = 0; byte < 256; ++byte) good &= byte_ranks_[byte] < n;
    good &= kind() != VocabularyKind::kSentencePiece || unknown() < n;
    std::size_t empty = 0;
    for (std::size_t i = 0; i <= pair_mask_; ++i) {
        if (pairs_[i] == ~std::uint64_t{0}) {
            ++empty;
        } else {
            good &= (pairs_[i] & kNoRank) < n;
        }
    }
    good &= empty > 0;  // else a search would never end
    empty = 0;
    for (std::size_t i = 0; i <= piece_mask_; ++i) {
        if (pieces_[i] == kNoRank) {
            ++empty;
        } else {
            good &= pieces_[i] < n;
        }
    }
    good &= empty > 0;
    if (!good) return fail(broken(where, "its tables contradict each other"));
    return {};
}

std::string_view Vocabulary::token_bytes(TokenId id) const {
    // Ranks and ids are equal or nearly so in most vocabularies.
    if (id < size() && ids_[id] == id) return bytes(id);
    for (std::size_t rank = 0; rank < size(); ++rank) {
        if (ids_[rank] == id) return bytes(static_cast<Rank>(rank));
    }
    for (const SpecialToken& special : specials_) {
        if (special.id == id) return special.text;
    }
    return {};
}

}  // namespace leeway::tokens
