#include "lab/evaluate/cache_stream.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace leeway::lab {
namespace {

/// The nearest kept text, if it is near at all.
class Nearest {
public:
    Nearest(const NeighbourLists& lists, std::size_t texts) : lists_(lists), kept_(texts, false) {}

    std::optional<Near> find(std::uint32_t text) {
        found_.clear();
        lists_.nearest(
            text, 1, [this](std::uint32_t other) { return kept_[other]; }, texts_, found_);
        return found_.empty() ? std::nullopt : std::optional(found_.front());
    }
    void keep(std::uint32_t text) {
        kept_[text] = true;
        texts_.push_back(text);
    }

private:
    const NeighbourLists& lists_;
    std::vector<bool> kept_;
    std::vector<std::uint32_t> texts_;
    std::vector<Near> found_;
};

/// What vCache keeps of one entry: similarities of questions asked and whether the kept answer was right for them.
/// Seeded with (0, wrong) and (1, right).
class VcacheEntry {
public:
    void observe(double similarity, bool right) {
        observations_.push_back({similarity, right});
        fitted_ = false;
    }
    [[nodiscard]] std::size_t observed() const noexcept { return observations_.size(); }

    /// The least probability of exploring over a grid of ε.
    [[nodiscard]] double explore(double similarity, double max_error) {
        if (!fitted_) fit();
        double least = 1;
        constexpr int kGrid = 50;
        for (int i = 1; i < kGrid; ++i) {
            const double epsilon = static_cast<double>(i) / kGrid;
            const double t = std::min(1.0, t_ + quantile(1 - epsilon) * deviation_);
            const double alpha = (1 - epsilon) / (1 + std::exp(-gamma_ * (similarity - t)));
            const double tau = 1 - alpha <= max_error ? 0 : 1 - max_error / (1 - alpha);
            least = std::min(least, tau);
        }
        return least;
    }

private:
    struct Observation {
        double similarity;
        bool right;
    };

    /// Maximum likelihood of σ(γ (s − t)). A steeper slope than kSteepest says nothing more: under perfect
    /// separation, where the likelihood has no maximum, t is the middle of the gap and its deviation that of a
    /// place anywhere in it (the paper simulates a table for that case).
    void fit() {
        fitted_ = true;
        constexpr double kSteepest = 100;
        double highest_wrong = 0;
        double lowest_right = 1;
        for (const Observation& o : observations_) {
            if (o.right) {
                lowest_right = std::min(lowest_right, o.similarity);
            } else {
                highest_wrong = std::max(highest_wrong, o.similarity);
            }
        }
        if (highest_wrong < lowest_right) {
            t_ = (highest_wrong + lowest_right) / 2;
            gamma_ = kSteepest;
            deviation_ = (lowest_right - highest_wrong) / std::sqrt(12.0);
            return;
        }
        double a = 0;  // log-odds = a + b (s − 0.8)
        double b = 10;
        constexpr int kSteps = 30;
        double haa = 0;
        double hab = 0;
        double hbb = 0;
        for (int step = 0; step < kSteps; ++step) {
            double ga = 0;
            double gb = 0;
            haa = hab = hbb = 1e-9;
            const auto take = [&](double s, bool right) {
                const double x = s - kCentre;
                const double p = 1 / (1 + std::exp(-(a + b * x)));
                const double error = (right ? 1 : 0) - p;
                const double h = p * (1 - p);
                ga += error;
                gb += error * x;
                haa += h;
                hab += h * x;
                hbb += h * x * x;
            };
            take(0, false);
            take(1, true);
            for (const Observation& o : observations_) take(o.similarity, o.right);
            const double determinant = haa * hbb - hab * hab;
            if (!(determinant > 1e-18)) break;
            const double da = std::clamp((hbb * ga - hab * gb) / determinant, -2.0, 2.0);
            const double db = std::clamp((haa * gb - hab * ga) / determinant, -10.0, 10.0);
            a += da;
            b = std::clamp(b + db, 0.1, kSteepest);
            if (std::abs(da) + std::abs(db) < 1e-6) break;
        }
        gamma_ = b;
        t_ = kCentre - a / b;
        // Delta method: t = centre − a / b.
        const double determinant = std::max(haa * hbb - hab * hab, 1e-18);
        const double dta = -1 / b;
        const double dtb = a / (b * b);
        const double variance =
            (dta * dta * hbb - 2 * dta * dtb * hab + dtb * dtb * haa) / determinant;
        deviation_ = std::sqrt(std::max(variance, 0.0));
    }

