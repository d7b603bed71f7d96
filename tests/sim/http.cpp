#include "sim/http.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace leeway::sim {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

}  // namespace

std::string HttpReader::field(const std::string& name) const {
    const auto found = fields_.find(name);
    return found == fields_.end() ? std::string() : found->second;
}

void HttpReader::add(std::string_view bytes) {
    buffer_ += bytes;
    run();
}

void HttpReader::end() {
    if (state_ == State::kBody && framing_ == Framing::kToEnd) {
        state_ = State::kWhole;
    } else if (state_ != State::kWhole) {
        state_ = State::kBroken;
    }
}

void HttpReader::next() {
    state_ = State::kHead;
    body_.clear();
    fields_.clear();
    run();
}

void HttpReader::run() {
    while (state_ == State::kHead && read_head()) {
    }
    if (state_ != State::kBody) return;
    if (framing_ == Framing::kChunks) {
        while (state_ == State::kBody && read_chunk()) {
        }
        return;
    }
    const std::size_t size =
        framing_ == Framing::kToEnd ? buffer_.size() : std::min<std::size_t>(left_, buffer_.size());
    body_.append(buffer_, 0, size);
    buffer_.erase(0, size);
    left_ -= framing_ == Framing::kToEnd ? 0 : size;
    if (framing_ != Framing::kToEnd && left_ == 0) state_ = State::kWhole;
}

// True: a head was read that is not the last (1xx).
bool HttpReader::read_head() {
    const std::size_t end = buffer_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::string head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    std::size_t at = head.find("\r\n");
    const std::string first = head.substr(0, at);
    for (at += 2; at < head.size();) {
        const std::size_t stop = head.find("\r\n", at);
        const std::string line = head.substr(at, stop - at);
        const std::size_t colon = line.find(": ");
        if (colon == std::string::npos) {
            state_ = State::kBroken;
            return false;
        }
        fields_[lower(line.substr(0, colon))] = line.substr(colon + 2);
        at = stop + 2;
    }
    const std::size_t space = first.find(' ');
    if (requests_) {
        target_ = first.substr(space + 1, first.rfind(' ') - space - 1);
    } else {
        status_ = 0;
        std::from_chars(first.data() + space + 1, first.data() + first.size(), status_);
        if (status_ < 100) {
            state_ = State::kBroken;
            return false;
        }
        if (status_ < 200) {
            fields_.clear();
            return true;
        }
    }
    state_ = State::kBody;
    if (field("transfer-encoding") == "chunked") {
        framing_ = Framing::kChunks;
    } else if (const std::string length = field("content-length"); !length.empty()) {
        framing_ = Framing::kLength;
        std::from_chars(length.data(), length.data() + length.size(), left_);
    } else {
        framing_ = requests_ ? Framing::kLength : Framing::kToEnd;
        left_ = 0;
    }
    return false;
}

bool HttpReader::read_chunk() {
    const std::size_t line = buffer_.find("\r\n");
    if (line == std::string::npos) return false;
    std::uint64_t size = 0;
    const auto parsed = std::from_chars(buffer_.data(), buffer_.data() + line, size, 16);
    if (parsed.ec != std::errc() || parsed.ptr == buffer_.data()) {
        state_ = State::kBroken;
        return false;
    }
    if (buffer_.size() < line + 2 + size + 2) return false;
    body_.append(buffer_, line + 2, size);
    buffer_.erase(0, line + 2 + size + 2);
    if (size == 0) state_ = State::kWhole;
    return size != 0;
}

}  // namespace leeway::sim
