/* SPDX-License-Identifier: Apache-2.0
 * The recurrent state of sequences (Mamba), and one snapshot of each: a state goes back only to where one was taken. */
#ifndef FJ_MODELS_RECURRENT_H
#define FJ_MODELS_RECURRENT_H

#include "base/buffer.h"
#include "models/model.h"

typedef struct fj_recurrent {
    fj_state_shape shape;  /* n_layers 0: the model has no such state, and everything here does nothing */
    fj_buffer      values; /* a slot for each sequence, then one for its snapshot */
    int32_t       *slots;  /* of each sequence: what graphs read */
    int64_t       *kept;   /* length of each snapshot, -1: none */
    int64_t        n_seqs;
    fj_arena      *arena;
} fj_recurrent;

size_t    fj_recurrent_bytes(const fj_model *m, int64_t n_seqs);
fj_status fj_recurrent_open(const fj_model *m, int64_t n_seqs, fj_recurrent *out, fj_err *err);
void      fj_recurrent_close(fj_recurrent *r); /* accepts a zeroed one */

/* Takes the snapshot of a sequence that has `length` positions; of 0 it forgets the one before. */
void fj_recurrent_keep(fj_recurrent *r, int64_t seq, int64_t length);

/* Goes back from `length` positions to at most `wanted`: how many are left. That is `wanted` where nothing changes, else those of the
 * snapshot, or 0 where it was taken later. */
int64_t fj_recurrent_go_back(fj_recurrent *r, int64_t seq, int64_t length, int64_t wanted);

#endif
