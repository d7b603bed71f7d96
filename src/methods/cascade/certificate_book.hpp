#pragma once

#include "base/result.hpp"
#include "methods/cascade/cascade_file.hpp"
#include "methods/cascade/online_certificate.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::cascade {

/// A certificate that a route uses, with what its audits have shown. Once demoted it stays so: another policy is needed.
/// Thread-safe.
class CertificateInUse {
public:
    /// `audit`: share of the answers taken that are audited. > 0
    CertificateInUse(const CascadeFile& file, double audit);

    /// `chance`: uniform in [0, 1).
    [[nodiscard]] OnlineDecision decide(const Score& score, double chance);
    /// The verdict on an answer that was to be judged; one that could not be had is not recorded.
    void record(const Score& score, const OnlineDecision& decision, bool harm);
    void demote(std::string why);
    /// Why it does not serve, in a word: "drift" or "harm"; empty: it does.
    [[nodiscard]] std::string_view demoted() const;

    struct State {
        bool serving = true;
        std::string why;  ///< it does not; empty: it does
        std::uint64_t decided = 0;
        std::uint64_t audited = 0;  ///< with a verdict
        std::uint64_t harmed = 0;
    };
    [[nodiscard]] State state() const;

private:
    mutable std::mutex mutex_;
    OnlineCertificate online_;
    State state_;
};

/// The certificates that routes use, over reloads, and which of them were demoted, over restarts. Thread-safe.
class CertificateBook {
public:
    /// What was demoted before, as `text` told it. Before the first `use`. Errors (kConfig): it is no such text.
    [[nodiscard]] Result<void> restore(std::string_view text);
    [[nodiscard]] std::string text() const;
    /// The same as before where the route's policy and its share of audits are.
    [[nodiscard]] std::shared_ptr<CertificateInUse> use(const std::string& route,
                                                        const CascadeFile& file, double audit);
    /// Routes whose certificates were demoted since this was asked last, and why.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> take_demoted();
    [[nodiscard]] std::vector<std::pair<std::string, CertificateInUse::State>> standings() const;

private:
    struct Entry {
        std::string seal;
        double audit = 0;
        std::shared_ptr<CertificateInUse>
            certificate;  ///< null: its route has not used it since the start
        std::string why;  ///< it was demoted, as far as that was told; empty: it was not
    };
    mutable std::mutex mutex_;
    std::map<std::string, Entry> by_route_;
};

}  // namespace leeway::cascade
