/* SPDX-License-Identifier: Apache-2.0
 * Importance matrices made: which columns of each weight matter, seen from the values that a text sends through them.
 * Source: llama.cpp, tools/imatrix/imatrix.cpp. */
#ifndef FJ_TASKS_IMATRIX_H
#define FJ_TASKS_IMATRIX_H

#include "formats/imatrix.h"
#include "tasks/perplexity.h"

/* Reads the windows and sums the squares of the inputs of every matrix in a layer, those of experts apart. The head is left out, as
 * llama.cpp leaves it. datasets: names of the texts, for the file. *out is the caller's (fj_imatrix_free). */
fj_status fj_imatrix_collect(const fj_reader *reader, const fj_windows *windows, const char *const *datasets, size_t n_datasets,
                             const fj_measurement *m, fj_imatrix **out, fj_err *err);

#endif
