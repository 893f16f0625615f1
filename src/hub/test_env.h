/* SPDX-License-Identifier: Apache-2.0
 * The hub's environment for tests: nothing of the user's own, the cache in the tests' folder. */
#ifndef FJ_HUB_TEST_ENV_H
#define FJ_HUB_TEST_ENV_H

#include <stdlib.h>

#include "tests/test.h"

static inline void clear_hub_env(void)
{
    static const char *const names[] = { "HF_HOME",        "HF_HUB_CACHE",   "HUGGINGFACE_HUB_CACHE",   "XDG_CACHE_HOME",
                                         "HF_ENDPOINT",    "HF_TOKEN",       "HUGGING_FACE_HUB_TOKEN",  "HF_TOKEN_PATH",
                                         "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DOWNLOAD_TIMEOUT", "http_proxy", "all_proxy" };
    for (size_t i = 0; i < FJ_LEN(names); i++)
        (void)unsetenv(names[i]);
}

static inline void set_env(const char *name, const char *value)
{
    CHECK(!setenv(name, value, 1));
}

#endif
