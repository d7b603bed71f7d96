#pragma once

#include <string>

namespace leeway::telemetry {

/// Sets up the process's log on standard error: `level` is debug, info, warn or error; `json` writes
/// one JSON object a line with control characters escaped, so that no text can forge a line. Call
/// once, before other threads start; `set_log_level` may be called again.
void start_log(const std::string& level, bool json);
void set_log_level(const std::string& level);

}  // namespace leeway::telemetry
