// The engine of a build without llama.cpp: everything else of models/ works and says what to do.
#ifndef LEEWAY_HAVE_LLAMA

#include "models/host/engine.hpp"

namespace leeway::models {

Result<std::unique_ptr<Engine>> Engine::load(EngineOptions /*options*/) {
    return fail(ErrorCode::kUnavailable, "this build of leeway has no local models",
                "build it again where llama.cpp can be fetched: ./run prepares that");
}

}  // namespace leeway::models

#endif
