#include "pipeline/context.hpp"

namespace leeway::pipeline {

const HeaderSource& no_headers() noexcept {
    class NoHeaders final : public HeaderSource {
    public:
        std::optional<std::string_view> header(std::string_view /*name*/) const override {
            return std::nullopt;
        }
        std::optional<std::string_view> query(std::string_view /*name*/) const override {
            return std::nullopt;
        }
    };
    static const NoHeaders none;
    return none;
}

void RequestContext::edit(std::string_view stage, json::Edit change) {
    edits_.push_back({stage, std::move(change)});
}

void RequestContext::note(std::string_view stage, std::string_view reason) {
    if (!notes.empty()) notes.push_back(' ');
    notes.append(stage).append("=").append(reason);
}

void RequestContext::keep(const void* owner, std::unique_ptr<StageState> state) {
    states_.emplace_back(owner, std::move(state));
}

StageState* RequestContext::kept(const void* owner) const noexcept {
    for (const auto& [stage, state] : states_) {
        if (stage == owner) return state.get();
    }
    return nullptr;
}

}  // namespace leeway::pipeline
