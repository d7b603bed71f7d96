// Messages that stages add to a request (RequestContext::edit), where its caller does not speak chat.
#include "app/client_request.hpp"
#include "json/write.hpp"
#include "wire/openai/request_edit.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

/// A message of text alone as an item of Responses.
void append_item(const wire::Message& message, std::string& out) {
    std::string text;
    for (const wire::Part& part : message.parts) text += part.text;
    json::Writer item(out);
    item.object().key("role").string("user").key("content").string(text).close_object();
}

}  // namespace

bool ClientRequest::adds_messages() const {
    const wire::openai::Span& messages = context_.view.messages;
    const auto& edits = context_.edits();
    return std::any_of(edits.begin(), edits.end(), [&](const auto& edit) {
        return edit.change.offset >= messages.offset && edit.change.offset < messages.end();
    });
}

/// Puts what stages added behind the messages of `request_`, which can say more than chat. Once.
Result<void> ClientRequest::take_added_messages(wire::ChatRequest& edited) {
    if (message_added_ || !adds_messages()) return {};
    const auto before = wire::codec_of(wire::Dialect::kOpenAiChat).read_request(context_.body);
    if (!before) return fail(before.error());
    for (std::size_t i = before->messages.size(); i < edited.messages.size(); ++i) {
        added_input_ += ',';
        append_item(edited.messages[i], added_input_);
        request_->messages.push_back(std::move(edited.messages[i]));
    }
    message_added_ = true;
    return {};
}

/// A body of Responses with what stages added behind its input.
std::string ClientRequest::with_added_input(std::string body) const {
    const wire::openai::Span input = wire::openai::find_member(body, "input");
    if (added_input_.empty() || !input.present()) return body;
    const std::string_view told = input.in(body);
    if (told.front() == '[') {
        const bool none = told.find_last_not_of(" \t\r\n", told.size() - 2) == 0;
        const std::string_view added = added_input_;
        return body.insert(input.end() - 1, none ? added.substr(1) : added);
    }
    const std::string items =
        fmt::format(R"([{{"role":"user","content":{}}}{}])", told, added_input_);
    return body.replace(input.offset, input.length, items);
}

}  // namespace leeway::app
