#pragma once

// Test support only: where the model files are, and a sink that a test can wait for.

#include "models/host/engine.hpp"

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::models::testing {

inline constexpr const char* kChatModel = "smollm2-135m-instruct-q4_1.gguf";
inline constexpr const char* kEmbeddingModel = "all-minilm-l6-v2-q8_0.gguf";

/// The folder of the default models: $LEEWAY_MODELS, else where ./run puts them.
inline std::filesystem::path model_folder() {
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::filesystem::path(value == nullptr ? "" : value);
    };
    if (const auto folder = variable("LEEWAY_MODELS"); !folder.empty()) return folder;
    if (const auto cache = variable("LEEWAY_CACHE"); !cache.empty()) return cache / "models";
    if (const auto cache = variable("XDG_CACHE_HOME"); !cache.empty())
        return cache / "leeway/models";
    return variable("HOME") / ".cache/leeway/models";
}

/// A model file, or nullopt: then the test skips with `skip_text`.
inline std::optional<std::filesystem::path> model_file(const char* name) {
    const std::filesystem::path file = model_folder() / name;
    return std::filesystem::exists(file) ? std::optional(file) : std::nullopt;
}
inline std::string skip_text(const char* name) {
    return (model_folder() / name).string() + " is missing: ./run fetches it, or set LEEWAY_MODELS";
}

/// Gathers an answer. `on_text` may act on each piece (on the engine's thread).
class CollectingSink final : public ChatSink {
public:
    void on_delta(const ChatDelta& delta) noexcept override {
        {
            const std::lock_guard lock(mutex_);
            text_ += delta.text;
            tokens_.insert(tokens_.end(), delta.tokens.begin(), delta.tokens.end());
            ++deltas_;
        }
        changed_.notify_all();
        if (on_text) on_text();
    }
    void on_done(const ChatEnd& end) noexcept override {
        {
            const std::lock_guard lock(mutex_);
            end_ = end;
            ++ends_;
        }
        changed_.notify_all();
    }

    /// Waits for the end; the deadline is far above what any machine needs.
    [[nodiscard]] ChatEnd wait() {
        std::unique_lock lock(mutex_);
        const bool ended =
            changed_.wait_for(lock, std::chrono::minutes(2), [&] { return ends_ > 0; });
        if (ended) return end_;
        return {FinishReason::kError,
                {},
                Error{ErrorCode::kInternal, "the test waited in vain", {}, {}, {}}};
    }
    /// Waits for the first piece.
    void wait_for_text() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::minutes(2), [&] { return deltas_ > 0 || ends_ > 0; });
    }

    [[nodiscard]] std::string text() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }
    [[nodiscard]] std::vector<TokenInfo> tokens() const {
        const std::lock_guard lock(mutex_);
        return tokens_;
    }
    [[nodiscard]] int deltas() const {
        const std::lock_guard lock(mutex_);
        return deltas_;
    }
    [[nodiscard]] int ends() const {
        const std::lock_guard lock(mutex_);
        return ends_;
    }

    std::function<void()> on_text;

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::string text_;
    std::vector<TokenInfo> tokens_;
    ChatEnd end_;
    int deltas_ = 0;
    int ends_ = 0;
};

}  // namespace leeway::models::testing
