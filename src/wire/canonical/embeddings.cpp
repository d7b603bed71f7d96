#include "wire/canonical/embeddings.hpp"

#include "base/base64.hpp"
#include "json/number.hpp"
#include "json/tokens.hpp"
#include "json/walk.hpp"
#include "json/write.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <utility>

namespace leeway::wire {
namespace {

struct Purpose {
    std::string_view task;
    std::string_view input_type;
};
constexpr std::array<Purpose, 4> kPurposes{{{"RETRIEVAL_DOCUMENT", "search_document"},
                                            {"RETRIEVAL_QUERY", "search_query"},
                                            {"CLASSIFICATION", "classification"},
                                            {"CLUSTERING", "clustering"}}};

}  // namespace

bool read_vector(json::Cursor& cursor, std::string& out) {
    const std::size_t begin = cursor.offset();
    if (cursor.kind() != '[' || !cursor.open_array()) return false;
    std::string_view number;
    while (cursor.next_element()) {
        if (!cursor.number(number)) return false;
    }
    if (cursor.failed()) return false;
    out.assign(cursor.text().substr(begin, cursor.value_end() - begin));
    return true;
}

void append_numbers(std::string_view vector, std::vector<float>& out) {
    const auto tokens = json::thread_indexer().index(vector);
    if (!tokens) return;
    json::Cursor cursor(*tokens);
    std::string_view number;
    json::each_element(cursor, [&] {
        if (!cursor.number(number)) return;
        out.push_back(static_cast<float>(json::to_double(number).value_or(0)));
    });
}

std::string packed_vector(std::string_view vector) {
    std::vector<float> numbers;
    append_numbers(vector, numbers);
    std::vector<std::uint8_t> bytes;
    bytes.reserve(numbers.size() * sizeof(float));
    for (const float number : numbers) {
        const auto bits = std::bit_cast<std::uint32_t>(number);
        for (unsigned shift = 0; shift < 32; shift += 8)
            bytes.push_back(static_cast<std::uint8_t>(bits >> shift));
    }
    std::string out;
    append_base64(out, bytes);
    return out;
}

Result<EmbedAnswer> with_vectors(EmbedAnswer answer, std::size_t wanted) {
    const std::size_t came = answer.vectors.size();
    if (came > 0 && (wanted == 0 || came == wanted)) return answer;
    return fail(Error{
        ErrorCode::kUpstreamInvalid,
        fmt::format("the upstream's answer has {} vectors where {} were asked for", came, wanted),
        {},
        {},
        "upstream_invalid_answer"});
}

void keep_unknown(EmbedRequest& request, const json::Node::Member& member) {
    request.unknown.push_back(member.key);
    if (!request.extra.empty()) request.extra.pop_back();
    request.extra += request.extra.empty() ? '{' : ',';
    json::append_string(request.extra, member.key);
    request.extra += ':';
    member.value.write(request.extra);
    request.extra += '}';
}

std::string_view input_type_of_task(std::string_view task) noexcept {
    for (const Purpose& one : kPurposes) {
        if (one.task == task) return one.input_type;
    }
    return {};
}

std::string_view task_of_input_type(std::string_view input_type) noexcept {
    for (const Purpose& one : kPurposes) {
        if (one.input_type == input_type) return one.task;
    }
    return {};
}

}  // namespace leeway::wire
