#include "json/write.hpp"
#include "wire/canonical/common.hpp"
#include "wire/openai/chat_parts.hpp"
#include "wire/openai/error.hpp"
#include "wire/openai/responses_codec.hpp"
#include "wire/openai/responses_parts.hpp"

#include <algorithm>
#include <utility>

namespace leeway::wire::openai {

namespace {

using json::Node;
using json::Writer;
using Kind = Part::Kind;

}  // namespace

void read_output_item(const Node& item, std::vector<Part>& out) {
    if (!item.is_object()) return;
    const std::string_view type = item.text_of("type");
    if (type == "message") {
        const Node* content = item.find("content");
        if (content == nullptr || !content->is_array()) return;
        for (const Node& one : content->elements) {
            Part part;
            part.text = one.text_of("text");
            if (one.text_of("type") == "refusal") {
                part.kind = Kind::kRefusal;
                part.text = one.text_of("refusal");
            }
            out.push_back(std::move(part));
        }
    } else if (type == "function_call") {
        Part part;
        part.kind = Kind::kToolCall;
        part.id = item.text_of("call_id");
        part.name = item.text_of("name");
        part.text = item.text_of("arguments");
        out.push_back(std::move(part));
    } else if (type == "reasoning") {
        Part part;
        part.kind = Kind::kThinking;
        part.id = item.text_of("id");
        for (const std::string_view key : {"summary", "content"}) {
            const Node* list = item.find(key);
            if (list == nullptr || !list->is_array()) continue;
            for (const Node& one : list->elements) part.text += one.text_of("text");
        }
        if (!part.text.empty()) out.push_back(std::move(part));
    }
}

StopReason response_stop(const Node& response, bool has_call) noexcept {
    if (response.text_of("status") != "incomplete")
        return has_call ? StopReason::kToolUse : StopReason::kEnd;
    const Node* details = response.find("incomplete_details");
    const bool filtered = details != nullptr && details->is_object() &&
                          details->text_of("reason") == "content_filter";
    return filtered ? StopReason::kFilter : StopReason::kLength;
}

void write_response_usage(Writer& json, const usage::UsageReading& reading) {
    const UsageTotals totals = totals_of(reading.usage);
    json.object().key("input_tokens").integer(totals.input);
    json.key("input_tokens_details").object().key("cached_tokens").integer(totals.cached);
    if (totals.cache_write > 0) json.key("cache_write_tokens").integer(totals.cache_write);
    json.close_object().key("output_tokens").integer(totals.output);
    json.key("output_tokens_details").object().key("reasoning_tokens").integer(totals.reasoning);
    json.close_object().key("total_tokens").integer(totals.input + totals.output).close_object();
}

std::string item_id(Kind kind, std::string_view response_id, std::size_t number) {
    std::string_view prefix = "msg_";
    if (kind == Kind::kToolCall) prefix = "fc_";
    if (kind == Kind::kThinking) prefix = "rs_";
    std::string out(prefix);
    return out.append(response_id).append("_").append(std::to_string(number));
}

void write_output_item(Writer& json, const Part& part, std::string_view id,
                       std::string_view status) {
    json.object().key("id").string(id);
    switch (part.kind) {
        case Kind::kToolCall:
            json.key("type").string("function_call").key("status").string(status);
            json.key("arguments").string(part.text).key("call_id").string(part.id);
            json.key("name").string(part.name);
            break;
        case Kind::kThinking:
            json.key("type").string("reasoning").key("summary").array();
            if (!part.text.empty()) {
                json.object().key("type").string("summary_text").key("text").string(part.text);
                json.close_object();
            }
            json.close_array();
            break;
        default:
            json.key("type").string("message").key("status").string(status);
            json.key("role").string("assistant").key("content").array();
            if (status != "in_progress") {
                const bool refusal = part.kind == Kind::kRefusal;
                json.object().key("type").string(refusal ? "refusal" : "output_text");
                json.key(refusal ? "refusal" : "text").string(part.text);
                if (!refusal) {
                    json.key("annotations").array().close_array();
                    json.key("logprobs").array().close_array();
                }
                json.close_object();
            }
            json.close_array();
            break;
    }
    json.close_object();
}

void write_response(Writer& json, const ResponseObject& response) {
    json.object().key("id").string(response.id).key("object").string("response");
    json.key("created_at").integer(response.created).key("status").string(response.status);
    json.key("background").boolean(false).key("error");
    if (response.error != nullptr) {
        json.object().key("code").string(response.error->reason.empty() ? "server_error"
                                                                        : response.error->reason);
        json.key("message").string(response.error->text()).close_object();
    } else {
        json.null();
    }
    json.key("incomplete_details");
    if (response.status == "incomplete") {
        const bool filtered =
            response.stop == StopReason::kFilter || response.stop == StopReason::kRefusal;
        json.object()
            .key("reason")
            .string(filtered ? "content_filter" : "max_output_tokens")
            .close_object();
    } else {
        json.null();
    }
    json.key("instructions").null().key("max_output_tokens").null();
    json.key("model").string(response.model).key("output").array();
    if (response.items != nullptr) {
        for (std::size_t i = 0; i < response.items->size(); ++i) {
            const Part& part = (*response.items)[i];
            if (part.kind == Kind::kRedacted) continue;
            write_output_item(json, part, item_id(part.kind, response.id, i), "completed");
        }
    }
    json.close_array().key("parallel_tool_calls").boolean(true).key("previous_response_id");
    response.previous.empty() ? json.null() : json.string(response.previous);
    json.key("reasoning").object().key("effort").null().key("summary").null().close_object();
    json.key("store").boolean(response.stored).key("temperature").null();
    json.key("text")
        .object()
        .key("format")
        .object()
        .key("type")
        .string("text")
        .close_object()
        .close_object();
    json.key("tool_choice").string("auto").key("tools").array().close_array();
    json.key("top_p").null().key("truncation").string("disabled").key("usage");
    if (response.usage != nullptr && response.usage->state != prices::UsageState::kMissing) {
        write_response_usage(json, *response.usage);
    } else {
        json.null();
    }
    json.key("user").null().key("metadata").object().close_object().close_object();
}

Result<ChatAnswer> ResponsesCodec::read_answer(std::string_view body,
                                               usage::Flavour flavour) const {
    usage::Extractor extractor(flavour);
    const auto node = read_upstream(body, extractor);
    if (!node) return fail(node.error());
    const Node* output = node->find("output");
    if (output == nullptr || !output->is_array()) {
        return fail(Error{ErrorCode::kUpstreamInvalid,
                          "the upstream's answer has no output",
                          {},
                          {},
                          "upstream_invalid_answer"});
    }
    if (const Node* error = node->find("error"); error != nullptr && error->is_object()) {
        Error failed = error_of(*node, 0);
        failed.code = ErrorCode::kUpstreamInvalid;
        return fail(std::move(failed));
    }
    ChatAnswer answer;
    answer.id = node->text_of("id");
    answer.model = node->text_of("model");
    answer.service_tier = node->text_of("service_tier");
    if (const Node* created = node->find("created_at"))
        answer.created = created->integer().value_or(0);
    Choice choice;
    for (const Node& item : output->elements) read_output_item(item, choice.parts);
    bool has_call = false;
    bool refused = false;
    for (const Part& part : choice.parts) {
        has_call = has_call || part.kind == Kind::kToolCall;
        refused = refused || part.kind == Kind::kRefusal;
    }
    choice.stop = response_stop(*node, has_call);
    if (refused && choice.stop == StopReason::kEnd) choice.stop = StopReason::kRefusal;
    answer.choices.push_back(std::move(choice));
    answer.usage = extractor.result();
    return answer;
}

bool ends_whole(StopReason stop, const std::vector<Part>& items) noexcept {
    // Other dialects' models refuse in ordinary text, and only the reason says so.
    if (stop == StopReason::kRefusal) {
        return std::any_of(items.begin(), items.end(),
                           [](const Part& part) { return part.kind == Kind::kRefusal; });
    }
    return stop != StopReason::kLength && stop != StopReason::kFilter &&
           stop != StopReason::kContextWindow;
}

std::string ResponsesCodec::write_answer(const ChatAnswer& answer, const AnswerFor& to) const {
    const Choice& choice = answer.choices.front();
    ResponseObject response;
    response.id = answer.id.empty() ? to.id : std::string_view(answer.id);
    response.model = answer.model.empty() ? to.model : std::string_view(answer.model);
    response.created = answer.created != 0 ? answer.created : to.now_unix_s;
    response.status = ends_whole(choice.stop, choice.parts) ? "completed" : "incomplete";
    response.stop = choice.stop;
    response.items = &choice.parts;
    response.usage = &answer.usage;
    response.previous = to.previous;
    response.stored = to.stored;
    std::string out;
    Writer json(out);
    write_response(json, response);
    return out;
}

Error ResponsesCodec::read_error(int status, std::string_view body) const {
    const auto node = json::parse_node(body);
    return refusal_of(status, node ? &*node : nullptr, &error_of);
}

std::string ResponsesCodec::write_error(const Error& error) const { return render_error(error); }

std::string ResponsesCodec::write_stream_error(const Error& error) const {
    std::string out = "event: error\ndata: ";
    Writer json(out);
    json.object().key("type").string("error").key("code");
    json.string(error.reason.empty() ? "server_error" : error.reason);
    json.key("message").string(error.text()).key("param").null().key("sequence_number").integer(0);
    json.close_object();
    out += "\n\n";
    return out;
}

}  // namespace leeway::wire::openai
