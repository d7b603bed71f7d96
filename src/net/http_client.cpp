#include "net/http_client.hpp"

#include "net/detail/upstream_connection.hpp"

#include <algorithm>
#include <utility>

namespace leeway::net {
namespace {

// A pool that had a burst gives connections back after it; each costs a descriptor on both sides.
constexpr std::size_t kMaxIdlePerOrigin = 256;

}  // namespace

// ------------------------------------------------------------------------------------------- pool

UpstreamPool::UpstreamPool(EventLoop& loop) : loop_(loop), impl_(std::make_unique<Impl>()) {
    impl_->loop = &loop;
}

UpstreamPool::~UpstreamPool() { close_idle(); }

std::size_t UpstreamPool::idle() const noexcept {
    std::size_t count = 0;
    for (const auto& [key, entry] : impl_->entries) count += entry.idle.size();
    return count;
}

void UpstreamPool::close_idle() noexcept {
    for (auto& [key, entry] : impl_->entries) {
        while (auto connection = impl_->take(entry)) {
            UpstreamConnection::retire(std::move(connection));
            impl_->forget(entry);
        }
    }
}

UpstreamPool::Impl::Entry& UpstreamPool::Impl::entry(const Origin& origin) {
    Entry& found = entries[origin.key];
    found.pool = this;
    return found;
}

std::unique_ptr<UpstreamConnection> UpstreamPool::Impl::take(Entry& entry) noexcept {
    if (entry.idle.empty()) return nullptr;
    auto connection = std::move(entry.idle.back());
    entry.idle.pop_back();
    connection->unpark();
    return connection;
}

void UpstreamPool::Impl::put(Entry& entry, std::unique_ptr<UpstreamConnection> connection) {
    if (entry.idle.size() >= kMaxIdlePerOrigin) {
        UpstreamConnection::retire(std::move(connection));
        return forget(entry);
    }
    UpstreamConnection* raw = connection.get();
    entry.idle.push_back(std::move(connection));
    raw->park(&Impl::on_idle_event, &entry);
    wake_one(entry);
}

void UpstreamPool::Impl::forget(Entry& entry) noexcept {
    --entry.open;
    wake_one(entry);
}

void UpstreamPool::Impl::wake_one(Entry& entry) noexcept {
    if (entry.waiting.empty()) return;
    Waiter* waiter = entry.waiting.front();
    entry.waiting.pop_front();
    // Posted, not resumed here: we may be inside another request's destructor.
    loop->post([waiter] { waiter->handle.resume(); });
}

void UpstreamPool::Impl::on_idle_event(void* context, UpstreamConnection& connection) {
    auto& entry = *static_cast<Entry*>(context);
    const auto place =
        std::find_if(entry.idle.begin(), entry.idle.end(),
                     [&connection](const auto& idle) { return idle.get() == &connection; });
    if (place == entry.idle.end()) return;
    auto leaving = std::move(*place);
    entry.idle.erase(place);
    UpstreamConnection::retire(std::move(leaving));
    entry.pool->forget(entry);
}

namespace {

/// Waits until a connection slot of the origin is free; the deadline ends the wait.
class SlotAwaiter {
public:
    /// `again`: has waited before and was overtaken, so it goes to the front.
    SlotAwaiter(UpstreamPool::Impl::Entry& entry, bool again) : entry_(entry), again_(again) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        waiter_.handle = handle;
        if (again_) {
            entry_.waiting.push_front(&waiter_);
        } else {
            entry_.waiting.push_back(&waiter_);
        }
    }
    void await_resume() const noexcept {}
    static void interrupt(void* self) {
        auto& awaiter = *static_cast<SlotAwaiter*>(self);
        auto& queue = awaiter.entry_.waiting;
        const auto place = std::find(queue.begin(), queue.end(), &awaiter.waiter_);
        if (place == queue.end()) return;
        queue.erase(place);
        awaiter.waiter_.handle.resume();
    }

private:
    UpstreamPool::Impl::Entry& entry_;
    bool again_;
    UpstreamPool::Impl::Waiter waiter_;
};

}  // namespace

// ------------------------------------------------------------------------------------------- call

UpstreamCall::UpstreamCall(UpstreamPool& pool, const Origin& origin, Deadline& deadline) noexcept
    : pool_(pool), origin_(origin), deadline_(&deadline) {}

UpstreamCall::~UpstreamCall() { release(); }

void UpstreamCall::release() noexcept {
    if (!connection_) return;
    auto& entry = pool_.impl().entry(origin_);
    if (connection_->reusable()) return pool_.impl().put(entry, std::move(connection_));
    UpstreamConnection::retire(std::move(connection_));
    pool_.impl().forget(entry);
}

