/* SPDX-License-Identifier: Apache-2.0
 * Options of the key/value cache, for the commands that fill one. */
#include "cli/commands.h"

#define AT(member) offsetof(fj_cache_settings, member)

static const char types[] = "f32|f16|bf16|q8_0|q5_1|q5_0|q4_1|q4_0";

const fj_option fj_cache_options[] = {
    { "cache-type-k", "TYPE", FJ_OPT_TEXT, AT(k), NULL,
      "of keys; f16 unless the weights are F32. Values bear fewer bits than keys: Qwen2 talks nonsense with keys below "
      "q8_0",
      0, 0, 0, types, "ctk" },
    { "cache-type-v", "TYPE", FJ_OPT_TEXT, AT(v), NULL, "of values; likewise", 0, 0, 0, types, "ctv" },
    { 0 },
};

const fj_dtype *fj_cache_type(const char *name)
{
    return name ? fj_dtype_by_name(name) : NULL;
}
