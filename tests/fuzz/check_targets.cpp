#include "fuzz/targets.hpp"
#include "methods/cascade/check/agreement.hpp"
#include "methods/cascade/check/arithmetic.hpp"
#include "methods/cascade/check/json_schema.hpp"
#include "methods/cascade/check/marks.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace leeway::fuzz {

void answer_checks(std::string_view text) {
    using namespace cascade::check;  // NOLINT(google-build-using-namespace)
    // The first line is the schema, the rest the answer.
    const std::size_t line = std::min(text.find('\n'), text.size());
    const std::string_view schema = text.substr(0, line);
    const std::string_view answer = text.substr(std::min(line + 1, text.size()));
    const SchemaVerdict verdict = check_answer(answer, schema);
    require((verdict.validity == Validity::kInvalid) || verdict.why.empty() ||
            verdict.validity == Validity::kUnknown);
    const Sums sums = check_sums(answer);
    require(sums.all() <= answer.size());
    const Marks marks = marks_of(answer);
    require(marks.hedges <= marks.words && !(marks.empty && marks.words > 0));
    const std::string end = final_answer(answer);
    const std::array<std::string, 2> samples{std::string(answer), std::string(answer)};
    const Agreement agreement = agreement_of(samples);
    require(agreement.share == (end.empty() ? 0 : 1));
}

}  // namespace leeway::fuzz
