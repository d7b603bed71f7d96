#include "methods/router/predict/known_groups.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace leeway::router {

KnownGroups KnownGroups::of(std::span<const std::span<const float>> qualities) {
    KnownGroups out;
    for (const std::span<const float> one : qualities) {
        std::vector<bool> known(one.size());
        for (std::size_t r = 0; r < one.size(); ++r) known[r] = !std::isnan(one[r]);
        const auto same = std::ranges::find(out.known, known);
        out.group_of.push_back(static_cast<std::uint32_t>(same - out.known.begin()));
        if (same != out.known.end()) continue;
        out.rows.push_back(static_cast<std::size_t>(std::ranges::count(known, true)));
        out.known.push_back(std::move(known));
    }
    return out;
}

}  // namespace leeway::router
