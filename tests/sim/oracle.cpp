#include "sim/oracle.hpp"

#include "ledger/reader.hpp"
#include "sim/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

namespace leeway::sim {
namespace {

struct Word {
    std::uint32_t group = 0, call = 0, index = 0;
};

/// The words in `text`, in order; what is between them is of no account.
std::vector<Word> words_in(std::string_view text) {
    std::vector<Word> out;
    for (std::size_t at = text.find("w<"); at != std::string_view::npos;
         at = text.find("w<", at + 2)) {
        Word word;
        const char* p = text.data() + at + 2;
        const char* const end = text.data() + text.size();
        bool good = true;
        for (std::uint32_t* number : {&word.group, &word.call, &word.index}) {
            const auto read = std::from_chars(p, end, *number);
            good = good && read.ec == std::errc() && read.ptr != end;
            p = good ? read.ptr + 1 : end;
        }
        if (good) out.push_back(word);
    }
    return out;
}

struct Row {
    std::uint32_t count = 0;
    int end = 0;
    std::optional<std::int64_t> cost;
    struct Attempt {
        std::int64_t number = 0;
        int status = 0, end = 0;
        std::optional<std::int64_t> cost;
        std::string model, provider;
    };
    std::vector<Attempt> attempts;
};

}  // namespace

std::string Oracle::word(const Call& call, std::uint32_t index) {
    return fmt::format("w<{}.{}.{}> ", call.group, call.number, index);
}

std::string Oracle::judge(const Asked& request, std::string_view seen, bool whole) const {
    const std::vector<Word> words = words_in(seen);
    if (words.empty() && !whole) return {};
    std::uint32_t number = words.empty() ? UINT32_MAX : words.front().call;
    for (std::uint32_t i = 0; i < words.size(); ++i) {
        if (words[i].group != request.group) return "it sees the answer of another request";
        if (words[i].call != number) return "two answers are mixed";
        if (words[i].index != i) return fmt::format("word {} is missing or stands elsewhere", i);
    }
    if (!whole) return {};
    if (words.empty()) {
        // An answer without words, or none that can be read: there must be a call that made one.
        for (const Call& call : calls) {
            const bool nothing = call.words == 0 && call.truth == Call::Truth::kWhole;
            if (call.group == request.group && (nothing || call.truth == Call::Truth::kOdd))
                return {};
        }
        return "an empty answer is told as whole, which no provider gave";
    }
    if (number >= calls.size()) return "it sees an answer that nobody gave";
    const Call& call = calls[number];
    if (call.truth == Call::Truth::kBroken || call.truth == Call::Truth::kRefused)
        return fmt::format("a broken answer ({}) is told as whole", call.what);
    if (words.size() != call.words) {
        return fmt::format("{} of {} words are told as the whole answer ({})", words.size(),
                           call.words, call.what);
    }
    return {};
}

void Oracle::judge_ledger(const std::string& state) {
    World& world = World::get();
    auto opened = ledger::open_for_reading(state);
    if (!opened || !*opened) return world.violated("the ledger cannot be read");
    auto& db = **opened;
    std::map<std::uint32_t, Row> rows;
    std::map<std::string, std::uint32_t> ids;
    {
        auto all = db.prepare("SELECT hex(id), session, end, cost_pico_usd FROM request");
        if (!all) return world.violated("the ledger cannot be asked: " + all.error().text());
        while (true) {
            const auto more = all->step();
            if (!more) return world.violated("the ledger breaks: " + more.error().text());
            if (!*more) break;
            const std::string tag(all->text(1));
            if (tag.empty() || tag[0] != 'r') continue;
            std::uint32_t number = 0;
            std::from_chars(tag.data() + 1, tag.data() + tag.size(), number);
            Row& row = rows[number];
            ++row.count;
            row.end = static_cast<int>(all->int64(2));
            row.cost = all->optional_int64(3);
            ids[std::string(all->text(0))] = number;
        }
    }
    {
        auto all = db.prepare(
            "SELECT hex(a.request_id), a.number, a.http_status, a.end, a.cost_pico_usd, n.text, "
            "p.text"
            " FROM attempt a JOIN name n ON n.id = a.model JOIN name p ON p.id = a.provider ORDER "
            "BY a.request_id, a.number");
        if (!all) return world.violated("the ledger cannot be asked: " + all.error().text());
        while (true) {
            const auto more = all->step();
            if (!more) return world.violated("the ledger breaks: " + more.error().text());
            if (!*more) break;
            const auto found = ids.find(std::string(all->text(0)));
            if (found == ids.end()) continue;
            Row::Attempt attempt;
            attempt.number = all->int64(1);
            attempt.status = static_cast<int>(all->int64(2));
            attempt.end = static_cast<int>(all->int64(3));
            attempt.cost = all->optional_int64(4);
            attempt.model = std::string(all->text(5));
            attempt.provider = std::string(all->text(6));
            rows[found->second].attempts.push_back(std::move(attempt));
        }
    }
    std::map<std::uint32_t, std::vector<const Call*>> by_request;
    for (const Call& call : calls) by_request[call.request].push_back(&call);
    for (const Asked& one : asked) {
        const auto found = rows.find(one.number);
        const auto called = by_request.find(one.number);
        const bool killed = std::find(kills.begin(), kills.end(), one.life) != kills.end();
        if (found == rows.end()) {
            // A process that was killed may take what had no reservation yet with it, a power cut all that was not synced.
            if (called != by_request.end() && !killed && one.begin > power_cut)
                world.violated(
                    fmt::format("request {} reached a provider and has no row", one.number));
            continue;
        }
        const Row& row = found->second;
        if (row.count != 1)
            world.violated(fmt::format("request {} has {} rows", one.number, row.count));
        std::int64_t sum = 0;
        bool known = true;
        std::int64_t expected = 1;
        for (const Row::Attempt& attempt : row.attempts) {
            if (attempt.number != expected++ && row.end != 5)
                world.violated(fmt::format("request {}: attempts are not counted on", one.number));
            if (attempt.cost && *attempt.cost < 0)
                world.violated(
                    fmt::format("request {}: an attempt has a negative cost", one.number));
            known = known && attempt.cost.has_value();
            sum += attempt.cost.value_or(0);
        }
        if (row.end != 5 && !row.attempts.empty() && known && row.cost && *row.cost != sum)
            world.violated(fmt::format("request {}: cost {} is not the sum {} of its attempts",
                                       one.number, *row.cost, sum));
        if (called == by_request.end() || row.end == 5) continue;
        const auto& mine = called->second;
        const auto heard = static_cast<std::size_t>(std::count_if(
            mine.begin(), mine.end(), [](const Call* call) { return !call->silent; }));
        if (row.attempts.size() < heard && !killed) {
            world.violated(
                fmt::format("request {}: {} calls reached providers, {} attempts have rows",
                            one.number, heard, row.attempts.size()));
        }
        // The attempt that ended well must be one of the calls to its model there: two may be under way at a time.
        const auto well =
            std::find_if(row.attempts.begin(), row.attempts.end(),
                         [](const auto& one) { return one.end == 0 && one.status == 200; });
        if (well == row.attempts.end()) continue;
        const auto explains = [&](const Call* call) {
            if (call->model != well->model || call->provider != well->provider) return false;
            if (call->truth == Call::Truth::kBroken || call->truth == Call::Truth::kRefused)
                return false;
            return call->cost < 0 || call->silent || well->cost == call->cost;
        };
        if (std::none_of(mine.begin(), mine.end(), explains)) {
            const Call& call = *mine.back();
            world.violated(fmt::format(
                "request {}: attempt {} went well for {}, which no call did (the last, {}, {}: {})",
                one.number, well->number, well->cost.value_or(-1), call.number, call.what,
                call.cost));
        }
    }
}

}  // namespace leeway::sim
