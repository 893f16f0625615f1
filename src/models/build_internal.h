/* SPDX-License-Identifier: Apache-2.0
 * Weights as values of a graph, for the shared blocks. */
#ifndef FJ_MODELS_BUILD_INTERNAL_H
#define FJ_MODELS_BUILD_INTERNAL_H

#include "models/build.h"

fj_value *fj_build_weight(fj_build *b, const fj_weight *w); /* NULL gives NULL */
fj_value *fj_build_lora_half(fj_build *b, const fj_lora *l, bool is_b);

#endif
