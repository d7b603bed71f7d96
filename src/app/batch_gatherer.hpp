#pragma once

#include "app/batch_link.hpp"
#include "net/timer.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace leeway::app {

/// Gathers single requests whose callers can wait into batches of a provider (docs/formats/batches.md). Worker-local.
class BatchGatherer {
public:
    /// `worker` outlives it.
    explicit BatchGatherer(WorkerState& worker) : worker_(worker) {}
    BatchGatherer(const BatchGatherer&) = delete;
    BatchGatherer& operator=(const BatchGatherer&) = delete;

    /// One more for the next batch of its provider, endpoint and model, which is sent when it has as many as the route
    /// says or when the first has waited for the route's window. `batch.line` names it, `text` is its line of the file. It is
    /// reserved in the budgets; what comes of it is told to the waiters once its row is written.
    void add(StoredBatch batch, std::string text, const pipeline::Route& route);
    /// Takes one back that was not sent yet; its reservation is the caller's again. False: it is sent.
    [[nodiscard]] bool take_back(const RequestId& record);
    /// Batches that are being sent. Thread-safe.
    [[nodiscard]] int sending() const noexcept { return sending_.load(); }

private:
    struct Parcel {
        Parcel(BatchGatherer& owner, std::string name);
        BatchGatherer& gatherer;
        const std::string key;
        net::Timer timer;
        std::vector<StoredBatch> batches;
        std::vector<std::string> lines;  // of the same
        std::size_t bytes = 0;  // of the lines, of those that were taken back too
    };
    static void fire(void* parcel);
    void close(const std::string& key);
    Task<void> send(std::unique_ptr<Parcel> parcel);
    Task<Result<std::string>> upload(BatchLink& link, const Parcel& parcel);
    Task<void> make(BatchLink& link, Parcel& parcel, std::string file);
    void give_back(BatchLink& link, const Parcel& parcel, const Error& why);
    void tell_all(BatchLink& link, const Parcel& parcel, std::vector<ledger::RequestRecord> rows,
                  const Error& why);

    WorkerState& worker_;
    std::map<std::string, std::unique_ptr<Parcel>, std::less<>> open_;
    std::atomic<int> sending_{0};
};

}  // namespace leeway::app
