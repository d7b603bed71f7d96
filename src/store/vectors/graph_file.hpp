#pragma once

#include "base/result.hpp"
#include "store/vectors/graph.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::store::vectors {

struct GraphFile {
    GraphImage image;
    /// Stamps of the rows, ascending, and their elements.
    std::vector<std::uint64_t> stamps;
    std::vector<std::uint32_t> elements;
};

/// Writes it beside `path` and moves it there. `identity` names whose graph it is. Errors: kUnavailable.
/// docs/formats/vectors.md has the format.
[[nodiscard]] Result<void> write_graph_file(const std::string& path, std::string_view identity,
                                            const GraphFile& file);
/// Errors: kNotFound (no file), kInternal with what is wrong: cut, damaged, of another version or identity.
[[nodiscard]] Result<GraphFile> read_graph_file(const std::string& path, std::string_view identity);

}  // namespace leeway::store::vectors
