#include "fuzz/targets.hpp"
#include "json/validate.hpp"
#include "wire/openai/answer.hpp"
#include "wire/openai/canonical.hpp"
#include "wire/openai/convert.hpp"
#include "wire/openai/request_edit.hpp"
#include "wire/openai/stream_observer.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace leeway::fuzz {

using namespace wire::openai;

void openai_requests(std::string_view text) {
    const bool valid = json::validate(text).has_value();
    for (const Endpoint endpoint : {Endpoint::kChatCompletions, Endpoint::kEmbeddings}) {
        const auto view = parse_request(endpoint, text);
        if (!view) continue;
        require(valid);
        require(view->model_value.in(text).front() == '"' &&
                view->model_value.in(text).back() == '"');
        // Both edits together must leave a request that says what was wanted.
        json::Splice splice(text);
        if (auto edit = replace_model(*view, "other")) require(splice.add(*edit).has_value());
        if (auto edit = ask_for_usage(*view)) require(splice.add(*edit).has_value());
        const std::string body = splice.str();
        const auto again = parse_request(endpoint, body);
        require(again && again->model == "other" && again->stream == view->stream);
        require(!again->stream || again->include_usage);
    }
    std::string first;
    if (append_canonical(text, first)) require(valid);
}

void openai_streams(std::string_view text) {
    // Cut in two at a place that the input chooses; no byte may be lost, no event may change.
    const std::size_t cut =
        text.empty() ? 0 : static_cast<unsigned char>(text[0]) % (text.size() + 1);
    std::string whole_data;
    for (const bool split : {false, true}) {
        SseScanner scanner;
        StreamObserver seen({.hide_usage = false, .choices = 1});
        StreamObserver hiding({.hide_usage = true, .choices = 2});
        std::string raw;
        std::string data;
        SseEvent event;
        const auto take = [&] {
            raw += event.raw;
            if (event.whole && event.has_data) data.append(event.data).push_back('\0');
            require(seen.observe(event) == event.raw);
            require(hiding.observe(event).size() <= event.raw.size() + 16);
        };
        const auto feed = [&](std::string_view chunk) {
            scanner.feed(chunk);
            while (true) {
                const auto more = scanner.next(event);
                require(more.has_value());  // the limits are far above the inputs
                if (!*more) break;
                take();
            }
        };
        if (split) {
            feed(text.substr(0, cut));
            feed(text.substr(cut));
        } else {
            feed(text);
        }
        if (scanner.finish(event)) take();
        require(raw == text);
        if (split) require(data == whole_data);
        whole_data = data;
        (void)seen.facts();
    }
    if (const auto merged = stream_to_completion(text))
        require(json::validate(*merged).has_value());
}

void openai_answers(std::string_view text) {
    (void)read_answer(Endpoint::kChatCompletions, text);
    if (const auto stream = completion_to_stream(text, true)) {
        const auto back = stream_to_completion(*stream);
        require(back.has_value() || back.error().reason == "stream_cut");
    }
}

}  // namespace leeway::fuzz
