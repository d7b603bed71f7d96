#include "app/progress_bar.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace leeway::app {

ProgressBar::ProgressBar(std::string label, bool wanted, Duration patience)
    : label_(std::move(label)),
      shown_(wanted && ::isatty(STDERR_FILENO) == 1),
      from_(monotonic_now() + patience) {}

ProgressBar::~ProgressBar() {
    if (drawn_ >= 0) fmt::print(stderr, "\r\x1b[K");
}

void ProgressBar::update(double part) {
    constexpr int kWidth = 30;
    const int percent = std::clamp(static_cast<int>(part * 100), 0, 100);
    if (!shown_ || percent == drawn_ || monotonic_now() < from_) return;
    drawn_ = percent;
    const int done = percent * kWidth / 100;
    fmt::print(stderr, "\r{} [{:#<{}}{:>{}}] {:3} %", label_, "", done, "", kWidth - done, percent);
    std::fflush(stderr);
}

}  // namespace leeway::app
