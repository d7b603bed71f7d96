#include "methods/cascade/certificate_book.hpp"

#include "json/member_reader.hpp"
#include "json/node.hpp"
#include "json/write.hpp"

namespace leeway::cascade {
namespace {

OnlineSettings settings_of(const CascadeFile& file, const CertificateCare& care) {
    OnlineSettings out;
    out.promise = file.promise;
    out.audit = care.audit;
    out.shadow = care.learn;
    out.least_accepted = care.least_accepted;
    return out;
}

std::vector<JudgedRow> rows_of(const CascadeFile& file) {
    std::vector<JudgedRow> out;
    out.reserve(file.scores.size());
    for (const Score& score : file.scores) out.push_back({score, false, 0, 0, 0});
    return out;
}

/// nullopt: it is none.
std::optional<SelfCertified> read_certified(const json::Node& node) {
    json::MemberReader reader(node);
    SelfCertified out;
    out.cut.confidence = reader.number("cut", 0, 1e9);
    out.cut.tie = reader.number("cut_tie", -1e15, 1e15);
    out.harm_rate = reader.number("harm_rate", 0, 1);
    const json::Node* const scores = node.find("scores");
    if (scores == nullptr || !reader.missing().empty()) return std::nullopt;
    auto read = read_scores(*scores);
    if (!read) return std::nullopt;
    out.scores = std::move(*read);
    return out;
}

}  // namespace

CertificateInUse::CertificateInUse(const CascadeFile& file, const CertificateCare& care)
    : care_(care), online_(settings_of(file, care), file.certificate, rows_of(file)) {}

OnlineDecision CertificateInUse::decide(const Score& score, double chance) {
    const std::scoped_lock lock(mutex_);
    if (!online_.serving()) return {};
    ++counted_.decided;
    OnlineDecision out = online_.decide(score, chance);
    if (!out.weak) out.judge = false;  // the strong model has not answered yet
    return out;
}

void CertificateInUse::record(const Score& score, const OnlineDecision& decision, bool harm) {
    const std::scoped_lock lock(mutex_);
    if (!online_.serving() || !decision.judge) return;
    ++counted_.audited;
    counted_.harmed += harm ? 1 : 0;
    online_.record(score, decision, harm);
}

bool CertificateInUse::learns(double chance) const {
    if (chance >= care_.learn) return false;
    const std::scoped_lock lock(mutex_);
    return !online_.serving();
}

void CertificateInUse::learn(const Score& score, bool harm) {
    const std::scoped_lock lock(mutex_);
    if (online_.serving()) return;  // it is certified meanwhile
    ++counted_.learned;
    online_.record(score, {.weak = false, .judge = true}, harm);
}

void CertificateInUse::demote(std::string why) {
    const std::scoped_lock lock(mutex_);
    online_.demote(std::move(why));
}

std::string_view CertificateInUse::obstacle() const {
    const std::scoped_lock lock(mutex_);
    if (online_.serving()) return {};
    if (online_.why().empty()) return "no_evidence";
    return online_.why().find("drift") != std::string::npos ? "drift" : "harm";
}

CertificateInUse::State CertificateInUse::state() const {
    const std::scoped_lock lock(mutex_);
    State out = counted_;
    out.serving = online_.serving();
    if (!out.serving) out.why = online_.why();
    return out;
}

std::optional<SelfCertified> CertificateInUse::by_itself() const {
    const std::scoped_lock lock(mutex_);
    return online_.by_itself();
}

void CertificateInUse::resume(SelfCertified certified) {
    const std::scoped_lock lock(mutex_);
    online_.resume(std::move(certified));
}

Result<void> CertificateBook::restore(std::string_view text) {
    const auto failed = [] {
        return fail(ErrorCode::kConfig, "it does not tell what became of cascades");
    };
    const auto node = json::parse_node(text);
    const json::Node* const all = node && node->is_object() ? node->find("demoted") : nullptr;
    if (all == nullptr || !all->is_array()) return failed();
    const std::scoped_lock lock(mutex_);
    for (const json::Node& one : all->elements) {
        if (!one.is_object()) continue;
        Entry entry;
        entry.seal = one.text_of("policy");
        entry.why = one.text_of("why");
        by_route_.insert_or_assign(std::string(one.text_of("route")), std::move(entry));
    }
    const json::Node* const certified = node->find("certified");
    if (certified == nullptr) return {};
    for (const json::Node& one : certified->elements) {
        auto read = read_certified(one);
        if (!read) return failed();
        Entry entry;
        entry.seal = one.text_of("policy");
        entry.certified = std::move(read);
        by_route_.insert_or_assign(std::string(one.text_of("route")), std::move(entry));
    }
    return {};
}

std::string CertificateBook::text() const {
    const std::scoped_lock lock(mutex_);
    std::string out;
    json::Writer writer(out);
    writer.object().key("demoted").array();
    for (const auto& [route, entry] : by_route_) {
        if (entry.why.empty()) continue;
        writer.object().key("route").string(route).key("policy").string(entry.seal);
        writer.key("why").string(entry.why).close_object();
    }
    writer.close_array().key("certified").array();
    for (const auto& [route, entry] : by_route_) {
        if (!entry.certified) continue;
        writer.object().key("route").string(route).key("policy").string(entry.seal);
        writer.key("cut").number(entry.certified->cut.confidence);
        writer.key("cut_tie").number(entry.certified->cut.tie);
        writer.key("harm_rate").number(entry.certified->harm_rate).key("scores");
        write_scores(writer, entry.certified->scores);
        writer.close_object();
    }
    writer.close_array().close_object();
    return out + "\n";
}

std::shared_ptr<CertificateInUse> CertificateBook::use(const std::string& route,
                                                       const CascadeFile& file,
                                                       const CertificateCare& care) {
    const std::scoped_lock lock(mutex_);
    Entry& entry = by_route_[route];
    const bool same = entry.seal == file.seal;
    const bool as_before = entry.care.audit == care.audit && entry.care.learn == care.learn;
    if (same && entry.certificate && as_before) return entry.certificate;
    if (!same) entry = {};
    if (entry.certificate) {  // what nobody was told yet holds, too
        entry.why = entry.certificate->state().why;
        entry.certified = entry.certificate->by_itself();
    }
    entry.seal = file.seal;
    entry.care = care;
    entry.certificate = std::make_shared<CertificateInUse>(file, care);
    if (!entry.why.empty()) entry.certificate->demote(entry.why);
    if (entry.certified) entry.certificate->resume(*entry.certified);
    return entry.certificate;
}

std::vector<CertificateBook::Change> CertificateBook::take_changes() {
    const std::scoped_lock lock(mutex_);
    std::vector<Change> out;
    for (auto& [route, entry] : by_route_) {
        if (!entry.certificate) continue;
        const std::string why = entry.certificate->state().why;
        std::optional<SelfCertified> certified = entry.certificate->by_itself();
        const bool begins =
            certified && (!entry.certified || certified->cut != entry.certified->cut);
        const bool ends = !why.empty() && why != entry.why;
        entry.why = why;
        entry.certified = certified;
        if (begins || ends) out.push_back({route, why, std::move(certified)});
    }
    return out;
}

std::vector<std::pair<std::string, CertificateInUse::State>> CertificateBook::standings() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::pair<std::string, CertificateInUse::State>> out;
    for (const auto& [route, entry] : by_route_)
        if (entry.certificate) out.emplace_back(route, entry.certificate->state());
    return out;
}

}  // namespace leeway::cascade
