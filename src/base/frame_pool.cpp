#include "base/frame_pool.hpp"

#include <array>
#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LEEWAY_POOLS_FRAMES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LEEWAY_POOLS_FRAMES 0
#endif
#endif
#ifndef LEEWAY_POOLS_FRAMES
#define LEEWAY_POOLS_FRAMES 1
#endif

namespace leeway {

#if LEEWAY_POOLS_FRAMES

namespace {

constexpr std::size_t kStep = 128;
constexpr std::size_t kClasses = 64;  // up to 8 KiB; larger frames are rare
constexpr std::size_t kKeptBytes = 256 * 1024;  // of each class and thread

struct FreeFrame {
    FreeFrame* next;
};

struct FreeList {
    FreeFrame* first;
    std::size_t bytes;
};

// Trivial, so that access needs no guard; threads that run coroutines live as long as the process.
thread_local std::array<FreeList, kClasses> free_lists{};

constexpr std::size_t class_of(std::size_t size) noexcept { return (size - 1) / kStep; }

}  // namespace

void* take_frame(std::size_t size) {
    const std::size_t index = class_of(size);
    if (index >= kClasses) return ::operator new(size);
    FreeList& list = free_lists[index];
    if (list.first == nullptr) return ::operator new((index + 1) * kStep);
    FreeFrame* const frame = list.first;
    list.first = frame->next;
    list.bytes -= (index + 1) * kStep;
    return frame;
}

void give_frame(void* frame, std::size_t size) noexcept {
    const std::size_t index = class_of(size);
    if (index >= kClasses) return ::operator delete(frame, size);
    const std::size_t bytes = (index + 1) * kStep;
    FreeList& list = free_lists[index];
    if (list.bytes + bytes > kKeptBytes) return ::operator delete(frame, bytes);
    list.first = new (frame) FreeFrame{list.first};
    list.bytes += bytes;
}

#else

void* take_frame(std::size_t size) { return ::operator new(size); }
void give_frame(void* frame, std::size_t size) noexcept { ::operator delete(frame, size); }

#endif

}  // namespace leeway
