/* SPDX-License-Identifier: Apache-2.0
 * The loop from a prompt to an answer, on a tiny model without a tokenizer. */
#include "tasks/generate.h"

#include "base/arena.h"
#include "models/tiny_test.h"

enum { CONTEXT = 40 };

typedef struct answering {
    tiny t;
    fj_model *m;
    fj_bundle bundle;
    fj_pool *pool;
    fj_kernels k;
    fj_session *session;
    fj_generator *generator;
    fj_sampler *sampler;
    fj_arena *arena;
} answering;

/* keys: of the configuration; bias: "ID+X" or NULL; temp: 0 for greedy. */
static void open_all(answering *x, const char *keys, const char *bias, double temp)
{
    fj_err err = { 0 };
    fj_sample_settings sample;
    fj_session_settings s = { .n_ctx = CONTEXT, .fast = true, .stop_layer = -1 };
    *x = (answering){ .arena = fj_arena_new() };
    CHECK(x->arena);
    tiny_open(&x->t, keys, FJ_NAMING_HF, &fj_f32);
    CHECK_OK(fj_model_open(&x->t.source, &x->m, &err));
    x->bundle = (fj_bundle){ .source = &x->t.source, .config = x->t.source.config };
    fj_kernels_init(&x->k, test_cpu());
    CHECK_OK(fj_pool_open(1, &x->pool, &err));
    CHECK_OK(fj_session_open(x->m, &s, x->pool, &x->k, &x->session, &err));
    CHECK_OK(fj_generator_new(x->session, TINY_VOCAB, &x->bundle, &x->generator, &err));
    fj_options_reset(fj_sample_options, x->arena, &sample);
    sample.temp = temp;
    if (bias)
        sample.logit_bias = (fj_list){ &bias, 1 };
    CHECK_OK(fj_sampler_new(&sample, NULL, NULL, TINY_VOCAB, CONTEXT + 1, 3, &x->sampler, &err));
}

static void close_all(answering *x)
{
    fj_sampler_free(x->sampler);
    fj_generator_free(x->generator);
    fj_session_close(x->session);
    fj_pool_close(x->pool);
    fj_model_free(x->m);
    tiny_close(&x->t);
    fj_arena_free(x->arena);
}

static fj_status answer(answering *x, const int32_t *prompt, int64_t n, int64_t n_predict, const int *cancel,
                        fj_generation *out, fj_err *err)
{
    fj_generate_settings s = { .n_predict = n_predict };
    *err = (fj_err){ 0 };
    return fj_generate(x->generator, x->sampler, prompt, n, &s, NULL, NULL, cancel, out, err);
}

/* A prompt's answer from a new session. */
static void check_fresh(const int32_t *prompt, int64_t n, double temp, const fj_generation *got)
{
    answering fresh;
    fj_generation wanted = { 0 };
    fj_err err;
    open_all(&fresh, NULL, NULL, temp);
    CHECK_OK(answer(&fresh, prompt, n, got->n, NULL, &wanted, &err));
    CHECK(wanted.n == got->n && wanted.prompt_n == n &&
          !memcmp(wanted.ids, got->ids, (size_t)got->n * sizeof *got->ids));
    fj_generation_free(&wanted);
    close_all(&fresh);
}

TEST(an_answer_behind_what_the_session_holds_is_that_of_a_new_session)
{
    for (int temp = 0; temp < 2; temp++) {
        answering x;
        fj_generation g = { 0 };
        fj_err err;
        int32_t prompt[CONTEXT] = { 4, 8, 15, 16, 23, 42 };
        open_all(&x, NULL, NULL, temp);
        CHECK_OK(answer(&x, prompt, 6, 5, NULL, &g, &err));
        CHECK(g.n == 5 && g.prompt_n == 6);
        CHECK_TEXT(g.finish_reason, "length");
        check_fresh(prompt, 6, temp, &g);
        memcpy(prompt + 6, g.ids, 5 * sizeof *prompt); /* the conversation goes on */
        prompt[11] = 7;
        CHECK_OK(answer(&x, prompt, 12, 4, NULL, &g, &err));
        CHECK(g.prompt_n == 2); /* the last token drawn was not computed yet */
        check_fresh(prompt, 12, temp, &g);
        prompt[3] = 1; /* another way from here */
        CHECK_OK(answer(&x, prompt, 9, 4, NULL, &g, &err));
        CHECK(g.prompt_n == 6);
        check_fresh(prompt, 9, temp, &g);
        CHECK_OK(answer(&x, prompt, 9, 4, NULL, &g, &err)); /* the same once more: its last token is computed again */
        CHECK(g.prompt_n == 1);
        check_fresh(prompt, 9, temp, &g);
        fj_generation_free(&g);
        close_all(&x);
    }
}

