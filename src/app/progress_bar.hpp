#pragma once

#include "base/clock.hpp"

#include <string>

namespace leeway::app {

/// "loading [#####     ]  50 %" on one line of standard error, when that is a terminal; wiped at the end. One thread
/// at a time.
class ProgressBar {
public:
    /// Nothing is drawn before `patience` has passed: what is quick needs no bar.
    ProgressBar(std::string label, bool wanted, Duration patience = Duration::zero());
    ~ProgressBar();
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    /// `part` in [0, 1]. Cheap when there is nothing new to draw.
    void update(double part);

private:
    std::string label_;
    bool shown_;
    TimePoint from_;
    int drawn_ = -1;  // percent
};

}  // namespace leeway::app
