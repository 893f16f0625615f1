/* SPDX-License-Identifier: Apache-2.0
 * The recurrent state of a sequence (Mamba): one fixed slot, copied whole for a snapshot and back to restore it.
 *
 *   slot s ── layer 0 ──┬ the last d_conv-1 inputs of the convolution, oldest first: (d_conv-1, d_inner)
 *                       └ the state of the scan: (d_state, d_inner)
 *             layer 1 …
 *
 * f32. A sequence that begins (position 0) finds zeros whatever its slot holds. */
#ifndef FJ_OPS_STATE_H
#define FJ_OPS_STATE_H

#include <stdint.h>

typedef struct fj_state_shape {
    int64_t n_layers; /* that have such a state */
    int64_t d_inner, d_conv, d_state;
} fj_state_shape;

static inline int64_t fj_state_layer_values(const fj_state_shape *s)
{
    return (s->d_conv - 1 + s->d_state) * s->d_inner;
}

/* Values of a slot. */
static inline int64_t fj_state_values(const fj_state_shape *s)
{
    return s->n_layers * fj_state_layer_values(s);
}

/* Index of the first value of the convolution's part; the scan's follows (d_conv-1) * d_inner further on. */
static inline int64_t fj_state_at(const fj_state_shape *s, int64_t slot, int64_t layer)
{
    return (slot * s->n_layers + layer) * fj_state_layer_values(s);
}

#endif
