#pragma once

#include "app/commands.hpp"
#include "app/commands/embedding_options.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace leeway::app {

// Options of the commands about semantic routes.

struct RouteOptions {
    std::string text;
    std::string before;  ///< the turn before; empty: there is none
    std::string routes;  ///< the file; empty: that of the configuration, if it names one only
    std::string config;
    std::string
        route;  ///< of the configuration: tells what its router makes of the text; empty: a routes file
    EmbeddingOptions embedding;
    std::uint32_t nearest = 3;
    std::string today;  ///< YYYY-MM-DD, what dates in the text are told from; empty: today in UTC
    bool json = false;
};
/// Tells where a text would go, and why.
int run_route(const RouteOptions& options);

/// What `evaluate routes` and `tune routes` have in common.
struct RouteFitting {
    std::string routes;
    std::string data;
    std::string config;
    EmbeddingOptions embedding;
    std::uint32_t folds = 5;
    std::uint32_t seed = 1;
    bool no_examples = false;  ///< labelled rows fit thresholds only
    bool json = false;
};

struct EvaluateRoutesOptions {
    RouteFitting fitting;
    std::string train;  ///< fitted to this, measured on the other; empty: by folds
    bool wrong = false;  ///< show the rows that went wrong
};
/// Measures a routes file on labelled texts.
int run_evaluate_routes(const EvaluateRoutesOptions& options);

struct TuneRoutesOptions {
    RouteFitting fitting;
    bool write = false;
};
/// Fits a routes file to labelled texts.
int run_tune_routes(const TuneRoutesOptions& options);

struct ImportRoutesOptions {
    std::string file;  ///< "-" = standard input
    std::string output;  ///< a new file; empty = standard output
};
/// Makes a routes file from semantic-router's.
int run_import_routes(const ImportRoutesOptions& options);

}  // namespace leeway::app
