/* SPDX-License-Identifier: Apache-2.0
 * The keys that LLaMA-Factory knows besides those that do something here (fj_train_keys in config.h). */
#ifndef FJ_TRAIN_KEYS_H
#define FJ_TRAIN_KEYS_H

typedef struct fj_known_key {
    const char *name;
    const char *
        neutral; /* values that change nothing, besides null: "false", "auto|none"; "*": any value, with a note; NULL: null only */
    const char *instead; /* advice for the others; may be NULL */
} fj_known_key;

extern const fj_known_key fj_known_keys[]; /* name NULL at the end */

#endif
