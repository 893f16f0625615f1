/* SPDX-License-Identifier: Apache-2.0
 * What a repository holds, and which of it a model needs. Source: huggingface_hub, hf_api.py (model_info with files_metadata);
 * transformers, modeling_utils.py, for the order in which weights are looked for. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "formats/formats.h"
#include "hub/remote_internal.h"

enum { MAX_FILES = 100000 };
static const int64_t max_size = (int64_t)1 << 46; /* so that a sum of sizes fits 63 bits */

static const char *const tokenizers[] = { "tokenizer.json", "tokenizer.model",      "*.tiktoken",  "vocab.json",
                                          "vocab.txt",      "sentencepiece*.model", "spiece.model" };

/* Beside these: what tokenizers are read from, and weights. */
static const char *const small[] = { "config.json",
                                     "generation_config.json",
                                     "quantize_config.json",
                                     "tokenizer_config.json",
                                     "special_tokens_map.json",
                                     "added_tokens.json",
                                     "merges.txt",
                                     "chat_template.jinja",
                                     "chat_template.json",
                                     "additional_chat_templates/*.jinja",
                                     "preprocessor_config.json",
                                     "processor_config.json",
                                     "modules.json",
                                     "sentence_bert_config.json",
                                     "config_sentence_transformers.json",
                                     "[0-9]_*/config.json",
                                     "gliner_config.json",
                                     "adapter_config.json" };

static bool matches(const char *name, const char *const *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!fnmatch(patterns[i], name, FNM_PATHNAME | FNM_PERIOD))
            return true;
    return false;
}

bool fj_hub_is_tokenizer(const char *name)
{
    return matches(name, tokenizers, FJ_LEN(tokenizers));
}

bool fj_hub_is_gguf_model(const char *name)
{
    size_t n = strlen(name);
    int part = 1;
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    if (n < 6 || strcmp(name + n - 5, ".gguf") != 0 || !strncmp(base, "mmproj", 6))
        return false;
    (void)fj_gguf_parts(name, &part);
    return part == 1;
}

/* ---- the hub's answer --------------------------------------------------------------------------------------------------------------- */

static fj_status read_file(const fj_json *v, const char *where, fj_listing *l, fj_err *err)
{
    fj_hub_file *f = &l->files[l->n];
    fj_text name = fj_json_text(fj_json_get(v, "rfilename"));
    const fj_json *lfs = fj_json_get(v, "lfs");
    fj_text hash = fj_json_text(lfs && fj_json_is_object(lfs) ? fj_json_find(lfs, "sha256|oid")
                                                              : fj_json_get(v, "blobId"));
    if (!fj_hub_is_safe_path(name))
        return fj_fail(err, FJ_ERR_NETWORK, "%s: the hub lists a file '%.*s', which is no name of a file in its folder",
                       where, (int)FJ_MIN(name.len, 200), name.data ? name.data : "");
    f->name = fj_arena_text(l->arena, name.data, name.len);
    f->size = fj_json_int(fj_json_is_object(lfs) ? fj_json_get(lfs, "size") : fj_json_get(v, "size"), -1);
    if (!f->name)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the hub's answer");
    if (f->size < -1 || f->size > max_size)
        return fj_fail(err, FJ_ERR_NETWORK, "%s: the hub says that %.200s has %" PRId64 " bytes", where, f->name,
                       f->size);
    if (fj_hub_is_hex(hash, 40) || fj_hub_is_hex(hash, 64))
        memcpy(f->etag, hash.data, hash.len);
    l->n++;
    return FJ_OK;
}

static fj_status read_listing(const fj_json *v, const char *where, fj_listing *l, fj_err *err)
{
    const fj_json *files = fj_json_get(v, "siblings");
    fj_text sha = fj_json_text(fj_json_get(v, "sha"));
    if (!fj_hub_is_hex(sha, FJ_COMMIT_LEN) || !fj_json_is_array(files))
        return fj_fail(err, FJ_ERR_NETWORK, "%s: the hub's answer names no commit and files", where);
    memcpy(l->commit, sha.data, sha.len);
    size_t n = fj_json_len(files);
    if (n > MAX_FILES)
        return fj_fail(err, FJ_ERR_NETWORK, "%s: the hub lists %zu files, more than %d", where, n, MAX_FILES);
    l->files = fj_arena_array(l->arena, n, sizeof *l->files);
    if (!l->files)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the hub's answer");
    fj_status st = FJ_OK;
    for (size_t i = 0; i < n && !st; i++)
        st = read_file(fj_json_at(files, i), where, l, err);
    return st;
}