    /// Φ⁻¹ (Acklam's rational approximation, about 1e-9 relative).
    static double quantile(double p) noexcept {
        constexpr std::array<double, 6> kA{-3.969683028665376e+01, 2.209460984245205e+02,
                                           -2.759285104469687e+02, 1.383577518672690e+02,
                                           -3.066479806614716e+01, 2.506628277459239e+00};
        constexpr std::array<double, 5> kB{-5.447609879822406e+01, 1.615858368580409e+02,
                                           -1.556989798598866e+02, 6.680131188771972e+01,
                                           -1.328068155288572e+01};
        constexpr std::array<double, 6> kC{-7.784894002430293e-03, -3.223964580411365e-01,
                                           -2.400758277161838e+00, -2.549732539343734e+00,
                                           4.374664141464968e+00,  2.938163982698783e+00};
        constexpr std::array<double, 4> kD{7.784695709041462e-03, 3.224671290700398e-01,
                                           2.445134137142996e+00, 3.754408661907416e+00};
        constexpr double kLow = 0.02425;
        const auto tail = [&](double q) {
            return (((((kC[0] * q + kC[1]) * q + kC[2]) * q + kC[3]) * q + kC[4]) * q + kC[5]) /
                   ((((kD[0] * q + kD[1]) * q + kD[2]) * q + kD[3]) * q + 1);
        };
        if (p < kLow) return tail(std::sqrt(-2 * std::log(p)));
        if (p > 1 - kLow) return -tail(std::sqrt(-2 * std::log(1 - p)));
        const double q = p - 0.5;
        const double r = q * q;
        return (((((kA[0] * r + kA[1]) * r + kA[2]) * r + kA[3]) * r + kA[4]) * r + kA[5]) * q /
               (((((kB[0] * r + kB[1]) * r + kB[2]) * r + kB[3]) * r + kB[4]) * r + 1);
    }

    static constexpr double kCentre = 0.8;
    std::vector<Observation> observations_;
    bool fitted_ = false;
    double t_ = 0.5;
    double gamma_ = 10;
    double deviation_ = 1;
};

}  // namespace

StreamOutcome play_vcache(const CacheQuestions& data, const NeighbourLists& lists,
                          std::span<const std::uint32_t> order, double max_error,
                          std::uint64_t seed) {
    constexpr std::size_t kLeastObservations = 6;
    Nearest nearest(lists, data.texts.size());
    std::vector<VcacheEntry> entries(data.texts.size());
    Chances chances(seed ^ 0x7CAC4EULL);
    StreamOutcome out;
    for (const std::uint32_t asked : order) {
        ++out.requests;
        const auto near = nearest.find(asked);
        const double chance = chances.uniform();
        if (!near) {
            nearest.keep(asked);
            continue;
        }
        VcacheEntry& entry = entries[near->text];
        const double similarity = static_cast<double>(near->cosine);
        const bool right = data.answers[near->text] == data.answers[asked];
        if (entry.observed() >= kLeastObservations &&
            chance >= entry.explore(similarity, max_error)) {
            out.hit(right, order.size());
            continue;
        }
        ++out.verdicts;
        entry.observe(similarity, right);
        if (!right) nearest.keep(asked);
    }
    return out;
}

StreamOutcome play_fixed(const CacheQuestions& data, const NeighbourLists& lists,
                         std::span<const std::uint32_t> order, float threshold) {
    Nearest nearest(lists, data.texts.size());
    StreamOutcome out;
    for (const std::uint32_t asked : order) {
        ++out.requests;
        const auto near = nearest.find(asked);
        if (near && near->cosine >= threshold) {
            out.hit(data.answers[near->text] == data.answers[asked], order.size());
        } else {
            nearest.keep(asked);
        }
    }
    return out;
}

}  // namespace leeway::lab
