#include "wire/openai/answer.hpp"

#include "json/cursor.hpp"

namespace leeway::wire::openai {

namespace {

/// The string at the cursor, or nothing when it is of another type.
void read_text(json::Cursor& cursor, std::string& out) {
    if (cursor.kind() != '"') {
        cursor.skip_unchecked();
        return;
    }
    std::string_view raw;
    std::string scratch;
    if (cursor.string(raw)) out = json::decoded(raw, cursor.escaped(), scratch);
}

void read_first_choice(json::Cursor& cursor, AnswerFacts& facts) {
    if (cursor.kind() != '[') {
        cursor.skip_unchecked();
        return;
    }
    if (!cursor.open_array()) return;
    bool first = true;
    while (cursor.next_element()) {
        if (!first || cursor.kind() != '{' || !cursor.open_object()) {
            cursor.skip_unchecked();
            continue;
        }
        first = false;
        std::string_view key;
        while (cursor.next_member(key)) {
            if (key == "finish_reason") {
                read_text(cursor, facts.finish_reason);
            } else {
                cursor.skip_unchecked();
            }
        }
    }
}

void read_error(json::Cursor& cursor, AnswerFacts& facts) {
    if (cursor.kind() == 'n') {
        cursor.skip_unchecked();
        return;
    }
    facts.is_error = true;
    if (cursor.kind() != '{' || !cursor.open_object()) {
        read_text(cursor, facts.error_message);
        return;
    }
    std::string_view key;
    while (cursor.next_member(key)) {
        if (key == "message") {
            read_text(cursor, facts.error_message);
        } else {
            cursor.skip_unchecked();
        }
    }
}

}  // namespace

AnswerFacts read_answer(Endpoint endpoint, std::string_view body, usage::Flavour flavour) {
    AnswerFacts facts;
    // Broken text in the answer must not hide what it cost.
    std::string shadow;
    const auto tokens = json::thread_indexer().index_lenient(body, shadow);
    if (!tokens) return facts;
    json::Cursor cursor(*tokens);
    if (cursor.kind() != '{' || !cursor.open_object()) return facts;
    std::string_view key;
    std::string tier;
    while (cursor.next_member(key)) {
        // Cohere tells what it bills for beside what it found.
        if (key == "usage" || (key == "meta" && endpoint == Endpoint::kRerank)) {
            facts.usage = read_usage(cursor, flavour);
        } else if (key == "model") {
            read_text(cursor, facts.model);
        } else if (key == "choices" && endpoint != Endpoint::kEmbeddings) {
            read_first_choice(cursor, facts);
        } else if (key == "error") {
            read_error(cursor, facts);
        } else if (key == "service_tier") {
            read_text(cursor, tier);
        } else {
            cursor.skip_unchecked();
        }
    }
    if (!tier.empty()) facts.usage.tier = prices::tier_of(tier);
    facts.valid = !cursor.failed() && cursor.end();
    return facts;
}

}  // namespace leeway::wire::openai
