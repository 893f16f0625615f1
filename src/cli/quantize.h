/* SPDX-License-Identifier: Apache-2.0
 * What `forja quantize` shares between its files: a mix of types for a size or a loss. */
#ifndef FJ_CLI_QUANTIZE_H
#define FJ_CLI_QUANTIZE_H

#include "cli/commands.h"
#include "tasks/mix.h"

typedef struct fj_target {
    const char *size; /* "4.2G"; NULL: none */
    double kld;       /* NaN: none */
    const char *text; /* a file; NULL: the built-in texts */
} fj_target;

/* A mix and what it was measured with. */
typedef struct fj_targeted {
    fj_windows learn, test;
    fj_imatrix *imatrix; /* of its own, when none was given */
    fj_measurement m;
    fj_mix_settings settings;
    fj_mix *mix;
    fj_estimate kl;
} fj_targeted;

/* Chooses the types. imatrix: as given, or NULL: it is made from one half of the text, and the loss measured on the other.
 * Prints a table of all matrices unless with --json or -q. */
fj_status fj_target_choose(const fj_call *call, const fj_opened *o, const fj_export_rows *rows, const fj_imatrix *imatrix,
                           const fj_target *target, fj_targeted *out, fj_err *err);
void fj_targeted_free(fj_targeted *t); /* accepts a zeroed one */

/* The recipe whose bits are nearest: for general.file_type. */
const fj_recipe *fj_target_recipe(const fj_targeted *t);

#endif
