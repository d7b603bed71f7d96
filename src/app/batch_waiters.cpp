#include "app/batch_waiters.hpp"

namespace leeway::app {

PostedValue<BatchWaiters::Reply> BatchWaiters::wait(const RequestId& id, Executor& executor) {
    PostedValue<Reply> value(executor);
    const std::scoped_lock lock(mutex_);
    senders_.emplace(id.bytes, value.sender());
    return value;
}

void BatchWaiters::forget(const RequestId& id) {
    const std::scoped_lock lock(mutex_);
    senders_.erase(id.bytes);
}

void BatchWaiters::tell(const RequestId& id, Reply reply) {
    const std::scoped_lock lock(mutex_);
    const auto found = senders_.find(id.bytes);
    if (found == senders_.end() || stopped_) return;
    found->second.send(std::move(reply));
    senders_.erase(found);
}

void BatchWaiters::stop() {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
}

}  // namespace leeway::app
