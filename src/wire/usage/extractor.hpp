#pragma once

#include "base/money.hpp"
#include "json/cursor.hpp"
#include "prices/rates.hpp"
#include "wire/usage/tables.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace leeway::wire::usage {

/// The region classes that a price can depend on; all other places have the general price.
enum class Region : std::uint8_t { kGeneral, kUs, kEu };
[[nodiscard]] constexpr std::string_view to_string(Region region) noexcept {
    switch (region) {
        case Region::kGeneral: return "";
        case Region::kUs: return "us";
        case Region::kEu: return "eu";
    }
    return "";
}

/// The usage of one answer in our disjoint buckets.
struct UsageReading {
    prices::Usage usage;
    /// kMissing, kFinal or kZero; whether it is only partial is for the caller to know.
    prices::UsageState state = prices::UsageState::kMissing;
    /// The buckets do not add up to the provider's total, or another model used tokens, too.
    bool sum_mismatch = false;
    /// A count was negative, no integer, above 2^53, told twice, or larger than what it is a part of, and
    /// was cut to the nearest that makes sense. Where that of the whole input or output is no number at all
    /// nothing makes sense, and the usage is missing.
    bool clamped = false;
    std::optional<prices::Tier> tier;  ///< as billed, when the answer says so
    Region region = Region::kGeneral;
    std::optional<PicoUsd> reported_cost;  ///< the provider's own figure, where it tells one
};

/// Collects the numbers of one answer: of its usage object, or of the events of a stream one after the
/// other (totals are cumulative there: the last counts). Reads with a cursor, builds nothing. Cheap to
/// make. For one thread.
class Extractor {
public:
    explicit Extractor(Flavour flavour) : table_(&table_of(flavour)) {}

    /// Reads a usage object at the cursor, or passes over anything else there, and leaves the cursor
    /// behind it. True: it was an object.
    bool read_object(json::Cursor& cursor);
    /// The same for a whole answer or the data of one event, wherever in it the flavour tells usage.
    void read_document(json::Cursor& cursor);

    [[nodiscard]] UsageReading result() const noexcept;

private:
    void shape(json::Cursor& cursor, const Shape& shape);
    void field(json::Cursor& cursor, const Field& field);
    void list(json::Cursor& cursor, const List& list);
    void element(json::Cursor& cursor, const List& list);
    void forget(Slot slot) noexcept;
    void forget(const Shape& shape) noexcept;
    void forget_all() noexcept;
    void put(Slot slot, std::int64_t value) noexcept;
    void add(Slot slot, std::int64_t value) noexcept;
    void tier(json::Cursor& cursor, FieldKind kind);
    [[nodiscard]] std::optional<std::int64_t> count(json::Cursor& cursor);
    [[nodiscard]] std::optional<std::int64_t> money(json::Cursor& cursor, FieldKind kind);

    const Table* table_;
    std::uint64_t seen_ = 0;  // which of values_ are set
    std::uint64_t fresh_ = 0;  // … by the object that is being read
    bool clamped_ = false;
    bool unreadable_ = false;
    std::optional<prices::Tier> tier_;
    Region region_ = Region::kGeneral;
    std::array<std::int64_t, kSlotCount> values_{};  // 0 where not seen_
};

}  // namespace leeway::wire::usage
