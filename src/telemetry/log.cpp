#include "telemetry/log.hpp"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace leeway::telemetry {
namespace {

/// The message with what could end a line or a JSON string escaped.
class EscapedMessage final : public spdlog::custom_flag_formatter {
public:
    explicit EscapedMessage(bool json) : json_(json) {}
    void format(const spdlog::details::log_msg& message, const std::tm&,
                spdlog::memory_buf_t& out) override {
        for (const char c : message.payload) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte < 0x20 || byte == 0x7f) {
                fmt::format_to(fmt::appender(out), "\\u{:04x}", byte);
            } else {
                if (json_ && (c == '"' || c == '\\')) out.push_back('\\');
                out.push_back(c);
            }
        }
    }
    std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
        return spdlog::details::make_unique<EscapedMessage>(json_);
    }

private:
    bool json_;
};

}  // namespace

void start_log(const std::string& level, bool json) {
    auto logger = std::make_shared<spdlog::logger>(
        "leeway", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    formatter->add_flag<EscapedMessage>('*', json);
    formatter->set_pattern(json ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%*"})"
                                : "%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %*");
    logger->set_formatter(std::move(formatter));
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
    set_log_level(level);
}

void set_log_level(const std::string& level) { spdlog::set_level(spdlog::level::from_str(level)); }

}  // namespace leeway::telemetry
