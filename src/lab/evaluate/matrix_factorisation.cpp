#include "lab/evaluate/matrix_factorisation.hpp"

#include "base/chances.hpp"
#include "store/vectors/kernel.hpp"

#include <cmath>
#include <numeric>
#include <utility>

namespace leeway::lab {
namespace {

using store::vectors::dot;

constexpr std::size_t kBatch = 64;
constexpr std::size_t kPairsPerQuery = 4;

/// Adam (Kingma and Ba 2014) over one array.
class Adam {
public:
    explicit Adam(std::size_t size) : gradient(size), first_(size), second_(size) {}
    void step(std::vector<float>& values, double rate, double decay, int steps) {
        constexpr float kFirst = 0.9F;
        constexpr float kSecond = 0.999F;
        const auto by =
            static_cast<float>(rate * std::sqrt(1 - std::pow(static_cast<double>(kSecond), steps)) /
                               (1 - std::pow(static_cast<double>(kFirst), steps)));
        for (std::size_t i = 0; i < values.size(); ++i) {
            const float g = gradient[i] + static_cast<float>(decay) * values[i];
            first_[i] = kFirst * first_[i] + (1 - kFirst) * g;
            second_[i] = kSecond * second_[i] + (1 - kSecond) * g * g;
            values[i] -= by * first_[i] / (std::sqrt(second_[i]) + 1e-8F);
            gradient[i] = 0;
        }
    }
    std::vector<float> gradient;

private:
    std::vector<float> first_, second_;
};

}  // namespace

class MatrixFactorisation::Fit {
public:
    Fit(std::span<const float> vectors, std::size_t dimension, std::span<const float> quality,
        std::size_t models, const Options& options)
        : vectors_(vectors),
          dimension_(dimension),
          quality_(quality),
          models_(models),
          options_(options),
          chances_(options.seed),
          map_(options.factors * dimension),
          of_models_(models * options.factors),
          last_(options.factors),
          map_adam_(map_.size()),
          models_adam_(of_models_.size()),
          last_adam_(last_.size()) {
        const auto begin = [this](std::vector<float>& values, double scale) {
            for (float& x : values) x = static_cast<float>((2 * chances_.uniform() - 1) * scale);
        };
        begin(map_, 1 / std::sqrt(static_cast<double>(dimension)));
        begin(of_models_, 1);
        begin(last_, 1 / std::sqrt(static_cast<double>(options.factors)));
    }

    std::vector<float> run() {
        std::vector<std::uint32_t> order(vectors_.size() / dimension_);
        std::iota(order.begin(), order.end(), 0U);
        for (std::size_t epoch = 0; epoch < options_.epochs; ++epoch) {
            for (std::uint32_t i = static_cast<std::uint32_t>(order.size()); i > 1; --i)
                std::swap(order[i - 1], order[chances_.below(i)]);
            std::size_t held = 0;
            for (const std::uint32_t row : order) {
                learn(row);
                if (++held % kBatch == 0) step();
            }
            step();
        }
        return directions();
    }

private:
    void step() {
        ++steps_;
        map_adam_.step(map_, options_.rate, options_.decay, steps_);
        models_adam_.step(of_models_, options_.rate, options_.decay, steps_);
        last_adam_.step(last_, options_.rate, options_.decay, steps_);
    }

    /// v_m / |v_m|.
    [[nodiscard]] std::vector<float> unit(std::size_t model) const {
        const auto v = std::span(of_models_).subspan(model * options_.factors, options_.factors);
        const float length = std::sqrt(dot(v, v)) + 1e-12F;
        std::vector<float> out(v.begin(), v.end());
        for (float& x : out) x /= length;
        return out;
    }

