#pragma once

#include "app/batch_store.hpp"
#include "app/gateway.hpp"
#include "net/deadline.hpp"
#include "providers/provider.hpp"
#include "wire/canonical/batch.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::app {

/// What is asked of a provider of batches.
struct ProviderAsk {
    std::string_view method = "GET";
    std::string path;  ///< behind the provider's base, with its query
    std::string_view content_type;
    std::string_view body;
};

/// Its answer, read to its end.
struct ProviderReply {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> fields;  ///< those that pass to callers
    std::string body;
};

/// One talk with a provider of batches, be it a caller's request or a look of our own; and what is done where it tells
/// that a batch is over. Worker-local; needs a snapshot with a store of batches, and the ledger.
class BatchLink {
public:
    /// `headers`: what of them is meant for the vendor goes on to the provider. All outlive this.
    BatchLink(WorkerState& worker, const Snapshot& snapshot, const pipeline::HeaderSource& headers)
        : worker_(worker), snapshot_(snapshot), headers_(headers) {}
    BatchLink(const BatchLink&) = delete;
    BatchLink& operator=(const BatchLink&) = delete;

    /// Before all else. `provider` is one of the snapshot's.
    void go_to(const providers::Provider& provider) { provider_ = &provider; }
    /// False: it takes no batches any more.
    [[nodiscard]] bool go_to(std::string_view provider);
    [[nodiscard]] const providers::Provider& provider() const noexcept { return *provider_; }
    [[nodiscard]] const wire::BatchDialect& dialect() const noexcept {
        return wire::batch_dialect_of(provider_->dialect);
    }
    /// Of the whole talk; begins with the first call of this or of `ask`.
    net::Deadline& deadline();

    Task<Result<ProviderReply>> ask(ProviderAsk wanted);
    /// Whether the provider may have seen what was asked last.
    [[nodiscard]] bool sent() const noexcept { return sent_; }
    /// The batch is as `state` says. Nobody may be told of its end before this has returned: then its cost lies in the
    /// journal, and the files that it wrote are its owner's.
    Task<Result<void>> see(StoredBatch batch, wire::BatchState state);
    /// The same of the batch that all of `lines` were gathered into: each gets a row of its own, and its caller the answer.
    Task<Result<void>> see_lines(std::vector<StoredBatch> lines, wire::BatchState state);
    /// `post_batches`.
    Result<void> post(std::span<const StoredBatch> batches,
                      std::vector<ledger::RequestRecord> rows);

    /// A request whose answer is read piece by piece. It must not move.
    class Sending {
    public:
        Sending(const BatchLink& link, ProviderAsk wanted);
        Sending(const Sending&) = delete;
        Sending& operator=(const Sending&) = delete;
        [[nodiscard]] const net::UpstreamRequest& request() const noexcept { return request_; }

    private:
        ProviderAsk wanted_;
        std::string target_;
        std::vector<net::Field> fields_;
        net::UpstreamRequest request_;
    };

    [[nodiscard]] WorkerState& worker() const noexcept { return worker_; }

private:
    struct Lines;
    Task<Result<void>> read_lines(const std::string& path, Lines& lines);
    Result<void> note(std::span<const StoredBatch> batches, const wire::BatchState& state);
    Task<Result<void>> settle(const StoredBatch& batch, const wire::BatchState& state);

    WorkerState& worker_;
    const Snapshot& snapshot_;
    const pipeline::HeaderSource& headers_;
    const providers::Provider* provider_ = nullptr;
    std::optional<net::Deadline> deadline_;
    bool sent_ = false;
};

/// The store of batches fails.
[[nodiscard]] Error no_batch_store(const Error& why);

}  // namespace leeway::app
