#include "load_report.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace bench {
namespace {

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
    char buffer[1024];
    va_list arguments;
    va_start(arguments, pattern);
    std::vsnprintf(buffer, sizeof buffer, pattern, arguments);
    va_end(arguments);
    return buffer;
}

std::string quantiles(const Histogram& h) {
    return format(R"({"count":%llu,"p50":%.1f,"p90":%.1f,"p99":%.1f,"p999":%.1f,"max":%.1f})",
                  static_cast<unsigned long long>(h.count()), h.quantile_us(0.5),
                  h.quantile_us(0.9), h.quantile_us(0.99), h.quantile_us(0.999), h.max_us());
}

std::string line(const char* name, const Histogram& h) {
    if (h.count() == 0) return "";
    return format("%-12s p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f us\n", name,
                  h.quantile_us(0.5), h.quantile_us(0.9), h.quantile_us(0.99), h.quantile_us(0.999),
                  h.max_us());
}

}  // namespace

double Histogram::middle(std::size_t index) {
    if (index < (2U << kBits)) return static_cast<double>(index);
    const std::size_t shift = (index >> kBits) - 1;
    const std::size_t mantissa = index - (shift << kBits);
    return (static_cast<double>(mantissa) + 0.5) * static_cast<double>(1ULL << shift);
}

double Histogram::quantile_us(double q) const {
    const double wanted = q * static_cast<double>(total_);
    double seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        seen += counts_[i];
        if (counts_[i] > 0 && seen >= wanted) {
            return std::min(middle(i), static_cast<double>(max_)) / 1e3;
        }
    }
    return 0;
}

std::uint64_t Report::failed() const {
    std::uint64_t sum = 0;
    for (const auto& [reason, count] : failures) sum += count;
    return sum;
}

std::string Report::json() const {
    std::string by_reason;
    for (const auto& [reason, count] : failures) {
        by_reason += format("%s\"%s\":%llu", by_reason.empty() ? "" : ",", reason.c_str(),
                            static_cast<unsigned long long>(count));
    }
    return format(R"({"mode":"%s","connections":%d,"sent":%llu,"answered":%llu,"failed":%llu,)",
                  mode.c_str(), connections, static_cast<unsigned long long>(sent),
                  static_cast<unsigned long long>(answered),
                  static_cast<unsigned long long>(failed())) +
           "\"failures\":{" + by_reason + "}," +
           format(R"("seconds":%.3f,"rps":%.1f,"events":%llu,"late":%llu,"reconnects":%llu,)",
                  seconds, seconds > 0 ? static_cast<double>(answered) / seconds : 0.0,
                  static_cast<unsigned long long>(events), static_cast<unsigned long long>(late),
                  static_cast<unsigned long long>(reconnects)) +
           "\"latency_us\":" + quantiles(latency) +
           ",\"first_event_us\":" + quantiles(first_event) + ",\"hold_us\":" + quantiles(hold) +
           "}";
}

std::string Report::text() const {
    std::string out =
        format("%s: %llu sent, %llu right, %llu failed in %.2f s = %.0f/s\n", mode.c_str(),
               static_cast<unsigned long long>(sent), static_cast<unsigned long long>(answered),
               static_cast<unsigned long long>(failed()), seconds,
               seconds > 0 ? static_cast<double>(answered) / seconds : 0.0);
    out += line("latency", latency) + line("first event", first_event) + line("hold", hold);
    for (const auto& [reason, count] : failures) {
        out +=
            format("failed %-12s %llu\n", reason.c_str(), static_cast<unsigned long long>(count));
    }
    return out;
}

}  // namespace bench
