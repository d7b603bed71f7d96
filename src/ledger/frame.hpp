#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace leeway::ledger {

/// What stands before each record in a ring and in a spill file. `sequence` is the position of the
/// frame (bytes since the file was made, never reset), so what an earlier lap of the ring left
/// behind can never be taken for a frame of this one. The checksum covers all that follows it.
/// Host byte order: a journal does not travel between machines.
struct FrameHeader {
    std::uint64_t checksum;
    std::uint32_t length;  ///< of the payload, in bytes
    std::uint32_t kind;    ///< FrameKind
    std::uint64_t sequence;
};
static_assert(sizeof(FrameHeader) == 24);

enum class FrameKind : std::uint32_t {
    kRecord = 1,
    kPad = 2,  ///< the rest of the ring's lap holds nothing; no payload, `length` is 0
};

/// Larger than any record: 4,000 attempts with the longest names.
inline constexpr std::uint32_t kMaxPayload = 16U << 20;

/// Bytes that a frame with this payload takes; frames start at multiples of 8.
[[nodiscard]] constexpr std::uint64_t frame_size(std::size_t payload) noexcept {
    return sizeof(FrameHeader) + ((payload + 7) & ~std::uint64_t{7});
}

/// Writes header and payload to `at`, which has `frame_size(payload.size())` bytes.
void write_frame(char* at, FrameKind kind, std::uint64_t sequence,
                 std::string_view payload) noexcept;

struct Frame {
    FrameKind kind = FrameKind::kRecord;
    std::string_view payload;  ///< into the memory that was read
    std::uint64_t size = 0;    ///< with header and padding; 0: there is no whole, valid frame
};

/// Reads the frame that starts `bytes` and is expected to carry `sequence`. Never reads beyond.
[[nodiscard]] Frame read_frame(std::string_view bytes, std::uint64_t sequence) noexcept;

}  // namespace leeway::ledger
