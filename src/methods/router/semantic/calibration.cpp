#include "methods/router/semantic/calibration.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace leeway::router {
namespace {

/// Minus the logarithm of the probability of what is right, over all rows.
double surprise(const ScoredRows& rows, std::span<const double> thresholds, double temperature) {
    double sum = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto scores = rows.row(i);
        double most = 0;
        for (std::size_t r = 0; r < rows.routes; ++r)
            most = std::max(most, (scores[r] - thresholds[r]) / temperature);
        double total = std::exp(-most);
        for (std::size_t r = 0; r < rows.routes; ++r)
            total += std::exp((scores[r] - thresholds[r]) / temperature - most);
        const auto label = rows.labels[i];
        const double right = label == ScoredRows::kNone
                                 ? 0
                                 : (scores[static_cast<std::size_t>(label)] -
                                    thresholds[static_cast<std::size_t>(label)]) /
                                       temperature;
        sum += most + std::log(total) - right;
    }
    return sum;
}

}  // namespace

std::vector<double> probabilities(std::span<const double> scores,
                                  std::span<const double> thresholds, double temperature) {
    std::vector<double> out(scores.size());
    double most = 0;
    for (std::size_t r = 0; r < out.size(); ++r) {
        out[r] = (scores[r] - thresholds[r]) / temperature;
        most = std::max(most, out[r]);
    }
    double total = std::exp(-most);
    for (double& value : out) total += value = std::exp(value - most);
    for (double& value : out) value /= total;
    return out;
}

double fit_temperature(const ScoredRows& rows, std::span<const double> thresholds) {
    if (rows.size() == 0) return kDefaultTemperature;
    // Golden section over the logarithm: the surprise has one valley in it.
    const double ratio = (std::sqrt(5.0) - 1) / 2;
    double low = std::log(0.005);
    double high = std::log(1.0);
    const auto at = [&](double log) {
        return surprise(rows, thresholds, std::exp(log));
    };
    double a = high - ratio * (high - low);
    double b = low + ratio * (high - low);
    double at_a = at(a);
    double at_b = at(b);
    for (int step = 0; step < 24; ++step) {
        if (at_a < at_b) {
            high = b;
            b = a;
            at_b = at_a;
            a = high - ratio * (high - low);
            at_a = at(a);
        } else {
            low = a;
            a = b;
            at_a = at_b;
            b = low + ratio * (high - low);
            at_b = at(b);
        }
    }
    return std::exp((low + high) / 2);
}

double calibration_error(std::span<const Judged> decisions) {
    struct Bin {
        double said = 0;
        double right = 0;
        double count = 0;
    };
    std::array<Bin, 10> bins{};
    for (const Judged& one : decisions) {
        const auto at = static_cast<std::size_t>(std::clamp(one.probability * 10, 0.0, 9.0));
        bins[at].said += one.probability;
        bins[at].right += one.right ? 1 : 0;
        bins[at].count += 1;
    }
    double sum = 0;
    for (const Bin& bin : bins) sum += std::abs(bin.said - bin.right);
    return decisions.empty() ? 0 : sum / static_cast<double>(decisions.size());
}

}  // namespace leeway::router
