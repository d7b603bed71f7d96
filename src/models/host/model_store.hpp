#pragma once

#include "base/result.hpp"
#include "models/host/engine.hpp"
#include "models/host/gguf_check.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace leeway::models {

/// A model that the configuration names.
struct ModelEntry {
    std::string name;           ///< what requests call it
    std::string file;           ///< file name inside one of the folders
    std::string sha256;         ///< expected, in hexadecimal; empty = not checked
    std::string chat_template;  ///< in place of the file's; usually empty
};

/// What a store serves, and with how much.
struct ModelStoreOptions {
    std::vector<std::filesystem::path> folders;  ///< model files lie directly in one of these
    std::vector<ModelEntry> models;
    bool only_listed =
        false;  ///< else a `.gguf` file in a folder can be asked for by its file name
    std::uint64_t memory_bytes = 0;  ///< cap over all loaded models; 0 = none
    EngineOptions engine;  ///< threads, sequences, context and queue bounds for every model
};

/// A model as far as its file tells; nothing of it is loaded for this.
struct ModelFacts {
    std::string name;
    std::string file;
    std::filesystem::path path;  ///< empty when not found
    bool listed = false;  ///< named by the configuration
    bool loaded = false;
    std::uint64_t needs_bytes = 0;  ///< estimate of what it takes when loaded
    Result<GgufInfo> info = fail(ErrorCode::kNotFound, "not looked at");
};

/// Bytes that a model takes when loaded: weights, key-value cache, buffers.
[[nodiscard]] std::uint64_t estimate_bytes(const GgufInfo& info,
                                           const EngineOptions& options) noexcept;

/// Finds, checks and lazily loads model files. A file name never leads out of the folders, neither by
/// its text nor through a symbolic link. Thread-safe.
class ModelStore {
public:
    explicit ModelStore(ModelStoreOptions options);
    /// Waits for a load that is under way. Engines live on where someone still holds them.
    ~ModelStore();
    ModelStore(const ModelStore&) = delete;
    ModelStore& operator=(const ModelStore&) = delete;

    /// The real path of a file name. Errors: kNotFound, kForbidden (leads out of the folders).
    [[nodiscard]] Result<std::filesystem::path> resolve(std::string_view file) const;

    /// The listed models, then the other `.gguf` files of the folders, each by name.
    [[nodiscard]] std::vector<ModelFacts> list() const;
    /// One of them. Errors: kNotFound with the names there are as hint. What is wrong with the file is
    /// in `info`.
    [[nodiscard]] Result<ModelFacts> inspect(std::string_view name) const;
    /// Hashes the file, unless that was done since it last changed. Returns the SHA-256 in hexadecimal.
    /// Errors: the file is missing, unreadable or not the expected one.
    [[nodiscard]] Result<std::string> verify(std::string_view name);

    /// The loaded engine; loads it first when needed and waits for that. Errors: as above, the memory
    /// cap, and those of `Engine::load`. A failed load is tried again by the next call.
    [[nodiscard]] Result<std::shared_ptr<Engine>> engine(std::string_view name);
    using Loaded = std::function<void(Result<std::shared_ptr<Engine>>)>;
    /// Likewise without waiting. `done` is called once: here and now when the model is loaded, else on
    /// the store's loader thread (named "model-load").
    void engine_async(std::string name, Loaded done);
    /// The engine if it is loaded, else null.
    [[nodiscard]] std::shared_ptr<Engine> loaded(std::string_view name) const;
    /// Lets go of a model; false when it was not loaded. Its memory is free once no request uses it.
    bool unload(std::string_view name);

private:
    struct Slot {
        std::shared_ptr<Engine> engine;
        bool loading = false;
        std::uint64_t needs_bytes = 0;
    };
    struct Fingerprint {
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
        std::uint64_t size = 0;
        std::int64_t changed_ns = 0;
        friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
    };
    struct Hash {
        Fingerprint of;
        std::string hex;
    };

    [[nodiscard]] Result<ModelEntry> find(std::string_view name) const;
    [[nodiscard]] ModelFacts facts_of(const ModelEntry& entry, bool listed) const;
    [[nodiscard]] Result<std::shared_ptr<Engine>> load(const ModelEntry& entry);
    [[nodiscard]] Result<std::string> hash_of(const std::filesystem::path& path);
    [[nodiscard]] Result<std::uint64_t> reserve(const ModelEntry& entry, const GgufInfo& info);
    void load_queued();

    const ModelStoreOptions options_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, Slot, std::less<>> slots_;  // guarded by mutex_
    std::map<std::filesystem::path, Hash> hashes_;  // guarded by mutex_
    std::deque<std::pair<std::string, Loaded>> wanted_;  // guarded by mutex_
    bool stopping_ = false;  // guarded by mutex_
    std::thread loader_;  // started with the first asynchronous load
};

}  // namespace leeway::models
