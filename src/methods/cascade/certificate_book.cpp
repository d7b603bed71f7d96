#include "methods/cascade/certificate_book.hpp"

#include "json/node.hpp"
#include "json/write.hpp"

namespace leeway::cascade {
namespace {

OnlineSettings settings_of(const CascadeFile& file, double audit) {
    OnlineSettings out;
    out.promise = file.promise;
    out.audit = audit;
    out.shadow = 0;  // once demoted, nothing is gathered
    return out;
}

std::vector<JudgedRow> rows_of(const CascadeFile& file) {
    std::vector<JudgedRow> out;
    out.reserve(file.scores.size());
    for (const Score& score : file.scores) out.push_back({score, false, 0, 0, 0});
    return out;
}

}  // namespace

CertificateInUse::CertificateInUse(const CascadeFile& file, double audit)
    : online_(settings_of(file, audit), file.certificate, rows_of(file)) {}

OnlineDecision CertificateInUse::decide(const Score& score, double chance) {
    const std::scoped_lock lock(mutex_);
    if (!state_.serving) return {};
    ++state_.decided;
    const OnlineDecision out = online_.decide(score, chance);
    state_.serving = online_.serving();
    if (!state_.serving) state_.why = online_.why();
    return out;
}

void CertificateInUse::record(const Score& score, const OnlineDecision& decision, bool harm) {
    const std::scoped_lock lock(mutex_);
    if (!state_.serving || !decision.judge) return;
    ++state_.audited;
    state_.harmed += harm ? 1 : 0;
    online_.record(score, decision, harm);
    state_.serving = online_.serving();
    if (!state_.serving) state_.why = online_.why();
}

void CertificateInUse::demote(std::string why) {
    const std::scoped_lock lock(mutex_);
    state_.serving = false;
    state_.why = std::move(why);
}

std::string_view CertificateInUse::demoted() const {
    const std::scoped_lock lock(mutex_);
    if (state_.serving) return {};
    return state_.why.find("drift") != std::string::npos ? "drift" : "harm";
}

CertificateInUse::State CertificateInUse::state() const {
    const std::scoped_lock lock(mutex_);
    return state_;
}

Result<void> CertificateBook::restore(std::string_view text) {
    const auto node = json::parse_node(text);
    const json::Node* const all = node && node->is_object() ? node->find("demoted") : nullptr;
    if (all == nullptr || !all->is_array())
        return fail(ErrorCode::kConfig, "it does not tell which cascades were demoted");
    const std::scoped_lock lock(mutex_);
    for (const json::Node& one : all->elements) {
        if (!one.is_object()) continue;
        const std::string_view why = one.text_of("why");
        by_route_.insert_or_assign(
            std::string(one.text_of("route")),
            Entry{std::string(one.text_of("policy")), 0, nullptr, std::string(why)});
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
    writer.close_array().close_object();
    return out + "\n";
}

std::shared_ptr<CertificateInUse> CertificateBook::use(const std::string& route,
                                                       const CascadeFile& file, double audit) {
    const std::scoped_lock lock(mutex_);
    Entry& entry = by_route_[route];
    const bool same = entry.seal == file.seal;
    if (same && entry.certificate && entry.audit == audit) return entry.certificate;
    auto out = std::make_shared<CertificateInUse>(file, audit);
    if (same && entry.certificate && !entry.certificate->demoted().empty())
        entry.why = entry.certificate->state().why;
    if (same && !entry.why.empty()) out->demote(entry.why);
    entry = {file.seal, audit, out, same ? entry.why : std::string()};
    return out;
}

std::vector<std::pair<std::string, std::string>> CertificateBook::take_demoted() {
    const std::scoped_lock lock(mutex_);
    std::vector<std::pair<std::string, std::string>> out;
    for (auto& [route, entry] : by_route_) {
        if (!entry.certificate || !entry.why.empty()) continue;
        const CertificateInUse::State state = entry.certificate->state();
        if (state.serving) continue;
        entry.why = state.why;
        out.emplace_back(route, entry.why);
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
