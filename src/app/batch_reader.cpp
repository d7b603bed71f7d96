#include "app/batch_reader.hpp"

#include <pthread.h>

namespace leeway::app {

PostedValue<BatchReader::Reading> BatchReader::read(Executor& executor,
                                                    std::function<Reading()> job) {
    PostedValue<Reading> value(executor);
    const std::scoped_lock lock(mutex_);
    jobs_.push_back({std::move(job), value.sender()});
    if (!thread_.joinable() && !stopping_) thread_ = std::thread([this] { run(); });
    wake_.notify_one();
    return value;
}

void BatchReader::stop() {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
        wake_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
}

void BatchReader::run() {
    ::pthread_setname_np(::pthread_self(), "batches");
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (stopping_) return;
        const Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job.sender.send(job.work());
        lock.lock();
    }
}

}  // namespace leeway::app
