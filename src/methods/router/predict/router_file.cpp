#include "methods/router/predict/router_file.hpp"

#include "base/hash.hpp"
#include "json/member_reader.hpp"
#include "json/seal.hpp"
#include "json/write.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace leeway::router {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kMostHead = 1024UL * 1024;
constexpr std::int64_t kMostDimension = 8192;
constexpr std::int64_t kMostClusters = 4096;
constexpr std::int64_t kMostRows = 1'000'000;
constexpr std::size_t kMostTrades = 1000;
constexpr double kLarge = 1e15;

Error broken(std::string why) {
    return {ErrorCode::kConfig,
            "this is no router of `leeway tune router`: " + std::move(why),
            "make it anew from the outcomes: leeway tune router",
            {},
            "policy_invalid"};
}

/// The numbers of a predictor in the order of the file. `take` is called with each stretch: (floats, whether they may be
/// "not known"), or (cells of rows). All lengths are those that the state's head says.
template <class State, class Take>
void each_stretch(State& state, std::vector<std::uint32_t>& cells, Take&& take) {
    const auto some = [&](auto& of) {
        take(std::span(of), false);
    };
    const auto one = [&](auto& value) {
        take(std::span(&value, 1), false);
    };
    some(state.cue_means);
    some(state.cue_scales);
    some(state.weights);
    some(state.clusters.centres);
    some(state.bank.vectors);
    take(std::span(cells), false);
    for (auto& model : state.models) {
        const auto map = [&](auto& linear) {
            some(linear.weights);
            some(linear.offsets);
        };
        one(model.mean_quality);
        map(model.quality);
        some(model.by_cluster);
        take(std::span(model.by_row), true);
        if (model.cost_varies) {
            one(model.cost_factor);
            map(model.log_cost);
        }
        if (model.knows_length) {
            one(model.length_factor);
            map(model.log_length);
        }
    }
}

std::size_t features_of(const PredictorState& state) { return state.dimension + kCues; }

/// In 4 bytes each.
std::size_t numbers_of(const PredictorState& state, std::size_t rows) {
    const std::size_t map = features_of(state) + 1;
    std::size_t out =
        2 * kCues + kWays + state.clusters.centres.size() + rows * state.dimension + rows;
    for (const LearnedModel& model : state.models) {
        out += 1 + map + state.clusters.size() + rows;
        if (model.cost_varies) out += 1 + map;
        if (model.knows_length) out += 1 + map;
    }
    return out;
}

std::string numbers_text(const PredictorState& state) {
    std::vector<std::uint32_t> cells(state.bank.size());
    for (std::size_t c = 0; c < state.bank.cells.size(); ++c)
        for (const std::uint32_t row : state.bank.cells[c])
            cells[row] = static_cast<std::uint32_t>(c);
    std::string out;
    out.reserve(numbers_of(state, cells.size()) * 4);
    each_stretch(state, cells, [&](auto values, bool) {
        out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    });
    return out;
}

void write_models(json::Writer& writer, const PredictorState& state) {
    writer.key("models").array();
    for (const LearnedModel& one : state.models) {
        writer.object().key("name").string(one.model);
        writer.key("rows").integer(static_cast<std::int64_t>(one.rows));
        writer.key("mean_quality").number(static_cast<double>(one.mean_quality));
        writer.key("mean_cost_pico_usd").integer(one.mean_cost.value());
        writer.key("cost_varies").boolean(one.cost_varies);
        writer.key("knows_length").boolean(one.knows_length).close_object();
    }
    writer.close_array();
}

void write_evidence(json::Writer& writer, const RouterEvidence& shown) {
    writer.key("enough").boolean(shown.enough).key("why").string(shown.why);
    writer.key("rows").integer(static_cast<std::int64_t>(shown.rows));
    writer.key("incomplete").integer(static_cast<std::int64_t>(shown.incomplete));
    writer.key("folds").integer(static_cast<std::int64_t>(shown.folds));
    writer.key("seed").integer(static_cast<std::int64_t>(shown.seed));
    writer.key("gain").number(shown.gain).key("gain_low").number(shown.gain_low);
    writer.key("gain_high").number(shown.gain_high).key("quality").number(shown.quality);
    writer.key("cost_usd").number(shown.cost_usd);
    writer.key("zero_quality").number(shown.zero_quality);
    writer.key("zero_cost_usd").number(shown.zero_cost_usd);
    writer.key("outcomes").string(shown.outcomes);
    writer.key("outcomes_sha256").string(shown.outcomes_sha256);
    writer.key("made_unix_s").integer(shown.made_unix_s);
}

