#include "models/host/chat_mailbox.hpp"

#include <algorithm>
#include <utility>

namespace leeway::models {

class ChatMailbox::Sink final : public ChatSink {
public:
    Sink(std::shared_ptr<ChatMailbox> mailbox, std::uint32_t choice)
        : mailbox_(std::move(mailbox)), choice_(choice) {}
    void on_delta(const ChatDelta& delta) noexcept override { mailbox_->add(choice_, delta); }
    void on_done(const ChatEnd& end) noexcept override { mailbox_->finish(choice_, end); }

private:
    std::shared_ptr<ChatMailbox> mailbox_;
    std::uint32_t choice_;
};

ChatMailbox::ChatMailbox(net::EventLoop& loop, std::uint32_t choices, std::size_t limit)
    : loop_(loop), limit_(limit), pieces_(choices) {}

std::shared_ptr<ChatSink> ChatMailbox::sink(std::uint32_t choice) {
    return std::make_shared<Sink>(shared_from_this(), choice);
}

void ChatMailbox::add(std::uint32_t choice, const ChatDelta& delta) {
    std::unique_lock lock(mutex_);
    if (overflowed_) return;
    std::size_t bytes = delta.text.size();
    for (const TokenInfo& token : delta.tokens) {
        bytes += sizeof(TokenInfo) + token.bytes.size();
        for (const auto& top : token.top) bytes += sizeof top + top.first.size();
    }
    bytes_ += bytes;
    if (bytes_ > limit_) {
        overflowed_ = true;
    } else {
        Piece& piece = pieces_[choice];
        piece.text += delta.text;
        piece.tokens.insert(piece.tokens.end(), delta.tokens.begin(), delta.tokens.end());
    }
    announce(std::move(lock));
}

void ChatMailbox::finish(std::uint32_t choice, const ChatEnd& end) {
    std::unique_lock lock(mutex_);
    pieces_[choice].end = end;
    announce(std::move(lock));
}

void ChatMailbox::announce(std::unique_lock<std::mutex> lock) {
    some_ = true;
    if (std::exchange(announced_, true)) return;
    lock.unlock();
    loop_.post([self = shared_from_this()] { self->look(); });
}

void ChatMailbox::look() {
    bool stop = false;
    {
        const std::scoped_lock lock(mutex_);
        announced_ = false;
        stop = overflowed_;
    }
    if (stop && stop_) stop_();
    if (waiter_) std::exchange(waiter_, {}).resume();
}

bool ChatMailbox::take(std::vector<Piece>& pieces) {
    for (Piece& piece : pieces) piece = {};
    const std::scoped_lock lock(mutex_);
    pieces.resize(pieces_.size());
    bytes_ = 0;
    std::swap(pieces, pieces_);
    return std::exchange(some_, false);
}

bool ChatMailbox::overflowed() const {
    const std::scoped_lock lock(mutex_);
    return overflowed_;
}

bool ChatMailbox::has_some() const {
    const std::scoped_lock lock(mutex_);
    return some_;
}

void ChatMailbox::interrupt(void* mailbox) {
    auto& self = *static_cast<ChatMailbox*>(mailbox);
    self.interrupted_ = true;
    if (self.stop_) self.stop_();
    self.loop_.post([kept = self.shared_from_this()] { kept->look(); });
}

}  // namespace leeway::models
