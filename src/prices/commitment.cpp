#include "prices/commitment.hpp"

#include <algorithm>
#include <chrono>

namespace leeway::prices {
namespace {

using std::chrono::sys_days;
using std::chrono::year_month_day;

year_month_day date_of(std::int64_t day) {
    return sys_days(std::chrono::days(static_cast<int>(day)));
}

std::int64_t day_of(const year_month_day& date) {
    return sys_days(date).time_since_epoch().count();
}

/// The same day `years` later; the last of February where the year has no 29th.
std::int64_t anniversary(std::int64_t day, int years) {
    const year_month_day then = date_of(day) + std::chrono::years(years);
    return then.ok()
               ? day_of(then)
               : day_of(year_month_day(sys_days(then.year() / then.month() / std::chrono::last)));
}

}  // namespace

CommitmentWindow window_of(const Commitment& c, std::int64_t day) noexcept {
    CommitmentWindow out;
    if (day < c.from_day) out.state = CommitmentWindow::State::kUpcoming;
    if (day >= c.to_day) out.state = CommitmentWindow::State::kEnded;
    day = std::clamp(day, c.from_day, c.to_day - 1);
    const year_month_day date = date_of(day);
    switch (c.per) {
        case CommitmentPer::kMonth: {
            const year_month_day first = date.year() / date.month() / 1;
            out.first_day = day_of(first);
            out.end_day = day_of(first + std::chrono::months(1));
            break;
        }
        case CommitmentPer::kYear: {
            const std::int64_t begin = c.from_day == -Commitment::kOpen
                                           ? day_of(date.year() / std::chrono::January / 1)
                                           : c.from_day;
            int years = static_cast<int>(date.year()) - static_cast<int>(date_of(begin).year());
            if (anniversary(begin, years) > day) --years;
            out.first_day = anniversary(begin, years);
            out.end_day = anniversary(begin, years + 1);
            break;
        }
        case CommitmentPer::kTerm:
            out.first_day = c.from_day;
            out.end_day = c.to_day;
            break;
    }
    out.first_day = std::max(out.first_day, c.from_day);
    out.end_day = std::min(out.end_day, c.to_day);
    return out;
}

}  // namespace leeway::prices
