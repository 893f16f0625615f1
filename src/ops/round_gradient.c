/* SPDX-License-Identifier: Apache-2.0
 * kept = bf16(sum), or bf16(kept + bf16(sum)) when the run adds to gradients: the gradient of a parameter that learns in 16 bits, a pass
 * after the other. An effect on kept.
 * in: sum f32, kept bf16 (external)   Source: torch, whose .grad has the parameter's type. */
#include "ops/graph_internal.h"

enum { CHUNK = 1 << 14, SOME = 512 };

static fj_status infer(fj_node *node, fj_err *err)
{
    (void)node, (void)err;
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run, (void)phase;
    return fj_blocks(fj_shape_count(&node->in[0]->shape), CHUNK);
}

static void add(const fj_run *run, uint16_t *kept, const float *sum, int64_t n)
{
    float a[SOME], b[SOME];
    uint16_t half[SOME];
    run->k->f32_to_bf16_row(half, sum, n);
    run->k->bf16_to_f32_row(b, half, n);
    run->k->bf16_to_f32_row(a, kept, n);
    run->k->add_row(a, a, b, n);
    run->k->f32_to_bf16_row(kept, a, n);
}

static void part_of(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t first = part * CHUNK, end = FJ_MIN(first + CHUNK, fj_shape_count(&node->in[0]->shape));
    const float *sum = node->in[0]->data;
    uint16_t *kept = node->in[1]->data;
    if (!run->add_to_grads)
        run->k->f32_to_bf16_row(kept + first, sum + first, end - first);
    for (int64_t i = first; run->add_to_grads && i < end; i += SOME)
        add(run, kept + i, sum + i, FJ_MIN(SOME, end - i));
}

const fj_op fj_op_round_gradient = {
    .name = "round_gradient", .infer = infer, .forward = { .parts = parts, .part = part_of }, .is_effect = true
};

void fj_round_gradient(fj_graph *g, fj_value *sum, fj_value *kept)
{
    fj_value *in[] = { sum, kept };
    (void)fj_graph_add(g, &fj_op_round_gradient, in, 2, 0, NULL, 0, NULL);
}
