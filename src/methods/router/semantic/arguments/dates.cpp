#include "methods/router/semantic/arguments/dates.hpp"

#include "base/strings.hpp"
#include "methods/router/semantic/arguments/numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace leeway::router {
namespace {

using std::chrono::days;
using std::chrono::weekday;
using std::chrono::year_month_day;

constexpr std::array<std::string_view, 12> kMonths{"january",   "february", "march",    "april",
                                                   "may",       "june",     "july",     "august",
                                                   "september", "october",  "november", "december"};
constexpr std::array<std::string_view, 7> kWeekdayNames{
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

std::optional<Day> day_from(int year, unsigned month, unsigned day) noexcept {
    const year_month_day date{std::chrono::year(year), std::chrono::month(month),
                              std::chrono::day(day)};
    if (!date.ok() || year < 1900 || year > 2999) return std::nullopt;
    return Day(date);
}

/// Digits only, at most four.
std::optional<unsigned> small_number(std::string_view text) noexcept {
    if (text.empty() || text.size() > 4) return std::nullopt;
    unsigned out = 0;
    for (const char c : text) {
        if (!is_digit(c)) return std::nullopt;
        out = out * 10 + static_cast<unsigned>(c - '0');
    }
    return out;
}

/// "12", "12th".
std::optional<unsigned> day_number(std::string_view word) noexcept {
    for (const std::string_view end : {"st", "nd", "rd", "th"}) {
        if (word.size() > 2 && word.ends_with(end)) {
            word.remove_suffix(2);
            break;
        }
    }
    const auto out = word.size() <= 2 ? small_number(word) : std::nullopt;
    return out && *out >= 1 && *out <= 31 ? out : std::nullopt;
}

/// 1 to 12; 0: no month.
unsigned month_number(std::string_view word) noexcept {
    if (word == "sept") return 9;
    for (unsigned i = 0; i < kMonths.size(); ++i) {
        if (word == kMonths[i] || (word.size() == 3 && kMonths[i].starts_with(word))) return i + 1;
    }
    return 0;
}

std::optional<weekday> weekday_of(std::string_view word) noexcept {
    for (unsigned i = 0; i < kWeekdayNames.size(); ++i)
        if (equals_ignore_case(word, kWeekdayNames[i])) return weekday(i);
    return std::nullopt;
}

class Finder : WordReader {
public:
    Finder(std::string_view text, const std::vector<TextWord>& words, Day today)
        : WordReader(text, words), today_(today) {}

    std::vector<FoundDate> run() {
        for (std::size_t at = 0; at < words_.size();) {
            const std::size_t before = out_.size();
            std::size_t end = numeric(at);
            if (end == at) end = named(at);
            if (end == at) end = relative(at);
            if (out_.size() > before) note_range(out_.back(), at);
            at = std::max(end, at + 1);
        }
        merge_weekdays();
        doubt_years();
        return std::move(out_);
    }

private:
    std::size_t add(Day day, std::size_t from, std::size_t end, bool unsure = false) {
        out_.push_back({day, {words_[from].span.begin, words_[end - 1].span.end}, unsure});
        return end;
    }

    /// 2026-05-12, 12.5.2026, 12/5/2026: three words of digits with the same sign between.
    std::size_t numeric(std::size_t at) {
        if (at + 2 >= words_.size()) return at;
        const Span a = words_[at].span;
        const Span b = words_[at + 1].span;
        const Span c = words_[at + 2].span;
        if (b.begin != a.end + 1 || c.begin != b.end + 1) return at;
        const char sign = text_[a.end];
        if (sign != text_[b.end] || (sign != '-' && sign != '.' && sign != '/')) return at;
        // An ISO date may have a time behind it.
        std::string_view third = word(at + 2);
        if (third.size() > 2 && third[2] == 't' && third.size() == 5) third = third.substr(0, 2);
        const auto x = small_number(word(at));
        const auto y = small_number(word(at + 1));
        const auto z = small_number(third);
        // Not a part of something longer, such as an address of four numbers.
        const auto touches = [&](std::size_t offset) {
            return offset < text_.size() && (text_[offset] == sign) && offset + 1 < text_.size() &&
                   is_digit(text_[offset + 1]);
        };
        const bool longer = touches(c.end) || (a.begin > 0 && text_[a.begin - 1] == sign);
        if (!x || !y || !z || longer) return at;
        if (word(at).size() == 4 && sign != '.') {
            const auto day = day_from(static_cast<int>(*x), *y, *z);
            return day ? add(*day, at, at + 3) : at;
        }
        if (third.size() != 4) return at;
        const auto year = static_cast<int>(*z);
        const auto day_first = day_from(year, *y, *x);
        if (sign == '.') return day_first ? add(*day_first, at, at + 3) : at;
        const auto month_first = day_from(year, *x, *y);
        if (!day_first && !month_first) return at;
        const bool unsure = day_first && month_first && *day_first != *month_first;
        return add(day_first ? *day_first : *month_first, at, at + 3, unsure);
    }

    /// "12 May", "12th of May 2026", "May 12, 2026".
    std::size_t named(std::size_t at) {
        if (const auto day = day_number(word(at)); day && whole_number(at)) {
            const std::size_t month_at = word(at + 1) == "of" ? at + 2 : at + 1;
            const unsigned month =
                joined(at + 1) && joined(month_at) ? month_number(word(month_at)) : 0;
            return month == 0 ? at : dated(month, *day, at, month_at + 1);
        }
        const unsigned month = month_number(word(at));
        if (month == 0) return at;
        const std::size_t day_at = word(at + 1) == "the" ? at + 2 : at + 1;
        const auto day =
            joined(day_at) && whole_number(day_at) ? day_number(word(day_at)) : std::nullopt;
        return day ? dated(month, *day, at, day_at + 1) : at;
    }
    /// Not the beginning or the end of "12:30" or "1.5".
    [[nodiscard]] bool whole_number(std::size_t at) const {
        const Span span = words_[at].span;
        const auto glued = [&](std::size_t sign, std::size_t digit) {
            return digit < text_.size() && (text_[sign] == ':' || text_[sign] == '.') &&
                   is_digit(text_[digit]);
        };
        return !glued(span.end, span.end + 1) &&
               !(span.begin > 1 && glued(span.begin - 1, span.begin - 2));
    }
    std::size_t dated(unsigned month, unsigned day, std::size_t from, std::size_t end) {
        const std::string_view year = word(end);
        const auto told = year.size() == 4 ? small_number(year) : std::nullopt;
        if (told && *told >= 1900 && *told <= 2999) {
            const auto date = day_from(static_cast<int>(*told), month, day);
            return date ? add(*date, from, end + 1) : from;
        }
        const int now = static_cast<int>(year_month_day(today_).year());
        // The 29th of February may be eight years away.
        for (int ahead = 0; ahead <= 8; ++ahead) {
            const auto date = day_from(now + ahead, month, day);
            if (!date || *date < today_) continue;
            add(*date, from, end);
            out_.back().year_guessed = true;
            return end;
        }
        return from;
    }

    std::size_t relative(std::size_t at) {
        const std::string_view first = word(at);
        if (first == "today" || first == "tonight") return add(today_, at, at + 1);
        if (first == "tomorrow") return add(today_ + days(1), at, at + 1);
        if (first == "day" && phrase_at(words_, at, {"day", "after", "tomorrow"}))
            return add(today_ + days(2), at, at + 3);
        if (first == "in" && joined(at + 1) && joined(at + 2)) {
            const std::string_view unit = word(at + 2);
            const auto digits = small_number(word(at + 1));
            const auto count =
                digits ? std::optional<int>(static_cast<int>(*digits)) : number_word(word(at + 1));
            const bool is_days = unit == "day" || unit == "days";
            const bool is_weeks = unit == "week" || unit == "weeks";
            if (count && *count <= 1000 && (is_days || is_weeks))
                return add(today_ + days(is_weeks ? *count * 7 : *count), at, at + 3);
            return at;
        }
        return weekday_at(at);
    }
    std::size_t weekday_at(std::size_t at) {
        const bool next = word(at) == "next";
        const bool led = next || word(at) == "this";
        const std::size_t day_at = led ? at + 1 : at;
        if (led && !joined(day_at)) return at;
        const auto wanted = weekday_of(word(day_at));
        if (!wanted) return at;
        const weekday now(today_);
        Day day = today_ + (*wanted - now);
        if (next) {
            const Day monday = today_ + days(7) - (now - std::chrono::Monday);
            day = monday + (*wanted - std::chrono::Monday);
        } else if (day == today_) {
            day += days(7);
        }
        const std::size_t end = add(day, at, day_at + 1);
        out_.back().by_weekday = true;
        return end;
    }

    /// "12-15 May", "12 to 15 May", "12 or 15 May": which of the days is not said.
    void note_range(FoundDate& found, std::size_t at) {
        const std::size_t begin = found.span.begin;
        const bool dash = begin > 0 && text_[begin - 1] == '-';
        const bool long_dash = begin > 2 && text_.substr(begin - 3, 3) >= "\xE2\x80\x90" &&
                               text_.substr(begin - 3, 3) <= "\xE2\x80\x95";
        if (dash || long_dash) found.unsure = true;
        if (at < 2 || words_[at].after_break || words_[at - 1].after_break) return;
        if (is_among(" or to and ", word(at - 1)) && day_number(word(at - 2))) found.unsure = true;
    }

    /// "from April 3rd to April 5th 2023": the year that one has may be that of the other.
    void doubt_years() {
        const auto year = [](const FoundDate& one) {
            return year_month_day(one.day).year();
        };
        for (FoundDate& guessed : out_) {
            if (!guessed.year_guessed) continue;
            const bool other = std::any_of(out_.begin(), out_.end(), [&](const FoundDate& one) {
                return !one.year_guessed && year(one) != year(guessed);
            });
            guessed.unsure = guessed.unsure || other;
        }
    }

    /// "Friday, 12 May" is one day, if it is one.
    void merge_weekdays() {
        std::vector<FoundDate> merged;
        for (const FoundDate& one : out_) {
            const bool beside = !merged.empty() && word_at(words_, merged.back().span.end) ==
                                                       word_at(words_, one.span.begin);
            if (!beside || merged.back().by_weekday == one.by_weekday) {
                merged.push_back(one);
                continue;
            }
            FoundDate& last = merged.back();
            const FoundDate& by_date = one.by_weekday ? last : one;
            const bool agree = weekday(last.day) == weekday(one.day);
            last = {by_date.day,
                    {last.span.begin, one.span.end},
                    last.unsure || one.unsure || !agree,
                    by_date.year_guessed};
        }
        out_ = std::move(merged);
    }

    Day today_;
    std::vector<FoundDate> out_;
};

}  // namespace

Day day_of(std::int64_t unix_us) noexcept {
    return std::chrono::floor<days>(
        std::chrono::sys_time<std::chrono::microseconds>(std::chrono::microseconds(unix_us)));
}

std::optional<Day> parse_iso_date(std::string_view text) noexcept {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    const auto year = small_number(text.substr(0, 4));
    const auto month = small_number(text.substr(5, 2));
    const auto day = small_number(text.substr(8, 2));
    if (!year || !month || !day) return std::nullopt;
    return day_from(static_cast<int>(*year), *month, *day);
}

std::string iso_date(Day day) {
    const year_month_day date(day);
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string_view weekday_name(Day day) noexcept { return kWeekdayNames[weekday(day).c_encoding()]; }

bool is_calendar_word(std::string_view folded) noexcept {
    return month_number(folded) != 0 || weekday_of(folded).has_value();
}

std::vector<FoundDate> find_dates(std::string_view text, const std::vector<TextWord>& words,
                                  Day today) {
    return Finder(text, words, today).run();
}

}  // namespace leeway::router