    void learn(std::size_t row) {
        const auto x = vectors_.subspan(row * dimension_, dimension_);
        std::vector<float> hidden;  // W x, made when a pair wants it
        std::vector<float> hidden_gradient(options_.factors);
        for (std::size_t p = 0; p < kPairsPerQuery; ++p) {
            const std::size_t a = chances_.below(static_cast<std::uint32_t>(models_));
            const std::size_t b = chances_.below(static_cast<std::uint32_t>(models_));
            const float qa = quality_[row * models_ + a];
            const float qb = quality_[row * models_ + b];
            if (!(qa > qb) && !(qb > qa)) continue;  // a tie, or one is not known
            if (hidden.empty()) {
                hidden.resize(options_.factors);
                for (std::size_t f = 0; f < options_.factors; ++f)
                    hidden[f] = dot(std::span(map_).subspan(f * dimension_, dimension_), x);
            }
            pair(qa > qb ? a : b, qa > qb ? b : a, hidden, hidden_gradient);
        }
        if (hidden.empty()) return;
        for (std::size_t f = 0; f < options_.factors; ++f) {
            float* const to = map_adam_.gradient.data() + f * dimension_;
            for (std::size_t d = 0; d < dimension_; ++d) to[d] += hidden_gradient[f] * x[d];
        }
    }

    void pair(std::size_t winner, std::size_t loser, const std::vector<float>& hidden,
              std::vector<float>& hidden_gradient) {
        const std::vector<float> w = unit(winner);
        const std::vector<float> l = unit(loser);
        float score = 0;
        for (std::size_t f = 0; f < options_.factors; ++f)
            score += last_[f] * (w[f] - l[f]) * hidden[f];
        const float slope = -1 / (1 + std::exp(score)) / kBatch;  // of the loss, by the score
        std::vector<float> by_unit(options_.factors);
        for (std::size_t f = 0; f < options_.factors; ++f) {
            last_adam_.gradient[f] += slope * (w[f] - l[f]) * hidden[f];
            hidden_gradient[f] += slope * last_[f] * (w[f] - l[f]);
            by_unit[f] = slope * last_[f] * hidden[f];
        }
        add_model_gradient(winner, w, by_unit, 1);
        add_model_gradient(loser, l, by_unit, -1);
    }

    /// Through the normalisation: only what is at right angles to the vector turns it.
    void add_model_gradient(std::size_t model, const std::vector<float>& unit_vector,
                            const std::vector<float>& by_unit, float sign) {
        const auto v = std::span(of_models_).subspan(model * options_.factors, options_.factors);
        const float length = std::sqrt(dot(v, v)) + 1e-12F;
        const float along = dot(unit_vector, by_unit);
        for (std::size_t f = 0; f < options_.factors; ++f)
            models_adam_.gradient[model * options_.factors + f] +=
                sign * (by_unit[f] - along * unit_vector[f]) / length;
    }

    [[nodiscard]] std::vector<float> directions() const {
        std::vector<float> out(models_ * dimension_);
        for (std::size_t m = 0; m < models_; ++m) {
            const std::vector<float> v = unit(m);
            for (std::size_t f = 0; f < options_.factors; ++f)
                for (std::size_t d = 0; d < dimension_; ++d)
                    out[m * dimension_ + d] += last_[f] * v[f] * map_[f * dimension_ + d];
        }
        return out;
    }

    std::span<const float> vectors_;
    std::size_t dimension_;
    std::span<const float> quality_;
    std::size_t models_;
    Options options_;
    Chances chances_;
    std::vector<float> map_;  // W, factors × dimension
    std::vector<float> of_models_;  // v, models × factors
    std::vector<float> last_;  // w
    Adam map_adam_, models_adam_, last_adam_;
    int steps_ = 0;
};

MatrixFactorisation::MatrixFactorisation(std::span<const float> vectors, std::size_t dimension,
                                         std::span<const float> quality, std::size_t models,
                                         const Options& options)
    : dimension_(dimension), directions_(Fit(vectors, dimension, quality, models, options).run()) {}

void MatrixFactorisation::score(std::span<const float> vector, std::span<float> out) const {
    for (std::size_t m = 0; m < out.size(); ++m)
        out[m] = dot(std::span(directions_).subspan(m * dimension_, dimension_), vector);
}

}  // namespace leeway::lab
