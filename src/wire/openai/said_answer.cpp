#include "wire/openai/said_answer.hpp"

#include "json/write.hpp"
#include "wire/openai/convert.hpp"

namespace leeway::wire::openai {

Result<std::string> write_said_answer(const SaidAnswer& answer) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("id").string("chatcmpl-" + std::string(answer.id));
    writer.key("object").string("chat.completion").key("created").integer(answer.created_unix_s);
    writer.key("model").string(answer.model).key("choices").array().object();
    writer.key("index").integer(0).key("message").object().key("role").string("assistant");
    writer.key("content").string(answer.text).key("refusal").null().close_object();
    writer.key("logprobs").null().key("finish_reason").string("stop").close_object().close_array();
    writer.key("usage").object().key("prompt_tokens").integer(0);
    writer.key("completion_tokens").integer(0).key("total_tokens").integer(0).close_object();
    writer.close_object();
    if (!answer.stream) return out;
    return completion_to_stream(out, answer.include_usage);
}

}  // namespace leeway::wire::openai