fj_status fj_listing_parse(const char *text, size_t len, const char *where, fj_listing *out, fj_err *err)
{
    fj_json *v = NULL;
    *out = (fj_listing){ .arena = fj_arena_new() };
    fj_status st = out->arena ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the hub's answer");
    if (!st)
        st = fj_json_parse(text, len, "the hub's answer", false, &v, err);
    if (st == FJ_ERR_FORMAT) {
        (void)fj_prefix(err, "%s", where);
        st = err->status = FJ_ERR_NETWORK;
        (void)fj_hint(err, "HF_ENDPOINT, or a proxy, may lead to something that is no hub");
    }
    if (!st)
        st = read_listing(v, where, out, err);
    fj_json_free(v);
    if (st)
        fj_listing_free(out);
    return st;
}

void fj_listing_free(fj_listing *l)
{
    fj_arena_free(l->arena);
    *l = (fj_listing){ 0 };
}

static fj_hub_file *find(const fj_listing *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->files[i].name, name))
            return &l->files[i];
    return NULL;
}

const fj_hub_file *fj_listing_find(const fj_listing *l, const char *name)
{
    return find(l, name);
}

/* ---- which of it -------------------------------------------------------------------------------------------------------------------- */

static bool want(fj_listing *l, const char *name, bool is_late)
{
    fj_hub_file *f = find(l, name);
    if (!f)
        return false;
    f->is_wanted = true;
    f->is_late = is_late;
    return true;
}

/* A file and, of a split one, all of its parts. */
static fj_status want_parts(fj_listing *l, const fj_hub_ref *ref, const char *name, fj_err *err)
{
    int part, n = fj_gguf_parts(name, &part);
    l->open = name;
    if (n == 1) {
        (void)want(l, name, true);
        return FJ_OK;
    }
    fj_status st = FJ_OK;
    for (int i = 1; !st && i <= n; i++) {
        char *other = fj_gguf_part_name(name, i);
        if (!other)
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory for the hub's answer");
        else if (!want(l, other, true))
            st = fj_fail(err, FJ_ERR_NETWORK, "%.200s: %.200s is not there, part %d of %d", ref->model, other, i, n);
        free(other);
    }
    return st;
}

/* A name that is not there: the one that holds it ("Q4_K_M"), or the nearest. */
static const char *suggest(const fj_listing *l, const char *name)
{
    const char **names = calloc(l->n + 1, sizeof *names), *found = NULL;
    size_t n = strlen(name);
    for (size_t i = 0; i < l->n && names; i++)
        names[i] = l->files[i].name;
    for (size_t i = 0; i < l->n && !found; i++)
        for (const char *at = l->files[i].name; strlen(at) >= n && !found; at++)
            if (!strncasecmp(at, name, n) && n > 2)
                found = l->files[i].name;
    if (!found && names)
        found = fj_nearest(name, names, l->n);
    free(names);
    return found;
}

static fj_status choose_file(fj_listing *l, const fj_hub_ref *ref, fj_err *err)
{
    const fj_hub_file *f = find(l, ref->file);
    if (f)
        return want_parts(l, ref, f->name, err);
    const char *nearest = suggest(l, ref->file);
    (void)fj_fail(err, FJ_ERR_NETWORK, "%.200s: the repository has no file '%.300s'", ref->model, ref->file);
    return nearest ? fj_hint(err, "did you mean hf:%s:%.200s?", ref->repo, nearest)
                   : fj_hint(err, "hf:%s without a file fetches the model", ref->repo);
}

