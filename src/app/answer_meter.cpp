#include "app/answer_meter.hpp"

#include "json/cursor.hpp"
#include "json/number.hpp"
#include "tokens/chat_count.hpp"

#include <algorithm>

namespace leeway::app {
namespace {

constexpr std::size_t kFlushAt = 16 * 1024;
// A hostile stream cannot make the list grow: what comes in further lanes goes into the last.
constexpr std::size_t kMostLanes = 256;
// A provider may send an event without a token now and then.
constexpr std::uint64_t kSpareEvents = 64;
// Above this an open end is not counted for every event; see AppendableCounter::passed.
constexpr std::size_t kCountBelow = 1024;
constexpr std::size_t kMostCountedBody = std::size_t{2} << 20U;
constexpr std::size_t kBytesPerToken = 4;

/// The text of `"delta":{"content":"…"}` of choice 0, perhaps with the role before it, where it has no escapes and
/// nothing else is in the delta: nearly all events of nearly all providers. `hint`: where it stood the last time,
/// which is mostly the same place.
std::optional<std::string_view> plain_delta(std::string_view data, std::size_t& hint) noexcept {
    constexpr std::string_view kDelta = "[{\"index\":0,\"delta\":{";
    constexpr std::string_view kRole = "\"role\":\"assistant\",";
    constexpr std::string_view kContent = "\"content\":\"";
    if (hint > data.size() || !data.substr(hint).starts_with(kDelta)) hint = data.find(kDelta);
    if (hint == std::string_view::npos) return std::nullopt;
    std::string_view rest = data.substr(hint + kDelta.size());
    if (rest.starts_with(kRole)) rest.remove_prefix(kRole.size());
    if (!rest.starts_with(kContent)) return std::nullopt;
    rest.remove_prefix(kContent.size());
    const std::size_t end = rest.find('"');
    if (end == std::string_view::npos || !rest.substr(end).starts_with("\"}")) return std::nullopt;
    const std::string_view text = rest.substr(0, end);
    // An escape, or something behind it that may be another choice.
    if (text.find('\\') != std::string_view::npos ||
        rest.find('{', end) != std::string_view::npos) {
        return std::nullopt;
    }
    return text;
}

}  // namespace

void AnswerMeter::add(std::string_view data) {
    ++events_;
    if (const auto text = plain_delta(data, delta_at_)) {
        put(0, 0, Kind::kText, *text);
    } else {
        parse(data);
    }
}

void AnswerMeter::add(const wire::StreamEvent& event) {
    using Event = wire::StreamEvent::Kind;
    const auto choice = static_cast<std::uint64_t>(event.choice) & 0xffff;
    switch (event.kind) {
        case Event::kText: put(choice, 0, Kind::kText, event.text); break;
        case Event::kThinking: put(choice, 0, Kind::kReasoning, event.text); break;
        case Event::kRefusal: put(choice, 0, Kind::kRefusal, event.text); break;
        case Event::kToolCall: put(choice, event.part, Kind::kName, event.name); break;
        case Event::kToolArguments: put(choice, event.part, Kind::kArguments, event.text); break;
        case Event::kStart:
        case Event::kSignature:
        case Event::kRedacted:
        case Event::kStop:
        case Event::kUsage:
        case Event::kError:
        case Event::kEnd: return;
    }
    ++events_;
}

void AnswerMeter::parse(std::string_view data) {
    std::string shadow;
    const auto tokens = json::thread_indexer().index_lenient(data, shadow);
    if (!tokens) return;
    json::Cursor cursor(*tokens);
    std::string_view key;
    std::uint64_t choice = 0;
    std::uint64_t call = 0;
    const auto text = [&](Kind kind) {
        std::string_view raw;
        if (cursor.kind() != '"') {
            cursor.skip_unchecked();
        } else if (cursor.string(raw)) {
            put(choice, call, kind, json::decoded(raw, cursor.escaped(), scratch_));
        }
    };
    const auto number = [&](std::uint64_t& out) {
        std::string_view spelled;
        if (cursor.kind() < '0' || cursor.kind() > '9') {
            cursor.skip_unchecked();
        } else if (cursor.number(spelled)) {
            out = static_cast<std::uint64_t>(json::to_int64(spelled).value_or(0)) & 0xffff;
        }
    };
    const auto members = [&](const auto& each) {
        if (cursor.kind() != '{' || !cursor.open_object()) return cursor.skip_unchecked();
        while (cursor.next_member(key)) each();
    };
    const auto elements = [&](const auto& each) {
        if (cursor.kind() != '[' || !cursor.open_array()) return cursor.skip_unchecked();
        while (cursor.next_element()) each();
    };
    const auto function = [&] {
        members([&] {
            if (key == "name") {
                text(Kind::kName);
            } else if (key == "arguments") {
                text(Kind::kArguments);
            } else {
                cursor.skip_unchecked();
            }
        });
    };
    const auto delta = [&] {
        if (key == "content") {
            text(Kind::kText);
        } else if (key == "reasoning_content" || key == "reasoning") {
            text(Kind::kReasoning);
        } else if (key == "refusal") {
            text(Kind::kRefusal);
        } else if (key == "tool_calls") {
            elements([&] {
                members([&] {
                    if (key == "index") {
                        number(call);
                    } else if (key == "function") {
                        function();
                    } else {
                        cursor.skip_unchecked();
                    }
                });
                call = 0;
            });
        } else if (key == "function_call") {
            function();
        } else {
            cursor.skip_unchecked();
        }
    };
    members([&] {
        if (key != "choices") return cursor.skip_unchecked();
        elements([&] {
            // The index may stand behind the delta.
            const std::uint32_t here = cursor.token();
            const unsigned depth = cursor.depth();
            choice = 0;
            bool has_delta = false;
            members([&] {
                if (key == "index") {
                    number(choice);
                } else {
                    has_delta = has_delta || key == "delta";
                    cursor.skip_unchecked();
                }
            });
            cursor.seek(here, depth);
            members([&] {
                if (key == "delta") {
                    members(delta);
                } else if (key == "text" && !has_delta) {  // legacy completions
                    text(Kind::kText);
                } else {
                    cursor.skip_unchecked();
                }
            });
        });
    });
}

void AnswerMeter::put(std::uint64_t choice, std::uint64_t call, Kind kind, std::string_view text) {
    if (text.empty()) return;
    if (kind == Kind::kName || kind == Kind::kArguments) plain_ = false;
    const std::uint64_t key =
        choice << 24U | call << 8U | static_cast<std::uint64_t>(static_cast<std::uint8_t>(kind));
    if (last_ == nullptr || last_->key != key) {
        const auto found = std::find_if(lanes_.begin(), lanes_.end(),
                                        [key](const Lane& lane) { return lane.key == key; });
        if (found != lanes_.end()) {
            last_ = &*found;
        } else {
            if (lanes_.size() < kMostLanes) lanes_.emplace_back().key = key;
            last_ = &lanes_.back();
        }
    }
    bytes_ += text.size();
    last_->bytes += text.size();
    if (tokenizer_ == nullptr) return;
    last_->pending.append(text);
    if (last_->pending.size() >= kFlushAt) flush(*last_);
}

void AnswerMeter::flush(Lane& lane) {
    if (lane.pending.empty()) return;
    for (const char c : lane.pending) {
        digits_ += c >= '0' && c <= '9' ? 1 : 0;
        other_ += static_cast<unsigned char>(c) >= 0x80 ? 1 : 0;
    }
    if (!lane.counter) lane.counter.emplace(*tokenizer_);
    lane.counter->append(lane.pending);
    lane.pending.clear();
}

/// Tokens of the vocabulary. Not `exactly`: at least so many, where an open end is long.
std::int64_t AnswerMeter::base(bool exactly, bool reasoning_only) {
    std::int64_t sum = 0;
    for (Lane& lane : lanes_) {
        const auto kind = static_cast<Kind>(lane.key & 0xff);
        if (reasoning_only && kind != Kind::kReasoning) continue;
        if (tokenizer_ == nullptr) {
            sum += static_cast<std::int64_t>(lane.bytes);
            continue;
        }
        flush(lane);
        if (!lane.counter) continue;
        const bool count = exactly || lane.counter->open_bytes() <= kCountBelow;
        lane.tokens =
            static_cast<std::int64_t>(count ? lane.counter->count() : lane.counter->at_least());
        sum += lane.tokens;
    }
    return sum;
}

tokens::TokenCount AnswerMeter::estimate(std::int64_t base) const {
    tokens::CalibrationFeatures features;
    features.base_tokens = static_cast<double>(base);
    features.digit_bytes = static_cast<double>(digits_);
    features.other_bytes = static_cast<double>(other_);
    features.requests = 0;
    auto out = rule_->learned().estimate(features);
    out.low = std::max<std::int64_t>(out.low, 0);
    return out;
}

bool AnswerMeter::passed(std::int64_t limit) {
    if (limit < 0) return false;
    const auto most = static_cast<std::uint64_t>(limit);
    if (tokenizer_ == nullptr || !rule_->model.exact) {
        if (events_ > most + kSpareEvents) return true;
        if (tokenizer_ == nullptr || bytes_ <= most) return false;
        return estimate(base(false)).low > limit;
    }
    // At most one token a byte, and three more that a vocabulary may put in front.
    if (bytes_ + 3 * lanes_.size() <= most) return false;
    std::int64_t others = 0;
    for (Lane& lane : lanes_) {
        const bool grew = !lane.pending.empty();
        flush(lane);
        if (&lane == last_) continue;
        if (grew && lane.counter) {
            const bool count = lane.counter->open_bytes() <= kCountBelow;
            lane.tokens =
                static_cast<std::int64_t>(count ? lane.counter->count() : lane.counter->at_least());
        }
        others += lane.tokens;
    }
    if (others > limit) return true;
    if (last_ == nullptr || !last_->counter) return false;
    const bool over = last_->counter->passed(static_cast<std::size_t>(limit - others));
    // For the time when another lane is the last one.
    last_->tokens = static_cast<std::int64_t>(last_->counter->open_bytes() <= kCountBelow
                                                  ? last_->counter->count()
                                                  : last_->counter->at_least());
    return over;
}

AnswerMeter::Output AnswerMeter::counted() {
    Output out;
    const std::int64_t all = base(true);
    const std::int64_t reasoning = base(true, true);
    if (tokenizer_ == nullptr) {
        out.all = {all, 0, all, tokens::Quality::kHeuristic};
        out.reasoning = reasoning;
    } else if (rule_->model.exact) {
        out.all = tokens::TokenCount::exact(all);
        if (!plain_ || lanes_.size() >= kMostLanes) out.all.quality = tokens::Quality::kHeuristic;
        out.reasoning = reasoning;
    } else {
        out.all = estimate(all);
        out.reasoning = all > 0 ? out.all.tokens * reasoning / all : 0;
    }
    return out;
}

std::optional<OwnCount> count_cut_stream(std::string_view body, const TokenRule& rule,
                                         std::string_view model, tokens::Tokenizer* tokenizer,
                                         AnswerMeter& meter) {
    if (rule.hides_output) return std::nullopt;
    const AnswerMeter::Output output = meter.counted();
    const auto rough = static_cast<std::int64_t>(body.size() / kBytesPerToken);
    tokens::TokenCount input{rough, 0, static_cast<std::int64_t>(body.size()),
                             tokens::Quality::kHeuristic};
    if (tokenizer != nullptr && body.size() <= kMostCountedBody) {
        tokens::ChatCounting counting;
        counting.model = model;
        counting.rule = rule.model;
        counting.tokenizer = tokenizer;
        const tokens::Calibration learned = rule.learned();
        counting.calibration = &learned;
        if (const auto counted = tokens::count_chat(body, counting)) input = counted->total;
    }
    OwnCount out;
    out.quality = tokens::worse(input.quality, output.all.quality);
    out.usage.state = prices::UsageState::kPartial;
    out.usage.usage[prices::Bucket::kInput] = std::max<std::int64_t>(input.tokens, 0);
    out.usage.usage[prices::Bucket::kReasoning] = output.reasoning;
    out.usage.usage[prices::Bucket::kOutput] =
        std::max<std::int64_t>(output.all.tokens - output.reasoning, 0);
    return out;
}

}  // namespace leeway::app
