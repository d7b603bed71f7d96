#include "methods/agent_cache/semantic_store.hpp"

#include "base/random.hpp"
#include "json/write.hpp"
#include "methods/agent_cache/answer_form.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

namespace leeway::agent_cache {
namespace {

namespace vectors = store::vectors;
using pipeline::RequestContext;

constexpr std::string_view kAnswerVersion = "leeway-semantic-answer-1";
constexpr std::size_t kMostPending = 10'000;  // decisions that nobody has written yet
// So many records are in memory at most: as many as the file keeps.
constexpr std::size_t kMostRecords = SemanticFile::kRecords;

/// Of a kept question, in the vector store: the entry's number and the text.
std::string payload_of(std::uint64_t entry, std::string_view text) {
    std::string out(sizeof entry, '\0');
    std::memcpy(out.data(), &entry, sizeof entry);
    out += text;
    return out;
}

Sha256 answer_key(const SemanticPlace& place, std::uint64_t entry) {
    std::string bytes;
    append_field(bytes, kAnswerVersion);
    append_field(bytes, place.partition.key);
    append_field(bytes, place.partition.fingerprint);
    append_field(bytes, std::to_string(entry));
    return sha256(bytes);
}

/// The first bytes of the key of all partitions of a tenant, or of one route of it.
std::string key_prefix(std::string_view tenant, std::optional<std::string_view> route) {
    std::string out(tenant);
    out += '\n';
    if (route) out.append(*route) += '\n';
    return out;
}

std::string state_json(const semantic::RiskState& state, std::string_view judge, double max_error) {
    std::string out;
    json::Writer json(out);
    json.object().key("phase").string(semantic::phase_name(state.phase));
    json.key("why").string(state.why).key("judge").string(judge);
    json.key("max_error").number(max_error).key("threshold").number(state.threshold);
    json.key("asked").integer(static_cast<std::int64_t>(state.asked));
    json.key("served").integer(static_cast<std::int64_t>(state.served));
    json.key("would_serve").integer(static_cast<std::int64_t>(state.would_serve));
    json.key("verified").integer(static_cast<std::int64_t>(state.verified));
    json.key("audited").integer(static_cast<std::int64_t>(state.audited));
    json.key("audited_wrong").integer(static_cast<std::int64_t>(state.audited_wrong));
    json.key("audit_share").number(state.audit).key("error").number(state.error_estimate);
    json.key("error_low").number(state.error_low).key("error_high").number(state.error_high);
    json.key("certified_error").number(state.certified_error);
    json.key("stops").integer(state.stops).close_object();
    return out;
}

void interrupt_search(void* search) {
    static_cast<PostedValue<vectors::VectorStore::Found>*>(search)->interrupt(
        std::vector<vectors::Match>());
}

}  // namespace

SemanticPlace SemanticPlace::of(const AskedQuestion& question, const RequestContext& context,
                                std::string_view fingerprint, std::size_t dimension) {
    SemanticPlace out;
    out.tenant = question.together ? std::string(kShared) : context.key_name;
    out.route = context.route->name;
    out.evidence = question.evidence;
    out.partition.key = key_prefix(out.tenant, out.route) + to_hex(question.partition);
    out.partition.fingerprint = fingerprint;
    out.partition.dimension = static_cast<std::uint32_t>(dimension);
    return out;
}

std::unique_ptr<SemanticStore> SemanticStore::open(const Options& options) {
    std::unique_ptr<SemanticStore> out(new SemanticStore(options));
    if (options.path.empty()) return out;
    auto file = SemanticFile::open(options.path);
    if (!file) {
        spdlog::warn("the semantic cache forgets what it learned when the gateway ends: {}",
                     file.error().text());
        return out;
    }
    out->file_.emplace(std::move(*file));
    out->load();
    return out;
}

SemanticStore::~SemanticStore() { tend(); }

void SemanticStore::load() {
    auto done = file_->each_record([this](RecordRow row) { records_[row.entry] = std::move(row); });
    if (done) {
        done = file_->each_controller([this](ControllerRow row) {
            const Sha256 id = row.id;
            controllers_[id].row = std::move(row);
        });
    }
    if (!done) spdlog::warn("the semantic cache's file cannot be read: {}", done.error().text());
    if (done = obey(); !done)
        spdlog::warn("the semantic cache's file cannot be changed: {}", done.error().text());
}

Task<Result<std::vector<NearQuestion>>> SemanticStore::near(const SemanticPlace& place,
                                                            const VectorPtr& vector,
                                                            RequestContext& context) {
    vectors::VectorQuery query;
    query.partition = place.partition;
    query.vector = vector;
    query.k = semantic::kNeighbours;
    auto known = options_.vectors->find(query);
    if (!known) {
        PostedValue<vectors::VectorStore::Found> loading(*context.executor);
        options_.vectors->search(std::move(query),
                                 [sender = loading.sender()](vectors::VectorStore::Found found) {
                                     sender.send(std::move(found));
                                 });
        if (context.interruption != nullptr)
            context.interruption->on_interrupt(&interrupt_search, &loading);
        known.emplace(co_await loading.receive());
        if (context.interruption != nullptr) context.interruption->on_interrupt(nullptr, nullptr);
    }
    if (!*known) co_return fail(std::move(known->error()));
    std::vector<NearQuestion> out;
    const std::scoped_lock lock(mutex_);
    for (vectors::Match& match : **known) {
        NearQuestion& near = out.emplace_back();
        near.id = match.id;
        near.cosine = match.cosine;
        if (match.payload.size() < sizeof near.entry) {
            out.pop_back();
            continue;
        }
        std::memcpy(&near.entry, match.payload.data(), sizeof near.entry);
        near.text = match.payload.substr(sizeof near.entry);
        const auto record = records_.find(near.entry);
        if (record != records_.end()) near.record = record->second.counts;
    }
    co_return out;
}

Task<AnswerPtr> SemanticStore::answer(const SemanticPlace& place, std::uint64_t entry,
                                      RequestContext& context) {
    const Sha256 key = answer_key(place, entry);
    AnswerPtr found = co_await look_up(*options_.answers, key, context);
    co_return found;
}

void SemanticStore::put(const SemanticPlace& place, const VectorPtr& vector,
                        std::string_view question, std::uint64_t entry,
                        std::int64_t expires_unix_ms) {
    vectors::VectorEntry row;
    row.id = fast_random() >> 1U;  // those of SQLite have a sign
    row.vector = vector;
    row.payload = payload_of(entry, question);
    row.expires_unix_s = std::max<std::int64_t>(1, (expires_unix_ms + 999) / 1000);
    options_.vectors->put(place.partition, std::move(row));
}

void SemanticStore::keep(const SemanticPlace& place, const VectorPtr& vector,
                         std::string_view question, const AnswerPtr& answer) {
    // Never given before, whatever was lost in a crash: an answer must not be found under another's number.
    const std::uint64_t entry = fast_random() >> 1U;
    options_.answers->put(answer_key(place, entry), answer);
    put(place, vector, question, entry, answer->expires_unix_ms);
    const std::scoped_lock lock(mutex_);
    ++counters_.kept;
}

void SemanticStore::add_question(const SemanticPlace& place, const VectorPtr& vector,
                                 std::string_view question, std::uint64_t entry,
                                 std::int64_t expires_unix_ms) {
    put(place, vector, question, entry, expires_unix_ms);
    const std::scoped_lock lock(mutex_);
    ++counters_.joined;
}

void SemanticStore::learn(const SemanticPlace& place, std::uint64_t entry, bool right,
                          double probability) {
    const std::scoped_lock lock(mutex_);
    ++(right ? counters_.verified_right : counters_.verified_wrong);
    if (records_.size() >= kMostRecords && !records_.contains(entry))
        records_.erase(records_.begin());
    RecordRow& row = records_[entry];
    row.entry = entry;
    row.tenant = place.tenant;
    row.route = place.route;
    row.counts.learn(right, probability);
    // Without a file nobody takes them away.
    if (file_ && changed_records_.size() < 10 * kMostRecords) changed_records_.push_back(entry);
}

void SemanticStore::used(const SemanticPlace& place, std::uint64_t question) {
    options_.vectors->touch(place.partition, question);
}

void SemanticStore::forget(const SemanticPlace& place, std::uint64_t question) {
    options_.vectors->remove(place.partition, question);
}

std::shared_ptr<semantic::RiskController> SemanticStore::controller(
    const SemanticPlace& place, std::string_view judge, const semantic::RiskSettings& settings) {
    std::string bytes;
    append_field(bytes, {reinterpret_cast<const char*>(place.evidence.data()), sizeof(Sha256)});
    append_field(bytes, judge);
    append_field(bytes, std::to_string(settings.max_error));
    const Sha256 id = sha256(bytes);
    const std::scoped_lock lock(mutex_);
    Controller& found = controllers_[id];
    if (found.live) return found.live;
    found.live =
        std::make_shared<semantic::RiskController>(semantic::HitModel::built_in(), settings);
    if (!found.row.saved.empty()) {
        if (auto done = found.live->restore(found.row.saved); !done)
            spdlog::warn("semantic cache of route {}: the evidence begins anew: {}", place.route,
                         done.error().text());
    }
    found.row.id = id;
    found.row.tenant = place.tenant;
    found.row.route = place.route;
    found.judge = judge;
    found.max_error = settings.max_error;
    return found.live;
}

void SemanticStore::note_decision(const RequestId& id, const SemanticPlace& place,
                                  std::string detail) {
    if (!file_) return;
    const std::scoped_lock lock(mutex_);
    if (decisions_.size() >= kMostPending) decisions_.pop_front();
    decisions_.push_back({id, place.tenant, place.route, std::move(detail)});
}

void SemanticStore::erase(const Erasure& what) {
    const std::scoped_lock lock(mutex_);
    if (!what.tenant && !what.route) {
        options_.vectors->clear({});
        options_.answers->clear();
    } else if (!what.route) {
        options_.vectors->clear(key_prefix(*what.tenant, std::nullopt));
        options_.answers->invalidate_tenant(tenant_number(*what.tenant));
    } else {
        // Whoever asked there has a controller.
        for (const auto& [id, one] : controllers_) {
            if (what.fits(one.row.tenant, one.row.route))
                options_.vectors->clear(key_prefix(one.row.tenant, one.row.route));
        }
    }
    std::erase_if(records_,
                  [&](const auto& one) { return what.fits(one.second.tenant, one.second.route); });
    std::erase_if(controllers_, [&](const auto& one) {
        return what.fits(one.second.row.tenant, one.second.row.route);
    });
    std::erase_if(decisions_, [&](const auto& one) { return what.fits(one.tenant, one.route); });
    if (file_) erasures_.push_back(what);
}

/// The orders are forgotten when they have been obeyed: a kill in between has them obeyed again.
Result<void> SemanticStore::obey() {
    auto orders = file_->orders();
    if (!orders) return fail(std::move(orders.error()));
    if (orders->what.empty()) return {};
    for (const Erasure& what : orders->what) {
        erase(what);
        spdlog::info("semantic cache: forgotten: {}, {}",
                     what.tenant ? "key " + *what.tenant : std::string("every key"),
                     what.route ? "route " + *what.route : std::string("every route"));
    }
    if (auto done = write(); !done) return done;
    // On disk as well: what a kill brings back nobody would erase any more.
    if (auto done = options_.vectors->flush(std::chrono::seconds(1)); !done) return done;
    if (auto done = options_.answers->flush(std::chrono::seconds(1)); !done) return done;
    return file_->forget_orders(orders->last);
}

/// Without the lock where it takes long: requests wait for that.
std::vector<ControllerRow> SemanticStore::changed_controllers() {
    std::vector<Controller> live;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [id, one] : controllers_) {
            if (one.live) live.push_back(one);
        }
    }
    std::vector<ControllerRow> out;
    for (Controller& one : live) {
        const semantic::RiskState state = one.live->state();
        const std::uint64_t seen = state.asked + state.verified + state.audited + state.stops;
        if (seen == one.seen) continue;
        one.row.saved = one.live->save();
        one.row.state = state_json(state, one.judge, one.max_error);
        const std::scoped_lock lock(mutex_);
        const auto found = controllers_.find(one.row.id);
        if (found == controllers_.end()) continue;  // forgotten since
        found->second.seen = seen;
        out.push_back(std::move(one.row));
    }
    return out;
}

