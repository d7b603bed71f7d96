#include "app/client_request.hpp"
#include "app/response_store.hpp"
#include "json/node.hpp"
#include "wire/openai/request_edit.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace leeway::app {
namespace {

// Of the items that a request continues: what is larger than the bodies that are taken by default.
constexpr std::size_t kLongestConversation = 32ULL * 1024 * 1024;

/// As OpenAI says it.
Error no_previous(std::string_view id) {
    return Error{ErrorCode::kInvalidRequest,
                 fmt::format("Previous response with id '{}' not found.", id),
                 {},
                 "previous_response_id",
                 "previous_response_not_found"};
}

}  // namespace

/// The body with what it names of ours written out in its input, so that all that comes after sees the whole
/// conversation; as it came, where it names nothing of ours.
Result<std::string_view> ClientRequest::recall(std::string_view body) {
    response_id_ = "resp_" + header_texts_[0];
    told_ = body;
    ResponseStore* store = snapshot_->responses();
    if (store == nullptr) return body;
    const wire::openai::Span wish = wire::openai::find_member(body, "store");
    keeps_ = !wish.present() || wish.in(body) != "false";
    if (!wire::openai::may_recall(body)) return body;
    auto node = json::parse_node(body);
    if (!node || !node->is_object()) return body;  // whoever reads it next says what is wrong
    auto wanted = wire::openai::read_recall(*node);
    if (!wanted) return fail(std::move(wanted.error()));
    if (wanted->empty()) return body;
    std::vector<std::string> earlier;
    bool ours = false;
    if (!wanted->previous.empty()) {
        previous_ = std::move(wanted->previous);
        auto recalled = recall_previous(earlier);
        if (!recalled) return fail(std::move(recalled.error()));
        ours = *recalled;
    }
    if (auto found = recall_items(wanted->references); !found)
        return fail(std::move(found.error()));
    if (!ours && items_.empty()) return body;
    if (auto written = wire::openai::write_out(*node, earlier, items_); !written)
        return fail(std::move(written.error()));
    if (ours) node->erase("previous_response_id");
    recalled_ = node->json();
    return std::string_view(recalled_);
}

/// Whether `previous_` is kept here; then `earlier` is the conversation. False: `holder_` keeps it.
Result<bool> ClientRequest::recall_previous(std::vector<std::string>& earlier) {
    ResponseStore& store = *snapshot_->responses();
    auto found = store.find(previous_, context_.key_name, context_.arrived_unix_us / 1'000'000);
    if (!found) return fail(responses_unavailable(found.error()));
    if (!*found) return fail(no_previous(previous_));
    if (!(*found)->provider.empty()) {
        holder_ = std::move((*found)->provider);
        held_tokens_ = (*found)->tokens;
        return false;
    }
    auto items = store.conversation((*found)->number, kLongestConversation);
    if (!items && items.error().reason == "previous_gone") {
        Error error = no_previous(previous_);
        error.message += " What it continues has been deleted.";
        return fail(std::move(error));
    }
    if (!items && items.error().code == ErrorCode::kPayloadTooLarge)
        return fail(std::move(items.error()));
    if (!items) return fail(responses_unavailable(items.error()));
    earlier = std::move(*items);
    context_.note("responses", fmt::format("recalled:{}", earlier.size()));
    return true;
}

/// Items of ours that the request refers to.
Result<void> ClientRequest::recall_items(const std::vector<std::string>& ids) {
    if (ids.empty()) return {};
    auto found = snapshot_->responses()->find_items(ids, context_.key_name,
                                                    context_.arrived_unix_us / 1'000'000);
    if (!found) return fail(responses_unavailable(found.error()));
    items_ = std::move(*found);
    std::size_t bytes = 0;  // an item may be named many times
    for (const std::string& id : ids) {
        const auto item = items_.find(id);
        if (item != items_.end()) {
            bytes += item->second.size();
        } else if (missing_item_.empty()) {
            missing_item_ = id;
        }
    }
    if (bytes <= kLongestConversation) return {};
    return fail(ResponseStore::too_long("input"));
}

/// Why a provider that does not have what the request names cannot take it.
Error ClientRequest::out_of_reach() const {
    if (!holder_.empty()) {
        return Error{ErrorCode::kInvalidRequest,
                     fmt::format("Response '{}' is kept by another provider than that of the model "
                                 "'{}', which cannot continue it.",
                                 previous_, context_.view.model),
                     "ask a model of the same provider, or send the earlier items in `input`",
                     "previous_response_id", "previous_response_elsewhere"};
    }
    if (!missing_item_.empty()) {
        return Error{ErrorCode::kNotFound,
                     fmt::format("Item with id '{}' not found.", missing_item_),
                     "items are kept where `store` is not false", "input", "item_not_found"};
    }
    Error error = *unreadable_;
    const bool kept = snapshot_->responses() != nullptr;
    if (!kept && (error.param == "previous_response_id" || error.param.starts_with("input"))) {
        error.hint = "this gateway keeps no responses: send the earlier items in `input`";
    }
    return error;
}

/// A request that continues what a provider keeps, and can be sent to none of that name.
std::optional<pipeline::Reject> ClientRequest::no_holder() const {
    if (holder_.empty() || !targets(*context_.model).empty()) return std::nullopt;
    return pipeline::Reject{out_of_reach()};
}

/// Keeps the answer that `told` tells whole, before its caller has the end of it. Where that fails, it says so.
void ClientRequest::keep_response(std::string& told, pipeline::AnswerForm form) {
    if (!keeps_) return;
    auto whole = wire::openai::read_whole(told, form == pipeline::AnswerForm::kEventStream);
    const auto asked = json::parse_node(told_);
    if (!whole || !asked) return;
    KeptResponse response;
    response.key = context_.key_name;
    response.previous = previous_;
    response.created_unix_s = context_.arrived_unix_us / 1'000'000;
    response.whole = std::move(*whole);
    if (const json::Node* input = asked->find("input"))
        response.input = wire::openai::input_items(*input, items_, response_id_);
    const auto kept = snapshot_->responses()->keep(response);
    if (kept) return;
    spdlog::warn("id={} the response is not kept: {}", context_.id.text(), kept.error().text());
    wire::openai::say_not_stored(told);
}

/// The provider keeps the answer under this id, which is the caller's alone from now on.
void ClientRequest::remember_held(std::string_view id, const wire::usage::UsageReading& usage) {
    if (!keeps_ || id.empty()) return;
    HeldResponse response;
    response.key = context_.key_name;
    response.id = id;
    response.provider = context_.model->provider_name;
    response.created_unix_s = context_.arrived_unix_us / 1'000'000;
    if (usage.state == prices::UsageState::kFinal)
        response.tokens = usage.usage.input_total() + usage.usage.output_total();
    if (const auto kept = snapshot_->responses()->hold(response); !kept) {
        spdlog::warn("id={} whose the provider's response is cannot be kept: {}",
                     context_.id.text(), kept.error().text());
    }
}

}  // namespace leeway::app
