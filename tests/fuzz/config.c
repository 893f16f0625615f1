/* SPDX-License-Identifier: Apache-2.0
 * config.json: what is understood can be described and planned, whatever it asks for; what is not is refused with a reason. */
#include <stdint.h>
#include <string.h>

#include "models/session.h"
#include "train/trainer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_LAYERS = 6 }; /* planning takes time by the layer */

static void plan(const fj_model *m)
{
    fj_kernels k;
    fj_session_bytes session;
    fj_trainer_bytes trainer;
    fj_session_settings s = { .n_ctx = 70, .n_seqs = 2, .chunk = 8, .fast = true, .stop_layer = -1 };
    fj_trainer_settings t = { .has_optimizer = true, .capacity = { 8, 2, 8, 8 } };
    fj_err err = { 0 };
    fj_kernels_init(&k, 0);
    if (fj_session_plan(m, &s, 2, &k, &session, &err))
        fj_assert(strlen(err.message) > 0);
    else
        fj_assert(session.kv > 0 && session.arena > 0);
    if (fj_trainer_plan(m, &t, 2, &k, &trainer, &err))
        fj_assert(strlen(err.message) > 0);
    else
        fj_assert(trainer.n_trained <= fj_model_parameters(m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_json *config = NULL;
    fj_model *m = NULL;
    if (fj_json_parse((const char *)data, size, "fuzz", false, &config, &err))
        return 0;
    fj_status st = fj_model_describe(config, NULL, &m, &err);
    if (st) {
        fj_assert(st == FJ_ERR_FORMAT && strlen(err.message) > 0 && !m);
    } else {
        fj_assert(m->n_weights > 0 && fj_model_parameters(m) > 0 && fj_model_bytes(m) > 0);
        if (m->hp.n_layers <= MOST_LAYERS)
            plan(m);
    }
    fj_model_free(m);
    fj_json_free(config);
    return 0;
}
