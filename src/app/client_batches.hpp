#pragma once

#include "app/batch_store.hpp"
#include "app/client_request.hpp"
#include "app/places.hpp"
#include "net/deadline.hpp"
#include "providers/provider.hpp"
#include "wire/openai/batch.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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
    /// An answer of the provider, read to its end.
    struct Answer {
        int status = 0;
        std::vector<std::pair<std::string, std::string>> fields;
        std::string body;
    };
    /// What is asked of it.
    struct Ask {
        std::string_view method = "GET";
        std::string path;  ///< behind the provider's base, with its query
        std::string_view content_type;
        std::string_view body;
        // For request_of, which fills them:
        std::string target;
        std::vector<net::Field> fields;
    };

    Task<void> upload();
    Task<void> create();
    Task<void> list();
    Task<void> one_file();
    Task<void> file_content();
    Task<void> one_batch();

    Result<BatchBound> read_upload(std::string_view body, std::string_view content_type) const;
    [[nodiscard]] const pipeline::Model* batch_model(const BatchBound& bound,
                                                     std::string_view provider, Error& why) const;
    Result<StoredBatch> plan(const StoredFile& file, std::string_view endpoint);
    std::optional<Error> reserve(StoredBatch& batch, const BatchBound& bound,
                                 const pipeline::Model& model);
    void release(const StoredBatch& batch);
    Task<void> take_created(StoredBatch batch, Answer answer);
    Task<Result<void>> collect(const std::string& target, std::size_t limit, bool& has_more);
    Task<Result<void>> see(StoredBatch batch, wire::openai::BatchState state);
    Task<Result<void>> settle(const StoredBatch& batch, const wire::openai::BatchState& state);

    Result<const providers::Provider*> choose_provider() const;
    Result<void> go_to(const std::string& provider);
    Result<StoredFile> own_file(std::string_view id, std::string param);
    Result<StoredBatch> own_batch();
    net::UpstreamRequest request_of(Ask& wanted) const;
    Task<Result<Answer>> ask(Ask wanted);
    Result<void> post(const StoredBatch& batch, ledger::RequestRecord row);
    void start_deadline();
    Task<void> pass_on(const Answer& answer);
    Task<void> refuse(Error error, std::int64_t retry_after_s = 0);
    std::vector<net::Field> own_fields();
    static Error no_store(const Error& why);
    static bool is_plain(std::string_view text) noexcept;
    [[nodiscard]] std::string plain_query(std::string_view name) const;
    [[nodiscard]] const std::string& owner() const { return caller_.context().key_name; }

    WorkerState& worker_;
    net::Exchange& exchange_;
    const Place& place_;
    const std::string id_;
    ClientRequest caller_;
    const std::shared_ptr<const Snapshot> snapshot_;  // pinned
    const providers::Provider* provider_ = nullptr;
    std::optional<net::Deadline> deadline_;
    bool sent_ = false;  // the last request may have been seen by the provider
    std::string request_id_;
    // Of a list:
    std::vector<std::string> items_;
    std::vector<std::string> ids_;
};

}  // namespace leeway::app
