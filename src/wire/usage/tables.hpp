#pragma once

#include "prices/usage.hpp"
#include "wire/usage/flavour.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace leeway::wire::usage {

// The language that tables.cpp is written in: where numbers stand in an answer, and how the numbers
// overlap. Everything here is constant data; extractor.cpp runs it.

/// A number as the provider tells it. The first ones are the buckets themselves: what a provider tells
/// under a bucket may still include other buckets, which the steps take out of it.
enum class Slot : std::uint8_t {
    kTotal = prices::kBucketCount,  ///< the provider's own sum
    kOverlapVideo,  ///< video that is counted as cached, too
    kOverlapDocument,
    kAltInput,  ///< stands for the input where that is not told
    kAltOutput,
    kExtraInput,  ///< of iterations that the top-level counts leave out
    kExtraCachedInput,
    kExtraCacheWrite,
    kExtraCacheWrite5m,
    kExtraCacheWrite1h,
    kExtraOutput,
    kSplit5m,  ///< of iterations that the top-level counts include
    kSplit1h,
    kOtherModel,  ///< tokens that another model used and that are billed at its price
    kCost,  ///< 1e-12 USD
    kUpstreamCost,
    kByok,  ///< 1: the caller's own key paid the upstream
    kEnd,
};
inline constexpr std::size_t kSlotCount = static_cast<std::size_t>(Slot::kEnd);
static_assert(kSlotCount <= 64);
[[nodiscard]] constexpr Slot slot(prices::Bucket bucket) noexcept {
    return static_cast<Slot>(bucket);
}

struct Shape;
struct List;

enum class FieldKind : std::uint8_t {
    kCount,  ///< a number of units; with several fields of one slot the largest counts
    kAdd,  ///< likewise, but they add up
    kUsd,  ///< a decimal number of USD
    kTicks,  ///< a number of 1e-10 USD
    kFlag,  ///< true counts as 1
    kObject,  ///< `shape` tells what is inside
    kList,  ///< `list` tells what is inside
    kTier,  ///< a word for the service tier
    kSpeed,  ///< "fast" is a tier of its own
    kRegion,  ///< a word for the region where it ran
};

struct Field {
    std::string_view key;
    FieldKind kind = FieldKind::kCount;
    Slot slot = Slot::kEnd;
    const Shape* shape = nullptr;
    const List* list = nullptr;
};

/// What is read of an object; all other members are passed over.
struct Shape {
    std::span<const Field> fields;
};

/// A kind of element of a list: `tag` is the value of its `List::tag_key`. Its count is that of
/// `List::count_key` (empty: one for the element itself), or `shape` tells what is inside.
struct Variant {
    std::string_view tag;
    Slot slot = Slot::kEnd;
    const Shape* shape = nullptr;
};
/// Objects that are told apart by a word. Their numbers add up; a list that comes later (in a stream)
/// replaces the earlier one.
struct List {
    std::string_view tag_key;
    std::string_view count_key;
    std::span<const Variant> variants;
};

/// How two numbers lie to each other. Run in order over the slots.
enum class Op : std::uint8_t {
    kTake,  ///< `what` is a part of `from` and is taken out of it; more than there is: flagged
    kFit,  ///< likewise, but the provider counts some of it twice, so too much is no fault
    kOverlap,  ///< what `from` counts is in `what` as well: taken out of `what` only
    kFollow,  ///< when `what` is used, it gets all that is left of `from`
    kTakeOrBeside,  ///< kTake, unless the provider's total shows that it stands beside `from`
    kAddTo,  ///< `from` is added to `what`
    kIfAbsent,  ///< `what` was not told: `from` is added to it
    kAtLeast,  ///< `what` becomes `from` when that is larger
    kRestOfTotal,  ///< what the provider's total has beyond all buckets is `what`
};
/// Up to here a step changes nothing where `what` is 0.
inline constexpr Op kLastAboutWhat = Op::kTakeOrBeside;
struct Step {
    Op op;
    Slot what;
    Slot from = Slot::kEnd;
};

struct Table {
    const Shape* document;  ///< of a whole answer, or of the data of one event of a stream
    const Shape* object;  ///< of the usage object itself
    std::span<const Step> steps;
    /// Later objects of a stream replace single numbers instead of the whole.
    bool merges = false;
    /// The provider's own figure for the cost can be trusted.
    bool tells_cost = false;
};

[[nodiscard]] const Table& table_of(Flavour flavour) noexcept;

}  // namespace leeway::wire::usage
