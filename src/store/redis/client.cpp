#include "store/redis/client.hpp"

#include "base/strings.hpp"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

namespace leeway::store::redis {
namespace {

struct FreeReply {
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

tl::unexpected<Error> not_an_address() {
    return fail(
        ErrorCode::kConfig, "budget_leases is no URL of a Redis or Valkey server",
        "write redis://:PASSWORD@HOST:6379/0 or redis+unix:///PATH, and give it by ${VARIABLE}");
}

std::string text_of(const redisReply& reply) {
    if (reply.type == REDIS_REPLY_INTEGER) return std::to_string(reply.integer);
    return reply.str == nullptr ? std::string() : std::string(reply.str, reply.len);
}

}  // namespace

std::string Address::name() const {
    return path.empty() ? fmt::format("redis://{}:{}", host, port) : "redis+unix://" + path;
}

Result<Address> parse_address(const Secret& url) {
    constexpr std::string_view kTcp = "redis://";
    constexpr std::string_view kUnix = "redis+unix://";
    std::string_view rest = url.expose();
    Address out;
    if (rest.starts_with(kUnix)) {
        out.path = rest.substr(kUnix.size());
        if (!out.path.starts_with('/')) return not_an_address();
        return out;
    }
    if (!rest.starts_with(kTcp)) return not_an_address();
    rest.remove_prefix(kTcp.size());
    if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
        const std::string_view who = rest.substr(0, at);
        const std::size_t colon = std::min(who.find(':'), who.size());
        out.user = who.substr(0, colon);
        out.password = Secret(std::string(who.substr(std::min(colon + 1, who.size()))));
        rest.remove_prefix(at + 1);
    }
    if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
        out.database = rest.substr(slash + 1);
        if (!out.database.empty() && !parse_u64(out.database)) return not_an_address();
        rest = rest.substr(0, slash);
    }
    if (const std::size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
        const auto port = parse_u64(rest.substr(colon + 1));
        if (!port || *port == 0 || *port > 65'535) return not_an_address();
        out.port = static_cast<std::uint16_t>(*port);
        rest = rest.substr(0, colon);
    }
    out.host = rest;
    if (out.host.empty()) return not_an_address();
    return out;
}

void Client::Free::operator()(redisContext* context) const noexcept { redisFree(context); }

Result<Client> Client::open(const Address& address, Duration patience) {
    const auto us = to_us(patience);
    const timeval limit{us / 1'000'000, us % 1'000'000};
    redisContext* raw = address.path.empty()
                            ? redisConnectWithTimeout(address.host.c_str(), address.port, limit)
                            : redisConnectUnixWithTimeout(address.path.c_str(), limit);
    Client client(raw, address.name());
    if (raw == nullptr || raw->err != 0) {
        return fail(ErrorCode::kUnavailable,
                    fmt::format("cannot reach the pool of budgets: {} ({})",
                                raw == nullptr ? "no memory" : raw->errstr, client.name_),
                    "check that the Redis or Valkey server runs and can be reached");
    }
    redisSetTimeout(raw, limit);
    if (!address.password.empty()) {
        std::vector<std::string_view> words{"AUTH"};
        if (!address.user.empty()) words.emplace_back(address.user);
        words.emplace_back(address.password.expose());
        if (auto done = client.command(words); !done) return fail(std::move(done.error()));
    }
    if (!address.database.empty()) {
        auto done = client.command({"SELECT", address.database});
        if (!done) return fail(std::move(done.error()));
    }
    return client;
}

Result<std::vector<std::string>> Client::command(const std::vector<std::string_view>& words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> lengths;
    texts.reserve(words.size());
    lengths.reserve(words.size());
    for (const std::string_view word : words) {
        texts.push_back(word.data());
        lengths.push_back(word.size());
    }
    const Reply reply(static_cast<redisReply*>(redisCommandArgv(
        context_.get(), static_cast<int>(texts.size()), texts.data(), lengths.data())));
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        return fail(ErrorCode::kUnavailable,
                    fmt::format("the pool of budgets does not answer: {} ({})",
                                reply ? reply->str : context_->errstr, name_),
                    "check the Redis or Valkey server");
    }
    std::vector<std::string> out;
    if (reply->type != REDIS_REPLY_ARRAY) return std::vector{text_of(*reply)};
    out.reserve(reply->elements);
    for (std::size_t i = 0; i < reply->elements; ++i) out.push_back(text_of(*reply->element[i]));
    return out;
}

Result<std::vector<std::string>> Client::eval(std::string_view script,
                                              const std::vector<std::string>& keys,
                                              const std::vector<std::string>& arguments) {
    const std::string count = std::to_string(keys.size());
    std::vector<std::string_view> words{"EVAL", script, count};
    words.insert(words.end(), keys.begin(), keys.end());
    words.insert(words.end(), arguments.begin(), arguments.end());
    return command(words);
}

}  // namespace leeway::store::redis
