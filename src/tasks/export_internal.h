/* SPDX-License-Identifier: Apache-2.0
 * What the exports' files share. */
#ifndef FJ_TASKS_EXPORT_INTERNAL_H
#define FJ_TASKS_EXPORT_INTERNAL_H

#include "models/model.h"

/* config.json's rope_scaling for what a GGUF file says by its tensor rope_freqs: a new object, NULL when there is no such tensor or it
 * changes nothing. FJ_ERR_FORMAT when no llama3 scaling gives these frequencies. */
fj_status fj_export_rope_scaling(const fj_model *m, fj_json **out, fj_err *err);

#endif
