#include "app/batch_link.hpp"
#include "app/batch_settlement.hpp"
#include "app/batch_tally.hpp"
#include "app/batch_waiters.hpp"
#include "app/line_feed.hpp"
#include "wire/openai/batch.hpp"

#include <fmt/format.h>

#include <map>

namespace leeway::app {

/// The requests of one batch and what has been read of their answers.
struct BatchLink::Lines {
    std::span<const StoredBatch> batches;
    std::vector<ledger::RequestRecord> rows;  // of the same
    std::vector<LineReply> replies;  // of the same; status 0: nothing was found yet
    std::map<std::string_view, std::size_t> by_name;
    std::vector<const prices::ModelPrices*> prices;
    const wire::BatchDialect* dialect = nullptr;
    wire::usage::Flavour flavour = wire::usage::Flavour::kOpenAiChat;
    bool lost = false;  // a file is gone

    void take(std::string_view text) {
        const auto line = wire::openai::read_batch_line(text);
        const auto found = line ? by_name.find(line->custom_id) : by_name.end();
        if (found == by_name.end() || replies[found->second].status != 0) return;
        const std::size_t i = found->second;
        BatchTally tally(*prices[i], *dialect, flavour, batches[i].ts_us / 1'000'000);
        tally.feed(text);
        tally.finish();
        tally.fill(rows[i]);
        rows[i].http_status = rows[i].attempts.front().http_status = line->status;
        replies[i].status = line->status == 0 ? 502 : line->status;
        replies[i].body = line->body;
    }
    /// Those that no file tells of were not done; where a file is gone nobody knows.
    void finish(const wire::BatchState& state) {
        for (std::size_t i = 0; i < batches.size(); ++i) {
            ledger::RequestRecord& row = rows[i];
            if (replies[i].status == 0) {
                BatchTally tally(*prices[i], *dialect, flavour, batches[i].ts_us / 1'000'000);
                if (lost) tally.give_up();
                tally.fill(row);
                row.http_status = row.attempts.front().http_status = 0;
                row.error = "batch_" + state.end;
            }
            if (row.http_status != 200)
                row.end = row.attempts.front().end = ledger::EndState::kError;
            replies[i].usage = row.usage;
            replies[i].usage_state = row.usage_state;
            replies[i].cost = row.cost;
            replies[i].baseline = row.baseline;
        }
    }
};

Task<Result<void>> BatchLink::see_lines(std::vector<StoredBatch> lines, wire::BatchState state) {
    auto noted = note(lines, state);
    if (!noted || !state.ended()) co_return noted;
    // Of a model that the configuration does not have any more.
    static const prices::ModelPrices kNone;
    Lines work;
    work.batches = lines;
    work.dialect = &dialect();
    work.flavour = provider_->flavour;
    work.replies.resize(lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
        work.rows.push_back(row_of(lines[i]));
        work.by_name.emplace(lines[i].line, i);
        const pipeline::Model* model = snapshot_.model_at(lines[i].provider, lines[i].asked);
        work.prices.push_back(model == nullptr ? &kNone : model->price.get());
    }
    for (const std::string& file : state.files) {
        auto read = co_await read_lines("/files/" + file + "/content", work);
        if (!read) co_return read;
    }
    work.finish(state);
    auto posted = post(lines, std::move(work.rows));
    if (!posted) co_return posted;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (work.replies[i].status != 0) {
            snapshot_.batch_waiters()->tell(lines[i].record, std::move(work.replies[i]));
        } else {
            snapshot_.batch_waiters()->tell(
                lines[i].record,
                fail(Error{ErrorCode::kUpstreamInvalid,
                           "the batch of this request ended without its answer: " + state.end,
                           "send the request again",
                           {},
                           "batch_" + state.end}));
        }
    }
    co_return Result<void>();
}

/// One of the files that the batch wrote.
Task<Result<void>> BatchLink::read_lines(const std::string& path, Lines& lines) {
    ProviderAsk wanted;
    wanted.path = path;
    const Sending sending(*this, std::move(wanted));
    net::UpstreamCall call(worker_.pool, provider_->origin, deadline());
    auto started = co_await call.start(sending.request());
    if (!started) co_return fail(std::move(started.error()));
    const int status = call.head().status;
    if (status == 404 || status == 410) {
        lines.lost = true;
        co_return Result<void>();
    }
    if (status != 200) {
        co_return fail(
            ErrorCode::kUpstreamInvalid,
            fmt::format("the batch's output cannot be read: the upstream answered with status {}",
                        status));
    }
    LineFeed feed;
    const auto take = [&lines](std::string_view line) {
        lines.take(line);
    };
    for (;;) {
        const auto pieces = co_await call.read_some();
        if (!pieces) co_return fail(pieces.error());
        if (pieces->empty()) break;
        for (const std::string_view piece : *pieces) feed.feed(piece, take);
    }
    feed.finish(take);
    co_return Result<void>();
}

}  // namespace leeway::app
