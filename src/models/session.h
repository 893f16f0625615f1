/* SPDX-License-Identifier: Apache-2.0
 * Sequences being generated: the cache pages they hold and the graphs that extend them. */
#ifndef FJ_MODELS_SESSION_H
#define FJ_MODELS_SESSION_H

#include "models/adapter.h"
#include "models/model.h"

typedef struct fj_session fj_session;

/* What a router said of rows of a pass: k experts of each with their weights, the heaviest first. */
typedef struct fj_routing {
    int            layer;
    const fj_role *router; /* of the MLP or of attention */
    int64_t        first, n, k; /* rows first ... first+n-1 of the call */
    const int32_t *chosen;  /* (n,k) */
    const float   *weights; /* (n,k) */
} fj_routing;

typedef struct fj_session_settings {
    int64_t n_ctx;     /* positions a sequence may have; 0: the model's own, at most 4096 */
    int64_t length;    /* positions that sequences are expected to reach: longrope chooses by it; 0: n_ctx */
    int64_t n_seqs;    /* sequences at once; 0: 1 */
    int64_t chunk;     /* rows of the largest graph: prompts are taken in chunks; 0: 512 */
    bool    fast;      /* arithmetic of `run` (int8, bf16, f16 cache); false: float32 throughout */
    const fj_dtype *k_type, *v_type; /* of the cache: f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0; NULL: f16 where the arithmetic is fast and
                      * the weights are not f32, else f32 */
    int     stop_layer; /* fj_session_hidden: how many layers; -1 all */
    bool    wants_hidden; /* hidden states instead of logits */
    const fj_adapter *adapter; /* may be NULL */
    void  (*routed)(void *context, const fj_routing *r); /* told after each pass, for each router; NULL: nobody wants to know */
    void   *routed_context;
    const fj_watch *watch; /* sees every node of every pass; may be NULL */
} fj_session_settings;

/* The model, adapter, pool and kernels must outlive the session. FJ_ERR_MEMORY says what was asked for. */
fj_status fj_session_open(const fj_model *m, const fj_session_settings *s, fj_pool *pool, const fj_kernels *k, fj_session **out,
                          fj_err *err);
void      fj_session_close(fj_session *s); /* accepts NULL */

/* The memory that fj_session_open would take, from shapes alone: cache, step arena with scratch. */
typedef struct fj_session_bytes {
    size_t kv, arena;
} fj_session_bytes;
fj_status fj_session_plan(const fj_model *m, const fj_session_settings *s, int n_threads, const fj_kernels *k, fj_session_bytes *out,
                          fj_err *err);

/* Tokens to append: n ids of one or more sequences, end to end; seq[i] says whose (NULL: all of sequence 0); rows of a sequence are
 * consecutive and in order. wants[i]: this row's result is asked for (NULL: the last row only). */
typedef struct fj_rows_in {
    int64_t        n;
    const int32_t *ids;
    const int32_t *seq;
    const uint8_t *wants;
} fj_rows_in;

/* out: (rows that want a result, n_vocab) logits, or (…, d_model) hidden states; f32, owned by the caller. Fails with FJ_ERR_ARG
 * when an id is not in the vocabulary or the rows do not fit n_ctx; the session is then as before, as it is after FJ_ERR_CANCELLED.
 * Not thread-safe per session. cancel may be NULL. */
fj_status fj_session_forward(fj_session *s, const fj_rows_in *rows, float *out, const int *cancel, fj_err *err);

int64_t fj_session_length(const fj_session *s, int64_t seq);
/* Forgets positions from `length` on and says how many are left: `length`, but where layers are recurrent only what was there before the
 * last call, or 0 when that was more than `length`. */
int64_t fj_session_truncate(fj_session *s, int64_t seq, int64_t length);
int64_t fj_session_n_ctx(const fj_session *s);

/* ---- what a sequence holds, as bytes (session_state.c) -------------------------------------------------------------------- */

/* Of its first `length` positions: of page after page the rows of keys and of values that cache.h has there, then the recurrent state. */
size_t fj_session_state_bytes(const fj_session *s, int64_t length);

/* Gives all that a sequence holds, a piece after the other. */
typedef void fj_session_sink(void *context, const void *piece, size_t len);
void fj_session_state_write(const fj_session *s, int64_t seq, fj_session_sink *sink, void *context);

/* From the state of `held` positions, written by a session of the same identity, the sequence gets the first `length` (at most n_ctx), in
 * place of what it holds. Says how many it has then: 0 where layers are recurrent and the state is not of `length` positions. */
int64_t fj_session_state_read(fj_session *s, int64_t seq, const void *state, int64_t held, int64_t length);

/* What states depend on. Two sessions with the same identity read each other's, and go on with the bits that they would have had. */
typedef struct fj_session_identity {
    const fj_dtype *k_type, *v_type;
    char model[65];      /* of configuration, tensors (names, types, shapes and samples of the values), adapter, choice of experts */
    char arithmetic[65]; /* of the kernels, what `fast` says, and which of longrope's divisors are used */
} fj_session_identity;
fj_status fj_session_identify(const fj_session *s, fj_session_identity *out, fj_err *err);

#endif
