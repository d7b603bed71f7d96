#pragma once

// Only for tests: a store in a folder of its own, and answers that another thread brings.

#include "store/sqlite/database.hpp"
#include "store/vectors/testing.hpp"
#include "store/vectors/vector_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace leeway::store::vectors::testing {

inline constexpr double kCosineError = 0.0005;
inline constexpr std::uint32_t kDimension = 32;

/// A value that another thread brings.
template <class T>
class Mailbox {
public:
    void put(T value) {
        {
            const std::scoped_lock lock(mutex_);
            value_.emplace(std::move(value));
        }
        came_.notify_all();
    }
    std::optional<T> get() {
        std::unique_lock lock(mutex_);
        came_.wait_for(lock, std::chrono::seconds(20), [&] { return value_.has_value(); });
        return std::move(value_);
    }

private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::optional<T> value_;
};

class VectorStoreTest : public ::testing::Test {
public:
    VectorStoreTest() { options.path = folder / "vectors.db"; }

    [[nodiscard]] std::unique_ptr<VectorStore> open() const {
        auto store = open_vector_store(options);
        if (!store) {
            ADD_FAILURE() << store.error().text();
            std::abort();
        }
        return std::move(*store);
    }
    static Partition partition(const std::string& key, const std::string& fingerprint = "model-1",
                               std::uint32_t dimension = kDimension) {
        return {.key = key + "/", .fingerprint = fingerprint, .dimension = dimension};
    }
    static void put(VectorStore& store, const Partition& to, std::uint64_t id, const Vector& v,
                    const std::string& payload = {}, std::int64_t expires = 0) {
        store.put(to, {.id = id,
                       .vector = std::make_shared<const Vector>(v),
                       .payload = payload,
                       .expires_unix_s = expires});
    }
    static VectorStore::Found search(VectorStore& store, const Partition& in, const Vector& v,
                                     std::size_t k = 1) {
        auto box = std::make_shared<Mailbox<VectorStore::Found>>();
        VectorQuery query{
            .partition = in, .vector = std::make_shared<const Vector>(v), .k = k, .filter = {}};
        store.search(std::move(query),
                     [box](VectorStore::Found found) { box->put(std::move(found)); });
        auto found = box->get();
        if (!found) {
            ADD_FAILURE() << "no answer";
            return std::vector<Match>{};
        }
        return std::move(*found);
    }
    static std::vector<Match> found(VectorStore& store, const Partition& in, const Vector& v,
                                    std::size_t k = 1) {
        auto matches = search(store, in, v, k);
        if (!matches) {
            ADD_FAILURE() << matches.error().text();
            return {};
        }
        return std::move(*matches);
    }
    static bool has(VectorStore& store, const Partition& in, std::uint64_t id, const Vector& v) {
        const auto matches = found(store, in, v, 3);
        return std::any_of(matches.begin(), matches.end(), [&](const Match& match) {
            return match.id == id && match.cosine > 1 - kCosineError;
        });
    }
    void sql(const char* text) const {
        auto db = sqlite::Database::open(options.path);
        ASSERT_TRUE(db) << db.error().text();
        const auto done = db->exec(text);
        ASSERT_TRUE(done) << done.error().text();
    }
    [[nodiscard]] std::int64_t ask(const char* text) const {
        auto db = sqlite::Database::open(options.path);
        const auto value = db->query_int(text);
        return value ? value->value_or(-1) : -2;
    }

    TemporaryFolder folder;
    VectorStoreOptions options;
    Clustered source{kDimension, 20, 0.8};
};

}  // namespace leeway::store::vectors::testing