RouterEvidence read_evidence(json::MemberReader& reader) {
    RouterEvidence out;
    out.enough = reader.yes("enough");
    out.why = reader.text("why");
    out.rows = reader.count("rows");
    out.incomplete = reader.count("incomplete");
    out.folds = reader.count("folds");
    out.seed = reader.count("seed");
    out.gain = reader.number("gain", -kLarge, kLarge);
    out.gain_low = reader.number("gain_low", -kLarge, kLarge);
    out.gain_high = reader.number("gain_high", -kLarge, kLarge);
    out.quality = reader.number("quality", 0, 1);
    out.cost_usd = reader.number("cost_usd", 0, kLarge);
    out.zero_quality = reader.number("zero_quality", 0, 1);
    out.zero_cost_usd = reader.number("zero_cost_usd", 0, kLarge);
    out.outcomes = reader.text("outcomes");
    out.outcomes_sha256 = reader.text("outcomes_sha256");
    out.made_unix_s = reader.integer("made_unix_s", 1'000'000'000'000);
    return out;
}

/// The elements of the array `key`, each an object, read by `take`; what is missing in one is missing in `outer`.
template <class Take>
void each_object(const json::Node& node, json::MemberReader& outer, std::string_view key,
                 std::size_t most, Take&& take) {
    const json::Node* found = node.find(key);
    if (found == nullptr || !found->is_array() || found->elements.empty() ||
        found->elements.size() > most)
        return outer.miss(key);
    for (const json::Node& element : found->elements) {
        json::MemberReader reader(element);
        if (!element.is_object()) return outer.miss(key);
        take(reader);
        if (!reader.missing().empty()) outer.miss(fmt::format("{}.{}", key, reader.missing()));
    }
}

void size_map(LinearMap& map, std::size_t features) {
    map.weights.resize(features);
    map.offsets.resize(1);
}

/// All of a predictor but its numbers, with room for them. Nothing is made that is larger than the file.
Result<std::size_t> read_shape(const json::Node& node, json::MemberReader& reader,
                               std::size_t most_numbers, PredictorState& state) {
    each_object(node, reader, "models", kMostModels, [&](json::MemberReader& one) {
        LearnedModel& model = state.models.emplace_back();
        model.model = one.text("name");
        model.rows = one.count("rows");
        model.mean_cost =
            PicoUsd(one.integer("mean_cost_pico_usd", std::numeric_limits<std::int64_t>::max()));
        model.cost_varies = one.yes("cost_varies");
        model.knows_length = one.yes("knows_length");
    });
    state.dimension = static_cast<std::size_t>(reader.integer("dimension", kMostDimension));
    const auto clusters = static_cast<std::size_t>(reader.integer("clusters", kMostClusters));
    const auto rows = static_cast<std::size_t>(reader.integer("bank_rows", kMostRows));
    state.penalty = reader.number("penalty", 0, kLarge);
    if (!reader.missing().empty()) return rows;
    if (state.dimension == 0 || clusters == 0 || rows == 0)
        return fail(broken("it knows of no query"));
    // No product can overflow: 8192 × (4096 + 1,000,000), and 64 models of that.
    const std::size_t least = (clusters + rows) * state.dimension;
    if (least > most_numbers)
        return fail(broken("it is cut: there are fewer numbers than it says"));
    state.clusters.dimension = state.bank.dimension = state.dimension;
    state.clusters.centres.resize(clusters * state.dimension);
    if (numbers_of(state, rows) != most_numbers)
        return fail(broken("there are not as many numbers as it says"));
    state.bank.vectors.resize(rows * state.dimension);
    state.bank.cells.resize(clusters);
    for (LearnedModel& model : state.models) {
        size_map(model.quality, features_of(state));
        model.by_cluster.resize(clusters);
        model.by_row.resize(rows);
        if (model.cost_varies) size_map(model.log_cost, features_of(state));
        if (model.knows_length) size_map(model.log_length, features_of(state));
    }
    return rows;
}

Result<void> read_numbers(std::string_view numbers, std::size_t rows, PredictorState& state) {
    std::vector<std::uint32_t> cells(rows);
    bool sound = true;
    each_stretch(state, cells, [&](auto values, bool unknown) {
        using Number = typename decltype(values)::value_type;
        std::memcpy(values.data(), numbers.data(), values.size_bytes());
        numbers.remove_prefix(values.size_bytes());
        for (const Number value : values) {
            if constexpr (std::is_same_v<Number, float>) {
                sound = sound && (std::isfinite(value) || (unknown && std::isnan(value)));
            } else {
                sound = sound && value < state.bank.cells.size();
            }
        }
    });
    for (const LearnedModel& model : state.models)
        sound = sound && model.mean_quality >= 0 && model.mean_quality <= 1;
    if (!sound) return fail(broken("a number is out of range"));
    for (std::size_t r = 0; r < rows; ++r)
        state.bank.cells[cells[r]].push_back(static_cast<std::uint32_t>(r));
    return {};
}

