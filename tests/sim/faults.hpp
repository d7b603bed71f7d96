#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace leeway::sim {

/// Everything that can go wrong in a run, by who does it.
// clang-format off
#define LEEWAY_SIM_FAULTS(X)                                                                       \
    X(net_connect_refused)                                                                         \
    X(net_connect_hangs)                                                                           \
    X(net_connect_slow)                                                                            \
    X(net_bytes_one_by_one)                                                                        \
    X(net_pieces)                                                                                  \
    X(net_short_read)                                                                              \
    X(net_slow_link) X(net_reset) X(net_small_window) X(up_status_400) X(up_status_401) X(         \
        up_status_404) X(up_status_408) X(up_status_409) X(up_status_429) X(up_retry_after)        \
        X(up_status_500) X(up_status_502) X(up_status_503) X(up_status_529) X(up_never_answers) X( \
            up_slow_first_byte) X(up_closes_unheard) X(up_error_first_event)                       \
            X(up_error_later_event) X(up_stalls) X(up_slow_tokens) X(up_cut_fin) X(                \
                up_cut_reset) X(up_cut_inside_event) X(up_long_length) X(up_broken_chunk)          \
                X(up_not_http) X(up_not_json) X(up_json_broken_off) X(up_nul) X(up_bad_utf8) X(    \
                    up_comments) X(up_crlf) X(up_no_done) X(up_two_done) X(up_data_after_done)     \
                    X(up_empty_stream) X(up_usage_missing) X(up_usage_zero) X(up_usage_early) X(   \
                        up_usage_twice) X(up_usage_negative) X(up_usage_huge) X(up_http10)         \
                        X(up_connection_close) X(up_closes_idle) X(up_early_hints) X(              \
                            up_chunk_extension) X(up_trailers) X(up_large_head) X(up_length_limit) \
                            X(up_talks_on) X(client_gone_early) X(client_gone_later)               \
                                X(client_half_close) X(client_resets) X(client_slow_reader) X(     \
                                    client_slow_writer) X(client_pipelines) X(client_bad_json)     \
                                    X(client_bad_key) X(client_bad_http) X(client_no_limit)        \
                                        X(client_repeats) X(client_asks_again) X(client_no_model)  \
                                            X(disk_busy) X(disk_full) X(disk_write_error)          \
                                                X(disk_sync_error) X(disk_read_error)              \
                                                    X(disk_power_cut) X(ledger_sleeps)             \
                                                        X(process_killed) X(process_drained)       \
                                                            X(config_reloaded) X(key_revoked)      \
                                                                X(clock_forward) X(clock_back)

// clang-format on

// They are called as they are printed.
// NOLINTBEGIN(readability-identifier-naming, bugprone-macro-parentheses)
enum class Fault : std::uint8_t {
#define LEEWAY_SIM_NAME(name) name,
    LEEWAY_SIM_FAULTS(LEEWAY_SIM_NAME)
#undef LEEWAY_SIM_NAME
};

#define LEEWAY_SIM_COUNT(name) +1
inline constexpr std::size_t kFaults = 0 LEEWAY_SIM_FAULTS(LEEWAY_SIM_COUNT);
#undef LEEWAY_SIM_COUNT

// NOLINTEND(readability-identifier-naming, bugprone-macro-parentheses)

[[nodiscard]] std::string_view name_of(Fault fault);

}  // namespace leeway::sim
