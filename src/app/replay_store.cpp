#include "app/replay_store.hpp"

#include <charconv>
#include <cstring>
#include <optional>

namespace leeway::app {

using agent_cache::CachedAnswer;
using agent_cache::SingleFlight;

namespace {

// An answer is kept as the hash of its question, lines of text that end with an empty one, and its body.
std::string pack(const ReplayStore::Question& question, const ReplayStore::Answer& answer) {
    std::string out(reinterpret_cast<const char*>(&question.body), sizeof question.body);
    out.append(answer.id).append("\n").append(answer.model).append("\n");
    for (const auto& [name, value] : answer.fields)
        out.append(name).append(":").append(value).append("\n");
    return out.append("\n").append(answer.body);
}

}  // namespace

ReplayStore::Lease::Lease(ReplayStore& store, const Question& question, SingleFlight::Lease flight)
    : store_(&store), question_(question), flight_(std::move(flight)) {
    const std::scoped_lock lock(store.mutex_);
    store.asked_[question.key] = question.body;
}

ReplayStore::Lease::Lease(Lease&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)),
      question_(other.question_),
      flight_(std::move(other.flight_)) {}

ReplayStore::Lease& ReplayStore::Lease::operator=(Lease&& other) noexcept {
    if (this == &other) return *this;
    drop();
    store_ = std::exchange(other.store_, nullptr);
    question_ = other.question_;
    flight_ = std::move(other.flight_);
    return *this;
}

void ReplayStore::Lease::keep(const Answer& answer, std::int64_t now_unix_ms,
                              std::int64_t expires_unix_ms) {
    if (store_ == nullptr) return;
    auto kept = std::make_shared<CachedAnswer>();
    kept->body = pack(question_, answer);
    kept->streamed = answer.streamed;
    kept->created_unix_ms = now_unix_ms;
    kept->expires_unix_ms = expires_unix_ms;
    store_->answers_.put(question_.key, kept);
    {
        const std::scoped_lock lock(store_->mutex_);
        store_->asked_.erase(question_.key);
    }
    store_ = nullptr;
    flight_.finish(kept);
}

void ReplayStore::Lease::drop() noexcept {
    if (store_ == nullptr) return;
    {
        const std::scoped_lock lock(store_->mutex_);
        store_->asked_.erase(question_.key);
    }
    store_ = nullptr;
    flight_.hand_over();
}

ReplayStore::Found ReplayStore::unpack(const Question& question, const CachedAnswer& kept) {
    Found out;
    std::string_view rest = kept.body;
    if (std::memcmp(rest.data(), &question.body, sizeof question.body) != 0) {
        refused_.fetch_add(1, std::memory_order_relaxed);
        out.kind = Kind::kOther;
        return out;
    }
    replayed_.fetch_add(1, std::memory_order_relaxed);
    out.kind = Kind::kAnswer;
    rest.remove_prefix(sizeof question.body);
    const auto line = [&rest] {
        const std::string_view text = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(text.size() + 1);
        return text;
    };
    out.answer.id = line();
    out.answer.model = line();
    for (std::string_view field = line(); !field.empty(); field = line()) {
        const std::size_t colon = field.find(':');
        out.answer.fields.emplace_back(field.substr(0, colon), field.substr(colon + 1));
    }
    out.answer.body = rest;
    out.answer.streamed = kept.streamed;
    return out;
}

ReplayStore::Found ReplayStore::find_kept(const Question& question, std::int64_t now_unix_ms) {
    const auto kept = answers_.find(question.key, now_unix_ms);
    return kept ? unpack(question, *kept) : Found();
}

ReplayStore::Found ReplayStore::look_up(const Question& question, std::int64_t now_unix_ms,
                                        Executor& executor) {
    Found out = find_kept(question, now_unix_ms);
    if (out.kind != Kind::kLead) return out;
    {
        const std::scoped_lock lock(mutex_);
        const auto asked = asked_.find(question.key);
        if (asked != asked_.end() && asked->second != question.body) {
            refused_.fetch_add(1, std::memory_order_relaxed);
            out.kind = Kind::kOther;
            return out;
        }
    }
    SingleFlight::Ticket ticket = flights_.join(question.key, executor);
    switch (ticket.role) {
        case SingleFlight::Role::kAlone: out.kind = Kind::kCrowded; break;
        case SingleFlight::Role::kFollower:
            out.kind = Kind::kFollow;
            out.follower = std::move(ticket.follower);
            break;
        case SingleFlight::Role::kLeader: {
            // The last leader may have kept its answer since we looked.
            Found again = find_kept(question, now_unix_ms);
            if (again.kind != Kind::kLead) return again;
            out.lease = Lease(*this, question, std::move(ticket.lease));
            break;
        }
    }
    return out;
}

ReplayStore::Found ReplayStore::after(const Question& question, std::int64_t now_unix_ms,
                                      SingleFlight::Outcome outcome) {
    Found out;
    if (outcome.ending == SingleFlight::Ending::kAnswer) return unpack(question, *outcome.answer);
    if (outcome.ending != SingleFlight::Ending::kLead) {
        out.kind = Kind::kCrowded;
        return out;
    }
    out = find_kept(question, now_unix_ms);
    if (out.kind == Kind::kLead) out.lease = Lease(*this, question, std::move(outcome.lease));
    return out;
}

ReplayStore::Stats ReplayStore::stats() const {
    const auto kept = answers_.stats();
    return {kept.entries, kept.bytes, replayed_.load(std::memory_order_relaxed),
            refused_.load(std::memory_order_relaxed)};
}

}  // namespace leeway::app