RoutePolicy read_policy(const json::Node& node, json::MemberReader& reader, std::size_t models) {
    RoutePolicy out;
    each_object(node, reader, "trades", kMostTrades, [&](json::MemberReader& one) {
        RouteTrade& trade = out.trades.emplace_back();
        const double before = out.trades.size() > 1 ? out.trades[out.trades.size() - 2].lambda : 0;
        trade.lambda = one.number("lambda", before, 1e30);
        trade.learned = one.yes("learned");
        trade.single = static_cast<std::uint32_t>(
            one.integer("single", static_cast<std::int64_t>(models) - 1));
        trade.margin = one.number("margin", 0, kLarge);
        trade.quality = one.number("quality", -1, 2);
        trade.cost_usd = one.number("cost_usd", 0, kLarge);
    });
    return out;
}

}  // namespace

Result<std::string> write_router_file(const RouterFile& file) {
    const PredictorState& state = file.state;
    if (state.models.size() > kMostModels || file.policy.trades.size() > kMostTrades ||
        numbers_of(state, state.bank.size()) * 4 + kMostHead > kMostRouterFile) {
        return fail(ErrorCode::kInvalidRequest, "a policy holds at most 64 models and 512 MiB",
                    "tune it from fewer rows");
    }
    const std::string numbers = numbers_text(state);
    std::string out;
    json::Writer writer(out);
    writer.object().key("router").integer(kVersion);
    write_models(writer, state);
    writer.key("embedding_model").string(file.embedding_model);
    writer.key("fingerprint").string(file.fingerprint);
    if (file.spending.budget_usd) {
        writer.key("budget_usd").number(*file.spending.budget_usd);
    } else {
        writer.key("lambda").number(file.spending.lambda);
    }
    write_evidence(writer, file.evidence);
    writer.key("trades").array();
    for (const RouteTrade& one : file.policy.trades) {
        writer.object().key("lambda").number(one.lambda).key("learned").boolean(one.learned);
        writer.key("single").integer(one.single).key("margin").number(one.margin);
        writer.key("quality").number(one.quality).key("cost_usd").number(one.cost_usd);
        writer.close_object();
    }
    writer.close_array().key("dimension").integer(static_cast<std::int64_t>(state.dimension));
    writer.key("clusters").integer(static_cast<std::int64_t>(state.clusters.size()));
    writer.key("bank_rows").integer(static_cast<std::int64_t>(state.bank.size()));
    writer.key("penalty").number(state.penalty);
    writer.key("numbers").integer(static_cast<std::int64_t>(numbers.size() / 4));
    writer.key("numbers_sha256").string(to_hex(sha256(numbers)));
    json::append_seal(out);
    out.append("\n").append(numbers);
    return out;
}

Result<RouterFile> read_router_file(std::string_view bytes) {
    const std::size_t line = bytes.substr(0, kMostHead).find('\n');
    if (line == std::string_view::npos) return fail(broken("its first line does not end"));
    const std::string_view head = bytes.substr(0, line);
    const std::string_view numbers = bytes.substr(line + 1);
    const auto node = json::parse_node(head);
    if (!node) return fail(broken(node.error().message));
    if (!node->is_object()) return fail(broken("its first line is no object"));
    json::MemberReader reader(*node);
    if (reader.integer("router", kVersion) != kVersion)
        return fail(broken("it is of another version, or something else"));
    RouterFile out;
    out.seal = reader.text("seal");
    if (!json::seal_fits(head, out.seal))
        return fail(broken("its seal does not fit, so it was cut or edited"));
    auto signer = json::signer_of(head);
    if (!signer) return fail(broken(signer.error().message));
    out.signer = std::move(*signer);
    const std::size_t count = reader.count("numbers");
    if (numbers.size() != count * 4 || reader.text("numbers_sha256") != to_hex(sha256(numbers)))
        return fail(broken("its numbers do not fit their seal, so it was cut or edited"));
    const auto rows = read_shape(*node, reader, count, out.state);
    if (!rows) return fail(rows.error());
    out.policy = read_policy(*node, reader, out.state.models.size());
    out.embedding_model = reader.text("embedding_model");
    out.fingerprint = reader.text("fingerprint");
    if (node->find("budget_usd") != nullptr) {
        out.spending.budget_usd = reader.number("budget_usd", 0, kLarge);
    } else {
        out.spending.lambda = reader.number("lambda", 0, 1e30);
    }
    out.evidence = read_evidence(reader);
    if (!reader.missing().empty())
        return fail(broken("'" + reader.missing() + "' is missing or out of range"));
    if (auto read = read_numbers(numbers, *rows, out.state); !read)
        return fail(std::move(read.error()));
    return out;
}

}  // namespace leeway::router
