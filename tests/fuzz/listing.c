/* SPDX-License-Identifier: Apache-2.0
 * The hub's answers: what is taken has names that stay in their folder, hashes that are some and sizes that can be added up, whichever
 * files are chosen. The bytes stand for the index of shards, too. */
#include <string.h>

#include "hub/remote_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const fj_listing *l)
{
    int64_t sum = 0;
    fj_assert(fj_hub_is_hex(fj_text_of(l->commit), FJ_COMMIT_LEN));
    for (size_t i = 0; i < l->n; i++) {
        const fj_hub_file *f = &l->files[i];
        size_t digits = strlen(f->etag);
        fj_assert(fj_hub_is_safe_path(fj_text_of(f->name)));
        fj_assert(digits == 0 || ((digits == 40 || digits == 64) && fj_hub_is_hex(fj_text_of(f->etag), digits)));
        fj_assert(f->size >= -1);
        fj_assert(!__builtin_add_overflow(sum, f->size, &sum));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const models[] = { "hf:o/n", "hf:o/n:m.gguf", "hf:o/n@v1:m-00001-of-00002.gguf" };
    for (size_t i = 0; i < FJ_LEN(models); i++) {
        fj_err err = { 0 };
        fj_listing l;
        fj_hub_ref ref;
        if (fj_listing_parse((const char *)data, size, "hf:o/n", &l, &err)) {
            fj_assert(err.status == FJ_ERR_NETWORK && strlen(err.message) > 0);
            return 0;
        }
        check(&l);
        fj_assert(fj_hub_ref_of(models[i], &ref, &err) == FJ_OK);
        if (fj_listing_choose(&l, &ref, NULL, &err))
            fj_assert(err.status == FJ_ERR_NETWORK || err.status == FJ_ERR_USAGE);
        else if (l.index && fj_listing_choose_shards(&l, (const char *)data, size, &err))
            fj_assert(err.status == FJ_ERR_NETWORK || err.status == FJ_ERR_FORMAT);
        fj_listing_free(&l);
    }
    return 0;
}
