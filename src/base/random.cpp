#include "base/random.hpp"

#include <sys/random.h>

#include <array>
#include <bit>
#include <cstdlib>

namespace leeway {

void secure_random(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t n = ::getrandom(out.data() + done, out.size() - done, 0);
        if (n <= 0) std::abort();  // without randomness no secret may be made
        done += static_cast<std::size_t>(n);
    }
}

std::uint64_t fast_random() noexcept {
    thread_local std::array<std::uint64_t, 4> state = [] {
        std::array<std::uint64_t, 4> seed{};
        secure_random({reinterpret_cast<std::uint8_t*>(seed.data()), sizeof seed});
        return seed;
    }();
    const std::uint64_t result = std::rotl(state[1] * 5, 7) * 9;
    const std::uint64_t t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = std::rotl(state[3], 45);
    return result;
}

}  // namespace leeway