Result<void> SemanticStore::write() {
    std::vector<RecordRow> records;
    const std::vector<ControllerRow> controllers = changed_controllers();
    std::deque<DecisionRow> decisions;
    std::vector<Erasure> erasures;
    {
        const std::scoped_lock lock(mutex_);
        std::sort(changed_records_.begin(), changed_records_.end());
        changed_records_.erase(std::unique(changed_records_.begin(), changed_records_.end()),
                               changed_records_.end());
        for (const std::uint64_t entry : std::exchange(changed_records_, {})) {
            if (const auto found = records_.find(entry); found != records_.end())
                records.push_back(found->second);
        }
        decisions.swap(decisions_);
        erasures.swap(erasures_);
    }
    if (records.empty() && controllers.empty() && decisions.empty() && erasures.empty()) return {};
    auto transaction = file_->begin();
    if (!transaction) return fail(std::move(transaction.error()));
    Result<void> done;
    for (const Erasure& one : erasures) {
        if (done) done = file_->erase(one);
    }
    for (const RecordRow& one : records) {
        if (done) done = file_->save(one);
    }
    for (const ControllerRow& one : controllers) {
        if (done) done = file_->save(one);
    }
    for (const DecisionRow& one : decisions) {
        if (done) done = file_->add_decision(one.id, one.tenant, one.route, one.detail);
    }
    return done ? transaction->commit() : done;
}

void SemanticStore::tend() {
    if (!file_) return;
    auto done = obey();
    if (done) done = write();
    if (!done && !failing_)
        spdlog::error("the semantic cache cannot keep what it learns: {}", done.error().text());
    failing_ = !done;
}

SemanticStore::Stats SemanticStore::stats() const {
    Stats out;
    std::vector<std::shared_ptr<semantic::RiskController>> live;
    {
        const std::scoped_lock lock(mutex_);
        out = counters_;
        for (const auto& [id, one] : controllers_) {
            if (one.live) live.push_back(one.live);
        }
    }
    out.controllers = live.size();
    for (const auto& one : live) {
        const auto phase = one->state().phase;
        out.serving += phase == semantic::RiskState::Phase::kServing ? 1 : 0;
        out.stopped += phase == semantic::RiskState::Phase::kStopped ? 1 : 0;
    }
    out.vectors = options_.vectors->stats();
    return out;
}

}  // namespace leeway::agent_cache
