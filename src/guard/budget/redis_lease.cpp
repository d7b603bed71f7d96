#include "guard/budget/redis_lease.hpp"

#include "base/ids.hpp"
#include "base/strings.hpp"

#include <algorithm>
#include <charconv>

namespace leeway::budget {
namespace {

// Each script first makes sure that the server still knows what it knew: KEYS[2] holds a word that is made once;
// ARGV[1] is the word that this gateway met (empty: none yet), ARGV[2] one for a server that has none.
#define LEEWAY_SAME_MEMORY                                                                        \
    "local epoch = redis.call('GET', KEYS[2])\n"                                                  \
    "if not epoch and ARGV[1] == '' then\n"                                                       \
    "  epoch = ARGV[2]; redis.call('SET', KEYS[2], epoch)\n"                                      \
    "end\n"                                                                                       \
    "if not epoch or (ARGV[1] ~= '' and ARGV[1] ~= epoch) then\n"                                 \
    "  return redis.error_reply('the server forgot what was leased; start the gateways again')\n" \
    "end\n"

// ARGV from 3 on: limit, need, period, first period that counts, first that is kept, seconds to keep it all, then
// pairs of period and amount for a new pool. slice_of in Lua.
constexpr std::string_view kTake = LEEWAY_SAME_MEMORY
    "local limit, need, period, first, kept = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5],\n"
    "  tonumber(ARGV[6]), tonumber(ARGV[7])\n"
    "local taken, made = 0, false\n"
    "local all = redis.call('HGETALL', KEYS[1])\n"
    "for i = 1, #all, 2 do\n"
    "  if tonumber(all[i]) < kept then redis.call('HDEL', KEYS[1], all[i])\n"
    "  elseif tonumber(all[i]) >= first then taken = taken + tonumber(all[i + 1]); made = true "
    "end\n"
    "end\n"
    "if not made then\n"
    "  for i = 9, #ARGV, 2 do\n"
    "    redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]); taken = taken + tonumber(ARGV[i + "
    "1])\n"
    "  end\n"
    "end\n"
    "local left = limit - taken\n"
    "local amount = math.max(math.min(left, math.max(need, math.floor(left / 8))), 0)\n"
    "redis.call('HINCRBY', KEYS[1], period, string.format('%.0f', amount))\n"
    "redis.call('EXPIRE', KEYS[1], ARGV[8])\n"
    "return {epoch, string.format('%.0f', amount), string.format('%.0f', math.max(left - amount, "
    "0))}\n";

constexpr std::string_view kGiveBack = LEEWAY_SAME_MEMORY
    "redis.call('HINCRBY', KEYS[1], ARGV[3], ARGV[4])\n"
    "return {epoch}\n";
constexpr std::string_view kSameMemory = LEEWAY_SAME_MEMORY "return {epoch}\n";
#undef LEEWAY_SAME_MEMORY

std::int64_t scale_of(Unit unit) noexcept { return unit == Unit::kUsd ? 1'000'000 : 1; }
std::int64_t rounded_up(std::int64_t amount, std::int64_t scale) noexcept {
    return amount / scale + (amount % scale > 0 ? 1 : 0);
}
std::int64_t rounded_down(std::int64_t amount, std::int64_t scale) noexcept {
    return amount / scale - (amount % scale < 0 ? 1 : 0);
}

std::int64_t number(const std::string& text) noexcept {
    std::int64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

}  // namespace

Result<std::vector<std::string>> RedisLease::eval(std::string_view script,
                                                  const std::string& account,
                                                  std::vector<std::string> arguments) {
    if (!client_) {
        auto client = store::redis::Client::open(address_);
        if (!client) return fail(std::move(client.error()));
        client_.emplace(std::move(*client));
    }
    arguments.insert(arguments.begin(), {epoch_, RequestId::make(unix_now_us() / 1000).text()});
    auto answer =
        client_->eval(script, {"leeway:budget:" + account, "leeway:budget-epoch"}, arguments);
    if (!answer) {
        client_.reset();
        return answer;
    }
    if (answer->empty()) return fail(ErrorCode::kUnavailable, "the pool of budgets said nothing");
    epoch_ = answer->front();
    return answer;
}

Result<std::vector<LeaseGrant>> RedisLease::take(std::span<const LeaseWant> wants) {
    std::vector<LeaseGrant> out;
    for (const LeaseWant& want : wants) {
        const std::int64_t scale = scale_of(want.unit);
        const std::int64_t length = want.window_end - want.window_begin;
        std::vector<std::string> arguments{std::to_string(rounded_down(want.limit, scale)),
                                           std::to_string(rounded_up(want.amount, scale)),
                                           std::to_string(want.period),
                                           std::to_string(want.window_begin),
                                           std::to_string(want.window_begin - length),
                                           std::to_string(2 * length + 86'400)};
        for (const auto& [period, amount] : want.past) {
            arguments.push_back(std::to_string(period));
            arguments.push_back(std::to_string(rounded_up(amount, scale)));
        }
        const bool old = client_.has_value();
        auto answer = eval(kTake, want.account, arguments);
        // A connection that broke meanwhile: should the first have been heard, its slice is left unused.
        if (!answer && old) answer = eval(kTake, want.account, arguments);
        if (!answer) {
            if (out.empty()) return fail(std::move(answer.error()));
            return out;  // what was granted before must not be lost
        }
        if (answer->size() != 3) {
            return fail(ErrorCode::kUnavailable, "the pool of budgets answers oddly");
        }
        out.push_back({want.account, want.period, number((*answer)[1]) * scale,
                       number((*answer)[2]) * scale});
    }
    return out;
}

Result<void> RedisLease::give_back(std::span<const LeaseReturn> returns) {
    for (const LeaseReturn& one : returns) {
        const std::int64_t amount = -rounded_down(one.amount, scale_of(one.unit));
        auto answer =
            eval(kGiveBack, one.account, {std::to_string(one.period), std::to_string(amount)});
        if (!answer) return fail(std::move(answer.error()));
    }
    if (!returns.empty()) return {};
    // Only to know whether it is there and remembers.
    if (auto answer = eval(kSameMemory, {}, {}); !answer) return fail(std::move(answer.error()));
    return {};
}

}  // namespace leeway::budget
