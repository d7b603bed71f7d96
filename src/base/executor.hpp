#pragma once

#include <functional>

namespace leeway {

/// A thread that runs what is posted to it, in order: how results of other threads come back to the
/// worker that asked.
class Executor {
public:
    virtual ~Executor() = default;
    /// Thread-safe.
    virtual void post(std::function<void()> work) = 0;
};

}  // namespace leeway
