// bench_tokens VOCABULARY: answers commands on standard input with CPU times, for bench/run tokens.
//
//   ids FILE | count FILE | memo FILE | cold FILE    →    SECONDS TOKENS
//
// SECONDS is the CPU time of this thread for one pass over the file, the text already in memory. `cold` is
// a first pass with an empty tokenizer; the others keep theirs, as a gateway does.

#include "tokens/message_memo.hpp"
#include "tokens/tokenizer.hpp"
#include "tokens/vocabulary_file.hpp"

#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>

namespace {

double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The size of a message in chat traffic: the memo is asked once for each.
constexpr std::size_t kMessage = 4000;

std::size_t count_messages(leeway::tokens::MessageMemo& memo, leeway::tokens::Tokenizer& tokenizer,
                           std::string_view text) {
    std::size_t total = 0;
    for (std::size_t at = 0; at < text.size(); at += kMessage) {
        total += memo.count(tokenizer, text.substr(at, kMessage));
    }
    return total;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace leeway::tokens;
    if (argc != 2) return 2;
    const auto vocabulary = open_vocabulary(argv[1]);
    if (!vocabulary) {
        std::cerr << vocabulary.error().text() << '\n';
        return 1;
    }
    Tokenizer tokenizer(*vocabulary);
    MessageMemo memo;
    std::map<std::string, std::string> texts;
    for (std::string kind, path; std::cin >> kind >> path;) {
        auto [place, is_new] = texts.try_emplace(path);
        if (is_new) {
            std::ifstream file(path, std::ios::binary);
            place->second.assign(std::istreambuf_iterator<char>(file), {});
        }
        const std::string& text = place->second;
        std::unique_ptr<Tokenizer> fresh;
        if (kind == "cold") fresh = std::make_unique<Tokenizer>(*vocabulary);
        const double started = cpu_seconds();
        std::size_t tokens = 0;
        if (kind == "ids") {
            tokens = tokenizer.encode(text).size();
        } else if (kind == "memo") {
            tokens = count_messages(memo, tokenizer, text);
        } else {
            tokens = (fresh != nullptr ? *fresh : tokenizer).count(text);
        }
        std::cout << cpu_seconds() - started << ' ' << tokens << std::endl;
    }
    return 0;
}
