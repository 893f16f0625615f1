/* SPDX-License-Identifier: Apache-2.0
 * What a session is made of: session.c runs it, session_state.c writes and reads what its sequences hold. */
#ifndef FJ_MODELS_SESSION_INTERNAL_H
#define FJ_MODELS_SESSION_INTERNAL_H

#include "models/build.h"
#include "models/kv_cache.h"
#include "models/recurrent.h"
#include "models/session.h"
#include "models/stream.h"

enum { FJ_SESSION_GRAPHS = 4 };

/* One of its graphs, for passes of up to `capacity` rows. */
typedef struct fj_session_graph {
    int64_t capacity;
    fj_graph *g;
    fj_build b;
    fj_value *result;
} fj_session_graph;

struct fj_session {
    const fj_model *m;
    fj_session_settings s;
    fj_kv_cache cache;
    fj_recurrent states;
    fj_session_graph plans[FJ_SESSION_GRAPHS];
    int n_plans;
    fj_buffer memory; /* the step arena, then the scratch of the workers */
    size_t arena_bytes;
    fj_run run;
    fj_stream stream; /* of a model with streamed weights */
    fj_err build_err;
    int32_t *ids, *pos, *select; /* chunk rows each */
    fj_tile *tiles;
    int64_t *start; /* of each sequence: its length before the call */
    fj_arena *arena;
};

#endif
