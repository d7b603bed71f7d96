#include "sim/network.hpp"

#include "sim/world.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace leeway::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

Network* the_network = nullptr;

Duration latency() { return World::get().random.between(microseconds(50), microseconds(3000)); }

}  // namespace

// -------------------------------------------------------------------------------------------- one end

void End::push(std::string bytes, Duration delay) {
    World& world = World::get();
    const TimePoint at = std::max(busy_until_, world.now() + delay);
    busy_until_ = at + microseconds(1);
    world.after(at - world.now(), [other = other_, data = std::move(bytes)]() mutable {
        other->arrive(std::move(data));
    });
}

void End::send(std::string_view bytes) {
    if (closed_ || finished_ || reset_came_ || bytes.empty()) return;
    World& world = World::get();
    unread_ += bytes.size();
    if (world.random.below(20) == 0 && world.strikes(Fault::net_reset)) {
        // Something on the way breaks the connection, for both.
        reset_came_ = true;
        other_->arrive_over(Over::kReset);
        world.after(latency(), [self = shared_from_this()] { self->tell_over(Over::kReset); });
        return;
    }
    const Duration slowness = slow_ ? Duration(milliseconds(40)) : Duration::zero();
    while (!bytes.empty()) {
        std::size_t size = bytes.size();
        if (one_by_one_ && bytes.size() <= 700) {
            size = 1;
        } else if (pieces_ || one_by_one_) {
            size = 1 + world.random.below(std::min<std::size_t>(bytes.size(), 200));
        }
        push(std::string(bytes.substr(0, size)), latency() + slowness);
        bytes.remove_prefix(size);
    }
}

void End::finish() {
    if (closed_ || finished_) return;
    finished_ = true;
    World& world = World::get();
    const TimePoint at = std::max(busy_until_, world.now() + latency());
    busy_until_ = at + microseconds(1);
    world.after(at - world.now(), [other = other_] { other->arrive_over(Over::kEnd); });
}

void End::close() {
    if (closed_) return;
    // As TCP does: who closes with bytes that nobody has read resets the connection.
    if (!inbox_.empty()) return reset();
    finish();
    closed_ = true;
    cancel();
}

void End::reset() {
    if (closed_) return;
    closed_ = true;
    World::get().after(latency(), [other = other_] { other->arrive_over(Over::kReset); });
    cancel();
}

void End::pause_reading(bool paused) {
    paused_ = paused;
    if (!paused_) try_read();
}

void End::arrive(std::string bytes) {
    if (dead() || reset_came_) return;
    if (closed_) {
        // Nobody is there any more.
        World::get().after(latency(), [other = other_] { other->arrive_over(Over::kReset); });
        return;
    }
    inbox_ += bytes;
    try_read();
}

void End::arrive_over(Over over) {
    if (dead() || reset_came_ || (over == Over::kEnd && end_came_)) return;
    (over == Over::kEnd ? end_came_ : reset_came_) = true;
    if (over == Over::kReset) inbox_.clear();
    try_read();
    if (over == Over::kReset && write_ != nullptr) complete(write_, {net::IoStatus::kReset, 0});
}

void End::tell_over(Over over) {
    if (dead() || closed_) return;
    if (process_) {
        arrive_over(over);
        if (read_ != nullptr) complete(read_, {net::IoStatus::kReset, 0});
        if (write_ != nullptr) complete(write_, {net::IoStatus::kReset, 0});
    } else if (!std::exchange(told_over_, true) && on_over) {
        on_over(over);
    }
}

/// Gives what has come to whoever waits for it.
void End::try_read() {
    if (process_) {
        if (read_ == nullptr) return;
        if (!inbox_.empty()) {
            std::size_t size = std::min(inbox_.size(), into_.size());
            if (short_reads_) size = 1 + World::get().random.below(size);
            std::copy_n(inbox_.data(), size, into_.data());
            take(size);
            complete(read_, {net::IoStatus::kOk, size});
        } else if (reset_came_) {
            complete(read_, {net::IoStatus::kReset, 0});
        } else if (end_came_) {
            complete(read_, {net::IoStatus::kEnd, 0});
        }
        return;
    }
    if (paused_ || closed_) return;
    if (!inbox_.empty() && on_bytes) {
        const std::string bytes = inbox_;
        take(bytes.size());
        on_bytes(bytes);
        if (closed_) return;
    }
    if ((reset_came_ || end_came_) && inbox_.empty() && !told_over_) {
        told_over_ = true;
        if (on_over) on_over(reset_came_ ? Over::kReset : Over::kEnd);
    }
}

void End::take(std::size_t bytes) {
    inbox_.erase(0, bytes);
    World::get().after(latency(), [other = other_, bytes] { other->taken(bytes); });
}

