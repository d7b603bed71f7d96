#include "app/routes/route_tables.hpp"

#include "app/routes/routes_file.hpp"
#include "app/terminal.hpp"
#include "base/posted_value.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>

namespace leeway::app {
namespace {

using router::RouteTable;
using router::SemanticRouter;

constexpr auto kPause = std::chrono::milliseconds(250);
// After failures: each try may be a paid call.
constexpr auto kLongestPause = std::chrono::milliseconds(30'000);
// Utterances may wait behind requests; what was computed meanwhile is known at the next try.
constexpr auto kPatience = std::chrono::seconds(10);
// Asked for at once of a provider, whose calls take many texts. Of a model that runs here one: a request must not wait
// behind a batch of ours.
constexpr std::size_t kTogether = 32;
constexpr std::size_t kMostBytes = 64ULL * 1024 * 1024;

Task<void> embed_one(models::Embedder* embedder, std::string text, net::EventLoop* loop,
                     PostedValue<Result<models::Embedded>>::Sender to) {
    auto made = co_await embedder->embed(std::move(text), *loop, kPatience);
    to.send(std::move(made));
}

}  // namespace

Result<std::shared_ptr<const RouteTable>> RouteTables::open(const std::string& path,
                                                            models::Embedder& embedder) {
    auto text = read_input(path, kMostBytes);
    if (!text) return fail(std::move(text.error()));
    Known& known = known_[path];
    if (auto same = known.table.lock(); same && known.text == *text) return same;
    auto set = load_routes(path);
    if (!set) return fail(std::move(set.error()));
    auto rules = SemanticRouter::rules_of(std::move(*set));
    if (!rules) return fail(std::move(rules.error()));
    auto table = std::make_shared<RouteTable>(std::move(*rules));
    known = {std::move(*text), table};
    loop_.post([this, weak = std::weak_ptr(table), &embedder] {
        ++running_;
        loop_.spawn(keep_ready(weak, &embedder));
    });
    if (!thread_.joinable()) {
        thread_ = std::thread([this] {
            ::pthread_setname_np(::pthread_self(), "routes");
            loop_.run();
        });
    }
    return table;
}

void RouteTables::stop() {
    if (!thread_.joinable()) return;
    loop_.post([this] {
        stopping_ = true;
        if (running_ == 0) loop_.stop();
    });
    thread_.join();
}

/// Lives as long as its table is in use.
Task<void> RouteTables::keep_ready(std::weak_ptr<RouteTable> weak, models::Embedder* embedder) {
    std::chrono::milliseconds pause = kPause;
    while (!stopping_) {
        auto table = weak.lock();
        if (!table) break;
        if (table->ready().router == nullptr) {
            co_await make_ready(table, embedder);
            const bool made = table->ready().router != nullptr;
            pause = made ? kPause : std::min(pause * 2, kLongestPause);
        }
        table.reset();
        // In pieces: the end, or that of the table, is not waited for.
        for (auto left = pause; left > kPause && !stopping_ && !weak.expired(); left -= kPause)
            co_await loop_.sleep_for(kPause);
        co_await loop_.sleep_for(kPause);
    }
    --running_;
    if (stopping_ && running_ == 0) loop_.stop();
}

Task<void> RouteTables::make_ready(std::shared_ptr<RouteTable> table, models::Embedder* embedder) {
    const std::vector<std::string> texts = SemanticRouter::texts_of(table->set());
    models::VectorTable vectors;
    std::shared_ptr<const models::EmbeddingModel> model;
    std::deque<PostedValue<Result<models::Embedded>>> under_way;
    bool good = true;
    for (std::size_t next = 0;;) {
        // The first one shows whether the others are worth a call.
        const std::size_t most = model && !embedder->is_local() ? kTogether : 1;
        while (good && next < texts.size() && under_way.size() < most) {
            under_way.emplace_back(loop_);
            std::string copy = texts[next++];
            loop_.spawn(embed_one(embedder, std::move(copy), &loop_, under_way.back().sender()));
        }
        if (under_way.empty()) break;
        auto made = co_await under_way.front().receive();
        under_way.pop_front();
        const bool told = good && !stopping_;
        // A change of the model half-way: all over again. Those under way are waited for in any case.
        good = told && made && (!model || made->model->fingerprint == model->fingerprint);
        if (good) {
            model = made->model;
            vectors.dimension = model->dimension;
            vectors.values.insert(vectors.values.end(), made->vector->begin(), made->vector->end());
        } else if (told && !made) {
            if (!complained_)
                spdlog::warn("routes file {}: its utterances cannot be embedded yet: {}",
                             table->set().path, made.error().message);
            complained_ = true;
        }
    }
    if (!good || !model) co_return;
    auto router = SemanticRouter::build(table->set(), *model, vectors);
    if (!router) {
        spdlog::error("routes file {}: {}", table->set().path, router.error().message);
        co_return;
    }
    complained_ = false;
    if (router->stale()) {
        spdlog::warn(
            "routes file {}: it was fitted for another model than {}: default thresholds "
            "stand in until `leeway tune routes` ran again",
            table->set().path, model->name);
    }
    spdlog::info("routes file {}: {} routes, {} examples embedded by {}", table->set().path,
                 table->set().routes.size(), texts.size(), model->name);
    table->set_ready(
        {std::make_shared<const SemanticRouter>(std::move(*router)), model->fingerprint});
}

}  // namespace leeway::app
