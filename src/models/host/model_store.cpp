#include "models/host/model_store.hpp"

#include "base/clock.hpp"
#include "base/file_hash.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

namespace leeway::models {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".gguf";
// Graph buffers, tokeniser tables and the like of a small model.
constexpr std::uint64_t kOverheadBytes = 48ULL << 20U;

bool is_plain_name(std::string_view file) noexcept {
    return file.size() > kSuffix.size() && file.size() <= 255 && file.ends_with(kSuffix) &&
           file.front() != '.' &&
           file.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

Error file_error(ErrorCode code, std::string message, std::string hint) {
    return {code, std::move(message), std::move(hint), "model", {}};
}

}  // namespace

std::uint64_t estimate_bytes(const GgufInfo& info, const EngineOptions& options) noexcept {
    std::uint64_t context =
        options.context_tokens == 0 ? info.context_length : options.context_tokens;
    if (info.context_length != 0) context = std::min<std::uint64_t>(context, info.context_length);
    return info.file_bytes + context * info.kv_bytes_per_token() + kOverheadBytes;
}

ModelStore::ModelStore(ModelStoreOptions options) : options_(std::move(options)) {}

ModelStore::~ModelStore() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (loader_.joinable()) loader_.join();
    for (auto& [name, done] : wanted_)
        done(fail(ErrorCode::kUnavailable, "the model host is stopping"));
}

Result<fs::path> ModelStore::resolve(std::string_view file) const {
    if (!is_plain_name(file)) {
        return fail(file_error(ErrorCode::kForbidden,
                               fmt::format("'{}' is not the name of a model file", file),
                               "give the plain name of a .gguf file in the models folder"));
    }
    std::string folders;
    for (const fs::path& folder : options_.folders) {
        folders += (folders.empty() ? "" : ", ") + folder.string();
        std::error_code error;
        const fs::path home = fs::canonical(folder, error);
        if (error) continue;
        fs::path real = fs::canonical(home / file, error);
        if (error) continue;
        if (real.parent_path() != home) {
            return fail(file_error(
                ErrorCode::kForbidden,
                fmt::format("model file {} is a link that leads out of {}", file, folder.string()),
                "copy the file into the folder"));
        }
        return real;
    }
    return fail(file_error(
        ErrorCode::kNotFound,
        fmt::format("model file {} is not in {}", file, folders.empty() ? "any folder" : folders),
        "./run fetches the default models; leeway models lists what is there"));
}

Result<ModelEntry> ModelStore::find(std::string_view name) const {
    std::vector<std::string> names;
    for (const ModelEntry& entry : options_.models) {
        if (entry.name == name) return entry;
        names.push_back(entry.name);
    }
    if (!options_.only_listed && is_plain_name(name) && resolve(name)) {
        return ModelEntry{std::string(name), std::string(name), {}, {}};
    }
    const auto near = nearest(name, names);
    return fail(file_error(ErrorCode::kNotFound, fmt::format("there is no local model '{}'", name),
                           near ? fmt::format("did you mean {}?", *near)
                                : fmt::format("there are: {}", fmt::join(names, ", "))));
}

ModelFacts ModelStore::facts_of(const ModelEntry& entry, bool listed) const {
    ModelFacts facts;
    facts.name = entry.name;
    facts.file = entry.file;
    facts.listed = listed;
    facts.loaded = loaded(entry.name) != nullptr;
    auto path = resolve(entry.file);
    if (!path) {
        facts.info = fail(std::move(path.error()));
        return facts;
    }
    facts.path = std::move(*path);
    facts.info = check_gguf(facts.path);
    if (facts.info) facts.needs_bytes = estimate_bytes(*facts.info, options_.engine);
    return facts;
}

std::vector<ModelFacts> ModelStore::list() const {
    std::vector<ModelFacts> all;
    std::set<std::string> seen;
    for (const ModelEntry& entry : options_.models) {
        all.push_back(facts_of(entry, true));
        seen.insert(entry.file);
    }
    std::set<std::string> others;
    for (const fs::path& folder : options_.folders) {
        std::error_code error;
        for (fs::directory_iterator at(folder, error), end; !error && at != end;
             at.increment(error)) {
            std::string file = at->path().filename().string();
            if (is_plain_name(file) && !seen.contains(file)) others.insert(std::move(file));
        }
    }
    for (const std::string& file : others) all.push_back(facts_of({file, file, {}, {}}, false));
    return all;
}

Result<ModelFacts> ModelStore::inspect(std::string_view name) const {
    auto entry = find(name);
    if (!entry) return fail(std::move(entry.error()));
    const bool listed = std::any_of(options_.models.begin(), options_.models.end(),
                                    [&](const ModelEntry& model) { return model.name == name; });
    return facts_of(*entry, listed);
}

