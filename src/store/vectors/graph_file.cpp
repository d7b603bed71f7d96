#include "store/vectors/graph_file.hpp"

#include "base/hash.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <type_traits>

namespace leeway::store::vectors {
namespace {

constexpr std::uint32_t kVersion =
    1;  // also to be raised when codes or the layout of elements change
constexpr std::array<char, 8> kMagic = {'L', 'W', 'G', 'R', 'A', 'P', 'H', '\n'};

// In the order in which they lie in the file.
enum Part : std::size_t {
    kStamps = 0,
    kElements = 1,
    kLevels = 2,
    kUpper = 3,
    kBase = 4,
    kParts = 5
};

struct Header {
    std::array<char, 8> magic = kMagic;
    std::uint32_t version = kVersion;
    std::uint32_t elements = 0;
    std::uint64_t identity = 0;
    std::uint32_t entry = 0;
    std::int32_t top_level = 0;
    std::array<std::uint64_t, kParts> bytes{};
    std::array<std::uint64_t, kParts> checks{};
    std::uint64_t check = 0;  // of what is before it
};
static_assert(std::has_unique_object_representations_v<Header>);

std::string_view bytes_of(const void* data, std::size_t size) {
    return {static_cast<const char*>(data), size};
}

std::uint64_t own_check(const Header& header) {
    return checksum64(bytes_of(&header, offsetof(Header, check)));
}

template <class T>
std::string_view bytes_of(std::span<T> items) {
    return bytes_of(items.data(), items.size_bytes());
}

class File {
public:
    explicit File(int fd) : fd_(fd) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] bool is_open() const { return fd_ >= 0; }
    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] bool write(std::string_view bytes) const {
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    [[nodiscard]] bool read(void* to, std::size_t size) const {
        auto* at = static_cast<char*>(to);
        while (size > 0) {
            const ssize_t n = ::read(fd_, at, size);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return false;
            at += n;
            size -= static_cast<std::size_t>(n);
        }
        return true;
    }

private:
    int fd_;
};

tl::unexpected<Error> wrong(const char* what) { return fail(ErrorCode::kInternal, what); }

/// `to`: a vector or string.
template <class To>
bool read_part(const File& file, const Header& header, Part part, To& to) {
    constexpr std::size_t kSize = sizeof(typename To::value_type);
    if (header.bytes[part] % kSize != 0) return false;
    to.resize(header.bytes[part] / kSize);
    return file.read(to.data(), header.bytes[part]) &&
           checksum64(bytes_of(to.data(), header.bytes[part])) == header.checks[part];
}

}  // namespace

Result<void> write_graph_file(const std::string& path, std::string_view identity,
                              const GraphFile& graph) {
    const GraphImage& image = graph.image;
    const std::array<std::string_view, kParts> parts = {
        bytes_of(std::span(graph.stamps)), bytes_of(std::span(graph.elements)),
        bytes_of(std::span(image.levels)), image.upper, image.base};
    Header header;
    header.elements = image.elements;
    header.identity = checksum64(identity);
    header.entry = image.entry;
    header.top_level = image.top_level;
    for (std::size_t i = 0; i < kParts; ++i) {
        header.bytes[i] = parts[i].size();
        header.checks[i] = checksum64(parts[i]);
    }
    header.check = own_check(header);

    const std::string beside = path + ".new";
    bool done = false;
    {
        const File file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        done = file.is_open() && file.write(bytes_of(&header, sizeof header));
        for (const std::string_view part : parts) done = done && file.write(part);
    }
    // Not brought to the disk by force: a power cut costs a graph that can be built again.
    if (done && std::rename(beside.c_str(), path.c_str()) == 0) return {};
    Error error{ErrorCode::kUnavailable,
                "cannot write " + path + ": " + std::strerror(errno),
                "look at the disk and at the folder's permissions",
                {},
                {}};
    (void)std::remove(beside.c_str());
    return fail(std::move(error));
}

Result<GraphFile> read_graph_file(const std::string& path, std::string_view identity) {
    const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) {
        return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kInternal,
                    std::string("it cannot be opened: ") + std::strerror(errno));
    }
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return wrong("it cannot be read");
    const auto size = static_cast<std::uint64_t>(status.st_size);
    Header header;
    if (!file.read(&header, sizeof header)) return wrong("it is cut");
    if (header.magic != kMagic) return wrong("it is no graph file");
    if (header.version != kVersion) return wrong("it is from another version");
    if (header.check != own_check(header)) return wrong("its head is damaged");
    if (header.identity != checksum64(identity)) return wrong("it is of another store or model");
    std::uint64_t left = size - sizeof header;
    for (const std::uint64_t bytes : header.bytes) {
        if (bytes > left) return wrong("it is cut");
        left -= bytes;
    }
    if (left != 0) return wrong("it is longer than it says");
    GraphFile out;
    out.image.elements = header.elements;
    out.image.entry = header.entry;
    out.image.top_level = header.top_level;
    const bool whole = read_part(file, header, kStamps, out.stamps) &&
                       read_part(file, header, kElements, out.elements) &&
                       read_part(file, header, kLevels, out.image.levels) &&
                       read_part(file, header, kUpper, out.image.upper) &&
                       read_part(file, header, kBase, out.image.base) &&
                       out.stamps.size() == out.elements.size();
    if (!whole) return wrong("it is damaged");
    return out;
}

}  // namespace leeway::store::vectors
