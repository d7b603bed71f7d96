#pragma once

#include "store/vectors/rows.hpp"
#include "store/vectors/vector_index.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::store::vectors {

/// A vector that is searched for.
struct Sought {
    std::vector<float> row;  ///< see to_row
    std::vector<std::uint8_t> code;
    std::size_t k = 0;
};

/// One that may be among the best. The greater cosine is the better, of equal ones the smaller id.
struct Candidate {
    float cosine = 0;
    std::uint32_t row = 0;
    std::uint64_t id = 0;

    [[nodiscard]] bool is_better_than(const Candidate& other) const noexcept {
        return cosine != other.cosine ? cosine > other.cosine : id < other.id;
    }
};

/// The best `most` of those that are offered, in whatever order they come.
class Best {
public:
    explicit Best(std::size_t most);
    void offer(const Candidate& one) {
        if (heap_.size() < most_) {
            push(one);
        } else if (one.cosine >= heap_.front().cosine && one.is_better_than(heap_.front())) {
            replace(one);
        }
    }
    [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
    /// Best first.
    [[nodiscard]] std::vector<Candidate> take();

private:
    void push(const Candidate& one);
    void replace(const Candidate& one);
    std::size_t most_;
    std::vector<Candidate> heap_;  // the worst in front
};

/// HNSW's ef for a search: at least `least`. It grows with the root of the graph beyond 65,536 elements, since recall would
/// fall otherwise (QQP questions, 300,000 entries: 0.987 with 128, 0.997 with 256).
[[nodiscard]] std::size_t width_of(std::size_t least, std::size_t k, std::size_t elements) noexcept;

/// How many are compared in full of those that seem best by their codes.
[[nodiscard]] std::size_t compared_in_full(std::size_t k) noexcept;

/// Offers `best` the living rows of [from, to) that the filter accepts (not its list), to a reader at `count`.
void scan(const Rows& rows, std::uint32_t from, std::uint32_t to, std::uint32_t count,
          const Sought& sought, const Filter& filter, Best& best);
/// The same for the rows of the filter's list, which may name one twice.
void look_up(const Rows& rows, const Sought& sought, const Filter& filter, Best& best);

/// What ways cost, in nanoseconds on a processor with AVX2: only their ratios matter.
struct Costs {
    double scan = 0;
    double list = 0;
    double graph = 0;
};
/// What is to be searched.
struct Work {
    std::uint32_t rows = 0;  ///< of the index
    std::uint32_t tail = 0;  ///< of these, those that no graph covers
    std::size_t listed = 0;  ///< ids on the filter's list
    double accepted = 1;  ///< share of the rows that the filter accepts
    bool asks = false;  ///< the filter has a function
    std::size_t length = 0;
    Precision precision = Precision::kInt8;
    std::size_t width = 0;  ///< of a search by graph
};
[[nodiscard]] Costs costs_of(const Work& work) noexcept;
/// Rows that a scan reads in `ns`.
[[nodiscard]] std::uint32_t rows_within(double ns, std::size_t length,
                                        Precision precision) noexcept;

/// Share of the rows before `count` that live and are accepted by the filter's function, by a sample.
[[nodiscard]] double share_accepted(const Rows& rows, std::uint32_t count, const Filter& filter);

}  // namespace leeway::store::vectors