Result<std::string> ModelStore::hash_of(const fs::path& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return sha256_of_file(path);  // says why
    const Fingerprint now{status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
                          status.st_mtim.tv_sec * 1'000'000'000LL + status.st_mtim.tv_nsec};
    {
        const std::lock_guard lock(mutex_);
        const auto known = hashes_.find(path);
        if (known != hashes_.end() && known->second.of == now) return known->second.hex;
    }
    auto hex = sha256_of_file(path);
    if (hex) {
        const std::lock_guard lock(mutex_);
        hashes_[path] = {now, *hex};
    }
    return hex;
}

Result<std::string> ModelStore::verify(std::string_view name) {
    auto entry = find(name);
    if (!entry) return fail(std::move(entry.error()));
    auto path = resolve(entry->file);
    if (!path) return fail(std::move(path.error()));
    auto hex = hash_of(*path);
    if (hex && !entry->sha256.empty() && !equals_ignore_case(*hex, entry->sha256)) {
        return fail(
            file_error(ErrorCode::kConfig,
                       fmt::format("model file {} has SHA-256 {}, the configuration wants {}",
                                   path->string(), *hex, entry->sha256),
                       "fetch the file again, or correct sha256 in the configuration"));
    }
    return hex;
}

std::shared_ptr<Engine> ModelStore::loaded(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    const auto slot = slots_.find(name);
    return slot == slots_.end() ? nullptr : slot->second.engine;
}

bool ModelStore::unload(std::string_view name) {
    std::shared_ptr<Engine> last;  // its destructor joins a thread: not under the lock
    const std::lock_guard lock(mutex_);
    const auto slot = slots_.find(name);
    if (slot == slots_.end() || !slot->second.engine) return false;
    last = std::move(slot->second.engine);
    slots_.erase(slot);
    return true;
}

Result<std::shared_ptr<Engine>> ModelStore::engine(std::string_view name) {
    auto entry = find(name);
    if (!entry) return fail(std::move(entry.error()));
    {
        std::unique_lock lock(mutex_);
        for (;;) {
            Slot& slot = slots_[entry->name];
            if (slot.engine) return slot.engine;
            if (!slot.loading) break;
            changed_.wait(lock);
        }
        slots_[entry->name].loading = true;
    }
    auto made = load(*entry);
    {
        const std::lock_guard lock(mutex_);
        if (made) {
            Slot& slot = slots_[entry->name];
            slot.engine = *made;
            slot.loading = false;
        } else {
            slots_.erase(entry->name);
        }
    }
    changed_.notify_all();
    return made;
}

Result<std::uint64_t> ModelStore::reserve(const ModelEntry& entry, const GgufInfo& info) {
    const std::uint64_t needs = estimate_bytes(info, options_.engine);
    const std::lock_guard lock(mutex_);
    std::uint64_t used = 0;
    for (const auto& [name, slot] : slots_) used += slot.needs_bytes;
    if (options_.memory_bytes != 0 && used + needs > options_.memory_bytes) {
        return fail(file_error(
            ErrorCode::kUnavailable,
            fmt::format("model {} needs about {}; {} of {} are taken", entry.name,
                        human_bytes(needs), human_bytes(used), human_bytes(options_.memory_bytes)),
            "raise local.memory, lower local.context, or unload another model"));
    }
    slots_[entry.name].needs_bytes = needs;
    return needs;
}

Result<std::shared_ptr<Engine>> ModelStore::load(const ModelEntry& entry) {
    const TimePoint start = monotonic_now();
    auto path = resolve(entry.file);
    if (!path) return fail(std::move(path.error()));
    auto info = check_gguf(*path);
    if (!info) return fail(std::move(info.error()));
    if (!entry.sha256.empty()) {
        if (auto hash = verify(entry.name); !hash) return fail(std::move(hash.error()));
    }
    auto needs = reserve(entry, *info);
    if (!needs) return fail(std::move(needs.error()));
    spdlog::info("model {}: loading {} ({}, {}, {})", entry.name, path->string(),
                 info->architecture, info->quantization, human_bytes(info->file_bytes));
    EngineOptions options = options_.engine;
    if (info->is_embedding_model()) {
        // Whoever keeps vectors must know which weights made them.
        auto hash = hash_of(*path);
        if (!hash) return fail(std::move(hash.error()));
        options.file_sha256 = std::move(*hash);
    }
    options.file = *path;
    options.name = entry.name;
    options.chat_template = entry.chat_template;
    int tenths = 0;
    options.progress = [&tenths, &entry](float part) {
        const int now = std::min(10, static_cast<int>(part * 10));
        if (now > tenths) spdlog::info("model {}: {} % loaded", entry.name, now * 10);
        tenths = std::max(tenths, now);
        return true;
    };
    auto made = Engine::load(std::move(options));
    if (!made) {
        spdlog::error("model {}: {}", entry.name, made.error().text());
        return fail(std::move(made.error()));
    }
    spdlog::info("model {}: ready after {} ms", entry.name, to_us(monotonic_now() - start) / 1000);
    return std::shared_ptr<Engine>(std::move(*made));
}

void ModelStore::engine_async(std::string name, Loaded done) {
    if (auto there = loaded(name)) return done(std::move(there));
    {
        const std::lock_guard lock(mutex_);
        wanted_.emplace_back(std::move(name), std::move(done));
        if (!loader_.joinable()) loader_ = std::thread([this] { load_queued(); });
    }
    changed_.notify_all();
}

void ModelStore::load_queued() {
    ::pthread_setname_np(::pthread_self(), "model-load");
    for (;;) {
        std::pair<std::string, Loaded> next;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return stopping_ || !wanted_.empty(); });
            if (stopping_) return;
            next = std::move(wanted_.front());
            wanted_.pop_front();
        }
        next.second(engine(next.first));
    }
}

}  // namespace leeway::models
