#pragma once

#include "base/result.hpp"
#include "methods/cascade/certificate.hpp"
#include "methods/cascade/watch.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::json {
struct Node;
class Writer;
}  // namespace leeway::json

namespace leeway::cascade {

/// A cascade of two models that was fitted to judged requests, and what shows that it may be used; `leeway tune cascade`
/// writes it and the stage reads it (docs/formats/cascade.md).
struct CascadeFile {
    std::string weak;  ///< names of the gateway's models
    std::string strong;
    HarmPromise promise;
    Certificate certificate;  ///< not certified: the strong model answers
    std::string tasks;  ///< of the outcome table, joined by "+"
    std::string outcomes;  ///< name of that file, and its SHA-256
    std::string outcomes_sha256;
    std::int64_t made_unix_s = 0;
    /// Scores of the rows, or so many of them evenly spread, where `certified`: what traffic is watched by. Empty in files
    /// of before.
    std::vector<Score> scores;
    std::string seal;  ///< in hexadecimal; read, not written
    std::string signer;  ///< public key of who signed it; empty: nobody did. Read, not written
};

/// `scores` as a JSON array of pairs, the value of the member that `writer` is at.
void write_scores(json::Writer& writer, std::span<const Score> scores);
/// Errors (kConfig): it is no such array, or has none or more than `kMostScores`.
[[nodiscard]] Result<std::vector<Score>> read_scores(const json::Node& array);

/// One JSON object in a line. Its last member is the SHA-256 of all before it: a file that was cut or edited is refused.
[[nodiscard]] std::string write_cascade_file(const CascadeFile& file);
/// Errors (kConfig): no such file, of another version, its seal or a signature (json/seal.hpp) does not fit, a member that
/// is missing or out of range.
[[nodiscard]] Result<CascadeFile> read_cascade_file(std::string_view text);

}  // namespace leeway::cascade
