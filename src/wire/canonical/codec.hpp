#pragma once

#include "base/result.hpp"
#include "wire/canonical/answer.hpp"
#include "wire/canonical/dialect.hpp"
#include "wire/canonical/quirks.hpp"
#include "wire/canonical/request.hpp"
#include "wire/openai/sse.hpp"
#include "wire/usage/flavour.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::wire {

/// What a translation left out, by the names of the caller's fields: told to the caller in a header.
struct Losses {
    std::vector<std::string> dropped;
    void drop(std::string_view what) {
        if (std::find(dropped.begin(), dropped.end(), what) == dropped.end())
            dropped.emplace_back(what);
    }
};

/// What a writer of requests must know of the upstream.
struct RequestTarget {
    std::string_view model;  ///< its name there
    /// For dialects that require a limit on the answer, when the caller gave none.
    std::int64_t usual_max_tokens = 8192;
    ChatQuirks quirks = kOpenAiQuirks;  ///< for OpenAI's chat dialect
    /// The model decides itself how much it thinks and takes no budget of tokens (Claude from Opus 4.7 on).
    bool adaptive_thinking = false;
};

/// Reads the events of one stream. One thread; one stream.
class StreamReader {
public:
    StreamReader() = default;
    StreamReader(const StreamReader&) = delete;
    StreamReader& operator=(const StreamReader&) = delete;
    virtual ~StreamReader() = default;
    /// Appends what `event` says. An error the upstream sent in band is a kError event; an event that cannot be
    /// read is an error with `kUpstreamInvalid`.
    [[nodiscard]] virtual Result<void> read(const openai::SseEvent& event,
                                            std::vector<StreamEvent>& out) = 0;
    /// The stream has ended well below HTTP: for dialects whose streams have no last event.
    virtual void end(std::vector<StreamEvent>& /*out*/) {}
};

/// Writes one stream for a caller. One thread; one stream.
class StreamWriter {
public:
    StreamWriter() = default;
    StreamWriter(const StreamWriter&) = delete;
    StreamWriter& operator=(const StreamWriter&) = delete;
    virtual ~StreamWriter() = default;
    /// Appends the bytes that tell `event`. After a kError no client takes the stream for whole.
    virtual void write(const StreamEvent& event, std::string& out) = 0;
};

/// What a writer of answers must know of the request.
struct AnswerFor {
    std::string_view id;  ///< ours, where the answer has none
    std::string_view model;  ///< as the caller named it
    std::int64_t now_unix_s = 0;
    bool include_usage = true;  ///< OpenAI chat streams: the caller wants the usage chunk
    std::string_view previous = {};  ///< Responses: the one that is continued; empty: none
    bool stored = false;  ///< Responses: the answer is kept
};

/// One dialect as a provider speaks it. Immutable; any thread.
class UpstreamCodec {
public:
    UpstreamCodec() = default;
    UpstreamCodec(const UpstreamCodec&) = delete;
    UpstreamCodec& operator=(const UpstreamCodec&) = delete;
    virtual ~UpstreamCodec() = default;

    /// The body for an upstream. Fails with `kInvalidRequest`, reason "untranslatable", for what the dialect cannot
    /// express and the answer would be wrong without; notes what it leaves out in `losses`.
    [[nodiscard]] virtual Result<std::string> write_request(const ChatRequest& request,
                                                            const RequestTarget& target,
                                                            Losses& losses) const = 0;
    /// Errors are `kUpstreamInvalid`.
    [[nodiscard]] virtual Result<ChatAnswer> read_answer(std::string_view body,
                                                         usage::Flavour flavour) const = 0;
    /// Cuts the bytes of a stream into the events that `stream_reader` reads.
    [[nodiscard]] virtual std::unique_ptr<openai::EventScanner> scanner() const {
        return std::make_unique<openai::SseScanner>();
    }
    [[nodiscard]] virtual std::unique_ptr<StreamReader> stream_reader(
        usage::Flavour flavour) const = 0;
    /// What the upstream says in the body of an answer with `status` ≥ 400: message, code (as `reason`), param,
    /// and our class of it.
    [[nodiscard]] virtual Error read_error(int status, std::string_view body) const = 0;
};

/// One dialect, read and written, as callers speak it too.
class Codec : public UpstreamCodec {
public:
    /// `body` must be a JSON object. Errors are `kInvalidRequest` with `param`.
    [[nodiscard]] virtual Result<ChatRequest> read_request(std::string_view body) const = 0;
    [[nodiscard]] virtual std::string write_answer(const ChatAnswer& answer,
                                                   const AnswerFor& to) const = 0;
    [[nodiscard]] virtual std::unique_ptr<StreamWriter> stream_writer(
        const AnswerFor& to) const = 0;
    /// The body of an error answer; the HTTP status stands apart.
    [[nodiscard]] virtual std::string write_error(const Error& error) const = 0;
    /// The same as one event for a stream that is under way: no client takes the stream for whole.
    [[nodiscard]] virtual std::string write_stream_error(const Error& error) const = 0;
};

/// `dialect` must be one that callers speak.
[[nodiscard]] const Codec& codec_of(Dialect dialect) noexcept;
[[nodiscard]] const UpstreamCodec& upstream_codec_of(Dialect dialect) noexcept;

}  // namespace leeway::wire
