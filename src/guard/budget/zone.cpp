#include "guard/budget/zone.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

namespace leeway::budget {
namespace {

constexpr std::int64_t kDay = 86'400;

std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept {
    return a / b - (a % b < 0 ? 1 : 0);
}

/// Days since 1970-01-01 of a date (Howard Hinnant's days_from_civil).
std::int64_t days_of(std::int64_t year, int month, int day) noexcept {
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = floor_div(year, 400);
    const std::int64_t of_era = year - era * 400;
    const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

std::int64_t year_of(std::int64_t unix_s) noexcept {
    const std::int64_t days = floor_div(unix_s, kDay) + 719'468;
    const std::int64_t era = floor_div(days, 146'097);
    const std::int64_t of_era = days - era * 146'097;
    const std::int64_t year = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
    const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    return year + era * 400 + (of_year >= 306 ? 1 : 0);
}

/// Reads big-endian numbers with bounds checks.
class Bytes {
public:
    explicit Bytes(std::string_view bytes) : rest_(bytes) {}
    std::int64_t number(std::size_t size) noexcept {
        if (rest_.size() < size) {
            ok = false;
            rest_ = {};
            return 0;
        }
        std::uint64_t value = (static_cast<std::uint8_t>(rest_[0]) & 0x80) != 0 ? ~0ULL : 0;
        for (std::size_t i = 0; i < size; ++i) {
            value = value << 8 | static_cast<std::uint8_t>(rest_[i]);
        }
        rest_.remove_prefix(size);
        return static_cast<std::int64_t>(value);
    }
    void skip(std::int64_t size) noexcept {
        if (size < 0 || static_cast<std::uint64_t>(size) > rest_.size()) {
            ok = false;
            rest_ = {};
            return;
        }
        rest_.remove_prefix(static_cast<std::size_t>(size));
    }
    [[nodiscard]] std::string_view rest() const noexcept { return rest_; }
    bool ok = true;

private:
    std::string_view rest_;
};

struct Counts {
    std::int64_t version = 0, isut = 0, isstd = 0, leap = 0, times = 0, types = 0, chars = 0;
};

Counts read_header(Bytes& in) {
    Counts out;
    if (in.rest().substr(0, 4) != "TZif") in.ok = false;
    in.skip(4);
    out.version = in.number(1);
    in.skip(15);
    for (std::int64_t* count :
         {&out.isut, &out.isstd, &out.leap, &out.times, &out.types, &out.chars}) {
        *count = in.number(4);
        if (*count < 0 || *count > 100'000) in.ok = false;
    }
    return out;
}

// ---------------------------------------------------------------- a POSIX TZ text
class Rule {
public:
    explicit Rule(std::string_view text) : rest_(text) {}
    bool skip_name() {
        if (take('<')) {
            const std::size_t end = rest_.find('>');
            if (end == std::string_view::npos) return false;
            rest_.remove_prefix(end + 1);
            return true;
        }
        std::size_t size = 0;
        const auto letter = [](char c) {
            return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        };
        while (size < rest_.size() && letter(rest_[size])) ++size;
        rest_.remove_prefix(size);
        return size >= 3;
    }
    std::optional<int> digits() {
        int value = 0;
        std::size_t size = 0;
        while (size < rest_.size() && size < 4 && rest_[size] >= '0' && rest_[size] <= '9') {
            value = value * 10 + (rest_[size++] - '0');
        }
        rest_.remove_prefix(size);
        if (size == 0) return std::nullopt;
        return value;
    }
    /// "[+-]hh[:mm[:ss]]" in seconds.
    std::optional<std::int64_t> time() {
        const bool minus = take('-');
        if (!minus) (void)take('+');
        std::int64_t sum = 0;
        for (const std::int64_t unit : {3600, 60, 1}) {
            if (unit != 3600 && !take(':')) break;
            const auto value = digits();
            if (!value) return std::nullopt;
            sum += *value * unit;
        }
        return minus ? -sum : sum;
    }
    bool take(char c) {
        if (rest_.empty() || rest_[0] != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

private:
    std::string_view rest_;
};

}  // namespace

std::int64_t TimeZone::Change::in_year(std::int64_t year) const noexcept {
    const std::int64_t first = days_of(year, month, 1);
    const std::int64_t first_day = ((first + 4) % 7 + 7) % 7;  // 0: Sunday
    std::int64_t date = first + (day - first_day + 7) % 7 + (week - 1) * 7;
    const std::int64_t next = month == 12 ? days_of(year + 1, 1, 1) : days_of(year, month + 1, 1);
    while (date >= next) date -= 7;
    return date * kDay + second;
}

bool TimeZone::parse_rule(std::string_view text) {
    Rule rule(text);
    if (!rule.skip_name()) return false;
    const auto west = rule.time();
    if (!west) return false;
    winter_ = -*west;
    has_rule_ = true;
    if (rule.empty()) return true;
    if (!rule.skip_name()) return false;
    summer_ = winter_ + 3600;
    if (!rule.take(',')) {
        const auto other = rule.time();
        if (!other || !rule.take(',')) return false;
        summer_ = -*other;
    }
    for (Change* change : {&to_summer_, &to_winter_}) {
        if (change == &to_winter_ && !rule.take(',')) return false;
        if (!rule.take('M')) return false;
        for (int* part : {&change->month, &change->week, &change->day}) {
            if (part != &change->month && !rule.take('.')) return false;
            const auto value = rule.digits();
            if (!value) return false;
            *part = *value;
        }
        if (change->month < 1 || change->month > 12 || change->week < 1 || change->week > 5 ||
            change->day > 6) {
            return false;
        }
        if (rule.take('/')) {
            const auto at = rule.time();
            if (!at) return false;
            change->second = *at;
        }
    }
    has_summer_ = true;
    return rule.empty();
}

Result<TimeZone> TimeZone::parse(std::string name, std::string_view bytes) {
    const auto damaged = [&] {
        return fail(ErrorCode::kConfig, "the zone file of '" + name + "' cannot be read",
                    "install tzdata, or use UTC");
    };
    Bytes in(bytes);
    const Counts old = read_header(in);
    if (!in.ok || old.version < '2') return damaged();
    in.skip(old.times * 5 + old.types * 6 + old.chars + old.leap * 8 + old.isstd + old.isut);
    const Counts now = read_header(in);
    if (!in.ok || now.types < 1) return damaged();
    TimeZone out;
    out.name_ = name;
    std::vector<std::size_t> kinds;
    kinds.reserve(static_cast<std::size_t>(now.times));
    for (std::int64_t i = 0; i < now.times; ++i) out.transitions_.push_back({in.number(8), 0});
    for (std::int64_t i = 0; i < now.times; ++i) {
        kinds.push_back(static_cast<std::size_t>(in.number(1) & 0xff));
    }
    std::vector<std::int64_t> offsets;
    for (std::int64_t i = 0; i < now.types; ++i) {
        offsets.push_back(in.number(4));
        in.skip(2);
    }
    in.skip(now.chars + now.leap * 12 + now.isstd + now.isut);
    if (!in.ok) return damaged();
    out.first_offset_ = offsets[0];
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        if (kinds[i] >= offsets.size()) return damaged();
        out.transitions_[i].offset = offsets[kinds[i]];
    }
    std::string_view footer = in.rest();
    if (!footer.starts_with('\n')) return damaged();
    footer.remove_prefix(1);
    footer = footer.substr(0, footer.find('\n'));
    if (!footer.empty() && !out.parse_rule(footer)) return damaged();
    return out;
}

Result<TimeZone> TimeZone::load(const std::string& name) {
    if (name.empty() || name == "UTC") return TimeZone();
    const bool plain = name.find("..") == std::string::npos && name.front() != '/' &&
                       name.size() < 100 && name.find('\0') == std::string::npos;
    const char* folder = std::getenv("TZDIR");
    std::ifstream file;
    if (plain) {
        const std::string path =
            std::string(folder == nullptr ? "/usr/share/zoneinfo" : folder) + "/" + name;
        std::error_code code;
        if (std::filesystem::is_regular_file(path, code)) file.open(path, std::ios::binary);
    }
    std::string bytes;
    if (file.is_open()) {
        bytes.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    if (bytes.empty()) {
        return fail(ErrorCode::kConfig, "unknown time zone '" + name + "'",
                    "write a name such as Europe/Athens (needs the package tzdata), or UTC");
    }
    return parse(name, bytes);
}

std::int64_t TimeZone::offset_by_rule(std::int64_t unix_s) const noexcept {
    if (!has_summer_) return winter_;
    const std::int64_t year = year_of(unix_s + winter_);
    const std::int64_t begin = to_summer_.in_year(year) - winter_;
    const std::int64_t end = to_winter_.in_year(year) - summer_;
    const bool summer = begin < end ? unix_s >= begin && unix_s < end  // north of the equator
                                    : unix_s >= begin || unix_s < end;
    return summer ? summer_ : winter_;
}

std::int64_t TimeZone::offset_at(std::int64_t unix_s) const noexcept {
    const auto next = std::upper_bound(
        transitions_.begin(), transitions_.end(), unix_s,
        [](std::int64_t at, const Transition& transition) { return at < transition.at; });
    if (next == transitions_.end() && has_rule_) return offset_by_rule(unix_s);
    return next == transitions_.begin() ? first_offset_ : std::prev(next)->offset;
}

std::int64_t TimeZone::to_unix(std::int64_t local_s) const noexcept {
    const std::int64_t before = offset_at(local_s - kDay);
    if (offset_at(local_s - before) == before) return local_s - before;
    const std::int64_t after = offset_at(local_s + kDay);
    if (offset_at(local_s - after) == after) return local_s - after;
    return local_s - before;  // skipped: in the gap the jump itself, for a gap that begins here
}

}  // namespace leeway::budget
