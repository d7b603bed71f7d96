#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace leeway::store::vectors {

/// What a graph is made for.
struct GraphShape {
    std::size_t length = 0;  ///< of a row, padded
    std::uint32_t links = 0;
    std::uint32_t build_width = 0;
};

/// A graph laid out for a file: what `Graph::image` gives and `Graph::from_image` takes.
struct GraphImage {
    std::uint32_t elements = 0;
    std::uint32_t entry = 0;
    std::int32_t top_level = -1;
    std::string base;  ///< a fixed number of bytes of each element: links, code, its number
    std::vector<std::int32_t> levels;  ///< of each element
    std::string upper;  ///< links of the levels above, element by element
};

/// An HNSW graph over int8 codes (hnswlib). Rows of equal codes share an element: as elements of their own they would
/// have links to each other only, and whoever comes there would not find the way out. It grows on one thread until it is handed out as const; then any thread may
/// search it. Nothing here throws.
class Graph {
public:
    struct Member {
        std::uint32_t element = 0;
        std::uint32_t row = 0;
    };

    /// nullptr: no memory. So with the others.
    [[nodiscard]] static std::shared_ptr<Graph> make(const GraphShape& shape, std::size_t capacity);
    /// With room for `more` elements.
    [[nodiscard]] std::shared_ptr<Graph> copy(std::size_t more) const;
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    ~Graph();

    /// Rows come in ascending order. False: no room.
    [[nodiscard]] bool add(std::uint32_t row, const std::uint8_t* code);
    /// Gives back what only `add` needs. No more is added.
    void finish();

    /// Rows near `code`, those of the best elements first: of `count` elements of which `accepts` accepts a row (null:
    /// every one), the rows that it accepts. `width`: HNSW's ef, at least `count`.
    [[nodiscard]] std::vector<std::uint32_t> search(
        const std::uint8_t* code, std::size_t count, std::size_t width,
        const std::function<bool(std::uint32_t row)>& accepts) const;

    [[nodiscard]] std::size_t size() const noexcept;  ///< elements
    [[nodiscard]] std::size_t rows() const noexcept;
    [[nodiscard]] std::size_t nowhere() const noexcept;  ///< elements without rows
    [[nodiscard]] std::size_t bytes() const noexcept;
    [[nodiscard]] const std::uint8_t* code(std::size_t element) const noexcept;

    /// In ascending order of their rows.
    [[nodiscard]] std::vector<Member> members() const;
    [[nodiscard]] GraphImage image() const;
    /// Its elements have no rows yet. Checks that every link leads somewhere. Errors: kInternal with what is wrong.
    [[nodiscard]] static Result<std::shared_ptr<Graph>> from_image(const GraphShape& shape,
                                                                   const GraphImage& image);
    /// In place of what there is, before it is handed out; in ascending order of their rows, elements that exist.
    void set_members(const std::vector<Member>& members);

private:
    class Impl;
    explicit Graph(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace leeway::store::vectors
