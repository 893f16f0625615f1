/* SPDX-License-Identifier: Apache-2.0
 * Answers with a prompt cache are those without one, bit for bit; what is not the session's own is refused. */
#include "tasks/prompt_cache.h"

#include <stdio.h>
#include <unistd.h>

#include "base/map.h"
#include "tasks/generate.h"
#include "tasks/opened.h"
#include "kernels/test_rows.h"

enum { CONTEXT = 160, PROMPT = 100, MOST_VOCAB = 256 };

typedef struct answering {
    fj_opened opened;
    fj_pool *pool;
    fj_kernels k;
    fj_session *session;
    int64_t n_vocab;
    int32_t ids[CONTEXT];
} answering;

static const char *file_name(void)
{
    return test_temporary("prompt_cache");
}

static void open_session(answering *x, const fj_dtype *type)
{
    fj_err err = { 0 };
    fj_session_settings s = { .n_ctx = CONTEXT, .fast = true, .stop_layer = -1, .k_type = type, .v_type = type };
    fj_session_close(x->session);
    CHECK_OK(fj_session_open(x->opened.model, &s, x->pool, &x->k, &x->session, &err));
}

static void open_all(answering *x, const char *name, const fj_dtype *type)
{
    fj_err err = { 0 };
    char folder[512];
    *x = (answering){ 0 };
    (void)snprintf(folder, sizeof folder, "%s/decoders/%s", TEST_GOLDEN, name);
    CHECK_OK(fj_opened_open(folder, NULL, FJ_OPEN_WEIGHTS, NULL, &x->opened, &err));
    CHECK_OK(fj_pool_open(2, &x->pool, &err));
    fj_kernels_init(&x->k, test_cpu());
    x->n_vocab = x->opened.model->hp.n_vocab;
    for (int32_t i = 0; i < CONTEXT; i++)
        x->ids[i] = (int32_t)((7 * i * i + 3) % x->n_vocab);
    open_session(x, type);
}

static void close_all(answering *x)
{
    (void)unlink(file_name());
    fj_session_close(x->session);
    fj_pool_close(x->pool);
    fj_opened_close(&x->opened);
}

/* Rows [first, end) behind what the session holds: the logits of the last. */
static void forward(answering *x, int64_t first, int64_t end, float *out)
{
    fj_err err = { 0 };
    fj_rows_in rows = { .n = end - first, .ids = x->ids + first };
    CHECK(end - first > 0 && x->n_vocab <= MOST_VOCAB);
    CHECK_OK(fj_session_forward(x->session, &rows, out, NULL, &err));
}

static void check_round_trip(const char *name, const fj_dtype *type)
{
    answering x;
    fj_err err = { 0 };
    float wanted[MOST_VOCAB], got[MOST_VOCAB];
    int64_t held = -1;
    open_all(&x, name, type);
    CHECK_OK(fj_prompt_cache_read(file_name(), x.session, x.ids, PROMPT, &held, &err)); /* there is none */
    CHECK(held == 0);
    forward(&x, 0, 90, got);
    CHECK_OK(fj_prompt_cache_write(file_name(), x.session, x.ids, &err));
    forward(&x, 90, PROMPT, wanted);

    open_session(&x, type); /* another, which takes it from there */
    CHECK_OK(fj_prompt_cache_read(file_name(), x.session, x.ids, PROMPT, &held, &err));
    CHECK(held == 90 && fj_session_length(x.session, 0) == 90);
    forward(&x, 90, PROMPT, got);
    CHECK(test_same_bits(got, wanted, x.n_vocab));

    open_session(&x, type); /* a prompt that goes another way behind 70, in the middle of a page */
    x.ids[70] = (x.ids[70] + 1) % (int32_t)x.n_vocab;
    forward(&x, 0, PROMPT, wanted);
    CHECK_OK(fj_prompt_cache_read(file_name(), x.session, x.ids, PROMPT, &held, &err));
    CHECK(held == (fj_model_state_shape(x.opened.model).n_layers ? 0 : 70));
    forward(&x, held, PROMPT, got);
    CHECK(test_same_bits(got, wanted, x.n_vocab));
    close_all(&x);
}

TEST(prompt_caches_go_on_with_the_bits_of_a_run_without_one)
{
    check_round_trip("tiny-window", NULL);
    check_round_trip("tiny-tied", &fj_q8_0);
    check_round_trip("tiny-gemma3", &fj_q4_0);
    check_round_trip("tiny-jamba", &fj_f16);
    check_round_trip("tiny-mamba", NULL);
}

