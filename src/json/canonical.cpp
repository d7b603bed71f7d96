#include "json/canonical.hpp"

#include "json/cursor.hpp"
#include "json/number.hpp"
#include "json/text.hpp"
#include "json/validate.hpp"

#include <algorithm>
#include <cstdint>
#include <forward_list>
#include <utility>
#include <vector>

namespace leeway::json {

namespace {

struct Member {
    std::string_view key;
    std::uint32_t value = 0;  // its first token
};

/// Emits a text that was validated before, so that it may jump between tokens without a check.
class Emitter {
public:
    Emitter(const Tokens& tokens, std::string& out)
        : tokens_(tokens), cursor_(tokens), behind_(tokens.count), out_(out) {
        // Each opening bracket learns where its value ends; the others end at the next token.
        std::vector<std::uint32_t> open;
        for (std::uint32_t i = 0; i < tokens.count; ++i) {
            const char c = tokens.text[tokens.at[i]];
            behind_[i] = i + 1;
            if (c == '{' || c == '[') {
                open.push_back(i);
            } else if (c == '}' || c == ']') {
                behind_[open.back()] = i + 1;
                open.pop_back();
            }
        }
    }

    /// False on a duplicate key, which is then in `duplicate`.
    bool value(std::uint32_t token, std::span<const std::string_view> left_out,
               std::string& duplicate) {
        switch (tokens_.text[tokens_.at[token]]) {
            case '{': return object(token, left_out, duplicate);
            case '[': return array(token, duplicate);
            case '"': string(token); return true;
            case 't': out_.push_back('t'); return true;
            case 'f': out_.push_back('f'); return true;
            case 'n': out_.push_back('n'); return true;
            default: break;
        }
        cursor_.seek(token, 1);
        std::string_view text;
        cursor_.number(text);
        out_.push_back('d');
        append_normal_number(out_, text);
        out_.push_back(';');
        return true;
    }

private:
    bool array(std::uint32_t token, std::string& duplicate) {
        out_.push_back('[');
        const std::uint32_t last = behind_[token] - 1;
        for (std::uint32_t at = token + 1; at < last; at = behind_[at] + 1) {
            if (!value(at, {}, duplicate)) return false;
        }
        out_.push_back(']');
        return true;
    }

    bool object(std::uint32_t token, std::span<const std::string_view> left_out,
                std::string& duplicate) {
        std::vector<Member> members;
        const std::uint32_t last = behind_[token] - 1;
        for (std::uint32_t at = token + 1; at < last; at = behind_[at + 2] + 1) {
            members.push_back({key_at(at), at + 2});  // key, colon, value
        }
        std::sort(members.begin(), members.end(),
                  [](const Member& a, const Member& b) { return a.key < b.key; });
        const auto twin =
            std::adjacent_find(members.begin(), members.end(),
                               [](const Member& a, const Member& b) { return a.key == b.key; });
        if (twin != members.end()) {
            duplicate = twin->key;
            return false;
        }
        out_.push_back('{');
        for (const Member& member : members) {
            if (std::find(left_out.begin(), left_out.end(), member.key) != left_out.end()) continue;
            const std::size_t begin = begin_string();
            out_.append(member.key);
            end_string(begin);
            if (!value(member.value, {}, duplicate)) return false;
        }
        out_.push_back('}');
        return true;
    }

    std::string_view key_at(std::uint32_t token) {
        cursor_.seek(token, 1);
        std::string_view raw;
        cursor_.string(raw);
        if (!cursor_.escaped()) return raw;
        unescaped_.emplace_front();
        (void)append_unescaped(unescaped_.front(), raw);
        return unescaped_.front();
    }

    /// A string is a tag, its length in eight bytes, and its bytes.
    std::size_t begin_string() {
        out_.push_back('s');
        out_.append(8, '\0');
        return out_.size();
    }

    void end_string(std::size_t begin) {
        const std::uint64_t length = out_.size() - begin;
        for (std::size_t i = 0; i < 8; ++i) {
            out_[begin - 8 + i] = static_cast<char>(length >> (8 * i) & 0xFF);
        }
    }

    void string(std::uint32_t token) {
        cursor_.seek(token, 1);
        std::string_view raw;
        cursor_.string(raw);
        const std::size_t begin = begin_string();
        if (cursor_.escaped()) {
            (void)append_unescaped(out_, raw);  // validated before, cannot fail
        } else {
            out_.append(raw);
        }
        end_string(begin);
    }

    const Tokens tokens_;
    Cursor cursor_;
    std::vector<std::uint32_t> behind_;
    std::forward_list<std::string> unescaped_;
    std::string& out_;
};

}  // namespace

Result<void> append_canonical(std::string_view text, std::span<const std::string_view> left_out,
                              std::string& out) {
    const auto tokens = thread_indexer().index(text);
    if (!tokens) return fail(tokens.error());
    Cursor cursor(*tokens);
    if (!cursor.skip() || !cursor.end()) return fail(cursor.error());
    const std::size_t before = out.size();
    out.reserve(before + text.size());
    std::string duplicate;
    if (!Emitter(*tokens, out).value(0, left_out, duplicate)) {
        out.resize(before);
        return fail(duplicate_key_error({}, duplicate));
    }
    return {};
}

}  // namespace leeway::json
