// The same measurements as `gateway/engine/examples/decode.rs` on llama.cpp: processor time per token on one thread.
// Built by `run` against the prebuilt libraries in the cache. Usage:
//   llama LIBS bench MODEL                 one line "name milliseconds" for each measurement
//   llama LIBS quantize MODEL OUT q4_0|q8_0
//   llama LIBS perplexity MODEL TOKENS     a file of token numbers; windows of 512, the second half of each counted
//   llama LIBS tokens MODEL TEXT           a text's token numbers
//   llama LIBS greedy MODEL N              N tokens chosen greedily after a fixed prompt of 32, and N likeliest tokens
//                                          at each place of a fixed text of N
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "ggml-backend.h"
#include "llama.h"

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void quiet(enum ggml_log_level level, const char *text, void *data) {
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static llama_token synthetic(size_t i, size_t salt) { return 100 + (llama_token)((i * 7919 + salt * 104729) % 40000); }

static struct llama_context *context(struct llama_model *model, int tokens, int sequences) {
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = tokens;
    p.n_batch = 512;
    p.n_ubatch = 512;
    p.n_seq_max = sequences;
    p.n_threads = p.n_threads_batch = 1;
    p.no_perf = true;
    struct llama_context *c = llama_init_from_model(model, p);
    if (!c) fail("no context");
    return c;
}

static void add(struct llama_batch *b, llama_token token, int position, int sequence, bool logits) {
    int i = b->n_tokens++;
    b->token[i] = token;
    b->pos[i] = position;
    b->n_seq_id[i] = 1;
    b->seq_id[i][0] = sequence;
    b->logits[i] = logits;
}

static void decode(struct llama_context *c, struct llama_batch *b) {
    if (llama_decode(c, *b)) fail("llama_decode failed");
    b->n_tokens = 0;
}

// A prompt of `length` tokens in pieces of 512.
static void prefill(struct llama_context *c, struct llama_batch *b, int length, int sequence) {
    for (int i = 0; i < length; i++) {
        add(b, synthetic(i, sequence), i, sequence, i + 1 == length);
        if (b->n_tokens == 512 || i + 1 == length) decode(c, b);
    }
}

static int likeliest(const float *scores, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

// `steps` tokens for each of `sequences` after prompts of `depth`.
static void measure(struct llama_model *model, struct llama_batch *b, const char *name, int depth, int sequences, int steps) {
    struct llama_context *c = context(model, (depth + steps + 64) * sequences, sequences);
    for (int s = 0; s < sequences; s++) prefill(c, b, depth, s);
    double before = cpu();
    for (int i = 0; i < steps; i++) {
        for (int s = 0; s < sequences; s++) add(b, synthetic(depth + i, s), depth + i, s, true);
        decode(c, b);
        if (!isfinite(llama_get_logits_ith(c, sequences - 1)[7])) fail("not finite");
    }
    printf("%s %.4f\n", name, (cpu() - before) / (steps * sequences));
    llama_free(c);
}

static void bench(struct llama_model *model, struct llama_batch *b) {
    struct llama_context *c = context(model, 1024, 1);
    prefill(c, b, 64, 0);
    llama_memory_clear(llama_get_memory(c), true);
    double before = cpu();
    prefill(c, b, 512, 0);
    printf("prefill512 %.4f\n", (cpu() - before) / 512);
    llama_free(c);
    measure(model, b, "decode0", 1, 1, 96);
    measure(model, b, "decode1024", 1024, 1, 48);
    measure(model, b, "batch4", 64, 4, 32);
    measure(model, b, "batch16", 64, 16, 32);
}

static void perplexity(struct llama_model *model, struct llama_batch *b, const char *path) {
    static llama_token tokens[1 << 16];
    int count = 0, n = llama_vocab_n_tokens(llama_model_get_vocab(model));
    FILE *f = fopen(path, "r");
    if (!f) fail("the file of tokens cannot be read");
    while (count < 1 << 16 && fscanf(f, "%d", &tokens[count]) == 1) count++;
    fclose(f);
    double loss = 0;
    int scored = 0;
    for (int first = 0; first + 512 <= count; first += 512) {
        struct llama_context *c = context(model, 1024, 1);
        for (int i = 0; i < 512; i++) add(b, tokens[first + i], i, 0, i >= 255);
        decode(c, b);
        for (int i = 255; i < 511; i++) {
            const float *s = llama_get_logits_ith(c, i);
            double top = s[likeliest(s, n)], sum = 0;
            for (int j = 0; j < n; j++) sum += exp(s[j] - top);
            loss += top + log(sum) - s[tokens[first + i + 1]];
            scored++;
        }
        llama_free(c);
    }
    printf("perplexity %.6f %d\n", exp(loss / scored), scored);
}

static void greedy(struct llama_model *model, struct llama_batch *b, int steps) {
    int n = llama_vocab_n_tokens(llama_model_get_vocab(model));
    struct llama_context *c = context(model, 2048, 1);
    prefill(c, b, 32, 0);
    printf("greedy");
    for (int i = 0; i < steps; i++) {
        int next = likeliest(llama_get_logits_ith(c, -1), n);
        printf(" %d", next);
        add(b, next, 32 + i, 0, true);
        decode(c, b);
    }
    printf("\nforced");
    llama_memory_clear(llama_get_memory(c), true);
    for (int i = 0; i < steps; i++) {
        add(b, synthetic(i, 3), i, 0, true);
        decode(c, b);
        printf(" %d", likeliest(llama_get_logits_ith(c, -1), n));
    }
    printf("\n");
    llama_free(c);
}

static void tokenize(struct llama_model *model, const char *path) {
    static char text[1 << 18];
    static llama_token tokens[1 << 16];
    FILE *f = fopen(path, "r");
    if (!f) fail("the text cannot be read");
    int n = fread(text, 1, sizeof text, f);
    fclose(f);
    n = llama_tokenize(llama_model_get_vocab(model), text, n, tokens, 1 << 16, false, false);
    if (n < 0) fail("the text is too long");
    for (int i = 0; i < n; i++) printf("%d\n", tokens[i]);
}

int main(int argc, char **argv) {
    if (argc < 4) fail("usage: llama LIBS bench|quantize|perplexity|tokens|greedy MODEL …");
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(argv[1]);
    llama_backend_init();
    const char *what = argv[2];
    if (!strcmp(what, "quantize")) {
        struct llama_model_quantize_params q = llama_model_quantize_default_params();
        q.nthread = 1;
        q.allow_requantize = true;
        q.ftype = !strcmp(argv[5], "q4_0") ? LLAMA_FTYPE_MOSTLY_Q4_0 : LLAMA_FTYPE_MOSTLY_Q8_0;
        return (int)llama_model_quantize(argv[3], argv[4], &q);
    }
    struct llama_model_params p = llama_model_default_params();
    p.n_gpu_layers = 0;
    struct llama_model *model = llama_model_load_from_file(argv[3], p);
    if (!model) fail("the model cannot be loaded");
    struct llama_batch b = llama_batch_init(512, 0, 1);
    if (!strcmp(what, "bench")) bench(model, &b);
    else if (!strcmp(what, "perplexity")) perplexity(model, &b, argv[4]);
    else if (!strcmp(what, "tokens")) tokenize(model, argv[4]);
    else if (!strcmp(what, "greedy")) greedy(model, &b, atoi(argv[4]));
    else fail("unknown command");
    llama_batch_free(b);
    llama_model_free(model);
    return 0;
}
