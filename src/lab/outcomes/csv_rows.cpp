#include "lab/outcomes/csv_rows.hpp"

#include <fmt/format.h>

#include <utility>

namespace leeway::lab {
namespace {

constexpr std::size_t kBuffer = 256UL * 1024;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

tl::unexpected<Error> CsvRows::bad(std::string_view why) const {
    return fail(ErrorCode::kConfig,
                fmt::format("line {}, column {}: {}", line_, fields_.size(), why));
}

Result<int> CsvRows::peek() {
    if (at_ == filled_) {
        buffer_.resize(kBuffer);
        auto got = bytes_(std::span(buffer_));
        if (!got) return fail(std::move(got.error()));
        at_ = 0;
        filled_ = *got;
        if (!started_) {
            started_ = true;
            if (std::string_view(buffer_.data(), filled_).starts_with(kByteOrderMark))
                at_ = kByteOrderMark.size();
        }
        if (at_ == filled_) return -1;
    }
    return static_cast<unsigned char>(buffer_[at_]);
}

Result<int> CsvRows::take() {
    auto next = peek();
    if (!next || *next < 0) return next;
    ++at_;
    line_ += *next == '\n' ? 1 : 0;
    return next;
}

Result<bool> CsvRows::quoted(std::string& field) {
    const std::size_t begun = line_;
    for (;;) {
        const auto c = take();
        if (!c) return fail(c.error());
        if (*c < 0) {
            line_ = begun;
            return bad("the quote that begins here is not closed");
        }
        if (*c == '"') {
            const auto next = peek();
            if (!next) return fail(next.error());
            if (*next != '"') return true;
            ++at_;
        }
        field.push_back(static_cast<char>(*c));
        if (field.size() > kMostFieldBytes) return bad("the field is too long");
    }
}

Result<bool> CsvRows::next() {
    for (;;) {
        fields_.clear();
        row_line_ = line_;
        std::string* field = nullptr;
        bool closed = false;  // the field was quoted and its quote is closed
        for (;;) {
            if (field == nullptr) {
                if (fields_.size() == kMostFields) return bad("too many columns");
                field = &fields_.emplace_back();
                closed = false;
            }
            const auto c = take();
            if (!c) return fail(c.error());
            if (*c == '"' && field->empty() && !closed) {
                if (const auto done = quoted(*field); !done) return fail(done.error());
                closed = true;
                continue;
            }
            if (*c == ',') {
                field = nullptr;
                continue;
            }
            if (*c == '\r') {
                const auto after = peek();
                if (!after) return fail(after.error());
                if (*after == '\n') continue;
            }
            if (*c < 0 || *c == '\n') break;
            if (*c == '"' || closed)
                return bad("a quote must begin and end its field; one within is written twice");
            field->push_back(static_cast<char>(*c));
            if (field->size() > kMostFieldBytes) return bad("the field is too long");
        }
        if (fields_.size() > 1 || !fields_.front().empty()) return true;
        const auto more = peek();
        if (!more) return fail(more.error());
        if (*more < 0) return false;
    }
}

}  // namespace leeway::lab
