/* SPDX-License-Identifier: Apache-2.0
 * A model opened for use: bundle, model, and the adapter if one was asked for. */
#ifndef FJ_TASKS_OPENED_H
#define FJ_TASKS_OPENED_H

#include "base/log.h"
#include "hub/hub.h"
#include "models/adapter.h"
#include "models/session.h"

typedef struct fj_opened {
    fj_bundle *bundle;
    fj_model *model;
    fj_adapter *adapter;
} fj_opened;

/* what: FJ_OPEN_… of hub.h; weights are always opened. adapter: a PEFT folder, or a name of the hub that is in
 * the cache; may be NULL. *out is empty after a failure.
 * pool: makes the weights that the files have in another form; NULL: the caller does so (fj_model_fill, fj_model_reserve, fj_opened_fit). */
fj_status fj_opened_open(const char *model, const char *adapter, int what, fj_pool *pool, fj_opened *out, fj_err *err);

/* Puts the weights in the kernels' order; where there is no room they stay as they lie in the file, and a note says so. */
void fj_opened_repack(fj_opened *o, fj_pool *pool, fj_log *log);

/* The same under a limit (--max-memory, "2G"; NULL: none, as fj_opened_repack where `repacks`): sets the chunk of the session that will
 * be opened, and lets weights come and go where all do not fit beside it. FJ_ERR_USAGE: not a size; FJ_ERR_MEMORY: not to be had. */
typedef struct fj_fit {
    const char *limit;
    bool        repacks;
    fj_pool    *pool;
    const fj_kernels *kernels;
    fj_log     *log;
    size_t      beside; /* what else will be taken: by a draft model */
} fj_fit;
fj_status fj_opened_fit(fj_opened *o, const fj_fit *fit, fj_session_settings *session, fj_err *err);

/* What the limit leaves for the weights of a model that is not resident yet; sets the session's chunk. Errors as above. */
fj_status fj_fit_room(const fj_model *m, const fj_fit *fit, fj_session_settings *session, size_t *left, fj_err *err);

void fj_opened_close(fj_opened *o); /* accepts a zeroed one */

/* Reads a PEFT folder for a model. FJ_ERR_FORMAT when there is none in it, or none of this model. */
fj_status fj_adapter_open_folder(const fj_model *m, const char *folder, fj_adapter **out, fj_err *err);

#endif
