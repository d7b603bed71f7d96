#pragma once

#include "app/commands/evaluate_cascade_options.hpp"
#include "lab/evaluate/cascade_evaluate.hpp"
#include "lab/evaluate/certificate_evaluate.hpp"
#include "lab/evaluate/pacing_evaluate.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace leeway::app {

/// One number of labels on all tasks.
struct CascadeRun {
    std::size_t labels = 0;
    std::vector<lab::CascadeReport> tasks;
};

/// One pair, one alpha, one number of labels.
struct CertificateRun {
    std::string weak;
    std::string strong;
    lab::CertificatePlan plan;
    /// Of each task and, where there are several, of all rows together, first.
    std::vector<std::string> tasks;
    std::vector<lab::CertificateFigures> figures;  ///< one each
    /// Where there are several tasks: a certificate of each, right all together.
    std::optional<lab::CertificateFigures> together;
};

struct DriftRun {
    std::string weak;
    std::string strong;
    lab::DriftPlan plan;
    lab::DriftFigures figures;
};

/// What is printed, as JSON or as text, each ending in a line feed. docs/formats/evaluate.md tells of each member.
[[nodiscard]] std::string cascades_text(const EvaluateCascadeOptions& options,
                                        const std::vector<CascadeRun>& runs,
                                        const lab::OutcomeFaults& faults);
[[nodiscard]] std::string certificates_text(const EvaluateCascadeOptions& options,
                                            const std::vector<CertificateRun>& runs);
[[nodiscard]] std::string drifts_text(const EvaluateCascadeOptions& options,
                                      const std::vector<DriftRun>& runs);
[[nodiscard]] std::string pacing_text(const EvaluateCascadeOptions& options, std::size_t labels,
                                      const std::vector<lab::PacingFigures>& figures);

}  // namespace leeway::app
