#include "app/batch_gatherer.hpp"

#include "app/batch_settlement.hpp"
#include "app/batch_waiters.hpp"
#include "app/budget_policy.hpp"
#include "json/write.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace leeway::app {
namespace {

/// Of an input file: providers take more, but it is held in memory.
constexpr std::size_t kMostBytes = 32ULL * 1024 * 1024;

Error refused(int status) {
    return Error{ErrorCode::kUpstreamInvalid,
                 fmt::format("the batch of this request was refused: the upstream answered with "
                             "status {}",
                             status),
                 "send the request again, or without x-leeway-wait",
                 {},
                 "upstream_invalid_answer"};
}

}  // namespace

BatchGatherer::Parcel::Parcel(BatchGatherer& owner, std::string name)
    : gatherer(owner),
      key(std::move(name)),
      timer(owner.worker_.loop.timers(), &BatchGatherer::fire, this) {}

void BatchGatherer::fire(void* parcel) {
    auto& one = *static_cast<Parcel*>(parcel);
    one.gatherer.close(std::string(one.key));
}

void BatchGatherer::add(StoredBatch batch, std::string text, const pipeline::Route& route) {
    const std::string key = fmt::format("{}\n{}\n{}", batch.provider, batch.endpoint, batch.asked);
    auto& parcel = open_[key];
    if (!parcel) {
        parcel = std::make_unique<Parcel>(*this, key);
        parcel->timer.arm(monotonic_now() + route.gather_window);
    }
    parcel->bytes += text.size();
    parcel->batches.push_back(std::move(batch));
    parcel->lines.push_back(std::move(text));
    if (parcel->batches.size() >= route.gather_requests || parcel->bytes >= kMostBytes) close(key);
}

bool BatchGatherer::take_back(const RequestId& record) {
    for (auto& [key, parcel] : open_) {
        const auto found =
            std::find_if(parcel->batches.begin(), parcel->batches.end(),
                         [&](const StoredBatch& one) { return one.record == record; });
        if (found == parcel->batches.end()) continue;
        parcel->lines.erase(parcel->lines.begin() + (found - parcel->batches.begin()));
        parcel->batches.erase(found);
        return true;
    }
    return false;
}

void BatchGatherer::close(const std::string& key) {
    auto parcel = std::move(open_.extract(key).mapped());
    parcel->timer.cancel();
    if (parcel->batches.empty()) return;
    ++sending_;
    worker_.loop.spawn(send(std::move(parcel)));
}

Task<void> BatchGatherer::send(std::unique_ptr<Parcel> parcel) {
    const std::shared_ptr<const Snapshot> snapshot = worker_.snapshot;
    BatchLink link(worker_, *snapshot, pipeline::no_headers());
    if (!link.go_to(parcel->batches.front().provider)) {
        give_back(link, *parcel,
                  Error{ErrorCode::kUnavailable,
                        "The provider takes no batches any more.",
                        {},
                        {},
                        "provider_not_found"});
    } else {
        auto file = co_await upload(link, *parcel);
        if (!file) {
            give_back(link, *parcel, file.error());  // a file alone costs nothing
        } else {
            co_await make(link, *parcel, std::move(*file));
        }
    }
    --sending_;
}

/// The input file; its id.
Task<Result<std::string>> BatchGatherer::upload(BatchLink& link, const Parcel& parcel) {
    const std::string boundary = "leeway-" + parcel.batches.front().record.text();
    std::string form = fmt::format(
        "--{0}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{0}\r\n"
        "content-disposition: form-data; name=\"file\"; filename=\"{0}.jsonl\"\r\n"
        "content-type: application/jsonl\r\n\r\n",
        boundary);
    for (const std::string& line : parcel.lines) form.append(line).push_back('\n');
    form += fmt::format("\r\n--{}--\r\n", boundary);
    const std::string type = "multipart/form-data; boundary=" + boundary;
    ProviderAsk wanted;
    wanted.method = "POST";
    wanted.path = "/files";
    wanted.content_type = type;
    wanted.body = form;
    auto answer = co_await link.ask(std::move(wanted));
    if (!answer) co_return fail(std::move(answer.error()));
    std::string id = answer->status == 200 ? wire::read_object_id(answer->body) : std::string();
    if (id.empty()) co_return fail(refused(answer->status));
    co_return id;
}

Task<void> BatchGatherer::make(BatchLink& link, Parcel& parcel, std::string file) {
    BatchStore& store = *worker_.snapshot->batches();
    // Before a byte goes upstream, so that nothing is bought that nobody remembers.
    if (auto begun = store.begin_batches(parcel.batches); !begun) {
        give_back(link, parcel, no_batch_store(begun.error()));
        co_return;
    }
    std::string body;
    json::Writer(body)
        .object()
        .key("input_file_id")
        .string(file)
        .key("endpoint")
        .string(parcel.batches.front().endpoint)
        .key("completion_window")
        .string("24h")
        .close_object();
    ProviderAsk wanted;
    wanted.method = "POST";
    wanted.path = link.dialect().path;
    wanted.content_type = "application/json";
    wanted.body = body;
    auto answer = co_await link.ask(std::move(wanted));
    const bool told_by_proxy = answer && (answer->status == 502 || answer->status == 504);
    const bool was_refused = answer ? answer->status >= 400 && !told_by_proxy : !link.sent();
    if (was_refused) {
        (void)store.drop_batches(parcel.batches);
        give_back(link, parcel, answer ? refused(answer->status) : answer.error());
        co_return;
    }
    const auto state = answer ? link.dialect().read_state(answer->body) : std::nullopt;
    if (answer && answer->status == 200 && state) {
        for (StoredBatch& batch : parcel.batches) {
            batch.id = state->id;
            batch.state = state->status;
            batch.expires_unix_s = state->expires_unix_s;
        }
        if (auto kept = store.name_batches(parcel.batches)) {
            store.counters().made.fetch_add(1, std::memory_order_relaxed);
            co_return;
        }
    }
    // It may run, and we will never know.
    const Error lost{ErrorCode::kUpstreamInvalid,
                     "nobody knows whether the upstream has taken the batch of this request",
                     {},
                     {},
                     "outcome_unknown"};
    std::vector<ledger::RequestRecord> rows;
    rows.reserve(parcel.batches.size());
    for (const StoredBatch& batch : parcel.batches) rows.push_back(lost_row_of(batch));
    tell_all(link, parcel, std::move(rows), lost);
}

/// Nothing was bought: each gets a row that says so, and its reservation is free again.
void BatchGatherer::give_back(BatchLink& link, const Parcel& parcel, const Error& why) {
    std::vector<ledger::RequestRecord> rows;
    rows.reserve(parcel.batches.size());
    for (const StoredBatch& batch : parcel.batches) rows.push_back(free_row_of(batch, why.reason));
    tell_all(link, parcel, std::move(rows), why);
}

void BatchGatherer::tell_all(BatchLink& link, const Parcel& parcel,
                             std::vector<ledger::RequestRecord> rows, const Error& why) {
    if (auto posted = link.post(parcel.batches, std::move(rows)); !posted)
        spdlog::error("id={} {}", parcel.batches.front().record.text(), posted.error().text());
    for (const StoredBatch& batch : parcel.batches)
        worker_.snapshot->batch_waiters()->tell(batch.record, fail(why));
}

}  // namespace leeway::app