const ResponseHead& UpstreamCall::head() const noexcept { return connection_->head; }

Task<Result<void>> UpstreamCall::start(const UpstreamRequest& request) {
    auto first = co_await attempt(request, false);
    if (first) co_return first;
    // As long as the news of a close may be under way to us, from the far side of the world.
    constexpr std::chrono::seconds kAtOnce{1};
    const bool dead_on_arrival = reused_ && !answer_begun_ && !deadline_->interrupted() &&
                                 monotonic_now() - sent_at_ < kAtOnce;
    if (!dead_on_arrival) co_return first;
    release();
    reused_ = false;
    auto second = co_await attempt(request, true);
    co_return second;
}

Task<Result<void>> UpstreamCall::attempt(const UpstreamRequest& request, bool fresh) {
    auto& entry = pool_.impl().entry(origin_);
    bool waited = false;
    while (!connection_) {
        if (deadline_->interrupted()) {
            // We may have been woken for a slot that we do not take now.
            if (waited) pool_.impl().wake_one(entry);
            co_return fail(deadline_->error());
        }
        if (!fresh) connection_ = pool_.impl().take(entry);
        if (connection_) {
            reused_ = true;
            break;
        }
        if (entry.open >= origin_.max_connections && !entry.idle.empty()) {
            // Only a fresh connection will do: an idle one makes room.
            UpstreamConnection::retire(pool_.impl().take(entry));
            --entry.open;
        }
        if (entry.open >= origin_.max_connections) {
            if (!waited) deadline_->enter(Deadline::Phase::kConnect);
            SlotAwaiter slot(entry, std::exchange(waited, true));
            const Deadline::Guard guard(*deadline_, &SlotAwaiter::interrupt, &slot);
            co_await slot;
            continue;
        }
        ++entry.open;
        auto stream =
            co_await connect_stream(pool_.loop(), origin_.url.address, origin_.tls, *deadline_);
        if (!stream) {
            pool_.impl().forget(entry);
            co_return fail(std::move(stream.error()));
        }
        connection_ = std::make_unique<UpstreamConnection>(std::move(*stream));
    }
    deadline_->enter(Deadline::Phase::kFirstByte);
    sent_ = true;
    sent_at_ = monotonic_now();
    auto sent = co_await connection_->send(origin_, request, *deadline_);
    // An upstream may answer (and close) before it has read everything, so look for an answer anyway.
    if (!sent && deadline_->interrupted()) co_return sent;
    auto head = co_await connection_->read_head(request.method == "HEAD", *deadline_);
    answer_begun_ = connection_->heard();
    if (!head) co_return fail(std::move(sent ? head.error() : sent.error()));
    deadline_->enter(Deadline::Phase::kChunks);
    co_return Result<void>();
}

Task<Result<std::span<const std::string_view>>> UpstreamCall::read_some() {
    deadline_->touch();
    auto pieces = co_await connection_->read_body(*deadline_);
    co_return pieces;
}

Task<Result<std::string_view>> UpstreamCall::read_all(std::size_t limit) {
    if (connection_->head.framing == Framing::kLength && connection_->head.content_length > limit) {
        co_return fail(Error{ErrorCode::kUpstreamInvalid,
                             "the upstream's answer is larger than the gateway takes",
                             {},
                             {},
                             "upstream_answer_too_large"});
    }
    auto first = co_await read_some();
    if (!first) co_return fail(std::move(first.error()));
    // The usual answer lies whole in the buffer: no copy.
    if (connection_->complete() && first->size() <= 1 &&
        (first->empty() || first->front().size() <= limit)) {
        co_return first->empty() ? std::string_view() : first->front();
    }
    if (connection_->head.framing == Framing::kLength) {
        body_.reserve(static_cast<std::size_t>(connection_->head.content_length) +
                      ReadBuffer::kPadding);
    }
    for (const std::string_view piece : *first) body_.append(piece);
    auto all = co_await collect_all(limit);
    co_return all;
}

Task<Result<std::string_view>> UpstreamCall::collect_all(std::size_t limit) {
    for (;;) {
        auto pieces = co_await read_some();
        if (!pieces) co_return fail(std::move(pieces.error()));
        if (pieces->empty()) break;
        for (const std::string_view piece : *pieces) body_.append(piece);
        if (body_.size() > limit) {
            co_return fail(Error{ErrorCode::kUpstreamInvalid,
                                 "the upstream's answer is larger than the gateway takes",
                                 {},
                                 {},
                                 "upstream_answer_too_large"});
        }
    }
    body_.reserve(body_.size() + ReadBuffer::kPadding);
    co_return std::string_view(body_);
}

}  // namespace leeway::net
