#include "app/client_batches.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {

/// A parameter of the address; empty: it is not there, or holds what none of ours does.
std::string BatchRequest::plain_query(std::string_view name) const {
    if (name.empty()) return {};
    const std::string_view value = caller_.context().headers->query(name).value_or("");
    return is_plain(value) ? std::string(value) : std::string();
}

/// Pages of the provider's list, until there are as many of the caller's as it wants: the list has those of all keys.
Task<void> BatchRequest::list() {
    auto chosen = choose_provider();
    if (!chosen) {
        co_await refuse(std::move(chosen.error()));
        co_return;
    }
    link_.go_to(**chosen);
    const bool files = place_.kind == Place::Kind::kFiles;
    const wire::BatchDialect& dialect = link_.dialect();
    const pipeline::HeaderSource& source = *caller_.context().headers;
    const std::size_t most = files ? 10'000 : dialect.longest_page;
    const std::uint64_t wish =
        parse_u64(source.query("limit").value_or("")).value_or(files ? most : 20);
    limit_ = std::clamp<std::uint64_t>(wish, 1, most);
    std::string target = files ? "/files?limit=1000" : fmt::format("{}?limit=100", dialect.path);
    for (const std::string_view name : {"order", "purpose"}) {
        const std::string value = files ? plain_query(name) : std::string();
        if (!value.empty()) target += fmt::format("&{}={}", name, value);
    }
    bool has_more = false;
    auto collected = co_await collect(std::move(target), has_more);
    if (!collected) {
        co_await refuse(std::move(collected.error()));
        co_return;
    }
    const std::string body = dialect.render_list(items_, ids_, has_more);
    std::vector<net::Field> fields = own_fields();
    fields.push_back({"content-type", "application/json"});
    co_await exchange_.respond(200, fields, body);
}

Task<Result<void>> BatchRequest::collect(std::string target, bool& has_more) {
    // Of keys that have none among very many, so that one request has an end.
    constexpr int kMostPages = 100;
    const wire::BatchDialect& dialect = link_.dialect();
    last_id_ = plain_query(dialect.before);
    // The page that ends where the caller says: read from its end, and so are those before it.
    const bool backwards = !last_id_.empty();
    if (!backwards) last_id_ = plain_query(dialect.after);
    const std::string_view from = backwards ? dialect.before : dialect.after;
    for (int page = 0; page < kMostPages; ++page) {
        ProviderAsk wanted;
        wanted.path = target;
        if (!last_id_.empty()) wanted.path += fmt::format("&{}={}", from, last_id_);
        auto answer = co_await ask(std::move(wanted));
        if (!answer) co_return fail(std::move(answer.error()));
        if (answer->status != 200) {
            co_return fail(wire::codec_of(place_.dialect).read_error(answer->status, answer->body));
        }
        auto list = wire::read_list(answer->body);
        if (!list) {
            co_return fail(Error{ErrorCode::kUpstreamInvalid,
                                 "the upstream's answer is no list",
                                 {},
                                 {},
                                 "upstream_invalid_answer"});
        }
        if (backwards) std::reverse(list->items.begin(), list->items.end());
        bool room = true;
        for (const std::string_view item : list->items) {
            auto taken = co_await take_item(item);
            if (!taken) co_return fail(std::move(taken.error()));
            room = *taken;
            if (!room) break;
        }
        has_more = !room || (list->has_more && !list->items.empty());
        if (!room || !has_more) break;
    }
    if (backwards) {
        std::reverse(items_.begin(), items_.end());
        std::reverse(ids_.begin(), ids_.end());
    }
    co_return Result<void>();
}

/// Takes an item of the provider's list that is the caller's. False: it is, but there are enough.
Task<Result<bool>> BatchRequest::take_item(std::string_view item) {
    last_id_ = wire::read_object_id(item);
    const std::string& provider = link_.provider().name;
    if (place_.kind == Place::Kind::kFiles) {
        auto file = store().find_file(last_id_, owner());
        if (!file) co_return fail(no_batch_store(file.error()));
        if (!*file || (*file)->provider != provider) co_return true;
        if (items_.size() == limit_) co_return false;
        items_.emplace_back(item);
    } else {
        auto batch = store().find_batch(last_id_, owner());
        if (!batch) co_return fail(no_batch_store(batch.error()));
        if (!*batch || (*batch)->provider != provider) co_return true;
        if (items_.size() == limit_) co_return false;
        if (const auto state = link_.dialect().read_state(item)) {
            auto seen = co_await link_.see(std::move(**batch), *state);
            if (!seen) co_return fail(std::move(seen.error()));
        }
        items_.push_back(link_.dialect().for_caller(item));
    }
    ids_.push_back(last_id_);
    co_return true;
}

}  // namespace leeway::app
