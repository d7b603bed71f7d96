#pragma once

#include "base/result.hpp"
#include "tokens/calibration_book.hpp"

#include <string>

namespace leeway::app {

/// Takes what a gateway has learned of tokenizers out of STATE/calibration.json into `book`. A file that is not
/// there teaches nothing, which is no error; one that is damaged is one, and changes nothing.
[[nodiscard]] Result<void> load_calibration(const std::string& state_folder,
                                            tokens::CalibrationBook& book);

/// Puts it there: a reader, and whoever starts after a power cut, finds the whole file or the one before it.
[[nodiscard]] Result<void> save_calibration(const std::string& state_folder,
                                            const tokens::CalibrationBook& book);

}  // namespace leeway::app