/* "a.gguf (4.4 GB), b.gguf (7.7 GB) ..." */
static fj_status choose_gguf(fj_listing *l, const fj_hub_ref *ref, fj_log *log, fj_err *err)
{
    fj_str list = { 0 };
    const char *only = NULL;
    size_t n = 0;
    char size[24];
    for (size_t i = 0; i < l->n; i++) {
        const fj_hub_file *f = &l->files[i];
        if (!fj_hub_is_gguf_model(f->name))
            continue;
        only = f->name;
        fj_str_printf(&list, "%s%s", n++ ? ", " : "", f->name);
        if (f->size >= 0)
            fj_str_printf(&list, " (%s)", fj_format_bytes((uint64_t)f->size, size));
    }
    fj_status st = FJ_OK;
    l->has_weights = n == 1;
    if (n == 1) {
        st = want_parts(l, ref, only, err);
    } else if (n) {
        st = fj_fail(err, FJ_ERR_USAGE, "%.200s holds %zu GGUF files; name one, as in hf:%s:FILE", ref->model, n,
                     ref->repo);
        (void)fj_hint(err, "%s", list.data ? list.data : "no memory to list them");
        if (list.len >= sizeof err->hint) /* more than a hint holds */
            fj_note(log, "%s holds %s", ref->model, list.data);
    }
    fj_str_free(&list);
    return st;
}

/* One kind of weights, in the order in which they are looked for. */
static bool choose_weights(fj_listing *l)
{
    static const char *const kinds[] = { "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                         "pytorch_model.bin.index.json" };
    for (size_t i = 0; i < FJ_LEN(kinds); i++) {
        bool is_index = i % 2;
        if (!want(l, kinds[i], !is_index))
            continue;
        l->index = is_index ? kinds[i] : NULL;
        return true;
    }
    for (size_t i = 0; i < l->n; i++) /* AutoGPTQ's older form */
        if (!fnmatch("gptq_model-*bit-*g.safetensors", l->files[i].name, 0))
            return want(l, l->files[i].name, true);
    return want(l, "adapter_model.safetensors", true) || want(l, "adapter_model.bin", true);
}

/* Layers behind the model have folders of their own (sentence-transformers' 2_Dense). */
static void choose_modules(fj_listing *l)
{
    static const char *const good[] = { "[0-9]_*/model.safetensors" }, *const old[] = { "[0-9]_*/pytorch_model.bin" };
    for (size_t i = 0; i < l->n; i++) {
        const char *name = l->files[i].name, *slash = strchr(name, '/');
        char beside[FJ_MAX_FILE_NAME + 32];
        (void)snprintf(beside, sizeof beside, "%.*s/model.safetensors", slash ? (int)(slash - name) : 0, name);
        if (matches(name, good, 1) || (matches(name, old, 1) && !find(l, beside)))
            (void)want(l, name, true);
    }
}

fj_status fj_listing_choose(fj_listing *l, const fj_hub_ref *ref, fj_log *log, fj_err *err)
{
    size_t n = 0;
    if (ref->file[0])
        return choose_file(l, ref, err);
    for (size_t i = 0; i < l->n; i++)
        l->has_tokenizer |= fj_hub_is_tokenizer(l->files[i].name);
    l->has_weights = choose_weights(l);
    if (!l->has_weights) {
        fj_status st = choose_gguf(l, ref, log, err);
        if (st || l->open)
            return st;
    }
    for (size_t i = 0; i < l->n; i++) {
        fj_hub_file *f = &l->files[i];
        f->is_wanted |= matches(f->name, small, FJ_LEN(small)) || fj_hub_is_tokenizer(f->name);
        n += f->is_wanted;
    }
    choose_modules(l);
    if (n)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_NETWORK, "%.200s: nothing in it that forja reads", ref->model);
    return fj_hint(err, "a model has config.json with safetensors or pytorch_model.bin, or is a .gguf file");
}

void fj_listing_spare_weights(fj_listing *l)
{
    for (size_t i = 0; i < l->n && !l->open; i++)
        if (l->files[i].is_late || (l->index && !strcmp(l->files[i].name, l->index)))
            l->files[i].is_wanted = false;
    l->index = NULL;
}

fj_status fj_listing_choose_shards(fj_listing *l, const char *text, size_t len, fj_err *err)
{
    fj_json *v = NULL;
    fj_status st = fj_json_parse(text, len, l->index, false, &v, err);
    const fj_json *map = fj_json_get(v, "weight_map");
    const char *last = "";
    if (!st && !fj_json_len(map))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: no weight_map", l->index);
    for (void *i = fj_json_first(map); i && !st; i = fj_json_next(map, i)) {
        const char *name = fj_json_string(fj_json_member(i), "");
        if (strcmp(name, last) != 0 && !want(l, name, true))
            st = fj_fail(err, FJ_ERR_NETWORK, "%s: names '%.200s', which the repository does not have", l->index, name);
        last = name;
    }
    fj_json_free(v);
    return st;
}
