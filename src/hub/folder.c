/* SPDX-License-Identifier: Apache-2.0
 * The small files of a Hugging Face folder. Source: transformers, tokenization_utils_base.py (_from_pretrained). */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "formats/recognize.h"
#include "hub/hub_internal.h"

enum { MAX_TEMPLATE = 16 << 20 };

static fj_status no_memory(const char *folder, fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
}

fj_status fj_folder_read(const char *folder, const char *name, size_t limit, fj_str *out, char **path, fj_err *err)
{
    char *whole = fj_path_join(folder, name);
    *path = NULL;
    if (!whole)
        return no_memory(folder, err);
    if (!fj_path_exists(whole)) {
        free(whole);
        return FJ_OK;
    }
    fj_status st = fj_file_read(whole, limit, out, err);
    if (!st && fj_text_starts((fj_text){ out->data, out->len }, "version https://git-lfs"))
        st = fj_wrong_file(whole, out->data, out->len, "the file itself", err);
    if (st)
        free(whole);
    else
        *path = whole;
    return st;
}

fj_status fj_folder_json(const char *folder, const char *name, fj_json **out, fj_err *err)
{
    char *path = fj_path_join(folder, name);
    fj_status st = FJ_OK;
    *out = NULL;
    if (!path)
        return no_memory(folder, err);
    if (fj_path_exists(path))
        st = fj_json_load(path, out, err);
    if (!st && *out && !fj_json_is_object(*out)) {
        fj_json_free(*out);
        *out = NULL;
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: not an object", path);
    }
    free(path);
    return st;
}

/* Old folders name their special tokens in the map only. A list of added tokens in the configuration marks a newer one. */
static bool fill_in(fj_json *config, const fj_json *map)
{
    if (fj_json_get(config, "added_tokens_decoder"))
        return true;
    for (void *i = fj_json_first(map); i; i = fj_json_next(map, i)) {
        const fj_json *own = fj_json_get(config, fj_json_key(i));
        if ((!own || fj_json_is_null(own)) && !fj_json_set(config, fj_json_key(i), fj_json_share(fj_json_member(i))))
            return false;
    }
    return true;
}

fj_status fj_folder_tokenizer_config(const char *folder, fj_json **out, fj_err *err)
{
    fj_json *map = NULL;
    fj_status st = fj_folder_json(folder, "tokenizer_config.json", out, err);
    if (!st)
        st = fj_folder_json(folder, "special_tokens_map.json", &map, err);
    if (!st && *out && map && !fill_in(*out, map))
        st = no_memory(folder, err);
    if (!st && !*out && map)
        *out = fj_json_share(map);
    fj_json_free(map);
    return st;
}

/* chat_template of a JSON file: a text, or a list of {name, template} of which "default" is taken. */
static fj_text template_in(const fj_json *file)
{
    const fj_json *v = fj_json_get(file, "chat_template");
    if (fj_json_is_string(v))
        return fj_json_text(v);
    for (size_t i = 0; fj_json_is_array(v) && i < fj_json_len(v); i++) {
        const fj_json *one = fj_json_at(v, i);
        if (fj_text_is(fj_json_text(fj_json_get(one, "name")), "default"))
            return fj_json_text(fj_json_get(one, "template"));
    }
    return (fj_text){ 0 };
}

fj_status fj_folder_template(const char *folder, const fj_json *tokenizer_config, char **out, fj_err *err)
{
    fj_str jinja = { 0 };
    char *path = NULL;
    fj_json *own = NULL;
    *out = NULL;
    fj_status st = fj_folder_read(folder, "chat_template.jinja", MAX_TEMPLATE, &jinja, &path, err);
    if (!st)
        st = fj_folder_json(folder, "chat_template.json", &own, err);
    if (!st) {
        fj_text text = path ? (fj_text){ jinja.data, jinja.len } : template_in(own);
        if (!text.data)
            text = template_in(tokenizer_config);
        *out = text.data ? strndup(text.data, text.len) : NULL;
        if (text.data && !*out)
            st = no_memory(folder, err);
    }
    fj_json_free(own);
    fj_str_free(&jinja);
    free(path);
    return st;
}

fj_status fj_folder_advise(const char *folder, fj_err *err)
{
    static const char suffix[] = ".gguf";
    const struct dirent *e;
    DIR *d = opendir(folder);
    if (!d)
        return err->status;
    while ((e = readdir(d))) {
        size_t n = strlen(e->d_name), k = sizeof suffix - 1;
        if (n > k && !strcmp(e->d_name + n - k, suffix)) {
            (void)fj_hint(err, "give the file itself: %s/%s", folder, e->d_name);
            break;
        }
    }
    (void)closedir(d);
    return err->status;
}
