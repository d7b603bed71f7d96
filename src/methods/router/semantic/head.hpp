#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::router {

/// A linear map from a vector to one value per class: ridge regression on the indicators of the classes, so that it is
/// near 1 for the class of a text and near 0 for the others. It learns from the very examples that similarities are
/// taken to, in closed form, with no chance in it. Immutable, any thread may ask.
class LinearHead {
public:
    LinearHead() = default;
    /// `rows` has `classes_of.size()` vectors of `dimension`; each class is below `classes`. With fewer than two
    /// classes in use there is nothing to learn: all values are 0.
    LinearHead(std::span<const float> rows, std::size_t dimension,
               std::span<const std::uint32_t> classes_of, std::size_t classes);

    [[nodiscard]] bool learned() const noexcept { return !weights_.empty(); }
    /// Fills `values`, one per class.
    void score(std::span<const float> vector, std::span<float> values) const;

private:
    std::size_t dimension_ = 0;
    std::vector<float> weights_;  // classes × dimension
    std::vector<float> offsets_;
};

}  // namespace leeway::router
