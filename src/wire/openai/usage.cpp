#include "wire/openai/usage.hpp"

namespace leeway::wire::openai {

UsageReading read_usage(json::Cursor& cursor, usage::Flavour flavour) {
    usage::Extractor extractor(flavour);
    if (!extractor.read_object(cursor)) return {};
    return extractor.result();
}

}  // namespace leeway::wire::openai
