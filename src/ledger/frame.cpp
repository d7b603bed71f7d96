#include "ledger/frame.hpp"

#include "base/hash.hpp"

#include <cstring>

namespace leeway::ledger {

void write_frame(char* at, FrameKind kind, std::uint64_t sequence,
                 std::string_view payload) noexcept {
    FrameHeader header{};
    header.length = static_cast<std::uint32_t>(payload.size());
    header.kind = static_cast<std::uint32_t>(kind);
    header.sequence = sequence;
    std::memcpy(at, &header, sizeof header);
    if (!payload.empty()) std::memcpy(at + sizeof header, payload.data(), payload.size());
    const std::uint64_t checksum = checksum64(
        {at + sizeof header.checksum, sizeof header - sizeof header.checksum + payload.size()});
    std::memcpy(at, &checksum, sizeof checksum);
}

Frame read_frame(std::string_view bytes, std::uint64_t sequence) noexcept {
    FrameHeader header{};
    if (bytes.size() < sizeof header) return {};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.sequence != sequence || header.length > kMaxPayload) return {};
    if (header.kind != static_cast<std::uint32_t>(FrameKind::kRecord) &&
        header.kind != static_cast<std::uint32_t>(FrameKind::kPad)) {
        return {};
    }
    if (frame_size(header.length) > bytes.size()) return {};
    const std::string_view checked = bytes.substr(
        sizeof header.checksum, sizeof header - sizeof header.checksum + header.length);
    if (checksum64(checked) != header.checksum) return {};
    return {.kind = static_cast<FrameKind>(header.kind),
            .payload = bytes.substr(sizeof header, header.length),
            .size = frame_size(header.length)};
}

}  // namespace leeway::ledger
