#pragma once

#include "base/result.hpp"
#include "methods/cascade/cascade_file.hpp"
#include "methods/cascade/online_certificate.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::cascade {

/// How a route watches and learns.
struct CertificateCare {
    double audit = 0.1;  ///< share of the answers taken that are audited. > 0
    /// Share of the requests that the strong model answers for want of a certificate, for which the weak one is asked as
    /// well; 0: once demoted, it stays so until there is another policy.
    double learn = 0;
    double least_accepted = 0;  ///< as of OnlineSettings
};

/// A certificate that a route uses, with what its audits have shown. Thread-safe.
class CertificateInUse {
public:
    /// `file` may be one that is not certified: then nothing is served before it has certified something by itself.
    CertificateInUse(const CascadeFile& file, const CertificateCare& care);

    /// `chance`: uniform in [0, 1).
    [[nodiscard]] OnlineDecision decide(const Score& score, double chance);
    /// The verdict on an answer that was to be judged; one that could not be had is not recorded.
    void record(const Score& score, const OnlineDecision& decision, bool harm);

    /// Whether the weak model is to be asked as well, since the strong one answers for want of a certificate. `chance`: as
    /// above.
    [[nodiscard]] bool learns(double chance) const;
    /// What came of that: whether taking the weak answer would have been harm.
    void learn(const Score& score, bool harm);

    void demote(std::string why);
    /// Why it does not serve: "drift" or "harm" where it was demoted, "no_evidence" where it never did; empty: it does.
    [[nodiscard]] std::string_view obstacle() const;

    struct State {
        bool serving = false;
        std::string why;  ///< it was demoted; empty: it was not, or serves again
        std::uint64_t decided = 0;
        std::uint64_t audited = 0;  ///< with a verdict
        std::uint64_t harmed = 0;
        std::uint64_t learned = 0;  ///< verdicts while it did not serve
    };
    [[nodiscard]] State state() const;
    /// What it certified by itself, if that serves.
    [[nodiscard]] std::optional<SelfCertified> by_itself() const;
    void resume(SelfCertified certified);

private:
    const CertificateCare care_;
    mutable std::mutex mutex_;
    OnlineCertificate online_;
    State counted_;  // without its standing, which `online_` knows
};

/// The certificates that routes use, over reloads, and which of them were demoted or certified by themselves, over
/// restarts. Thread-safe.
class CertificateBook {
public:
    /// What became of some before, as `text` told it. Before the first `use`. Errors (kConfig): it is no such text.
    [[nodiscard]] Result<void> restore(std::string_view text);
    [[nodiscard]] std::string text() const;
    /// The same as before where the route's policy and what is audited and learned are.
    [[nodiscard]] std::shared_ptr<CertificateInUse> use(const std::string& route,
                                                        const CascadeFile& file,
                                                        const CertificateCare& care);
    /// A route whose certificate was demoted, or that certified something by itself.
    struct Change {
        std::string route;
        std::string why;  ///< demoted
        std::optional<SelfCertified> certified;
    };
    /// Those since this was asked last.
    [[nodiscard]] std::vector<Change> take_changes();
    [[nodiscard]] std::vector<std::pair<std::string, CertificateInUse::State>> standings() const;

private:
    struct Entry {
        std::string seal;
        CertificateCare care;
        std::shared_ptr<CertificateInUse>
            certificate;  ///< null: its route has not used it since the start
        // As far as that was told:
        std::string why;  ///< it was demoted; empty: it was not
        std::optional<SelfCertified> certified;
    };
    mutable std::mutex mutex_;
    std::map<std::string, Entry> by_route_;
};

}  // namespace leeway::cascade
