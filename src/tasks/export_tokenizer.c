/* SPDX-License-Identifier: Apache-2.0
 * What a Hugging Face folder says beside weights and shapes, from a GGUF file's metadata: tokenizer, chat template, end tokens. */
#include "tasks/export_internal.h"
#include "tasks/stop.h"

fj_status fj_export_tokenizer(const fj_bundle *b, const char *folder, fj_err *err)
{
    fj_json *file = NULL;
    if (!b->tokenizer)
        return FJ_OK;
    fj_status st = fj_tokenizer_to_json(b->tokenizer, &file, err);
    if (!st)
        st = fj_export_json(folder, "tokenizer.json", file, err);
    fj_json_free(file);
    file = NULL;
    if (!st)
        st = fj_tokenizer_config(b->tokenizer, b->chat_template, &file, err);
    if (!st)
        st = fj_export_json(folder, "tokenizer_config.json", file, err);
    fj_json_free(file);
    return st;
}

/* A number, or a list of several, as Hugging Face writes them. */
static fj_json *ends_json(const int32_t *ids, int n)
{
    fj_json *list = n == 1 ? fj_json_new_int(ids[0]) : fj_json_new_array();
    bool ok = list != NULL;
    for (int i = 0; n > 1 && ok && i < n; i++)
        ok = fj_json_add(list, fj_json_new_int(ids[i]));
    if (ok)
        return list;
    fj_json_free(list);
    return NULL;
}

/* A vocabulary may show an end of turn that no key names: the folder has no other place to say it. */
fj_status fj_export_generation(const fj_bundle *b, const char *folder, fj_err *err)
{
    int32_t ends[FJ_MOST_ENDS];
    int n = fj_end_ids(b, ends);
    fj_json *generation = fj_json_new_object();
    bool ok = generation && (!n || fj_json_set(generation, "eos_token_id", ends_json(ends, n)));
    for (void *i = fj_json_first(b->generation); ok && i; i = fj_json_next(b->generation, i))
        if (!fj_json_get(generation, fj_json_key(i)))
            ok = fj_json_set(generation, fj_json_key(i), fj_json_share(fj_json_member(i)));
    fj_status st = ok ? fj_export_json(folder, "generation_config.json", generation, err)
                      : fj_fail(err, FJ_ERR_MEMORY, "no memory for generation_config.json");
    fj_json_free(generation);
    return st;
}
