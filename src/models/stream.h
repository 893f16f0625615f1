/* SPDX-License-Identifier: Apache-2.0
 * Weights that come and go while a graph runs, under a limit of memory. */
#ifndef FJ_MODELS_STREAM_H
#define FJ_MODELS_STREAM_H

#include "models/model.h"

/* Reads ahead for the next nodes of a pass, makes what the next node reads where it is made, gives back what a node has read. */
typedef struct fj_stream {
    const fj_model *m;
    fj_watch        watch; /* for fj_run; context is this struct, which must not move */
    int             ahead; /* nodes up to here have been read ahead */
} fj_stream;

void fj_stream_start(fj_stream *s, const fj_model *m);

/* Around each pass: it begins; what was touched beside the way leaves memory. */
void fj_stream_begin(fj_stream *s);
void fj_stream_end(const fj_stream *s);

#endif