void End::taken(std::size_t bytes) {
    unread_ -= bytes;
    if (write_ != nullptr && !dead() && unread_ <= window_ / 2)
        complete(write_, {net::IoStatus::kOk, write_size_});
}

// The operation is forgotten first: who hears of it may start the next one.
void End::complete(net::IoOp*& op, net::IoResult result) {
    std::exchange(op, nullptr)->complete(result);
}

void End::start_read(net::IoOp& op, std::span<char> into) {
    op.begin();
    read_ = &op;
    into_ = into;
    if (inbox_.empty() && !end_came_ && !reset_came_ && !closed_) return;
    // Never at once: a socket's read completes from the loop.
    World::get().after(Duration::zero(), [self = shared_from_this(), expected = &op] {
        if (self->dead() || self->read_ != expected) return;
        self->try_read();
    });
}

void End::start_write(net::IoOp& op, std::span<const std::string_view> pieces) {
    op.begin();
    std::string all;
    for (const std::string_view piece : pieces) all += piece;
    if (closed_ || finished_ || reset_came_) return op.complete({net::IoStatus::kReset, 0});
    send(all);
    if (unread_ <= window_) return op.complete({net::IoStatus::kOk, all.size()});
    write_ = &op;
    write_size_ = all.size();
}

void End::cancel() {
    if (!process_) return;
    for (net::IoOp** op : {&read_, &write_}) {
        if (*op == nullptr) continue;
        World::get().after(Duration::zero(), [self = shared_from_this(), canceled = *op] {
            if (!self->dead()) canceled->complete({net::IoStatus::kCanceled, 0});
        });
        *op = nullptr;
    }
}

// -------------------------------------------------------------------------------------------- network

Network::Network() { the_network = this; }
Network::~Network() { the_network = nullptr; }

Network& Network::get() {
    if (the_network == nullptr) std::abort();
    return *the_network;
}

void Network::listen(const std::string& address, const void* who, ProcessPtr process,
                     Accept accept) {
    places_[address].push_back({who, std::move(process), std::move(accept)});
}

void Network::stop_listening(const void* who) {
    for (auto& [address, places] : places_)
        std::erase_if(places, [&](const Place& place) { return place.who == who; });
}

EndPtr Network::make_pair_of(const ProcessPtr& near, const ProcessPtr& other, EndPtr& far) {
    World& world = World::get();
    auto out = std::make_shared<End>();
    far = std::make_shared<End>();
    out->process_ = near;
    out->other_ = far;
    far->process_ = other;
    far->other_ = out;
    if (near) ends_.push_back(out);
    if (other) ends_.push_back(far);
    const bool slow = world.strikes(Fault::net_slow_link);
    const bool pieces = world.strikes(Fault::net_pieces);
    const bool single = world.strikes(Fault::net_bytes_one_by_one);
    const bool shorts = world.strikes(Fault::net_short_read);
    const bool small = world.strikes(Fault::net_small_window);
    for (const EndPtr& end : {out, far}) {
        end->slow_ = slow;
        end->pieces_ = pieces;
        end->one_by_one_ = single;
        end->short_reads_ = shorts;
        if (small) end->window_ = 600;
    }
    return out;
}

void Network::connect(const std::string& address, const ProcessPtr& process,
                      std::function<void(EndPtr)> done) {
    World& world = World::get();
    Duration wait = latency();
    const bool from_gateway = process != nullptr;
    if (from_gateway && world.strikes(Fault::net_connect_hangs)) return;  // until somebody gives up
    if (from_gateway && world.strikes(Fault::net_connect_slow)) wait += milliseconds(700);
    const bool refused = from_gateway && world.strikes(Fault::net_connect_refused);
    world.after(wait, [=, this, tell = std::move(done)] {
        const auto found = places_.find(address);
        if (refused || found == places_.end() || found->second.empty()) return tell(nullptr);
        if (process && !process->alive) return;
        const Place& place = found->second[World::get().random.below(found->second.size())];
        EndPtr far;
        const EndPtr near = make_pair_of(process, place.process, far);
        const Accept accept = place.accept;
        accept(far);
        tell(near);
    });
}

void Network::died(const ProcessPtr& process) {
    for (auto& [address, places] : places_)
        std::erase_if(places, [&](const Place& place) { return place.process == process; });
    for (const auto& weak : ends_) {
        const EndPtr end = weak.lock();
        if (!end || end->process_ != process || end->closed_) continue;
        const auto how = World::get().random.chance(0.5) ? End::Over::kEnd : End::Over::kReset;
        World::get().after(latency(), [other = end->other_, how] { other->arrive_over(how); });
    }
}

std::size_t Network::open_ends(const ProcessPtr& process) const {
    std::size_t count = 0;
    for (const auto& weak : ends_) {
        const EndPtr end = weak.lock();
        count += end && end->process_ == process && !end->closed_ ? 1 : 0;
    }
    return count;
}

}  // namespace leeway::sim
