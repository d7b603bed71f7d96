#include "methods/cascade/cascade_file.hpp"

#include "json/member_reader.hpp"
#include "json/seal.hpp"
#include "json/write.hpp"

#include <utility>

namespace leeway::cascade {
namespace {

constexpr std::int64_t kVersion = 1;

Error broken(std::string why) {
    return {ErrorCode::kConfig,
            "this is no cascade of `leeway tune cascade`: " + std::move(why),
            "make it anew from the outcomes: leeway tune cascade",
            {},
            "policy_invalid"};
}

}  // namespace

void write_scores(json::Writer& writer, std::span<const Score> scores) {
    writer.array();
    for (const Score& score : scores)
        writer.array().number(score.confidence).number(score.tie).close_array();
    writer.close_array();
}

Result<std::vector<Score>> read_scores(const json::Node& array) {
    const auto failed = [] {
        return fail(ErrorCode::kConfig, "scores that are none");
    };
    std::vector<Score> out;
    if (!array.is_array() || array.elements.empty() || array.elements.size() > kMostScores)
        return failed();
    for (const json::Node& one : array.elements) {
        if (one.elements.size() != 2) return failed();
        const auto confidence = json::to_double(one.elements[0].text);
        const auto tie = json::to_double(one.elements[1].text);
        if (!confidence || !tie) return failed();
        out.push_back({*confidence, *tie});
    }
    return out;
}

std::string write_cascade_file(const CascadeFile& file) {
    std::string out;
    json::Writer writer(out);
    const Certificate& shown = file.certificate;
    writer.object().key("cascade").integer(kVersion);
    writer.key("weak").string(file.weak).key("strong").string(file.strong);
    writer.key("max_harm").number(file.promise.max_harm);
    writer.key("confidence").number(file.promise.confidence);
    writer.key("certified").boolean(shown.certified);
    writer.key("cut").number(shown.cut.confidence).key("cut_tie").number(shown.cut.tie);
    writer.key("rows").integer(static_cast<std::int64_t>(shown.rows));
    writer.key("accepted").integer(static_cast<std::int64_t>(shown.accepted));
    writer.key("harmed").integer(static_cast<std::int64_t>(shown.harmed));
    writer.key("harm_limit").number(shown.limit).key("saving").number(shown.saving);
    writer.key("why").string(shown.why).key("tasks").string(file.tasks);
    writer.key("outcomes").string(file.outcomes);
    writer.key("outcomes_sha256").string(file.outcomes_sha256);
    writer.key("made_unix_s").integer(file.made_unix_s);
    if (!file.scores.empty()) {
        writer.key("scores");
        write_scores(writer, file.scores);
    }
    json::append_seal(out);
    return out + "\n";
}

Result<CascadeFile> read_cascade_file(std::string_view text) {
    const auto node = json::parse_node(text);
    if (!node) return fail(broken(node.error().message));
    json::MemberReader reader(*node);
    if (reader.number("cascade", 0, 1e9) != static_cast<double>(kVersion))
        return fail(broken("it is of another version, or something else"));
    CascadeFile out;
    out.seal = reader.text("seal");
    if (!json::seal_fits(text, out.seal))
        return fail(broken("its seal does not fit, so it was cut or edited"));
    auto signer = json::signer_of(text);
    if (!signer) return fail(broken(signer.error().message));
    out.signer = std::move(*signer);
    out.weak = reader.text("weak");
    out.strong = reader.text("strong");
    out.promise.max_harm = reader.number("max_harm", 0, 1);
    out.promise.confidence = reader.number("confidence", 0, 1);
    out.certificate.certified = reader.yes("certified");
    out.certificate.cut.confidence = reader.number("cut", 0, 1e9);
    out.certificate.cut.tie = reader.number("cut_tie", -1e15, 1e15);
    out.certificate.rows = reader.count("rows");
    out.certificate.accepted = reader.count("accepted");
    out.certificate.harmed = reader.count("harmed");
    out.certificate.limit = reader.number("harm_limit", 0, 1);
    out.certificate.saving = reader.number("saving", -1e9, 1);
    out.certificate.why = reader.text("why");
    out.tasks = reader.text("tasks");
    out.outcomes = reader.text("outcomes");
    out.outcomes_sha256 = reader.text("outcomes_sha256");
    out.made_unix_s = static_cast<std::int64_t>(reader.number("made_unix_s", 0, 1e12));
    if (const json::Node* const scores = node->find("scores")) {
        auto read = read_scores(*scores);
        if (!read) return fail(broken("'scores' cannot be read"));
        out.scores = std::move(*read);
    }
    if (!reader.missing().empty())
        return fail(broken("'" + reader.missing() + "' is missing or out of range"));
    return out;
}

}  // namespace leeway::cascade