TEST(an_answer_has_as_many_tokens_as_asked_for_or_as_fit)
{
    answering x;
    fj_generation g = { 0 };
    fj_err err;
    const int32_t prompt[CONTEXT] = { 1, 2, 3 };
    open_all(&x, NULL, NULL, 1);
    CHECK_OK(answer(&x, prompt, 3, 0, NULL, &g, &err));
    CHECK(g.n == 0);
    CHECK_TEXT(g.finish_reason, "length");
    CHECK_OK(answer(&x, prompt, 3, 1, NULL, &g, &err));
    CHECK(g.n == 1);
    CHECK_OK(answer(&x, prompt, 3, -1, NULL, &g, &err)); /* the last one need not be computed */
    CHECK(g.n == CONTEXT + 1 - 3);
    CHECK_TEXT(g.finish_reason, "length");
    CHECK_OK(answer(&x, prompt, CONTEXT - 1, -1, NULL, &g, &err));
    CHECK(g.n == 2);
    CHECK(answer(&x, prompt, CONTEXT, 1, NULL, &g, &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, "the prompt has 40 tokens, the context has room for 39 with one to answer");
    CHECK(answer(&x, prompt, 0, 1, NULL, &g, &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, "the prompt has no tokens");
    const int32_t bad[] = { 1, TINY_VOCAB };
    CHECK(answer(&x, bad, 2, 1, NULL, &g, &err) == FJ_ERR_ARG);
    CHECK_OK(answer(&x, prompt, 3, 4, NULL, &g, &err));
    check_fresh(prompt, 3, 1, &g);
    fj_generation_free(&g);
    close_all(&x);
}

/* What follows each shift is what a new session says behind the ids that are left. */
static void check_shifts(int64_t n_keep, int64_t kept)
{
    enum { PREDICT = 200 };
    answering x;
    fj_generation g = { 0 }, piece = { 0 };
    fj_err err = { 0 };
    const int32_t prompt[] = { 4, 8, 15, 16, 23 };
    int32_t left[CONTEXT + 1];
    fj_generate_settings s = { .n_predict = PREDICT, .shifts_context = true, .n_keep = n_keep };
    open_all(&x, NULL, NULL, 0);
    CHECK_OK(fj_generate(x.generator, x.sampler, prompt, 5, &s, NULL, NULL, NULL, &g, &err));
    CHECK(g.n == PREDICT && g.prompt_n == 5);
    CHECK_TEXT(g.finish_reason, "length");
    memcpy(left, prompt, sizeof prompt);
    for (int64_t at = 0, n = 5; at < PREDICT; at += piece.n) {
        int64_t wanted = FJ_MIN(CONTEXT + 1 - n, PREDICT - at);
        answering fresh;
        open_all(&fresh, NULL, NULL, 0);
        CHECK_OK(answer(&fresh, left, n, wanted, NULL, &piece, &err));
        CHECK(piece.n == wanted && !memcmp(piece.ids, g.ids + at, (size_t)wanted * sizeof *g.ids));
        close_all(&fresh);
        memcpy(left + n, piece.ids, (size_t)wanted * sizeof *left);
        int64_t dropped = (CONTEXT - kept) / 2; /* of the 41, the newest is on top */
        n = CONTEXT + 1 - dropped;
        memmove(left + kept, left + kept + dropped, (size_t)(n - kept) * sizeof *left);
    }
    CHECK_OK(answer(&x, prompt, 5, 9, NULL, &piece, &err)); /* and the session answers as ever */
    check_fresh(prompt, 5, 0, &piece);
    fj_generation_free(&piece);
    fj_generation_free(&g);
    close_all(&x);
}

TEST(an_answer_in_a_context_that_shifts_goes_on_as_a_new_session_would)
{
    check_shifts(0, 0);
    check_shifts(3, 3);
    check_shifts(-1, 5);
    check_shifts(1000, 5); /* no more than the prompt */
}

TEST(an_end_token_ends_an_answer_unless_it_is_to_go_on)
{
    answering x;
    fj_generation g = { 0 };
    fj_err err = { 0 };
    const int32_t prompt[] = { 1, 2, 3 };
    open_all(&x, "{\"eos_token_id\": [11, 12]}", "12+1000", 0);
    CHECK_OK(answer(&x, prompt, 3, 9, NULL, &g, &err));
    CHECK(g.n == 1 && g.ids[0] == 12);
    CHECK_TEXT(g.finish_reason, "stop");
    fj_generate_settings s = { .n_predict = 9, .ignore_eos = true };
    CHECK_OK(fj_generate(x.generator, x.sampler, prompt, 3, &s, NULL, NULL, NULL, &g, &err));
    CHECK(g.n == 9 && g.ids[8] == 12);
    CHECK_TEXT(g.finish_reason, "length");
    fj_generation_free(&g);
    close_all(&x);
}

TEST(an_answer_that_is_cancelled_leaves_a_session_that_answers)
{
    answering x;
    fj_generation g = { 0 };
    fj_err err;
    const int cancel = 1;
    const int32_t prompt[] = { 9, 8, 7, 6 };
    open_all(&x, NULL, NULL, 1);
    CHECK(answer(&x, prompt, 4, 5, &cancel, &g, &err) == FJ_ERR_CANCELLED);
    CHECK_TEXT(g.finish_reason, "cancelled");
    CHECK(g.n == 0);
    CHECK_OK(answer(&x, prompt, 4, 5, NULL, &g, &err));
    check_fresh(prompt, 4, 1, &g);
    CHECK(answer(&x, prompt, 3, 5, &cancel, &g, &err) == FJ_ERR_CANCELLED); /* in the middle of what it holds */
    CHECK_OK(answer(&x, prompt, 4, 5, NULL, &g, &err));
    check_fresh(prompt, 4, 1, &g);
    fj_generation_free(&g);
    close_all(&x);
}

TEST(an_answer_of_a_broken_model_ends_with_a_reason)
{
    answering x;
    fj_generation g = { 0 };
    fj_err err;
    const int32_t prompt[] = { 1, 2 };
    open_all(&x, NULL, NULL, 0);
    float *norm = (float *)(uintptr_t)tiny_tensor(&x.t, "model.norm.weight")->data;
    norm[3] = NAN;
    CHECK(answer(&x, prompt, 2, 5, NULL, &g, &err) == FJ_ERR_FAILED);
    CHECK_TEXT(err.message, "position 2: the model's logits are not numbers");
    fj_generation_free(&g);
    close_all(&x);
}

/* ---- guesses -------------------------------------------------------------------------------------------------------------------------- */

static fj_draft *use_lookup(answering *x, int64_t most)
{
    fj_err err = { 0 };
    fj_draft *d = NULL;
    fj_draft_settings s = { .lookup = true, .most = most };
    fj_opened target = { .bundle = &x->bundle, .model = x->m };
    fj_fit fit = { .repacks = true, .pool = x->pool, .kernels = &x->k };
    CHECK_OK(fj_draft_open(&s, &target, NULL, &d, &err));
    CHECK(d != NULL);
    CHECK_OK(fj_draft_start(d, CONTEXT, &fit, &err));
    CHECK_OK(fj_generator_use_draft(x->generator, d, &err));
    return d;
}

/* To the end of the context and shorter, greedy and drawn, also behind what the session holds. A bias makes the model repeat itself, always
 * or most of the time, so that guesses are right, and right for a while. */
TEST(answers_with_guesses_are_those_without)
{
    static const int64_t most[] = { 1, 2, 7, 64 };
    static const char *const bias[] = { NULL, "12+1000", "12+5" };
    static const int32_t prompt[] = { 4, 8, 15, 4, 8, 15, 4, 8, 15, 16 };
    for (size_t i = 0; i < FJ_LEN(most) * FJ_LEN(bias); i++) {
        size_t b = i % FJ_LEN(bias);
        answering x, guessing;
        fj_generation wanted = { 0 }, got = { 0 };
        fj_err err;
        int64_t guessed = 0, right = 0;
        open_all(&x, NULL, bias[b], b == 2);
        open_all(&guessing, NULL, bias[b], b == 2);
        fj_draft *d = use_lookup(&guessing, most[i / FJ_LEN(bias)]);
        for (int64_t n = -1; n < 12; n++) {
            int64_t n_prompt = 9 + n % 2;
            CHECK_OK(answer(&x, prompt, n_prompt, n, NULL, &wanted, &err));
            CHECK_OK(answer(&guessing, prompt, n_prompt, n, NULL, &got, &err));
            CHECK(got.n == wanted.n && !memcmp(got.ids, wanted.ids, (size_t)got.n * sizeof *got.ids));
            CHECK(got.prompt_n == wanted.prompt_n && !strcmp(got.finish_reason, wanted.finish_reason));
            guessed += got.draft_n;
            right += got.draft_n_accepted;
        }
        CHECK(b == 0 || right > 0);
        CHECK(b == 1 ? right == guessed : b == 0 || right < guessed);
        fj_draft_close(d);
        fj_generation_free(&wanted);
        fj_generation_free(&got);
        close_all(&guessing);
        close_all(&x);
    }
}
