/* SPDX-License-Identifier: Apache-2.0
 * See recurrent.h. A sequence that begins finds zeros whatever its slot holds, so going back to the start is nothing. */
#include "models/recurrent.h"

#include <string.h>

static size_t slot_bytes(const fj_state_shape *s)
{
    return (size_t)fj_state_values(s) * sizeof(float);
}

size_t fj_recurrent_bytes(const fj_model *m, int64_t n_seqs)
{
    fj_state_shape s = fj_model_state_shape(m);
    return 2 * (size_t)n_seqs * slot_bytes(&s);
}

fj_status fj_recurrent_open(const fj_model *m, int64_t n_seqs, fj_recurrent *r, fj_err *err)
{
    *r = (fj_recurrent){ .shape = fj_model_state_shape(m), .n_seqs = n_seqs };
    if (!r->shape.n_layers)
        return FJ_OK;
    r->arena = fj_arena_new();
    if (r->arena) {
        r->slots = fj_arena_array(r->arena, (size_t)n_seqs, sizeof *r->slots);
        r->kept = fj_arena_array(r->arena, (size_t)n_seqs, sizeof *r->kept);
    }
    if (!r->slots || !r->kept)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the states of %lld sequences", (long long)n_seqs);
    for (int64_t i = 0; i < n_seqs; i++) {
        r->slots[i] = (int32_t)i;
        r->kept[i] = -1;
    }
    return fj_buffer_open(&r->values, fj_recurrent_bytes(m, n_seqs), "the recurrent states", err);
}

void fj_recurrent_close(fj_recurrent *r)
{
    fj_buffer_close(&r->values);
    fj_arena_free(r->arena);
    *r = (fj_recurrent){ 0 };
}

static unsigned char *slot_of(const fj_recurrent *r, int64_t slot)
{
    return r->values.data + (size_t)slot * slot_bytes(&r->shape);
}

void fj_recurrent_keep(fj_recurrent *r, int64_t seq, int64_t length)
{
    if (!r->shape.n_layers)
        return;
    if (length)
        memcpy(slot_of(r, r->n_seqs + seq), slot_of(r, seq), slot_bytes(&r->shape));
    r->kept[seq] = length; /* another text begins at 0: what was kept of the one before is of no use */
}

int64_t fj_recurrent_go_back(fj_recurrent *r, int64_t seq, int64_t length, int64_t wanted)
{
    if (!r->shape.n_layers || wanted >= length)
        return FJ_MIN(wanted, length);
    if (r->kept[seq] <= 0 || r->kept[seq] > wanted)
        return 0;
    memcpy(slot_of(r, seq), slot_of(r, r->n_seqs + seq), slot_bytes(&r->shape));
    return r->kept[seq];
}
