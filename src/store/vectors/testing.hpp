#pragma once

// Only for tests: vectors in clusters, as embeddings lie, and what a search must find among them.

#include "store/vectors/vector_index.hpp"
#include "support/temporary_folder.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace leeway::store::vectors::testing {

using Vector = std::vector<float>;

inline Vector unit(Vector v) {
    double squares = 0;
    for (const float x : v) squares += static_cast<double>(x) * static_cast<double>(x);
    for (float& x : v) x = static_cast<float>(static_cast<double>(x) / std::sqrt(squares));
    return v;
}

/// Unit vectors near one of `clusters` centres; `spread` 0: on it.
class Clustered {
public:
    Clustered(std::uint32_t dimension, std::size_t clusters, double spread, std::uint64_t seed = 1)
        : random(seed), dimension_(dimension), spread_(spread) {
        for (std::size_t i = 0; i < clusters; ++i) centres_.push_back(unit(noise()));
    }
    Vector next() {
        const Vector& centre = centres_[random() % centres_.size()];
        return jittered(centre, spread_);
    }
    Vector jittered(const Vector& around, double spread) {
        Vector v = unit(noise());
        for (std::size_t i = 0; i < v.size(); ++i) {
            v[i] = around[i] + static_cast<float>(spread) * v[i];
        }
        return unit(std::move(v));
    }

    std::mt19937_64 random;

private:
    Vector noise() {
        std::normal_distribution<float> normal;
        Vector v(dimension_);
        for (float& x : v) x = normal(random);
        return v;
    }
    std::uint32_t dimension_;
    double spread_;
    std::vector<Vector> centres_;
};

inline double cosine(const Vector& a, const Vector& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    }
    return sum;
}

/// All vectors, compared one by one in double precision.
class BruteForce {
public:
    struct Hit {
        std::uint64_t id;
        double cosine;
    };
    void add(std::uint64_t id, Vector v) { all[id] = std::move(v); }
    void remove(std::uint64_t id) { all.erase(id); }
    [[nodiscard]] std::vector<Hit> search(
        const Vector& query, std::size_t k,
        const std::function<bool(std::uint64_t)>& accepts = {}) const {
        std::vector<Hit> hits;
        for (const auto& [id, v] : all) {
            if (!accepts || accepts(id)) hits.push_back({id, cosine(query, v)});
        }
        std::sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) {
            return a.cosine != b.cosine ? a.cosine > b.cosine : a.id < b.id;
        });
        if (hits.size() > k) hits.resize(k);
        return hits;
    }

    std::map<std::uint64_t, Vector> all;
};

using support::TemporaryFolder;

}  // namespace leeway::store::vectors::testing
