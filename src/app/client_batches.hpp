#pragma once

#include "app/batch_link.hpp"
#include "app/batch_store.hpp"
#include "app/client_request.hpp"
#include "app/places.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

/// One request for files or batches (docs/formats/batches.md): passed through to the provider, but for what is not the
/// caller's. Worker-local; lives in the frame of `Gateway::handle`.
class BatchRequest {
public:
    /// `id`: from the address; empty where the place has none.
    BatchRequest(WorkerState& worker, net::Exchange& exchange, const Place& place,
                 std::string_view id);
    ~BatchRequest();
    BatchRequest(const BatchRequest&) = delete;
    BatchRequest& operator=(const BatchRequest&) = delete;

    /// Authenticates, passes on, settles what is over, delivers.
    Task<void> run();

private:
    // client_batches.cpp: files, and what all of them need
    Task<void> upload();
    Task<void> one_file();
    Task<void> file_content();
    Task<void> stream_from(std::string path);

    // client_batch_jobs.cpp: batches
    Task<void> create();
    Task<void> create_from(BatchBound bound, std::string_view body);
    Result<BatchBound> bound_of_file(std::string_view body);
    Task<void> one_batch();
    Task<void> results();
    Task<bool> settle_first(StoredBatch batch);
    Task<void> take_created(StoredBatch batch, ProviderReply answer);
    Result<StoredBatch> plan(const BatchBound& bound);
    void release(const StoredBatch& batch);
    Result<StoredBatch> own_batch();

    // client_batch_lists.cpp: lists of both
    Task<void> list();
    Task<Result<void>> collect(std::string target, bool& has_more);
    Task<Result<bool>> take_item(std::string_view item);

    [[nodiscard]] const pipeline::Model* batch_model(const BatchBound& bound,
                                                     std::string_view provider, Error& why) const;
    Task<Result<BatchBound>> read_requests(std::function<Result<BatchBound>()> job);
    Result<const providers::Provider*> choose_provider() const;
    Result<void> go_to(const std::string& provider);
    Result<StoredFile> own_file(std::string_view id, std::string param);
    Task<Result<ProviderReply>> ask(ProviderAsk wanted);
    void watch();
    Task<void> pass_on(const ProviderReply& answer);
    Task<void> refuse(Error error, std::int64_t retry_after_s = 0);
    std::vector<net::Field> own_fields();
    [[nodiscard]] bool speaks(const providers::Provider& provider) const noexcept;
    static Error not_found(std::string message, std::string param);
    static bool is_plain(std::string_view text) noexcept;
    [[nodiscard]] std::string plain_query(std::string_view name) const;
    [[nodiscard]] const std::string& owner() const { return caller_.context().key_name; }
    [[nodiscard]] BatchStore& store() const { return *snapshot_->batches(); }

    WorkerState& worker_;
    net::Exchange& exchange_;
    const Place& place_;
    const std::string id_;
    ClientRequest caller_;
    const std::shared_ptr<const Snapshot> snapshot_;  // pinned
    BatchLink link_;
    bool watching_ = false;
    std::string request_id_;
    // Of a list:
    std::size_t limit_ = 0;
    std::vector<std::string> items_;
    std::vector<std::string> ids_;
    std::string last_id_;  // of the provider's item that was looked at last
};

}  // namespace leeway::app
