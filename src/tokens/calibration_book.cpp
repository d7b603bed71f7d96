#include "tokens/calibration_book.hpp"

#include "base/strings.hpp"
#include "json/node.hpp"
#include "json/number.hpp"
#include "json/write.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <span>
#include <utility>

namespace leeway::tokens {
namespace {

constexpr std::int64_t kVersion = 1;
// The first reports teach most, and there is nothing yet to estimate with.
constexpr std::uint64_t kFirstTurns = 64;
// 20 a second: a tokenizer that changed is noticed within a second of traffic, at a thousandth of a core.
constexpr std::int64_t kTurnUs = 50'000;
constexpr std::size_t kMostSlots = 4096;

constexpr ModelFamily kFamilies[] = {
    ModelFamily::kUnknown,  ModelFamily::kOpenAi, ModelFamily::kHarmony,    ModelFamily::kClaude3,
    ModelFamily::kClaude47, ModelFamily::kGemini, ModelFamily::kOpenWeights};

std::optional<ModelFamily> family_named(std::string_view name) {
    for (const ModelFamily family : kFamilies) {
        if (to_string(family) == name) return family;
    }
    return std::nullopt;
}

void write_numbers(json::Writer& json, std::span<const double> numbers) {
    json.array();
    for (const double number : numbers) json.number(number);
    json.close_array();
}

/// The numbers of an array of exactly `out.size()`. False: it is none.
bool read_numbers(const json::Node* node, std::span<double> out) {
    if (node == nullptr || node->elements.size() != out.size()) return false;
    for (std::size_t i = 0; i < out.size(); ++i) {
        const json::Node& element = node->elements[i];
        const auto number = element.is_number() ? json::to_double(element.text) : std::nullopt;
        if (!number) return false;
        out[i] = *number;
    }
    return true;
}

bool read_number(const json::Node* node, double& out) {
    const auto number =
        node != nullptr && node->is_number() ? json::to_double(node->text) : std::nullopt;
    if (number) out = *number;
    return number.has_value();
}

/// One family of the file.
struct Kept {
    std::string key;
    ModelFamily family = ModelFamily::kUnknown;
    Calibration learned;
};

std::optional<Kept> read_slot(const json::Node& node) {
    Kept out;
    out.key = node.text_of("key");
    const auto family = family_named(node.text_of("family"));
    const json::Node* reports = node.find("reports");
    const json::Node* covariance = node.find("covariance");
    if (out.key.empty() || !family || reports == nullptr || reports->integer().value_or(-1) < 0 ||
        covariance == nullptr || covariance->elements.size() != Calibration::kN) {
        return std::nullopt;
    }
    Calibration::State state;
    state.reports = static_cast<std::uint64_t>(*reports->integer());
    bool sound = read_numbers(node.find("mean"), state.mean) &&
                 read_number(node.find("noise_weight"), state.noise_weight) &&
                 read_number(node.find("noise_sum"), state.noise_sum) &&
                 read_number(node.find("drift"), state.drift);
    for (std::size_t i = 0; i < Calibration::kN; ++i) {
        sound = sound && read_numbers(&covariance->elements[i], state.covariance[i]);
    }
    const auto learned = sound ? Calibration::restore(state) : std::nullopt;
    if (!learned) return std::nullopt;
    out.family = *family;
    out.learned = *learned;
    return out;
}

}  // namespace

CalibrationSlot::CalibrationSlot(std::string key, ModelFamily family)
    : key_(std::move(key)), family_(family) {
    write(Calibration(family));
}

// Every word is written with release and read with acquire: who reads a word of a write that is under way
// sees the odd version before it, and so another version at the end than at the beginning.
Calibration CalibrationSlot::read() const noexcept {
    std::array<std::uint64_t, kWords> copy{};
    for (;;) {
        const std::uint64_t before = version_.load(std::memory_order_acquire);
        for (std::size_t i = 0; i < kWords; ++i) {
            copy[i] = words_[i].load(std::memory_order_acquire);
        }
        if (before % 2 == 0 && version_.load(std::memory_order_relaxed) == before) {
            return std::bit_cast<Calibration>(copy);
        }
    }
}

void CalibrationSlot::write(const Calibration& learned) noexcept {
    const auto words = std::bit_cast<std::array<std::uint64_t, kWords>>(learned);
    const std::uint64_t before = version_.load(std::memory_order_relaxed);
    version_.store(before + 1, std::memory_order_relaxed);
    for (std::size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    version_.store(before + 2, std::memory_order_release);
}

bool CalibrationSlot::take_turn(std::int64_t now_us) noexcept {
    if (turns_.load(std::memory_order_relaxed) < kFirstTurns) {
        turns_.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    std::int64_t next = next_turn_us_.load(std::memory_order_relaxed);
    return now_us >= next &&
           next_turn_us_.compare_exchange_strong(next, now_us + kTurnUs, std::memory_order_relaxed);
}

std::string calibration_key(const ModelTokens& rule, std::string_view model) {
    if (rule.exact) return {};
    switch (rule.family) {
        case ModelFamily::kClaude3:
        case ModelFamily::kClaude47:
        case ModelFamily::kGemini: return std::string(to_string(rule.family));
        case ModelFamily::kUnknown:
        case ModelFamily::kOpenAi:
        case ModelFamily::kHarmony:
        case ModelFamily::kOpenWeights: break;
    }
    std::string out = "model ";
    for (const char c : bare_model_name(model)) out += ascii_lower(c);
    return out;
}

CalibrationSlot& CalibrationBook::slot(const std::string& key, ModelFamily family) {
    const std::scoped_lock lock(mutex_);
    for (const auto& one : slots_) {
        if (one->key() == key) return *one;
    }
    return *slots_.emplace_back(std::make_unique<CalibrationSlot>(key, family));
}

Calibration CalibrationBook::calibration(const ModelTokens& rule, std::string_view model) const {
    const std::string key = calibration_key(rule, model);
    for (const CalibrationSlot* one : slots()) {
        if (one->key() == key) return one->read_or_prior();
    }
    return Calibration(rule.family);
}

std::vector<CalibrationSlot*> CalibrationBook::slots() const {
    const std::scoped_lock lock(mutex_);
    std::vector<CalibrationSlot*> out;
    out.reserve(slots_.size());
    for (const auto& one : slots_) out.push_back(one.get());
    return out;
}

std::string CalibrationBook::text() const {
    std::string out;
    json::Writer json(out);
    json.object().key("version").integer(kVersion).key("families").array();
    for (const CalibrationSlot* one : slots()) {
        const Calibration learned = one->read();
        const Calibration::State& state = learned.state();
        if (state.reports == 0) continue;
        json.object().key("key").string(one->key());
        json.key("family").string(to_string(one->family()));
        json.key("reports").integer(static_cast<std::int64_t>(state.reports));
        write_numbers(json.key("mean"), state.mean);
        json.key("covariance").array();
        for (const Calibration::Vector& line : state.covariance) write_numbers(json, line);
        json.close_array().key("noise_weight").number(state.noise_weight);
        json.key("noise_sum").number(state.noise_sum).key("drift").number(state.drift);
        json.close_object();
    }
    json.close_array().close_object();
    return out + "\n";
}

Result<void> CalibrationBook::restore(std::string_view text) {
    const auto root = json::parse_node(text);
    if (!root) return fail(root.error());
    const json::Node* version = root->find("version");
    const json::Node* families = root->find("families");
    if (version == nullptr || version->integer() != kVersion || families == nullptr ||
        !families->is_array() || families->elements.size() > kMostSlots) {
        return fail(ErrorCode::kInvalidRequest, "this is no calibration of version 1");
    }
    std::vector<Kept> kept;
    for (const json::Node& one : families->elements) {
        auto read = read_slot(one);
        if (!read) {
            return fail(ErrorCode::kInvalidRequest,
                        "the calibration of '" + std::string(one.text_of("key")) + "' is damaged");
        }
        kept.push_back(std::move(*read));
    }
    for (const Kept& one : kept) slot(one.key, one.family).write(one.learned);
    return {};
}

}  // namespace leeway::tokens
