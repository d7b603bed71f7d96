#pragma once

#include <cstddef>

namespace leeway {

/// Memory for a coroutine frame of `size` bytes, aligned like `operator new`'s. A request makes some
/// twenty frames, the larger ones beyond what malloc keeps at hand for a thread, so each thread keeps
/// its own lists (bounded; what is over goes back to malloc). Any thread may give a frame back.
/// Sanitizer builds go to malloc each time, so that a use after the end is seen.
[[nodiscard]] void* take_frame(std::size_t size);
/// `size` is what `take_frame` was asked for.
void give_frame(void* frame, std::size_t size) noexcept;

}  // namespace leeway
