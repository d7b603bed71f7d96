#pragma once

#include "app/batch_store.hpp"
#include "base/posted_value.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace leeway::app {

/// A thread that reads the requests of new batches, which may be so many that a worker's other requests would wait.
/// Thread-safe. The thread starts with the first job.
class BatchReader {
public:
    using Reading = Result<BatchBound>;

    BatchReader() = default;
    ~BatchReader() { stop(); }
    BatchReader(const BatchReader&) = delete;
    BatchReader& operator=(const BatchReader&) = delete;

    /// Runs `job` and sends what it returns to `executor`, which must live until `stop`, as must what `job` looks at
    /// until the value has come.
    [[nodiscard]] PostedValue<Reading> read(Executor& executor, std::function<Reading()> job);
    /// Waits for the job under way; those that wait are never run.
    void stop();

private:
    struct Job {
        std::function<Reading()> work;
        PostedValue<Reading>::Sender sender;
    };
    void run();

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace leeway::app
