#pragma once

// Only for tests: packs what GzipFile unpacks.

#include <zlib.h>

#include <cstdlib>
#include <string>

namespace leeway::testing {

/// `text` as a gzip file.
inline std::string gzipped(const std::string& text) {
    constexpr int kGzip = 15 + 16;  // the largest window, with the head and tail of gzip
    z_stream stream{};
    if (deflateInit2(&stream, 6, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
    std::string out(deflateBound(&stream, text.size()), '\0');
    std::string in = text;  // zlib's input is not const
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
    out.resize(stream.total_out);
    (void)deflateEnd(&stream);
    return out;
}

}  // namespace leeway::testing
