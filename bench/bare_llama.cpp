// What the models cost without a gateway: llama.cpp called directly, one thread, as the model host
// calls it. Prints one JSON object on stdout.
#include "net.hpp"

#include <llama.h>

#include <algorithm>
#include <cmath>

namespace bench {
namespace {

/// CPU time of the whole process in milliseconds.
double cpu_ms() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

void quiet(ggml_log_level level, const char* text, void* /*user*/) {
    if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

struct Engine {
    llama_model* model;
    llama_context* context = nullptr;

    Engine(const std::string& file, bool embeddings, std::uint32_t window)
        : model(llama_model_load_from_file(file.c_str(), llama_model_default_params())) {
        if (model == nullptr) die("cannot load " + file);
        llama_context_params params = llama_context_default_params();
        params.n_ctx = params.n_batch = params.n_ubatch = window;
        params.n_threads = params.n_threads_batch = 1;
        params.embeddings = embeddings;
        if (embeddings) params.pooling_type = LLAMA_POOLING_TYPE_MEAN;
        context = llama_init_from_model(model, params);
        if (context == nullptr) die("cannot make a context for " + file);
    }
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine() {
        llama_free(context);
        llama_model_free(model);
    }

    [[nodiscard]] std::vector<llama_token> tokens(const std::string& text, bool special) const {
        std::vector<llama_token> out(text.size() + 8);
        const int n = llama_tokenize(llama_model_get_vocab(model), text.c_str(),
                                     static_cast<std::int32_t>(text.size()), out.data(),
                                     static_cast<std::int32_t>(out.size()), special, true);
        out.resize(static_cast<std::size_t>(std::max(n, 0)));
        return out;
    }
};

/// Tokenises, encodes and normalises one text, as one call of the embeddings API does.
double embed(Engine& engine, const std::string& text) {
    std::vector<llama_token> tokens = engine.tokens(text, true);
    llama_batch batch = llama_batch_init(static_cast<std::int32_t>(tokens.size()), 0, 1);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        batch.token[i] = tokens[i];
        batch.pos[i] = static_cast<llama_pos>(i);
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = 1;
    }
    batch.n_tokens = static_cast<std::int32_t>(tokens.size());
    if (llama_encode(engine.context, batch) != 0) die("llama_encode failed");
    const float* vector = llama_get_embeddings_seq(engine.context, 0);
    double square = 0;
    for (int i = 0; i < llama_model_n_embd(engine.model); ++i) {
        square += static_cast<double>(vector[i]) * static_cast<double>(vector[i]);
    }
    llama_batch_free(batch);
    return std::sqrt(square);
}

void run_embed(const std::string& file, int count, const std::string& text) {
    Engine engine(file, true, 512);
    for (int i = 0; i < 5; ++i) embed(engine, text);
    std::vector<double> wall;
    const double cpu = cpu_ms();
    for (int i = 0; i < count; ++i) {
        const std::int64_t start = now_ns();
        if (!(embed(engine, text) > 0)) die("the embedding is empty");
        wall.push_back(static_cast<double>(now_ns() - start) / 1e6);
    }
    const double used = (cpu_ms() - cpu) / count;
    std::sort(wall.begin(), wall.end());
    std::printf("{\"embeddings\":%d,\"tokens\":%zu,\"cpu_ms\":%.4f,\"wall_ms_p50\":%.4f}\n", count,
                engine.tokens(text, true).size(), used, wall[wall.size() / 2]);
}

llama_token best(const Engine& engine) {
    const float* logits = llama_get_logits_ith(engine.context, -1);
    const int n = llama_vocab_n_tokens(llama_model_get_vocab(engine.model));
    return static_cast<llama_token>(std::max_element(logits, logits + n) - logits);
}

/// Greedy, stops at `count` tokens or where the model ends its answer.
void run_decode(const std::string& file, int count, const std::string& system,
                const std::string& prompt) {
    Engine engine(file, false, 1024);
    const llama_chat_message messages[] = {{"system", system.c_str()}, {"user", prompt.c_str()}};
    std::string text(system.size() + prompt.size() + 256, '\0');
    const int n =
        llama_chat_apply_template(llama_model_chat_template(engine.model, nullptr), messages, 2,
                                  true, text.data(), static_cast<std::int32_t>(text.size()));
    text.resize(static_cast<std::size_t>(std::max(n, 0)));
    std::vector<llama_token> tokens = engine.tokens(text, true);
    const double begin = cpu_ms();
    if (llama_decode(engine.context, llama_batch_get_one(tokens.data(), static_cast<std::int32_t>(
                                                                            tokens.size()))) != 0) {
        die("llama_decode failed");
    }
    llama_token token = best(engine);
    const double prompt_ms = cpu_ms() - begin;
    int made = 1;
    const llama_vocab* vocab = llama_model_get_vocab(engine.model);
    while (made < count && !llama_vocab_is_eog(vocab, token)) {
        if (llama_decode(engine.context, llama_batch_get_one(&token, 1)) != 0) die("llama_decode");
        token = best(engine);
        ++made;
    }
    const double all = cpu_ms() - begin;
    std::printf(
        "{\"prompt_tokens\":%zu,\"tokens\":%d,\"prompt_cpu_ms\":%.2f,\"cpu_ms\":%.2f,"
        "\"tokens_per_cpu_s\":%.2f,\"decode_tokens_per_cpu_s\":%.2f}\n",
        tokens.size(), made, prompt_ms, all, made * 1e3 / all,
        made > 1 ? (made - 1) * 1e3 / (all - prompt_ms) : 0.0);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    constexpr const char* kValues[] = {"--embed", "--decode", "--count",
                                       "--text",  "--system", "--prompt"};
    const bench::Options options(argc, argv, {}, kValues);
    llama_log_set(bench::quiet, nullptr);
    llama_backend_init();
    if (options.has("--embed")) {
        bench::run_embed(
            options.text("--embed"), options.integer("--count", 200),
            options.text("--text", "how do I change the delivery address of an order"));
    }
    if (options.has("--decode")) {
        bench::run_decode(options.text("--decode"), options.integer("--count", 128),
                          options.text("--system", "You are a storyteller."),
                          options.text("--prompt", "Tell a long story about a lighthouse keeper."));
    }
    llama_backend_free();
}