static void check_refused(answering *x, const char *data, size_t len, const char *wanted)
{
    fj_err err = { 0 };
    int64_t held;
    CHECK(fj_prompt_cache_read_bytes("file", data, len, x->session, x->ids, PROMPT, &held, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, wanted);
    CHECK(held == 0 && fj_session_length(x->session, 0) == 0);
}

TEST(prompt_caches_of_others_and_broken_ones_are_refused)
{
    static const char broken[] = "file: this prompt cache is broken: its bytes are not those that were written";
    answering x, other;
    fj_err err = { 0 };
    fj_str file = { 0 };
    float out[MOST_VOCAB];
    open_all(&x, "tiny-tied", &fj_f16);
    forward(&x, 0, 66, out);
    CHECK_OK(fj_prompt_cache_write(file_name(), x.session, x.ids, &err));
    CHECK_OK(fj_file_read(file_name(), 1 << 20, &file, &err));
    open_session(&x, &fj_f16);
    for (size_t at = 176; at < file.len; at += 97) {
        file.data[at] ^= 1;
        check_refused(&x, file.data, file.len, broken);
        file.data[at] ^= 1;
    }
    check_refused(&x, file.data, 7, "file: this is no prompt cache of forja's");
    char says[96];
    (void)snprintf(says, sizeof says, "file: a prompt cache of 66 tokens does not have %zu bytes", file.len - 1);
    check_refused(&x, file.data, file.len - 1, says);
    file.data[8] = 2;
    check_refused(&x, file.data, file.len, "file: this prompt cache was made by another version of forja");
    file.data[8] = 1;
    file.data[32] = '9';
    check_refused(&x, file.data, file.len, "file: this prompt cache was made by another version of forja");
    file.data[32] = FORJA_VERSION[0];
    open_session(&x, &fj_q8_0);
    check_refused(&x, file.data, file.len,
                  "file: this prompt cache was made with a cache of F16 and F16, this run's is of Q8_0 and Q8_0");
    fj_kernels_init(&x.k, 0);
    open_session(&x, &fj_f16);
    check_refused(
        &x, file.data, file.len,
        "file: this prompt cache was made with other kernels, or for a context that longrope treats otherwise");
    open_all(&other, "tiny-bias", &fj_f16);
    check_refused(&other, file.data, file.len,
                  "file: this prompt cache was made with another model, adapter or choice of experts");
    fj_str_free(&file);
    close_all(&other);
    close_all(&x);
}

/* What generating does with a file: written for a prompt that had more than it, read by the next session. */
TEST(answers_with_a_prompt_cache_are_those_without)
{
    static const char *const names[] = { "tiny-window", "tiny-jamba" };
    for (size_t c = 0; c < FJ_LEN(names); c++) {
        answering x;
        fj_err err = { 0 };
        fj_sample_settings sample = { .temp = 0 };
        fj_arena *arena = fj_arena_new();
        fj_generation wanted = { 0 }, got = { 0 };
        open_all(&x, names[c], NULL);
        fj_options_reset(fj_sample_options, arena, &sample);
        sample.temp = 0;
        for (int i = 0; i < 5;
             i++) { /* without; absent, written; the same prompt; a longer one, not written; it again */
            fj_generator *g = NULL;
            fj_sampler *sampler = NULL;
            fj_generate_settings s = {
                .n_predict = 9, .ignore_eos = true, .prompt_cache = i ? file_name() : NULL, .writes_prompt_cache = i < 3
            };
            int64_t n = i < 3 ? 80 : 85;
            static const int64_t computed[] = { 80, 80, 1, 6, 6 };
            open_session(&x, NULL);
            CHECK_OK(fj_generator_new(x.session, x.n_vocab, x.opened.bundle, &g, &err));
            CHECK_OK(fj_sampler_new(&sample, NULL, NULL, x.n_vocab, CONTEXT + 1, 3, &sampler, &err));
            CHECK_OK(fj_generate(g, sampler, x.ids, n, &s, NULL, NULL, NULL, i ? &got : &wanted, &err));
            CHECK((i ? &got : &wanted)->prompt_n == computed[i]);
            CHECK(i == 0 || i > 2 || !memcmp(got.ids, wanted.ids, 9 * sizeof *got.ids));
            CHECK(i == 0 || fj_path_exists(file_name()));
            fj_sampler_free(sampler);
            fj_generator_free(g);
        }
        fj_generation_free(&wanted);
        fj_generation_free(&got);
        fj_arena_free(arena);
        close_all(&x);
    }
}
