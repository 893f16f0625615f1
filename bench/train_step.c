/* SPDX-License-Identifier: Apache-2.0
 * LoRA training steps on a model: bench_train_step MODEL [f32|bf16] [checkpointing|whole] [steps [tokens [threads]]]
 * Rank 8 on all linear matrices, one row of 512 tokens, every token scored, AdamW. One line of JSON: the median step's tokens a
 * second, the process's peak memory, and the losses, which bench/train_step.py must find too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "cli/commands.h"
#include "train/trainer.h"

enum { RANK = 8, MOST_STEPS = 1000 };

typedef struct bench {
    const char *model;
    bool bf16, checkpointing;
    int steps, tokens, threads;
    fj_opened opened;
    fj_adapter *adapter;
    fj_pool *pool;
    fj_kernels kernels;
    fj_trainer *trainer;
    fj_batch batch;
    double seconds[MOST_STEPS], loss[MOST_STEPS];
} bench;

/* Ids that both programs make alike; each is the target of the one before. */
static void fill_batch(bench *b)
{
    fj_batch *t = &b->batch;
    int64_t n = b->tokens, n_vocab = b->opened.model->hp.n_vocab;
    for (int64_t i = 0; i < n; i++) {
        t->ids[i] = (int32_t)((i * 7919 + 13) % n_vocab);
        t->positions[i] = (int32_t)i;
        t->targets[i] = i + 1 < n ? (int32_t)(((i + 1) * 7919 + 13) % n_vocab) : FJ_LABEL_NONE;
    }
    t->n_tokens = n;
    t->n_segments = 1;
    t->n_targets = n - 1;
    t->starts[0] = 0;
    t->starts[1] = (int32_t)n;
}

static fj_status open_bench(bench *b, fj_err *err)
{
    fj_lora_settings lora = { .target = "all", .rank = RANK, .alpha = 2 * RANK, .seed = 1 };
    fj_batch_capacity capacity = {
        .tokens = b->tokens, .segments = 1, .targets = b->tokens, .segment_tokens = b->tokens
    };
    fj_trainer_settings s = { .has_optimizer = true,
                              .checkpointing = b->checkpointing,
                              .bf16 = b->bf16,
                              .capacity = capacity,
                              .adamw = { .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8 },
                              .max_grad_norm = 1.0 };
    fj_kernels_init(&b->kernels, fj_cpu_features());
    fj_status st = fj_pool_open(b->threads, &b->pool, err);
    if (!st)
        st = fj_opened_open(b->model, NULL, FJ_OPEN_WEIGHTS, b->pool, &b->opened, err);
    if (!st)
        st = fj_adapter_new(b->opened.model, &lora, &b->adapter, err);
    s.adapter = b->adapter;
    if (!st)
        st = fj_trainer_open(b->opened.model, &s, b->pool, &b->kernels, &b->trainer, err);
    if (!st)
        st = fj_batch_new(&capacity, &b->batch, err);
    if (!st)
        fill_batch(b);
    return st;
}

static void close_bench(bench *b)
{
    fj_batch_free(&b->batch);
    fj_trainer_close(b->trainer);
    fj_adapter_free(b->adapter);
    fj_opened_close(&b->opened);
    fj_pool_close(b->pool);
}

static fj_status train(bench *b, fj_err *err)
{
    for (int i = 0; i < b->steps; i++) {
        double started = fj_seconds(), nll = 0;
        fj_status st = fj_trainer_accumulate(b->trainer, &b->batch, b->batch.n_targets, true, (uint32_t)i, &nll, NULL,
                                             err);
        if (st)
            return st;
        (void)fj_trainer_norm(b->trainer);
        fj_trainer_update(b->trainer, 1e-4, i + 1);
        b->seconds[i] = fj_seconds() - started;
        b->loss[i] = nll;
    }
    return FJ_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(bench *b)
{
    int skip = b->steps > 1; /* the first step also reads the file */
    double *timed = b->seconds + skip;
    qsort(timed, (size_t)(b->steps - skip), sizeof *timed, by_value);
    printf("{\"tokens_per_second\": %.2f, \"peak_bytes\": %llu, \"loss\": [%.5f, %.5f]}\n",
           b->tokens / timed[(b->steps - skip) / 2], (unsigned long long)fj_peak_resident_bytes(), b->loss[0],
           b->loss[b->steps - 1]);
}

static int number(int argc, char **argv, int at, int otherwise)
{
    return argc > at ? atoi(argv[at]) : otherwise;
}

int main(int argc, char **argv)
{
    static bench b;
    fj_err err = { 0 };
    b.model = argc > 1 ? argv[1] : NULL;
    b.bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    b.checkpointing = argc > 3 && !strcmp(argv[3], "checkpointing");
    b.steps = number(argc, argv, 4, 4);
    b.tokens = number(argc, argv, 5, 512);
    b.threads = number(argc, argv, 6, 2);
    if (!b.model || b.steps < 1 || b.steps > MOST_STEPS || b.tokens < 2 || b.threads < 1) {
        fprintf(stderr, "usage: bench_train_step MODEL [f32|bf16] [checkpointing|whole] [steps [tokens [threads]]]\n");
        return 2;
    }
    fj_status st = open_bench(&b, &err);
    if (!st)
        st = train(&b, &err);
    if (!st)
        print(&b);
    else
        fprintf(stderr, "bench_train_step: %s\n", err.message);
    close_bench(&b);
    return st ? 1 : 0;
}
