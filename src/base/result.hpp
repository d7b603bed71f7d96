#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace leeway {

/// What went wrong, as a class. Each class maps to one HTTP status (`http_status`) and, in wire/, to
/// one error type of each dialect.
enum class ErrorCode : std::uint8_t {
    kInvalidRequest = 1,  ///< the caller's request is malformed or refused: 400
    kUnauthenticated = 2,  ///< no or wrong credentials: 401
    kForbidden = 3,  ///< known caller, not allowed: 403
    kNotFound = 4,  ///< unknown path, model or object: 404
    kMethodNotAllowed = 5,  ///< 405
    kRequestTimeout = 6,  ///< the caller was too slow: 408
    kPayloadTooLarge = 7,  ///< 413
    kHeaderTooLarge = 8,  ///< 431
    kRateLimited = 9,  ///< 429
    kClientGone = 10,  ///< the caller hung up: 499 (never seen by it)
    kInternal = 11,  ///< a bug or a broken invariant of ours: 500
    kUpstreamInvalid = 12,  ///< the upstream's answer is unusable, or it cannot be reached: 502
    kUnavailable = 13,  ///< we cannot take work now: 503
    kUpstreamTimeout = 14,  ///< a deadline passed while waiting for the upstream: 504
    kConfig = 15,  ///< configuration, file or environment problem (never on the data plane)
};

/// The HTTP status that stands for `code`.
constexpr int http_status(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::kInvalidRequest: return 400;
        case ErrorCode::kUnauthenticated: return 401;
        case ErrorCode::kForbidden: return 403;
        case ErrorCode::kNotFound: return 404;
        case ErrorCode::kMethodNotAllowed: return 405;
        case ErrorCode::kRequestTimeout: return 408;
        case ErrorCode::kPayloadTooLarge: return 413;
        case ErrorCode::kHeaderTooLarge: return 431;
        case ErrorCode::kRateLimited: return 429;
        case ErrorCode::kClientGone: return 499;
        case ErrorCode::kInternal: return 500;
        case ErrorCode::kUpstreamInvalid: return 502;
        case ErrorCode::kUnavailable: return 503;
        case ErrorCode::kUpstreamTimeout: return 504;
        case ErrorCode::kConfig: return 500;
    }
    return 500;
}

/// An error as a value. `message` says what happened, `hint` what to do about it.
struct Error {
    ErrorCode code = ErrorCode::kInternal;
    std::string message;
    std::string hint;  ///< may be empty
    std::string param;  ///< the request field at fault, e.g. "messages[0].role"; may be empty
    std::string reason;  ///< stable machine word, e.g. "model_not_found"; may be empty

    /// `message`, then `hint` after a colon-free separator when there is one.
    [[nodiscard]] std::string text() const {
        return hint.empty() ? message : message + " (" + hint + ")";
    }
};

/// The value, or why there is none. Nothing on the data plane throws across our functions.
template <class T>
using Result = tl::expected<T, Error>;

/// Shorthand for the failing side: `return fail(ErrorCode::kNotFound, "...", "...")`.
inline tl::unexpected<Error> fail(ErrorCode code, std::string message, std::string hint = {}) {
    return tl::unexpected<Error>(
        Error{code, std::move(message), std::move(hint), std::string(), std::string()});
}

/// Passes an error on unchanged.
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace leeway
