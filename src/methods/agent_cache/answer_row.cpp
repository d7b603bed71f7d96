#include "methods/agent_cache/answer_row.hpp"

#include "base/random.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace leeway::agent_cache {
namespace {

constexpr std::uint32_t kMagic = 0x4341574c;  // "LWAC"
// 2: usage has a count of its buckets before it.
constexpr std::uint8_t kVersion = 2;
constexpr std::size_t kSealBytes = 32;
constexpr std::size_t kSealKeyBytes = 32;

// Little endian, whatever the machine: the file may move.
template <class T>
void append(std::string& out, T value) {
    auto bits = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i, bits >>= 8) out += static_cast<char>(bits & 0xff);
}

class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    template <class T>
    T number() noexcept {
        const std::string_view bytes = take(sizeof(T));
        std::uint64_t bits = 0;
        for (std::size_t i = bytes.size(); i > 0; --i) {
            bits = bits << 8 | static_cast<std::uint8_t>(bytes[i - 1]);
        }
        return static_cast<T>(bits);
    }
    std::string_view take(std::uint64_t size) noexcept {
        if (size > rest_.size()) {
            good_ = false;
            return {};
        }
        const std::string_view out = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return out;
    }
    [[nodiscard]] bool ended_well() const noexcept { return good_ && rest_.empty(); }

private:
    std::string_view rest_;
    bool good_ = true;
};

class File {
public:
    explicit File(int fd) noexcept : fd_(fd) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    int fd_;
};

tl::unexpected<Error> seal_error(const std::string& path, const char* doing, int error) {
    return fail(
        ErrorCode::kConfig,
        fmt::format("cannot {} the cache's seal key {}: {}", doing, path, std::strerror(error)),
        "make the file and its folder readable and writable for this user");
}

Result<std::optional<std::string>> read_seal_key(const std::string& path) {
    const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.fd() < 0) {
        if (errno == ENOENT) return std::nullopt;
        return seal_error(path, "open", errno);
    }
    // One byte more than there should be, to see a file that is too long.
    std::string bytes(kSealKeyBytes + 1, '\0');
    const ssize_t got = ::read(file.fd(), bytes.data(), bytes.size());
    if (got < 0) return seal_error(path, "read", errno);
    if (got != static_cast<ssize_t>(kSealKeyBytes)) return std::nullopt;
    bytes.resize(kSealKeyBytes);
    ::fchmod(file.fd(), 0600);  // whoever else could read it could forge answers
    return bytes;
}

}  // namespace

std::string encode_row(const Sha256& key, const CachedAnswer& answer, const Secret& seal) {
    std::string row;
    row.reserve(128 + prices::kBucketCount * 8 + kSealBytes + answer.body.size() +
                answer.model_reported.size() + answer.finish_reason.size());
    append(row, kMagic);
    append(row, kVersion);
    append(row, static_cast<std::uint8_t>(answer.streamed ? 1 : 0));
    append(row, static_cast<std::uint8_t>(answer.usage_state));
    row.append(reinterpret_cast<const char*>(key.data()), key.size());
    append(row, answer.tenant);
    append(row, answer.created_unix_ms);
    append(row, answer.expires_unix_ms);
    append(row, static_cast<std::uint8_t>(prices::kBucketCount));
    for (const auto& info : prices::kBuckets) append(row, answer.usage[info.bucket]);
    for (const std::string* text : {&answer.model_reported, &answer.finish_reason, &answer.body}) {
        append(row, static_cast<std::uint64_t>(text->size()));
        row += *text;
    }
    const Sha256 mac = hmac_sha256(seal.expose(), row);
    row.append(reinterpret_cast<const char*>(mac.data()), mac.size());
    return row;
}

AnswerPtr decode_row(const Sha256& key, std::span<const std::uint8_t> row, const Secret& seal) {
    if (row.size() <= kSealBytes) return nullptr;
    const std::string_view content(reinterpret_cast<const char*>(row.data()),
                                   row.size() - kSealBytes);
    if (!constant_time_equal(hmac_sha256(seal.expose(), content), row.last(kSealBytes))) {
        return nullptr;
    }
    Reader reader(content);
    if (reader.number<std::uint32_t>() != kMagic || reader.number<std::uint8_t>() != kVersion) {
        return nullptr;
    }
    auto answer = std::make_shared<CachedAnswer>();
    answer->streamed = reader.number<std::uint8_t>() != 0;
    const auto state = reader.number<std::uint8_t>();
    if (state > static_cast<std::uint8_t>(prices::UsageState::kZero)) return nullptr;
    answer->usage_state = static_cast<prices::UsageState>(state);
    const std::string_view of(reinterpret_cast<const char*>(key.data()), key.size());
    if (reader.take(key.size()) != of) return nullptr;
    answer->tenant = reader.number<std::uint64_t>();
    answer->created_unix_ms = reader.number<std::int64_t>();
    answer->expires_unix_ms = reader.number<std::int64_t>();
    // Rows of an earlier program may have fewer buckets; of a later one they are not read.
    const auto buckets = reader.number<std::uint8_t>();
    if (buckets > prices::kBucketCount) return nullptr;
    for (std::size_t i = 0; i < buckets; ++i) {
        answer->usage[prices::kBuckets[i].bucket] = reader.number<std::int64_t>();
    }
    for (std::string* text : {&answer->model_reported, &answer->finish_reason, &answer->body}) {
        *text = reader.take(reader.number<std::uint64_t>());
    }
    if (!reader.ended_well()) return nullptr;
    return answer;
}

Result<SealKey> load_seal_key(const std::string& path) {
    auto found = read_seal_key(path);
    if (!found) return fail(std::move(found.error()));
    if (*found) return SealKey{Secret(std::move(**found)), false};

    std::array<std::uint8_t, kSealKeyBytes> bytes{};
    secure_random(bytes);
    // Written aside first: a crash leaves no half key behind.
    const std::string fresh = path + ".new";
    ::unlink(fresh.c_str());
    {
        const File file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (file.fd() < 0) return seal_error(path, "make", errno);
        const ssize_t written = ::write(file.fd(), bytes.data(), bytes.size());
        const bool whole = written == static_cast<ssize_t>(bytes.size());
        if (!whole || ::fsync(file.fd()) != 0) {
            const int error = whole || written < 0 ? errno : ENOSPC;
            ::unlink(fresh.c_str());
            return seal_error(path, "write", error);
        }
    }
    if (::rename(fresh.c_str(), path.c_str()) != 0) return seal_error(path, "make", errno);
    return SealKey{Secret(std::string(bytes.begin(), bytes.end())), true};
}

}  // namespace leeway::agent_cache
